package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestPromoteAfterCatchUp(t *testing.T) {
	g := startGroup(t, "b", "c")
	g.servers["a"].Exec("CREATE TABLE kept (n int)")
	g.servers["a"].Exec("INSERT INTO kept SELECT generate_series(1, 1000)")
	end := g.servers["a"].Query("SELECT pg_current_wal_flush_lsn()")
	g.servers["b"].Eventually("b has it all", func() bool {
		return g.servers["b"].Query("SELECT pg_last_wal_receive_lsn() >= $1::pg_lsn", end) == "true"
	})
	g.servers["a"].Kill()

	position := g.stop("b", 5)
	g.wantAnswered(position)
	if position.SystemID != g.systemID || position.Timeline != 1 || position.Epoch != 5 || position.Position() < g.position(end) {
		t.Fatalf("position %+v; want system %s, timeline 1, epoch 5, at least %s", position, g.systemID, end)
	}
	g.wantAnswered(g.stop("c", 5))

	outcome := g.promote("b", 5)
	g.wantResult(outcome, failover.ResultDone, nil)
	if outcome.Timeline != 2 || outcome.Position < position.Replayed {
		t.Errorf("promoted to timeline %d at %v; want 2 at %v or later", outcome.Timeline, outcome.Position, position.Replayed)
	}
	t.Logf("took %v: %+v", outcome.Took, outcome.Steps)
	if got := g.servers["b"].Query("SELECT epoch || ' ' || member || ' ' || operation FROM arbiter.epoch"); got != "5 b orders-1" {
		t.Errorf("epoch row %q; want %q", got, "5 b orders-1")
	}
	if got := g.servers["b"].Query("SELECT count(*) FROM kept"); got != "1000" {
		t.Errorf("%s rows are left; want 1000", got)
	}
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 5)), failover.ResultDone, nil)

	g.wantResult(g.follow("c", "b", 5), failover.ResultDone, nil)
	g.servers["b"].Exec("INSERT INTO kept VALUES (0)")
	g.servers["c"].Eventually("c gets what b writes", func() bool { return g.servers["c"].Query("SELECT count(*) FROM kept") == "1001" })
	if got := g.servers["b"].Query("SELECT application_name FROM pg_stat_replication"); got != "c" {
		t.Errorf("b is followed by %q; want c", got)
	}
}

func TestPromoteTwiceIsHarmless(t *testing.T) {
	g := startGroup(t, "b")
	first := g.promote("b", 5)
	g.wantResult(first, failover.ResultDone, nil)
	again := g.promote("b", 5)
	g.wantResult(again, failover.ResultDone, nil)
	if again.Timeline != first.Timeline {
		t.Errorf("timeline %d after the second time; want %d", again.Timeline, first.Timeline)
	}
	if got := g.servers["b"].Query("SELECT timeline_id FROM pg_control_checkpoint()"); got != "2" && got != "1" {
		t.Errorf("the control file says timeline %s", got)
	}
}

func TestPromoteAtTheSameTimeUnderOneEpoch(t *testing.T) {
	g := startGroup(t, "b")
	g.engine.staleHolder = plenty // on a busy machine one of them may rest in the middle
	var wait sync.WaitGroup
	outcomes := make([]failover.Outcome, 4)
	for i := range outcomes {
		wait.Go(func() { outcomes[i] = g.promote("b", 5) })
	}
	wait.Wait()
	for _, o := range outcomes {
		g.wantResult(o, failover.ResultDone, nil)
		if o.Timeline != 2 {
			t.Errorf("timeline %d; want 2", o.Timeline)
		}
	}
}

func TestReinstateWritesTheEpochRowOnly(t *testing.T) {
	g := startGroup(t)
	action := g.promotion("a", 6)
	action.Reinstate = true
	outcome := g.engine.Promote(limit(t, plenty), action)
	g.wantResult(outcome, failover.ResultDone, nil)
	if outcome.Timeline != 1 {
		t.Errorf("timeline %d; want 1: nothing is promoted", outcome.Timeline)
	}
	g.wantResult(g.engine.Promoted(limit(t, plenty), action), failover.ResultDone, nil)
}

// A reroute has the primary take a new epoch. One that somebody took into recovery meanwhile is left there.
func TestS2_EpochOnlyPromotesNobody(t *testing.T) {
	g := startGroup(t, "b")
	for name, want := range map[failover.MemberName]failover.Result{"a": failover.ResultDone, "b": failover.ResultFailed} {
		action := g.promotion(name, 5)
		action.Reinstate, action.EpochOnly = true, true
		outcome := g.engine.Promote(limit(t, plenty), action)
		if outcome.Result != want {
			t.Errorf("%s: %+v, want %s", name, outcome, want)
		}
	}
	if !g.inRecovery("b") || g.servers["a"].Query("SELECT epoch FROM arbiter.epoch") != "5" {
		t.Errorf("b in recovery: %v", g.inRecovery("b"))
	}
}

