package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// shared is the template of all tests of this package, made in TestMain.
var shared *Template

func TestMain(m *testing.M) {
	os.Exit(func() int {
		// A site without hosts is a directory that is removed even if this process crashes.
		site, err := hosts.Open(context.Background(), hosts.Options{})
		if err != nil {
			panic(err)
		}
		defer site.Close()
		if shared, err = NewTemplate(context.Background(), filepath.Join(site.Dir(), "template")); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// site opens hosts that are closed when the test ends.
func site(t *testing.T, names ...string) *hosts.Site {
	t.Helper()
	s, err := hosts.Open(t.Context(), hosts.Options{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showLogs(t, s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// showLogs prints the end of every server's log.
func showLogs(t *testing.T, s *hosts.Site) {
	t.Helper()
	for _, h := range s.Hosts() {
		text, err := os.ReadFile(filepath.Join(h.LogDir(), "postgres.log"))
		if err != nil {
			continue
		}
		t.Logf("log of %s:\n%s", h.Name(), text[max(0, len(text)-3000):])
	}
}

// patient is a context for what must happen soon.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// one starts a single primary.
func one(t *testing.T) *Server {
	t.Helper()
	s, err := New(patient(t), Options{Template: shared, Host: site(t, "pg-a").Host("pg-a")}, nil)
	if err == nil {
		err = s.Start(patient(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// three starts a primary with a synchronous and an asynchronous standby.
func three(t *testing.T) (primary, sync, async *Server) {
	t.Helper()
	hs := site(t, "pg-a", "pg-b", "pg-c").Hosts()
	ctx := patient(t)
	var all []*Server
	for i, h := range hs {
		options := Options{Template: shared, Host: h}
		var follows *Server
		if i == 0 {
			options.SyncStandbys = `FIRST 1 ("pg-b")`
		} else {
			follows = all[0]
		}
		s, err := New(ctx, options, follows)
		if err == nil {
			err = s.Launch()
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		if err := s.AwaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(all[0].AwaitSynchronous(ctx, all[1]), all[2].AwaitStreaming(ctx, all[0])); err != nil {
		t.Fatal(err)
	}
	return all[0], all[1], all[2]
}

// order appends one row as the client's role, over the network.
func order(ctx context.Context, s *Server, number int64) error {
	conn, err := overNetwork(ctx, s, App, shared.Password(App))
	if err != nil {
		return err
	}
	defer closeConn(conn)
	_, err = conn.Exec(ctx, "INSERT INTO orders (writer, number) VALUES ('test', $1)", number)
	return err
}

// overNetwork connects from the server's own host by TCP.
func overNetwork(ctx context.Context, s *Server, role, password string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("sslmode=disable dbname=" + Name + " user=" + role + " password=" + password)
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = s.Host().Addr().String(), uint16(s.Port())
	config.DialFunc = s.Host().Dial
	return pgx.ConnectConfig(ctx, config)
}

// code is PostgreSQL's error code in err, or "".
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func TestReplicationAndPromotion(t *testing.T) {
	begin := time.Now()
	a, b, c := three(t)
	t.Logf("three servers ready after %v", time.Since(begin))
	ctx := patient(t)
	for n := range int64(5) {
		if err := order(ctx, a, n); err != nil {
			t.Fatal(err)
		}
	}
	states := map[*Server]State{}
	for _, s := range []*Server{a, b, c} {
		st, err := s.State(ctx)
		if err != nil {
			t.Fatal(err)
		}
		states[s] = st
	}
	if states[a].InRecovery || !states[b].InRecovery || !states[b].Receiving || states[b].SystemID != states[a].SystemID ||
		states[b].Position < states[a].Position || states[c].Timeline != 1 {
		t.Errorf("states %+v", states)
	}
	if err := a.Crash(ctx); err != nil {
		t.Fatal(err)
	}
	if pids, err := a.PIDs(); err != nil || len(pids) != 0 {
		t.Errorf("after the crash: %v, %v", pids, err)
	}
	if err := b.Exec(ctx, "SELECT pg_promote(false)"); err != nil {
		t.Fatal(err)
	}
	if err := b.AwaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if err := order(ctx, b, 5); err != nil {
		t.Fatal(err)
	}
	missing, err := b.Missing(ctx, "test", []int64{0, 1, 2, 3, 4, 5, 77})
	if err != nil || !slices.Equal(missing, []int64{77}) {
		t.Errorf("missing on the new primary: %v, %v", missing, err)
	}
}

func TestOldPrimaryReturns(t *testing.T) {
	a, b, c := three(t)
	ctx := patient(t)
	if err := a.Crash(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Exec(ctx, "SELECT pg_promote(false)"); err != nil {
		t.Fatal(err)
	}
	if err := b.AwaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Set(map[string]string{"synchronous_standby_names": ""}); err != nil {
		t.Fatal(err)
	}
	// As a rogue it accepts writes that nobody else has.
	if err := a.StartAsPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(order(ctx, a, 1), order(ctx, b, 2), a.Stop(ctx, Fast), c.Stop(ctx, Fast)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Rewind(ctx, b), c.Reseed(ctx, b)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Server{a, c} {
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.AwaitStreaming(ctx, b); err != nil {
			t.Fatal(err)
		}
		if missing, err := s.Missing(ctx, "test", []int64{1, 2}); err != nil || !slices.Equal(missing, []int64{1}) {
			t.Errorf("missing on %s: %v, %v", s.Name(), missing, err)
		}
	}
	if err := a.Stop(ctx, Fast); err != nil {
		t.Fatal(err)
	}
	if err := a.StartAsStandby(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := a.AwaitStreaming(ctx, b); err != nil {
		t.Fatal(err)
	}
}

func TestArbiterRoleMayDoItsWork(t *testing.T) {
	s := one(t)
	ctx := patient(t)
	conn, err := overNetwork(ctx, s, Arbiter, shared.Password(Arbiter))
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	for _, sql := range []string{
		"SET arbiter.epoch = '0'", "ALTER SYSTEM SET arbiter.epoch = '5'", "SELECT pg_reload_conf()",
		"INSERT INTO arbiter.probe (arbiter) VALUES ('az-a')", "SELECT pg_promote(false) WHERE pg_is_in_recovery()",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := conn.Exec(ctx, "INSERT INTO orders (writer, number) VALUES ('x', 1)"); code(err) != "42501" {
		t.Errorf("the arbiter's role wrote into the client's table: %v", err)
	}
	if _, err := overNetwork(ctx, s, Arbiter, "wrong"); code(err) != "28P01" {
		t.Errorf("wrong password: %v", err)
	}
}

func TestFaults(t *testing.T) {
	s := one(t)
	ctx := patient(t)
	release, err := s.FillConnections(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := overNetwork(ctx, s, Arbiter, shared.Password(Arbiter)); code(err) != tooManyConnections {
		t.Errorf("connections exhausted: %v", err)
	}
	release()
	if err := s.Await(ctx, "open again", func(ctx context.Context) (bool, error) { return true, order(ctx, s, 1) }); err != nil {
		t.Error(err)
	}
	if err := s.SetReadOnly(ctx, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Await(ctx, "read-only", func(ctx context.Context) (bool, error) {
		return code(order(ctx, s, 2)) == "25006", nil
	}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.SetReadOnly(ctx, false), s.ChangePassword(ctx, App, "it's new")); err != nil {
		t.Fatal(err)
	}
	if err := order(ctx, s, 3); code(err) != "28P01" {
		t.Errorf("changed password: %v", err)
	}
	if err := s.ChangePassword(ctx, App, shared.Password(App)); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.LockOrders(ctx)
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := order(brief, s, 4); err == nil {
		t.Error("an order passed the lock")
	}
	unlock()
	if err := order(ctx, s, 5); err != nil {
		t.Error(err)
	}
}

func TestServerThatCannotStart(t *testing.T) {
	s := one(t)
	ctx := patient(t)
	if err := s.Stop(ctx, Fast); err != nil {
		t.Fatal(err)
	}
	if err := s.BreakConfig(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "no_such_parameter") {
		t.Errorf("start with a broken configuration: %v", err)
	}
	if err := s.MendConfig(); err != nil {
		t.Fatal(err)
	}
	if err := s.StartStuck(ctx); err != nil {
		t.Fatal(err)
	}
	if err := order(ctx, s, 1); code(err) != cannotConnectNow {
		t.Errorf("stuck in starting up: %v", err)
	}
	if err := errors.Join(s.Stop(ctx, Immediate), s.Unstick()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := order(ctx, s, 1); err != nil {
		t.Error(err)
	}
}

func TestKillPostmasterLeavesOrphans(t *testing.T) {
	s := one(t)
	ctx := patient(t)
	conn, err := s.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	var pid int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	// A backend that is stopped can't notice the death of its postmaster.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.KillPostmaster(); err != nil {
		t.Fatal(err)
	}
	if s.Running() {
		t.Error("the postmaster runs")
	}
	if pids, err := s.PIDs(); err != nil || !slices.Contains(pids, pid) {
		t.Errorf("orphans %v, %v; want %d among them", pids, err, pid)
	}
	if err := s.Host().PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	if pids, err := s.PIDs(); err != nil || len(pids) != 0 {
		t.Errorf("after power off: %v, %v", pids, err)
	}
	if err := s.Host().PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Errorf("start after power off: %v", err)
	}
}

func TestCommitterOutlivesItsPostmaster(t *testing.T) {
	s := one(t)
	ctx := patient(t)
	c, err := s.StartCommitter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := s.KillPostmaster(); err != nil {
		t.Fatal(err)
	}
	killed, before := time.Now(), c.Commits()
	for c.Commits() < before+5 {
		if err := clock.Pause(ctx, pollEvery); err != nil {
			t.Fatalf("it committed %d times after the kill: %v", c.Commits()-before, err)
		}
	}
	if pids, err := s.PIDs(); err != nil || !slices.Contains(pids, c.PID()) || !c.Last().After(killed) {
		t.Errorf("processes %v, %v; want %d among them, which committed at %v after the kill at %v", pids, err, c.PID(), c.Last(), killed)
	}
	if err := s.Host().PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Gone():
	case <-ctx.Done():
		t.Error("it outlives the power")
	}
}

func TestFrozenServerAnswersAfterThaw(t *testing.T) {
	s := one(t)
	ctx := patient(t)
	if err := s.Host().Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := order(brief, s, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("order to a frozen server: %v", err)
	}
	if err := s.Host().Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := order(ctx, s, 2); err != nil {
		t.Error(err)
	}
}
