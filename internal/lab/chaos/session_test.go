package chaos

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
)

// server starts a PostgreSQL with the tables of the workloads, and says how clients reach it.
func server(t *testing.T) (*database.Server, door) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	site, err := hosts.Open(ctx, hosts.Options{Kind: hosts.Loopback, Names: []string{"pg-a"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	template, err := database.NewTemplate(ctx, filepath.Join(site.Dir(), "template"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := database.New(ctx, database.Options{Template: template, Host: site.Host("pg-a")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{appendsTable, registerTable} {
		if err := s.Exec(ctx, table); err != nil {
			t.Fatal(err)
		}
	}
	return s, door{
		address: s.Address(), dial: s.Host().Dial, user: database.App, password: template.Password(database.App), database: database.Name,
	}
}

func TestWorkloadsOnARealServer(t *testing.T) {
	s, d := server(t)
	opened, err := d.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("appends", func(t *testing.T) {
		var session traffic.Session = appender{opened}
		for range 2 { // nothing hides that one is made twice
			if member, err := session.Append(t.Context(), "c", 1); err != nil || member != "pg-a" {
				t.Errorf("appended by %q: %v", member, err)
			}
		}
	})
	t.Run("register", func(t *testing.T) {
		for i, test := range []struct {
			verb            Verb
			value, expected int64
			before          int64
		}{
			{Write, 1, 0, 0},
			{Read, 0, 0, 1},
			{CompareAndSet, 2, 1, 1},
			{CompareAndSet, 3, 1, 2}, // it is 2 by now
			{Read, 0, 0, 2},
			{Read, 0, 0, 2},
		} {
			o := Operation{Verb: test.verb, Value: test.value, Expected: test.expected}
			if err := o.perform(opened); err != nil || !o.Acked || o.Before != test.before || o.Member != "pg-a" {
				t.Errorf("%d: %+v: %v", i, o, err)
			}
		}
	})
	t.Run("giving up cancels nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			for running := 0; running == 0; {
				const slow = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
				if err := s.Ask(t.Context(), []any{&running}, slow); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		var member string
		if err := opened.ask(ctx, []any{&member}, "INSERT INTO appends (client, number) SELECT 'slow', 1 FROM pg_sleep(3) RETURNING member"); err == nil {
			t.Fatal("it was not given up")
		}
		opened.Drop()
		select {
		case <-opened.conn.PgConn().CleanupDone(): // pgx has done all that it does, and the server has closed the session
		case <-time.After(time.Minute):
			t.Fatal("the session is never cleaned up")
		}
		var done int
		if err := s.Ask(t.Context(), []any{&done}, "SELECT count(*) FROM appends WHERE client = 'slow'"); err != nil || done != 1 {
			t.Errorf("%d rows of a statement that was given up: %v", done, err)
		}
	})
}