func TestS9_OlderEpochIsRefused(t *testing.T) {
	g := startGroup(t, "b")
	g.wantAnswered(g.stop("b", 7))
	g.wantResult(g.promote("b", 6), failover.ResultFailed, ErrNewerEpoch)
	if !g.inRecovery("b") {
		t.Fatal("an older epoch promoted the standby")
	}
	if got := g.token("b"); got != "7" {
		t.Fatalf("token %q; want 7: an older epoch lowered it", got)
	}
	g.wantResult(g.follow("b", "a", 6), failover.ResultFailed, ErrNewerEpoch)
	if p := g.stop("b", 6); p.Answered || !strings.Contains(p.Detail, ErrNewerEpoch.Error()) {
		t.Fatalf("an older epoch was answered: %+v", p)
	}
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 7)), failover.ResultUnknown, nil)
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 8)), failover.ResultFailed, nil)
	g.wantResult(g.promote("b", 7), failover.ResultDone, nil)
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 6)), failover.ResultFailed, ErrNewerEpoch)
	g.wantResult(g.promote("b", 6), failover.ResultFailed, ErrNewerEpoch)
	if got := g.servers["b"].Query("SELECT epoch FROM arbiter.epoch"); got != "7" {
		t.Fatalf("epoch row %q; want 7", got)
	}
}

func TestS9_OlderEpochNeverReplacesTheRow(t *testing.T) {
	g := startGroup(t, "b")
	g.servers["a"].Exec("INSERT INTO arbiter.epoch (epoch, member) VALUES (9, 'a')")
	end := g.servers["a"].Query("SELECT pg_current_wal_flush_lsn()")
	g.servers["b"].Eventually("the row is replicated", func() bool {
		return g.servers["b"].Query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end) == "true"
	})
	// The standby's own token is older than the row that it got by replication.
	g.wantResult(g.promote("b", 8), failover.ResultUnknown, ErrNewerEpoch)
	if got := g.servers["b"].Query("SELECT epoch || member FROM arbiter.epoch"); got != "9a" {
		t.Fatalf("epoch row %q; want 9a", got)
	}
}

// A frozen arbiter holds the lock, has compared the token, and would ask for the promotion next.
func TestS9_FrozenOlderArbiterIsRefusedWhenItWakes(t *testing.T) {
	g := startGroup(t, "b")
	ctx := limit(t, plenty)
	frozen, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.close()
	if err := frozen.raise(ctx); err != nil {
		t.Fatal(err)
	}
	if state, err := frozen.askOnce(ctx, g.promotion("b", 5), false); err != nil || state.token != "5" {
		t.Fatalf("the older arbiter sees %+v, %v", state, err)
	}

	g.wantAnswered(g.stop("b", 6)) // the takeover

	if state, err := frozen.askOnce(ctx, g.promotion("b", 5), true); err == nil {
		t.Fatalf("the woken arbiter's session still serves: %+v", state)
	}
	g.wantResult(g.promote("b", 5), failover.ResultFailed, ErrNewerEpoch)
	if !g.inRecovery("b") || g.token("b") != "6" {
		t.Fatalf("in recovery: %v, token %s; want a standby at 6", g.inRecovery("b"), g.token("b"))
	}
}

// A frozen arbiter is about to write its token: it must not lower a newer one.
func TestS9_FrozenOlderArbiterDoesNotLowerTheToken(t *testing.T) {
	g := startGroup(t, "b")
	ctx := limit(t, plenty)
	frozen, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.close()
	if _, err := frozen.token(ctx); err != nil {
		t.Fatal(err)
	}
	g.wantAnswered(g.stop("b", 6))
	if err := frozen.writeToken(ctx, setting{name: "arbiter.epoch", value: "5"}); err == nil {
		t.Fatal("the woken arbiter wrote its token")
	}
	g.servers["b"].Reload()
	if got := g.token("b"); got != "6" {
		t.Fatalf("token %s; want 6", got)
	}
}

