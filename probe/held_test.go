package probe

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// holdSession holds a session to a target until the test ends, and returns when looks can use it.
func holdSession(t *testing.T, p *Postgres, target Target, c failover.Check) <-chan error {
	t.Helper()
	return holdWhile(t, p, target, c, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		m := p.members[memberKey{target.Group, target.Member.Name}]
		return m != nil && m.held != nil
	})
}

// holdWhile has a connection held until the test ends, and returns when held says that there is one. The channel takes why it was lost.
func holdWhile(t testing.TB, h Holder, target Target, c failover.Check, held func() bool) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	lost := make(chan error, 1)
	go func() {
		_, err := h.Hold(ctx, target, c)
		lost <- err
		close(lost)
	}()
	t.Cleanup(func() {
		cancel()
		for range lost {
		}
	})
	for end := time.Now().Add(time.Minute); !held(); time.Sleep(ms) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for the held connection")
		}
	}
	return lost
}

// opened is how many sessions of looks the server has seen.
func opened(s *postgrestest.Server) string {
	return s.Query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'arbiter-hold/az-a'")
}

// awaited says whether the server waits for what the held session says. Before that, while it hands over its last message, it says nothing when it is
// told to quit (PqCommBusy in PostgreSQL's pqcomm.c), also if that message has arrived.
func awaited(s *postgrestest.Server) bool {
	return s.Query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'arbiter-hold/az-a' AND wait_event = 'ClientRead'") == "1"
}

func TestPostgresStandbyIsAskedThroughTheHeldSession(t *testing.T) {
	primary := postgrestest.Start(t)
	standby := primary.Standby("pg-b")
	p := newPostgres(t)
	c := patientCheck()
	target := postgresTarget("pg-b", standby.Address, c)
	lost := holdSession(t, p, target, c)
	key := memberKey{target.Group, target.Member.Name}
	for i := range 2*asksThroughHeld + 3 {
		look := wantLook(t, p, target, c, failover.ReasonAnswered)
		if look.Facts.Role != failover.RoleStandby || !look.Facts.Streaming {
			t.Fatalf("facts of look %d: got %+v", i, look.Facts)
		}
		if got, want := p.members[key].through, i%(asksThroughHeld+1); got != want {
			t.Fatalf("looks through the held session in a row after look %d: got %d, want %d", i, got, want)
		} else if look.Held != (want > 0) {
			t.Errorf("look %d says that it went through the held session: %t", i, look.Held)
		}
	}
	if n := opened(standby); n != "1" {
		t.Fatalf("held sessions: got %s, want 1", n)
	}

	standby.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'arbiter-hold/az-a'")
	if err := <-lost; !errors.Is(err, errEndedByServer) {
		t.Fatalf("end of the held session: got %v, want %v", err, errEndedByServer)
	}
	wantLook(t, p, target, c, failover.ReasonAnswered) // through one of its own

	holdSession(t, p, target, c)
	wantLook(t, p, target, c, failover.ReasonAnswered)
	standby.Exec("SELECT pg_promote(true)")
	if look := wantLook(t, p, target, c, failover.ReasonAnswered); !look.Facts.AcceptsWrites || look.Facts.Role != failover.RolePrimary {
		t.Fatalf("facts after the promotion: got %+v", look.Facts)
	}
}

func TestPostgresFrozenStandbyTimesOutInTheHeldSession(t *testing.T) {
	primary := postgrestest.Start(t)
	standby := primary.Standby("pg-b")
	p := newPostgres(t)
	c := patientCheck()
	target := postgresTarget("pg-b", standby.Address, c)
	holdSession(t, p, target, c)
	for range 2 {
		wantLook(t, p, target, c, failover.ReasonAnswered)
	}
	standby.Freeze()
	c.Timeout = 300 * ms
	wantLook(t, p, target, c, failover.ReasonTimeout) // held
	wantLook(t, p, target, c, failover.ReasonTimeout) // anew
	standby.Thaw()
	c.Timeout = patientCheck().Timeout
	for range 3 {
		wantLook(t, p, target, c, failover.ReasonAnswered)
	}
}

// A session that is broken is no answer, and the server is asked anew; only that the time is up is one.
func TestPostgresABrokenHeldSessionIsNoAnswer(t *testing.T) {
	for what, late := range map[string]bool{"the time is up": true, "there is time": false} {
		here, there := net.Pipe()
		there.Close()
		p, key, ctx := newPostgres(t), memberKey{"orders", "pg-b"}, clock.NewLate(t.Context())
		p.setHeld(key, &heldSession{session: &session{conn: here}}, true)
		p.members[key].through = 0 // it was a healthy standby
		if late {
			ctx.Pass()
		}
		look, answered := p.lookThroughHeld(ctx, key)
		if answered != late || late && !strings.HasPrefix(look.Evidence.Detail, "ask the server what it is: ") {
			t.Errorf("%s: %v, %+v", what, answered, look)
		}
	}
}

// TestPostgresLastWordsAreHeard: a server says why it ends the sessions, if only by a warning.
func TestPostgresLastWordsAreHeard(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(*postgrestest.Server)
		want failover.Reason
	}{
		{"shut down", (*postgrestest.Server).Stop, failover.ReasonShuttingDown},
		{"shut down at once", (*postgrestest.Server).StopAtOnce, failover.ReasonShuttingDown},
		{"another of its processes has crashed", func(s *postgrestest.Server) {
			s.SignalProcess(s.Query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"), "KILL")
		}, failover.ReasonCrashRecovery},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := postgrestest.Start(t)
			c := patientCheck()
			lost := holdSession(t, newPostgres(t), postgresTarget("pg-a", server.Address, c), c)
			server.Eventually("the held session is waited for", func() bool { return awaited(server) })
			test.end(server)
			if err := <-lost; postgres.Classify(err).Reason != test.want {
				t.Fatalf("end of the held session: got %v, want what means %s", err, test.want)
			}
		})
	}
}
