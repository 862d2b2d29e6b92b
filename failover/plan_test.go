package failover

import (
	"strings"
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
	g := *w.group(t)
	g.Lease = &Lease{Holder: "a", Term: w.state.Reign.Term, Epoch: g.Epoch}
	w.state.Groups = []*Group{&g}
	d := Plan(&w.state, "orders", Durations{SinceLastFailover: -1, LeaseLeft: time.Second})
	if d.Step != StepRelease || d.LookAgain != w.group(t).Operation.ConfirmedAt || d.LookEvery != 10*time.Second {
		t.Errorf("%+v", d)
	}
}

// TestPlan_AReleaseCountsForItsHold: whoever lets a group fail over in spite of the cool-down has not said that rogues may be fenced.
func TestPlan_AReleaseCountsForItsHold(t *testing.T) {
	w := given(t, strings.Replace(finished, "max_loss=100", "max_loss=100 refence_rogues=no", 1))
	w.do(t, "observe all: pg-b=down(refused) pg-c=standby@1000\nlook-again answers")
	if w.group(t).Hold.Reason != HoldCooldown {
		t.Fatalf("held for %+v", w.group(t).Hold)
	}
	w.do(t, "release orders\nlook-again answers")
	w.wantStarted(t, "a", ActionIsolate)
	w.do(t, "observe c pg-a=primary@1000\noutcome isolate CONFIRMED_OFF")
	if g := w.group(t); g.Stage != Held || g.Hold.Reason != HoldRogue {
		t.Fatalf("beside a rogue: %s, %+v", g.Stage, g.Hold)
	}
	w.do(t, "release orders")
	w.wantStarted(t, "a", ActionIsolate)
	for range 4 { // the rogue is fenced, and the old proof is read back before anybody is promoted
		switch w.arbiters["a"].started["orders"].Action.Kind {
		case ActionIsolate:
			w.do(t, "outcome isolate CONFIRMED_OFF")
		case ActionCatchUp:
			w.do(t, "outcome catch_up pg-c@1000")
		}
	}
	w.wantStage(t, Promoting)
	if op := w.group(t).Operation; op.released(HoldRogue) || op.released(HoldCooldown) {
		t.Errorf("after the intent to promote: %v", op.GoAheadFor)
	}
}

func TestPlan_EveryHoldIsReleasedByItself(t *testing.T) {
	op := &Operation{Kind: KindFailover, Automatic: true}
	g := &Group{Spec: testSpec("a", "b"), Operation: op}
	g.Spec.Policy.RefenceRogues = false
	s := NewState()
	s.Fleet = Fleet{Adopted: 6, Down: 6, Turned: []WallTime{1, 1, 1, 1, 1, 1}}
	passed := func() []HoldReason {
		var list []HoldReason
		for _, guard := range append(timeGuards(&s, g, Durations{}), brakeGuard(&s, g)) {
			if guard.OK && guard.Hold != "" {
				list = append(list, guard.Hold)
			}
		}
		if g.roguesByHand() == "" {
			list = append(list, HoldRogue)
		}
		return list
	}
	for _, reason := range []HoldReason{HoldCooldown, HoldFleetBrake, HoldRogue} {
		op.forgetReleases()
		op.release(reason)
		if got := passed(); len(got) != 1 || got[0] != reason {
			t.Errorf("released from %s: passes %v", reason, got)
		}
	}
	op.release(HoldCooldown)
	op.release(HoldCooldown)
	if got := passed(); len(got) != 2 || len(op.GoAheadFor) != 2 {
		t.Errorf("released twice: passes %v, %v", got, op.GoAheadFor)
	}
}

// A held operation goes on as soon as a person supplies the proof that it is held for: it need not wait for its next own try.
func TestPlan_AProofFromElsewhereIsNotWaitedFor(t *testing.T) {
	const gone = "\nobserve all: pg-a=down(refused)\nattest orders pg-a"
	byHand := "apply orders refence_rogues=no\n"
	for name, commands := range map[string]string{
		"a rogue beside the promotion": promoting + byHand + "observe c: pg-a=primary@1000\noutcome promote unknown" + gone,
		"a rogue before the promotion": catchingUp + byHand + "observe c: pg-a=primary@1000\noutcome catch_up pg-b@1000 pg-c@990" + gone,
		"its fence proves nothing": promoting + "outcome promote done\nobserve c: pg-a=primary@1000\noutcome configure failed\n" +
			"outcome isolate UNKNOWN\ntick 1s\noutcome isolate UNKNOWN\ntick 1s\noutcome isolate UNKNOWN\ntick 1s" + gone,
	} {
		t.Run(name, func(t *testing.T) {
			at := strings.LastIndex(commands, "\n")
			w, attest := given(t, commands[:at]), commands[at+1:]
			w.wantStage(t, Held)
			w.wantStarted(t, "a")
			w.do(t, attest+"\ntick 1s") // the next own try is due after ten
			if len(w.arbiters["a"].started) != 1 {
				t.Errorf("it waits\n%s", w.out.String())
			}
		})
	}
}

// What comes in while an operation waits for a candidate does not put its next try off.
func TestPlan_ReadsPositionsAgainInTime(t *testing.T) {
	w := given(t, catchingUp+"outcome catch_up pg-b@500 pg-c@400\ntick 6s\nobserve c: pg-c=down(refused)\ntick 5s\n")
	if a := w.arbiters["a"].started["orders"].Action; a.Kind != ActionCatchUp {
		t.Errorf("11 s after the hold %q runs\n%s", a.Kind, w.out.String())
	}
}