// The database in the spec was changed while an arbiter was frozen: the lock of the one is not that of the other, but the token is.
func TestS9_FrozenOlderArbiterInAnotherDatabase(t *testing.T) {
	g := startGroup(t, "b")
	ctx := limit(t, plenty)
	elsewhere := g.spec.Connect
	elsewhere.Database = "template1"
	frozen, err := g.engine.lockTarget(ctx, g.member("b"), elsewhere, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.close()
	g.wantAnswered(g.stop("b", 6))
	if err := frozen.writeToken(ctx, setting{name: "arbiter.epoch", value: "5"}); err == nil {
		t.Fatal("the woken arbiter wrote its token")
	}
	newer, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer newer.close()
	if _, err := g.engine.lockTarget(ctx, g.member("b"), elsewhere, 6); !errors.Is(err, ErrNewerEpoch) {
		t.Fatalf("the older epoch got %v; want ErrNewerEpoch while a newer one acts in another database", err)
	}
}

// A newer arbiter died after it wrote the token and before the server took it up.
func TestS9_TokenOnDiskCountsBeforeItIsInForce(t *testing.T) {
	g := startGroup(t, "b")
	g.wantAnswered(g.stop("b", 5))
	ctx := limit(t, plenty)
	newer, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := newer.writeToken(ctx, setting{name: "arbiter.epoch", value: "7"}); err != nil {
		t.Fatal(err)
	}
	newer.close()
	g.wantResult(g.promote("b", 6), failover.ResultFailed, ErrNewerEpoch)
	g.wantResult(g.promote("b", 7), failover.ResultDone, nil)
}

func TestS9_NewerEpochEndsAnOlderPromotionInProgress(t *testing.T) {
	g := startGroup(t, "b")
	ctx := limit(t, plenty)
	older, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer older.close()
	newer, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 6)
	if err != nil {
		t.Fatalf("the newer epoch did not get the lock: %v", err)
	}
	defer newer.close()
	if _, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 5); err == nil || !strings.Contains(err.Error(), ErrNewerEpoch.Error()) {
		t.Fatalf("the older epoch got %v; want ErrNewerEpoch while a newer one acts", err)
	}
}

// Whoever else can log in may take the lock, under any name: that must not stop a failover.
func TestLockOfAStrangerIsBroken(t *testing.T) {
	g := startGroup(t, "b")
	g.servers["a"].Exec("CREATE ROLE client LOGIN")
	end := g.servers["a"].Query("SELECT pg_current_wal_flush_lsn()")
	g.servers["b"].Eventually("the role is replicated", func() bool {
		return g.servers["b"].Query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end) == "true"
	})
	stranger := g.servers["b"].DialAs("client")
	if _, err := stranger.Exec(limit(t, plenty), "SET application_name = 'arbiter epoch 99'"); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Exec(limit(t, plenty), "SELECT pg_advisory_lock($1::int4, $2::int4)", lockClass, lockObject); err != nil {
		t.Fatal(err)
	}
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
}

func TestS9_TokenSurvivesARestart(t *testing.T) {
	g := startGroup(t, "b")
	g.wantAnswered(g.stop("b", 5))
	g.servers["b"].Kill()
	g.servers["b"].Start()
	g.servers["b"].WaitReady()
	if got := g.token("b"); got != "5" {
		t.Fatalf("token %q after a crash; want 5", got)
	}
	g.wantResult(g.promote("b", 4), failover.ResultFailed, ErrNewerEpoch)
}

func TestS9_TokenIsNotReplicated(t *testing.T) {
	g := startGroup(t, "b", "c")
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	if got := g.token("c"); got != "" {
		t.Fatalf("token of c %q; want none", got)
	}
}

func TestPromoteRefusesAnotherSystem(t *testing.T) {
	g := startGroup(t, "b")
	action := g.promotion("b", 5)
	action.SystemID = "1"
	g.wantResult(g.engine.Promote(limit(t, plenty), action), failover.ResultFailed, ErrWrongSystem)
	if !g.inRecovery("b") {
		t.Fatal("a server of another system was promoted")
	}
}

func TestPromoteFailsWithoutItsGrant(t *testing.T) {
	g := startGroup(t, "b")
	g.servers["a"].Exec("REVOKE EXECUTE ON FUNCTION pg_promote(boolean, integer) FROM arbiter")
	end := g.servers["a"].Query("SELECT pg_current_wal_flush_lsn()")
	g.servers["b"].Eventually("replicated", func() bool {
		return g.servers["b"].Query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end) == "true"
	})
	outcome := g.promote("b", 5)
	g.wantResult(outcome, failover.ResultFailed, nil)
	if !strings.Contains(outcome.Detail, "pg_promote") || !outcome.GrantMissing {
		t.Errorf("the detail does not name the missing grant (%t): %s", outcome.GrantMissing, outcome.Detail)
	}
	// Whoever promotes it by hand has done what needs the grant: the rest doesn't.
	g.servers["b"].Exec("SELECT pg_promote()")
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 5)), failover.ResultUnknown, errors.New("read the epoch row"))
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 5)), failover.ResultDone, nil)
}

