package probe

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// postgresTarget is a member at an address, watched by one postgres check.
func postgresTarget(name failover.MemberName, address string, c failover.Check) Target {
	return Target{
		Group:  "orders",
		Member: failover.MemberSpec{Name: name, Address: address},
		Spec:   &failover.Spec{Connect: postgrestest.Connect(), Health: failover.Health{Checks: []failover.Check{c}}},
	}
}

// patientCheck has a time-out that only a server that doesn't answer at all reaches on a busy machine.
func patientCheck() failover.Check {
	return failover.Check{
		Name: "sql", Kind: failover.CheckPostgres, Interval: time.Second, Timeout: 20 * time.Second, Failures: 1, Successes: 1, Required: true,
	}
}

func newPostgres(t *testing.T) *Postgres {
	t.Helper()
	p := NewPostgres(PostgresOptions{Node: "az-a", Secrets: new(secret.Reader)})
	t.Cleanup(p.Close)
	return p
}

// lookAt takes one look within the check's time-out.
func lookAt(p Checker, target Target, c failover.Check) Look {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	return p.Look(ctx, target, c)
}

func TestPostgresFactsOfPrimaryAndStandby(t *testing.T) {
	primary := postgrestest.Start(t, postgrestest.Setting{Key: "synchronous_standby_names", Value: `FIRST 1 ("pg-b", "pg-c")`})
	standby := primary.Standby("pg-b")
	primary.Eventually("the standby is synchronous", func() bool {
		return primary.Query("SELECT sync_state FROM pg_stat_replication") == "sync"
	})
	p := newPostgres(t)

	look := lookAt(p, postgresTarget("pg-a", primary.Address, patientCheck()), patientCheck())
	if look.Evidence.Reason != failover.ReasonAnswered {
		t.Fatalf("evidence of the primary: got %+v", look.Evidence)
	}
	f := look.Facts
	if f.Role != failover.RolePrimary || !f.AcceptsWrites || f.Timeline != 1 || f.Written == 0 || f.SystemID == "" {
		t.Fatalf("facts of the primary: got %+v", f)
	}
	if f.SyncRule.Need != 1 || len(f.SyncRule.Names) != 2 || f.SyncRule.Names[1] != "pg-c" {
		t.Fatalf("rule for synchronous commit: got %+v", f.SyncRule)
	}
	if len(f.Replicas) != 1 || f.Replicas[0] != (failover.Replica{Name: "pg-b", Streaming: true, Sync: true}) {
		t.Fatalf("standbys: got %+v", f.Replicas)
	}
	if n := primary.Query("SELECT beat FROM arbiter.probe WHERE arbiter = 'az-a'"); n != "1" {
		t.Fatalf("beats after one look: got %s, want 1", n)
	}

	standby.Configure(postgrestest.Setting{Key: "arbiter.epoch", Value: "41"})
	standby.Reload()
	standby.Eventually("the token counts", func() bool {
		return standby.Query("SELECT current_setting('arbiter.epoch', true)") == "41"
	})
	look = lookAt(p, postgresTarget("pg-b", standby.Address, patientCheck()), patientCheck())
	if look.Evidence.Reason != failover.ReasonAnswered {
		t.Fatalf("evidence of the standby: got %+v", look.Evidence)
	}
	s := look.Facts
	if s.Role != failover.RoleStandby || s.AcceptsWrites || !s.Streaming || s.Received == 0 || s.Replayed == 0 ||
		s.Timeline != 1 || s.Epoch != 41 || s.SystemID != f.SystemID || s.Written != 0 || len(s.Replicas) != 0 {
		t.Fatalf("facts of the standby: got %+v", s)
	}
}

func TestPostgresNeverTwoWritesOutstanding(t *testing.T) {
	server := postgrestest.Start(t)
	p := newPostgres(t)
	c := patientCheck()
	c.Timeout = time.Minute
	target := postgresTarget("pg-a", server.Address, c)
	wantLook(t, p, target, c, failover.ReasonAnswered)
	blocker := server.Dial()
	for _, statement := range []string{"BEGIN", "SELECT FROM arbiter.probe FOR UPDATE"} {
		if _, err := blocker.Exec(t.Context(), statement); err != nil {
			t.Fatalf("lock the row: %v", err)
		}
	}
	first := make(chan Look, 1)
	go func() { first <- lookAt(p, target, c) }()
	server.Eventually("the first write waits", func() bool {
		n, err := server.TryQuery("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'arbiter-probe/az-a' AND wait_event_type = 'Lock'")
		return err == nil && n == "1"
	})
	second := wantLook(t, p, target, c, failover.ReasonAnswered)
	if !second.Partial || second.Facts.AcceptsWrites || second.Facts.Role != failover.RolePrimary {
		t.Fatalf("a look beside an outstanding write: got %+v, want the reading part only", second)
	}
	if _, err := blocker.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatalf("let the row go: %v", err)
	}
	if look := <-first; look.Partial || !look.Facts.AcceptsWrites {
		t.Fatalf("the first look: got %+v", look)
	}
	if n := server.Query("SELECT beat FROM arbiter.probe"); n != "2" {
		t.Fatalf("beats: got %s, want 2", n)
	}
}

// TestPostgresLostConnectionIsNoStall loses one connection in the middle, as a firewall does that forgets it: the server, which answers everybody else
// and has no write to end, is no server whose disk hangs.
func TestPostgresLostConnectionIsNoStall(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings []postgrestest.Setting
		want     failover.Reason
	}{
		{"the server says that it has no write", nil, failover.ReasonAnswered},
		{"the server doesn't say", []postgrestest.Setting{setting("track_activities", "off")}, failover.ReasonWriteStalled},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := postgrestest.Start(t, test.settings...)
			door := newDoor(t, server.Address)
			p := newPostgres(t)
			c := patientCheck()
			target := postgresTarget("pg-a", door.address, c)
			wantLook(t, p, target, c, failover.ReasonAnswered)
			lost := 0
			door.swallow(func(sent []byte) bool {
				if lost > 0 || !bytes.Contains(sent, []byte("INSERT INTO arbiter.probe")) {
					return false
				}
				lost++
				return true
			})
			c.Timeout = time.Second
			wantStall(t, p, target, c)
			if test.want == failover.ReasonAnswered {
				c.Timeout = patientCheck().Timeout
			}
			for range 2 {
				look := wantLook(t, p, target, c, test.want)
				if good := test.want == failover.ReasonAnswered; look.Facts.AcceptsWrites != good || look.Partial {
					t.Fatalf("a look after the lost connection: got %+v", look)
				}
			}
		})
	}
}
