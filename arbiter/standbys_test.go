package arbiter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// A machine that takes every packet and answers none, and that the arbiters see down, must not delay the clients' route.
func TestStandbys_NobodyWaitsForOneThatIsDown(t *testing.T) {
	down := func(a *failover.Action) { a.Down = []failover.MemberName{"db1", "db3"} }
	hung := func(ctx context.Context, m failover.MemberName) failover.MemberPosition {
		if m == "db3" {
			<-ctx.Done()
			return failover.MemberPosition{Member: m, Detail: context.Cause(ctx).Error()}
		}
		return failover.MemberPosition{Member: m, Answered: true, Received: 1000}
	}
	await := func(ctx context.Context, _ failover.MemberName) failover.Outcome {
		<-ctx.Done()
		return failover.Outcome{Result: failover.ResultUnknown, Detail: context.Cause(ctx).Error()}
	}
	for _, kind := range []failover.ActionKind{failover.ActionCatchUp, failover.ActionVerify} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeDrivers{follow: hung, await: await}
			began := time.Now()
			o := f.run(t, kind, "db2", down)
			if took := time.Since(began); o.Result != failover.ResultDone || took != downGrace {
				t.Errorf("%s took %v, want %v: %+v", kind, took, downGrace, o)
			}
		})
	}
}

// The last standbys are waited for though they are seen down: there is nobody else.
func TestStandbys_TheLastAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context, m failover.MemberName) failover.MemberPosition {
			select {
			case <-ctx.Done():
				return failover.MemberPosition{Member: m}
			case <-time.After(5 * time.Second):
				return failover.MemberPosition{Member: m, Answered: true, Received: 1000}
			}
		}
		f := &fakeDrivers{follow: slow}
		o := f.run(t, failover.ActionCatchUp, "db1", func(a *failover.Action) { a.Down = []failover.MemberName{"db1", "db2", "db3"} })
		if o.Result != failover.ResultDone || !o.Positions[0].Answered || !o.Positions[1].Answered {
			t.Errorf("%+v", o)
		}
	})
}
