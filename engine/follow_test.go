package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

func TestStopFollowingKeepsEverythingButThePort(t *testing.T) {
	g := startGroup(t, "b", "c")
	const secret = `pass'w\ord with space`
	info := postgres.ConnInfo{{Key: "password", Value: secret}, {Key: "keepalives_idle", Value: "30"}}
	b := g.servers["b"]
	b.Configure(postgresSetting("primary_conninfo", b.Query("SELECT current_setting('primary_conninfo')")+" "+info.String()))
	b.Reload()
	b.Eventually("b has its new settings", func() bool {
		return strings.Contains(b.Query("SELECT current_setting('primary_conninfo')"), "keepalives")
	})

	g.wantAnswered(g.stop("b", 5))
	a := g.servers["a"]
	a.Eventually("b has stopped following a", func() bool { // a hears of it a moment after b's walreceiver has ended
		return a.Query("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'b'") == "0"
	})
	g.wantAnswered(g.stop("b", 5)) // again
	g.wantAnswered(g.stop("b", 6)) // and by the next arbiter
	// A crash between stopping and following loses nothing.
	b.Kill()
	b.Start()
	b.WaitReady()
	g.wantAnswered(g.stop("b", 6))

	g.wantResult(g.follow("b", "a", 6), failover.ResultDone, nil)
	after, err := postgres.ParseConnInfo(b.Query("SELECT current_setting('primary_conninfo')"))
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(g.servers["a"].Address, ":")
	for key, want := range map[string]string{
		"host": host, "port": port, "user": "postgres", "password": secret, "keepalives_idle": "30", "application_name": "b",
	} {
		if got, _ := after.Get(key); got != want {
			t.Errorf("%s is %q; want %q", key, got, want)
		}
	}
}

func TestStopFollowingEndsAcknowledgements(t *testing.T) {
	g := startGroup(t, "b")
	a := g.servers["a"]
	a.Configure(postgresSetting("synchronous_standby_names", "b"))
	a.Reload()
	a.Eventually("b confirms", func() bool {
		return a.Query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
	})
	a.Exec("CREATE TABLE t (n int)")

	g.wantAnswered(g.stop("b", 5))
	conn := a.Dial()
	if _, err := conn.Exec(limit(t, 300*time.Millisecond), "INSERT INTO t VALUES (1)"); err == nil {
		t.Fatal("a commit on the former primary was acknowledged by a standby that had stopped following")
	}
}

func TestStopFollowingReplaysWhatItHolds(t *testing.T) {
	g := startGroup(t, "b")
	a, b := g.servers["a"], g.servers["b"]
	a.Exec("CREATE TABLE t AS SELECT generate_series(1, 50000) AS n")
	end := a.Query("SELECT pg_current_wal_flush_lsn()")
	b.Eventually("b has received it", func() bool { return b.Query("SELECT pg_last_wal_receive_lsn() >= $1::pg_lsn", end) == "true" })
	a.Kill()
	g.wantAnswered(g.stop("b", 5))

	// After a restart the received position is missing: the replayed one counts, once replay has ended.
	b.Kill()
	b.Start()
	b.WaitReady()
	position := g.stop("b", 5)
	g.wantAnswered(position)
	if want := g.position(end); position.Position() < want {
		t.Errorf("position %v after a restart; want at least %v", position.Position(), want)
	}
}

// pausedStandby is b of a group, which has received more than it has replayed, up to end.
func pausedStandby(t *testing.T) (g *group, end string) {
	t.Helper()
	g = startGroup(t, "b")
	a, b := g.servers["a"], g.servers["b"]
	b.Exec("SELECT pg_wal_replay_pause()")
	b.Eventually("replay is paused", func() bool { return b.Query("SELECT pg_get_wal_replay_pause_state()") == "paused" })
	a.Exec("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
	end = a.Query("SELECT pg_current_wal_flush_lsn()")
	b.Eventually("b has received it", func() bool { return b.Query("SELECT pg_last_wal_receive_lsn() >= $1::pg_lsn", end) == "true" })
	return g, end
}

func TestStopFollowingWithReplayPaused(t *testing.T) {
	g, end := pausedStandby(t)
	g.servers["a"].Kill()
	position := g.stop("b", 5)
	if !position.Answered || !strings.Contains(position.Detail, "paused") || position.Position() < g.position(end) {
		t.Fatalf("position %+v; want answered at %s, saying that replay is paused", position, end)
	}
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil) // a promotion ends the pause
	if got := g.servers["b"].Query("SELECT count(*) FROM t"); got != "1000" {
		t.Errorf("%s rows after the promotion; want 1000", got)
	}
}

// A standby whose replay is paused can't be told to stop receiving: it must not be counted as stopped.
func TestStopFollowingWithReplayPausedAndThePrimaryAlive(t *testing.T) {
	g, _ := pausedStandby(t)
	told(t, "paused", func(ctx context.Context) string {
		position := g.engine.StopFollowing(ctx, g.member("b"), g.spec, 5, g.systemID)
		if position.Answered {
			t.Fatalf("position %+v; want no answer, since replay is paused", position)
		}
		return position.Detail
	})
}