// Without the privilege to write its token nothing is done to a standby, and that is told as what it is.
func TestCatchUpFailsWithoutItsGrant(t *testing.T) {
	g := startGroup(t, "b")
	g.servers["a"].Exec("REVOKE ALTER SYSTEM ON PARAMETER arbiter.epoch FROM arbiter")
	end := g.servers["a"].Query("SELECT pg_current_wal_flush_lsn()")
	g.servers["b"].Eventually("replicated", func() bool {
		return g.servers["b"].Query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end) == "true"
	})
	if p := g.stop("b", 5); p.Answered || !p.GrantMissing {
		t.Errorf("it answered: %t, for want of a grant: %t, %s", p.Answered, p.GrantMissing, p.Detail)
	}
	if o := g.promote("b", 5); o.Result != failover.ResultFailed || !o.GrantMissing {
		t.Errorf("%s, for want of a grant: %t, %s", o.Result, o.GrantMissing, o.Detail)
	}
}

// A pg_promote that says false has promoted nothing, and that is told at once.
func TestPromoteTellsASignalThatDidNotArrive(t *testing.T) {
	g := startGroup(t, "b")
	a := g.servers["a"]
	session := a.Dial()
	for _, statement := range []string{
		"SET allow_system_table_mods = on",
		// Neither strict nor anything but SQL: it is put in place of its call, where the built-in one would be called by number.
		`CREATE OR REPLACE FUNCTION pg_catalog.pg_promote(wait boolean DEFAULT true, wait_seconds integer DEFAULT 60) RETURNS boolean
			LANGUAGE sql AS 'SELECT false'`,
	} {
		if _, err := session.Exec(limit(t, plenty), statement); err != nil {
			t.Fatal(err)
		}
	}
	end := a.Query("SELECT pg_current_wal_flush_lsn()")
	g.servers["b"].Eventually("the function is replicated", func() bool {
		return g.servers["b"].Query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end) == "true"
	})
	outcome := g.promote("b", 5)
	g.wantResult(outcome, failover.ResultUnknown, errNotSignalled)
}

// S7: a standby that is killed between the request and its effect leaves the outcome unknown; the next try finishes it.
func TestS7_StandbyKilledMidPromotionIsUnknown(t *testing.T) {
	g := startGroup(t, "b")
	ctx, cancel := context.WithTimeout(context.Background(), plenty)
	defer cancel()
	// The startup process alone is frozen: the request is taken, and nothing comes of it.
	startup := g.servers["b"].Query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'")
	g.servers["b"].SignalProcess(startup, "STOP")
	done := make(chan failover.Outcome, 1)
	go func() { done <- g.engine.Promote(ctx, g.promotion("b", 5)) }()
	g.servers["b"].Eventually("promotion is asked for", func() bool {
		return strings.Contains(g.servers["b"].Query("SELECT string_agg(query, ';') FROM pg_stat_activity WHERE application_name = 'arbiter epoch 5'"), "pg_promote")
	})
	g.servers["b"].Kill()
	g.wantResult(<-done, failover.ResultUnknown, nil)
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 5)), failover.ResultUnknown, nil)

	g.servers["b"].Start()
	g.servers["b"].WaitReady()
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
}

func TestPromoteWhileFrozenIsBoundedAndUnknownOrFailed(t *testing.T) {
	g := startGroup(t, "b")
	g.servers["b"].Freeze()
	begun := time.Now()
	outcome := g.engine.Promote(limit(t, 300*time.Millisecond), g.promotion("b", 5))
	g.wantResult(outcome, failover.ResultFailed, nil)
	if took := time.Since(begun); took > plenty/2 {
		t.Errorf("a frozen server held the promotion for %v", took)
	}
	g.servers["b"].Thaw()
}

// A promotion that is asked for while the walreceiver starts is slept out by the server until it would try that again, if it is asked for once.
func TestPromoteWhileTheWalReceiverStarts(t *testing.T) {
	g := startGroup(t, "b")
	g.neverRetry("b")
	g.servers["a"].Kill()
	for i := range 3 {
		name := failover.MemberName("b")
		if i > 0 {
			g.servers[name].Kill()
			g.servers[name].Touch("standby.signal")
			g.servers[name].Start() // its walreceiver starts now, and fails
			g.servers[name].WaitReady()
		}
		g.wantResult(g.promote(name, failover.Epoch(5+i)), failover.ResultDone, nil)
	}
}
