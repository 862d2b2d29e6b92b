package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestEndSessionsEndsThoseOfClients(t *testing.T) {
	g := startGroup(t, "b")
	a := g.servers["a"]
	a.Exec("CREATE ROLE client LOGIN")
	client, superuser := a.DialAs("client"), a.Dial()
	outcome := g.engine.EndSessions(limit(t, plenty), g.member("a"), g.spec, 5)
	g.wantResult(outcome, failover.ResultDone, nil)
	if want := "ended 1 sessions on a; 1 of superusers can't be ended"; outcome.Detail != want {
		t.Errorf("detail %q; want %q", outcome.Detail, want)
	}
	if _, err := client.Exec(limit(t, plenty), "SELECT 1"); err == nil {
		t.Error("the client's session goes on")
	}
	if _, err := superuser.Exec(limit(t, plenty), "SELECT 1"); err != nil {
		t.Errorf("the superuser's session was ended: %v", err)
	}
	if got := a.Query("SELECT count(*) FROM pg_stat_replication"); got != "1" {
		t.Errorf("%s standbys are connected; want 1", got)
	}
}

func TestS9_EndSessionsRefusesAnOlderEpoch(t *testing.T) {
	g := startGroup(t)
	g.wantResult(g.promote("a", 6), failover.ResultDone, nil)
	g.servers["a"].Exec("CREATE ROLE client LOGIN")
	client := g.servers["a"].DialAs("client")
	g.wantResult(g.engine.EndSessions(limit(t, plenty), g.member("a"), g.spec, 5), failover.ResultFailed, ErrNewerEpoch)
	if _, err := client.Exec(limit(t, plenty), "SELECT 1"); err != nil {
		t.Errorf("an older epoch ended a session: %v", err)
	}
}

func TestVerifyThroughRoute(t *testing.T) {
	g := startGroup(t, "b")
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	action := g.promotion("b", 5)
	action.Kind = failover.ActionVerify

	right := g.engine.VerifyThroughRoute(limit(t, plenty), g.member("b").Address, action)
	g.wantResult(right, failover.ResultDone, nil)

	wrong := g.engine.VerifyThroughRoute(limit(t, 300*time.Millisecond), g.member("a").Address, action)
	g.wantResult(wrong, failover.ResultFailed, nil)
	if !strings.Contains(wrong.Detail, "verify the route") {
		t.Errorf("detail %q", wrong.Detail)
	}
	if got := g.servers["a"].Query("SELECT count(*) FROM arbiter.route_proof"); got != "0" {
		t.Errorf("%s rows were written to the wrong server", got)
	}
	other := action
	other.Epoch, other.Operation = 6, "another"
	g.wantResult(g.engine.VerifyThroughRoute(limit(t, 300*time.Millisecond), g.member("b").Address, other), failover.ResultFailed, nil)
}

// After a change of leader the operation goes on under a newer epoch than that of the promotion, and the old leader's is refused.
func TestVerifyThroughRouteUnderANewerEpoch(t *testing.T) {
	g := startGroup(t, "b")
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	old, action := g.promotion("b", 5), g.promotion("b", 7)
	g.wantResult(g.engine.VerifyThroughRoute(limit(t, plenty), g.member("b").Address, action), failover.ResultDone, nil)
	if got := g.servers["b"].Query("SELECT epoch FROM arbiter.epoch"); got != "7" {
		t.Errorf("the epoch row says %s", got)
	}
	late := g.engine.VerifyThroughRoute(limit(t, 300*time.Millisecond), g.member("b").Address, old)
	g.wantResult(late, failover.ResultFailed, nil)
}

// The old primary under the same epoch row, as far as it can tell by itself, is still another server.
func TestVerifyThroughRouteComparesTheServer(t *testing.T) {
	g := startGroup(t, "b")
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	g.servers["a"].Exec("INSERT INTO arbiter.epoch (epoch, member) VALUES (5, 'b')")
	outcome := g.engine.VerifyThroughRoute(limit(t, 300*time.Millisecond), g.member("a").Address, g.promotion("b", 5))
	g.wantResult(outcome, failover.ResultFailed, nil)
}
