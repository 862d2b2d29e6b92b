package engine

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// serverProcess is the process that serves a session.
func serverProcess(t *testing.T, conn *postgres.Conn) (pid int32) {
	t.Helper()
	if err := conn.QueryRow(limit(t, plenty), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func (g *group) session(name failover.MemberName, epoch failover.Epoch) session {
	g.t.Helper()
	s, err := g.engine.session(limit(g.t, plenty), g.member(name), g.spec.Connect, epoch)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

const sessionsOfEpoch5 = "SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE application_name = 'arbiter epoch 5'"

func TestTheStepsOfAnOperationShareASession(t *testing.T) {
	g := startGroup(t, "b")
	g.engine.kept.keepFor, g.engine.kept.wakeBound = plenty, plenty
	g.wantAnswered(g.stop("b", 5))
	first := g.servers["b"].Query(sessionsOfEpoch5)
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	if last := g.servers["b"].Query(sessionsOfEpoch5); first == "" || last != first {
		t.Errorf("catch_up left session %q, the promotion %q; want the same one", first, last)
	}
	g.engine.kept.keepFor = time.Millisecond
	g.session("b", 5).close()
	g.servers["b"].Eventually("what nobody takes is closed", func() bool { return g.servers["b"].Query(sessionsOfEpoch5) == "" })
}

func TestAKeptSessionHasForgottenWhatWasDoneOnIt(t *testing.T) {
	g := startGroup(t, "b")
	g.engine.kept.keepFor, g.engine.kept.wakeBound = plenty, plenty
	s := g.session("b", 5)
	before := serverProcess(t, s.Conn)
	for _, statement := range []string{"SET arbiter.epoch = '99'", "SELECT pg_advisory_lock(1, 2)"} {
		if _, err := s.Exec(limit(t, plenty), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.close()

	again := g.session("b", 5)
	defer again.close()
	var token, application string
	var locks int
	const left = `SELECT coalesce(current_setting('arbiter.epoch', true), ''), current_setting('application_name'),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')`
	if err := again.QueryRow(limit(t, plenty), left).Scan(&token, &application, &locks); err != nil {
		t.Fatal(err)
	}
	if serverProcess(t, again.Conn) != before || token != "" || locks != 0 || application != "arbiter epoch 5" {
		t.Errorf("served by %d (before: %d), token %q, %d locks, application %q", serverProcess(t, again.Conn), before, token, locks, application)
	}
	other := g.session("b", 6)
	defer other.close()
	if serverProcess(t, other.Conn) == before {
		t.Error("another epoch got the session")
	}
}

func TestASessionThatCannotBeUsedAgainIsNotKept(t *testing.T) {
	g := startGroup(t, "b")
	s := g.session("b", 5)
	before := serverProcess(t, s.Conn)
	if _, err := s.Begin(limit(t, plenty)); err != nil {
		t.Fatal(err)
	}
	s.close()
	if again := serverProcess(t, g.session("b", 5).Conn); again == before {
		t.Error("a session in the middle of a transaction was kept")
	}
}

func TestAKeptSessionThatIsGoneIsReplaced(t *testing.T) {
	g := startGroup(t, "b")
	kept := []session{g.session("b", 5), g.session("b", 5)}
	for _, s := range kept {
		s.close()
	}
	g.servers["b"].Kill()
	g.servers["b"].Start()
	g.servers["b"].WaitReady()
	s := g.session("b", 5)
	defer s.close()
	if serverProcess(t, s.Conn) == 0 || len(g.engine.kept.idle) != 0 {
		t.Errorf("kept: %v", g.engine.kept.idle)
	}
}

func TestNoSessionOutlivesTheEngine(t *testing.T) {
	g := startGroup(t, "b")
	kept, used := g.session("b", 5), g.session("b", 5)
	kept.close()
	g.engine.Close()
	if !kept.IsClosed() || used.IsClosed() {
		t.Errorf("closed: a kept session %v, one that is used %v", kept.IsClosed(), used.IsClosed())
	}
	used.close()
	if !used.IsClosed() || len(g.engine.kept.idle) != 0 {
		t.Errorf("the session that was used is closed: %v; kept: %v", used.IsClosed(), g.engine.kept.idle)
	}
	g.engine.Close() // again
}

func TestClosingWaitsForNoServer(t *testing.T) {
	g := startGroup(t, "b")
	g.session("b", 5).close()
	g.servers["b"].Freeze()
	began := time.Now()
	g.engine.Close()
	if took := time.Since(began); took > plenty/2 {
		t.Errorf("it took %v", took)
	}
}

func TestAKeptSessionThatHangsIsGivenUpInTime(t *testing.T) {
	g := startGroup(t, "b")
	g.session("b", 5).close()
	g.servers["b"].Freeze()
	began := time.Now()
	if conn := g.engine.kept.take(limit(t, plenty), g.session5()); conn != nil {
		t.Error("a session that hangs was handed out")
	}
	if took := time.Since(began); took >= plenty/2 {
		t.Errorf("it was waited for %v", took)
	}
}

// session5 is what a session with b under epoch 5 is kept for.
func (g *group) session5() sessionKey {
	return sessionKey{address: g.member("b").Address, connect: g.spec.Connect, epoch: 5}
}

// A session that was kept through a takeover is no way around the token.
func TestS9_AKeptSessionOfAnOlderEpochIsRefused(t *testing.T) {
	g := startGroup(t, "b")
	g.wantAnswered(g.stop("b", 5))
	deposed := g.engine
	g.engine = NewPostgres(new(secret.Reader))
	t.Cleanup(g.engine.Close)
	g.wantAnswered(g.stop("b", 6))
	g.engine = deposed
	g.wantResult(g.promote("b", 5), failover.ResultFailed, ErrNewerEpoch)
	if !g.inRecovery("b") || g.token("b") != "6" {
		t.Errorf("in recovery: %v, token %s; want a standby at 6", g.inRecovery("b"), g.token("b"))
	}
}
