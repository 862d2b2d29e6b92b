package failover

import (
	"testing"
	"time"
)

// TestPlan_SlowLooksOutliveALease: what waits for looks that were asked for keeps its lease. A new one would ask for new looks, which would
// be as slow.
func TestPlan_SlowLooksOutliveALease(t *testing.T) {
	held := adopted + "observe all: pg-a=down(refused)\nobserve all: pg-b=down(refused) pg-c=down(refused)\nlook-again answers\n" +
		"tick 11s\nobserve all: pg-b=standby@1000 pg-c=standby@990\n" // held, and a candidate has come back
	for name, commands := range map[string]string{"begins": leased, "was held": held} {
		w := given(t, commands)
		epoch := w.group(t).Epoch
		for range 3 {
			w.do(t, "tick 2100ms\nlook-again answers") // a lease lasts 2 s
		}
		if g := w.group(t); g.Stage != Isolating || g.Epoch > epoch+1 {
			t.Errorf("%s: %s under epoch %d, %d before", name, g.Stage, g.Epoch, epoch)
		}
	}
}

// TestPlan_AHeldOperationAsksForFreshPositions as long as it waits for a candidate, and keeps no lease for that.
func TestPlan_AHeldOperationAsksForFreshPositions(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=down(refused) pg-b=standby@500 pg-c=standby@500\nlook-again answers\n")
	w.wantStage(t, Held)
	for range 3 {
		w.arbiters["a"].asked = map[GroupName]Index{}
		w.do(t, "tick 10010ms\nlook-again answers")
		if w.arbiters["a"].asked["orders"] == 0 || w.group(t).Lease != nil {
			t.Errorf("asked %v, lease %+v", w.arbiters["a"].asked, w.group(t).Lease)
		}
	}
	d := Plan(&w.state, "orders", Durations{SinceLastFailover: -1, LeaseLeft: time.Second})
	if d.Step != StepRelease || d.LookAgain != w.group(t).Operation.ConfirmedAt || d.LookEvery != 10*time.Second {
		t.Errorf("%+v", d)
	}
}