func TestStopFollowingRefusesPrimariesAndOtherSystems(t *testing.T) {
	g := startGroup(t, "b")
	if p := g.stop("a", 5); p.Answered || !strings.Contains(p.Detail, ErrNotStandby.Error()) {
		t.Errorf("a primary answered: %+v", p)
	}
	if got := g.token("a"); got != "" {
		t.Errorf("the primary has token %q; want none", got)
	}
	p := g.engine.StopFollowing(limit(t, plenty), g.member("b"), g.spec, 5, "1")
	if p.Answered || !strings.Contains(p.Detail, ErrWrongSystem.Error()) {
		t.Errorf("a server of another system answered: %+v", p)
	}
}

func TestStopFollowingAFrozenStandbyIsBounded(t *testing.T) {
	g := startGroup(t, "b")
	g.servers["b"].Freeze()
	begun := time.Now()
	p := g.engine.StopFollowing(limit(t, 300*time.Millisecond), g.member("b"), g.spec, 5, g.systemID)
	if took := time.Since(begun); p.Answered || took > plenty/2 {
		t.Errorf("after %v: %+v", took, p)
	}
	g.servers["b"].Thaw()
}

// neverRetry makes a standby sleep for longer than a test after each failure to get log, where it does so for 5 s.
func (g *group) neverRetry(standby failover.MemberName) {
	g.t.Helper()
	s := g.servers[standby]
	s.Configure(postgresSetting("wal_retrieve_retry_interval", "1h"))
	s.Reload()
	s.Eventually("it has its new settings", func() bool { return s.Query("SHOW wal_retrieve_retry_interval") == "1h" })
}

func TestFollowIsQuickOntoANewTimeline(t *testing.T) {
	g := startGroup(t, "b", "c")
	g.neverRetry("c") // unaided it sleeps for that long before it asks for the new timeline
	g.servers["a"].Kill()
	g.wantAnswered(g.stop("b", 5))
	g.wantAnswered(g.stop("c", 5))
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	outcome := g.follow("c", "b", 5)
	g.wantResult(outcome, failover.ResultDone, nil)
	t.Logf("took %v: %+v", outcome.Took, outcome.Steps)
	again := g.follow("c", "b", 5)
	g.wantResult(again, failover.ResultDone, nil)
	if got := g.stop("c", 5); got.Timeline != 2 {
		t.Errorf("c is on timeline %d; want 2", got.Timeline)
	}
}

// Without an application name a standby turns up under its cluster_name, or as walreceiver, whatever name it was given to fall back on.
func TestFollowAStandbyWithoutAnApplicationName(t *testing.T) {
	g := startGroup(t, "b")
	b := g.servers["b"]
	info, err := postgres.ParseConnInfo(b.Query("SELECT current_setting('primary_conninfo')"))
	if err != nil {
		t.Fatal(err)
	}
	info = info.Without("application_name").With("fallback_application_name", "never")
	b.Configure(postgresSetting("primary_conninfo", info.String()))
	b.Reload()
	g.spec.Members[1].ApplicationName = ""
	outcome := g.follow("b", "a", 5)
	g.wantResult(outcome, failover.ResultDone, nil)
}

// Two standbys of one name, as with the cluster_name of a package: that the one streams doesn't prove that the other does.
func TestFollowIsNotProvenByAnotherStandbyOfThatName(t *testing.T) {
	g := startGroup(t, "b", "c")
	b := g.servers["b"]
	g.spec.Members[1].ApplicationName, g.spec.Members[2].ApplicationName = "main", "main"
	g.wantResult(g.follow("c", "a", 5), failover.ResultDone, nil)
	g.wantAnswered(g.stop("b", 5))
	startup := b.Query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'")
	b.SignalProcess(startup, "STOP") // it starts no walreceiver
	told(t, "receives from nobody", func(ctx context.Context) string {
		outcome := g.engine.Follow(ctx, g.member("b"), g.member("a"), g.spec, 5, g.systemID)
		if outcome.Result == failover.ResultDone {
			t.Fatalf("proven: %+v", outcome)
		}
		return outcome.Detail
	})
	b.SignalProcess(startup, "CONT")
	g.wantResult(g.follow("b", "a", 5), failover.ResultDone, nil)
}

func TestFollowSaysWhatIsMissing(t *testing.T) {
	g := startGroup(t, "b", "c")
	c := g.servers["c"]
	c.Configure(postgresSetting("primary_conninfo", ""))
	c.Reload()
	c.Eventually("c follows nobody", func() bool { return c.Query("SELECT current_setting('primary_conninfo')") == "" })
	g.wantAnswered(g.stop("c", 5)) // nothing to stop
	g.wantResult(g.follow("c", "a", 5), failover.ResultFailed, ErrNoConnInfo)

	g.servers["a"].Kill()
	told(t, "wait for b to follow a", func(ctx context.Context) string {
		outcome := g.engine.Follow(ctx, g.member("b"), g.member("a"), g.spec, 5, g.systemID)
		if outcome.Result == failover.ResultFailed { // it was not even pointed there in time
			return ""
		}
		g.wantResult(outcome, failover.ResultUnknown, nil)
		return outcome.Detail
	})
}
