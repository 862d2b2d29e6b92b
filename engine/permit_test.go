package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

// allowing lets the first n effects pass.
func allowing(ctx context.Context, n int) context.Context {
	return permit.With(ctx, func() error {
		if n--; n < 0 {
			return permit.ErrExpired
		}
		return nil
	})
}

func TestS6_NothingIsDoneWithoutTheLease(t *testing.T) {
	g := startGroup(t, "b")
	ctx := allowing(limit(t, plenty), 0)
	if p := g.engine.StopFollowing(ctx, g.member("b"), g.spec, 5, g.systemID); p.Answered {
		t.Errorf("followers were stopped: %+v", p)
	}
	g.wantResult(g.engine.Promote(ctx, g.promotion("b", 5)), failover.ResultFailed, permit.ErrExpired)
	g.wantResult(g.engine.Promote(ctx, g.promotion("a", 5)), failover.ResultFailed, permit.ErrExpired)
	g.wantResult(g.engine.Follow(ctx, g.member("b"), g.member("a"), g.spec, 5, g.systemID), failover.ResultUnknown, permit.ErrExpired)
	g.wantResult(g.engine.EndSessions(ctx, g.member("a"), g.spec, 5), failover.ResultFailed, permit.ErrExpired)
	if g.token("b") != "" || !g.inRecovery("b") || g.servers["a"].Query("SELECT count(*) FROM arbiter.epoch") != "0" {
		t.Error("something was done")
	}
}

func TestS6_TheLeaseIsReadAgainBeforeThePromotion(t *testing.T) {
	g := startGroup(t, "b")
	ctx := allowing(limit(t, plenty), 2) // the token and its reload, and no more
	g.wantResult(g.engine.Promote(ctx, g.promotion("b", 5)), failover.ResultFailed, permit.ErrExpired)
	if g.token("b") != "5" || !g.inRecovery("b") {
		t.Errorf("token %s, in recovery %v; want 5 and true", g.token("b"), g.inRecovery("b"))
	}
}

// Each change of a server takes time in which an arbiter may freeze: the lease is read before every one of them.
func TestS6_TheLeaseIsReadBeforeEachChange(t *testing.T) {
	g := startGroup(t, "b")
	onDisk := func(name string) string {
		return g.servers["b"].Query("SELECT setting FROM pg_file_settings WHERE name = '" + name + "' ORDER BY seqno DESC LIMIT 1")
	}
	stop := func(changes int) failover.MemberPosition {
		return g.engine.StopFollowing(allowing(limit(t, plenty), changes), g.member("b"), g.spec, 5, g.systemID)
	}
	if p := stop(1); p.Answered || onDisk("arbiter.epoch") != "5" || strings.Contains(onDisk("primary_conninfo"), stoppedPort) {
		t.Errorf("the token was allowed, and no more: %+v, follows %s", p, onDisk("primary_conninfo"))
	}
	if p := stop(1); p.Answered || !strings.Contains(onDisk("primary_conninfo"), stoppedPort) || g.servers["b"].Query("SELECT count(*) FROM pg_stat_wal_receiver") != "1" {
		t.Errorf("what is written was allowed, and no reload: %+v, follows %s", p, onDisk("primary_conninfo"))
	}
	if p := stop(2); !p.Answered {
		t.Errorf("what is left was allowed: %+v", p)
	}
}

func TestS6_APromotionWithoutItsRowIsUnknown(t *testing.T) {
	g := startGroup(t, "b")
	ctx := allowing(limit(t, plenty), 3) // the token, its reload and the request
	g.wantResult(g.engine.Promote(ctx, g.promotion("b", 5)), failover.ResultUnknown, permit.ErrExpired)
	g.wantResult(g.engine.Promoted(limit(t, plenty), g.promotion("b", 5)), failover.ResultUnknown, nil)
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
}

// What stands in the way is ended under the lease only, and so is a standby's sleep.
func TestS6_NobodyIsDisturbedWithoutTheLease(t *testing.T) {
	g := startGroup(t, "b")
	older, err := g.engine.lockTarget(limit(t, plenty), g.member("b"), g.spec.Connect, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer older.close()
	ctx := allowing(limit(t, plenty), 0)
	if _, err := g.engine.lockTarget(ctx, g.member("b"), g.spec.Connect, 6); !errors.Is(err, permit.ErrExpired) {
		t.Errorf("the lock that an older epoch holds: %v", err)
	}
	if _, err := older.conn.Exec(limit(t, plenty), "SELECT"); err != nil {
		t.Errorf("the older session was ended: %v", err)
	}
	if err := older.endRetrySleep(ctx); !errors.Is(err, permit.ErrExpired) {
		t.Errorf("woken: %v", err)
	}
}

func TestS6_NothingIsWrittenThroughARouteWithoutTheLease(t *testing.T) {
	g := startGroup(t, "b")
	g.wantResult(g.promote("b", 5), failover.ResultDone, nil)
	for _, test := range []struct {
		what    string
		epoch   failover.Epoch
		changes int
	}{
		{"the epoch of the operation", 7, 0},
		{"the row", 5, 0},
		{"what makes it last", 5, 1},
	} {
		told(t, permit.ErrExpired.Error(), func(ctx context.Context) string {
			outcome := g.engine.VerifyThroughRoute(allowing(ctx, test.changes), g.member("b").Address, g.promotion("b", test.epoch))
			g.wantResult(outcome, failover.ResultFailed, nil)
			return outcome.Detail
		})
		if epoch, rows := g.servers["b"].Query("SELECT epoch FROM arbiter.epoch"), g.servers["b"].Query("SELECT count(*) FROM arbiter.route_proof"); epoch != "5" || rows != "0" {
			t.Errorf("%s was not allowed: epoch %s, %s rows", test.what, epoch, rows)
		}
	}
}
