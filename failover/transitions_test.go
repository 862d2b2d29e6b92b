package failover

import "testing"

var allStages = []Stage{
	Steady, Suspected, Confirmed, Leased, Isolating, Isolated, CatchingUp, CaughtUp, Promoting, Promoted, Configuring, Routing,
	Scaling, Verifying,
}

var movingEvents = []EventKind{
	ViewsFailing, ViewsRecovered, QuorumConfirmed, OperatorAsked, RogueSeen, RouteAstray, LeaseGranted, IsolateIntended, IsolationProven,
	CatchUpIntended, CatchUpDone, PromoteIntended, PromoteDone, ConfigureIntended, ConfigureDone, RouteIntended, RouteDone,
	ScaleIntended, ScaleDone, VerifyIntended, VerifyDone, OperationHeld, OperationReleased, OperationAborted, OperationEnded,
}

func TestTransitionsUseKnownStagesAndEvents(t *testing.T) {
	stages, events := map[Stage]bool{Held: true}, map[EventKind]bool{}
	for _, s := range allStages {
		stages[s] = true
	}
	for _, e := range movingEvents {
		events[e] = true
	}
	used := map[EventKind]bool{}
	for from, row := range transitions {
		if !stages[from] || from == Held {
			t.Errorf("unknown stage %q has a row", from)
		}
		for event, to := range row {
			used[event] = true
			if !events[event] || !stages[to] {
				t.Errorf("%s, %s: unknown event, or stage %q", from, event, to)
			}
		}
	}
	for _, s := range allStages {
		if transitions[s] == nil {
			t.Errorf("%s has no row", s)
		}
	}
	for _, e := range movingEvents {
		if !used[e] {
			t.Errorf("%s leads nowhere", e)
		}
	}
}

// TestEveryPairHasAnAnswer moves a group from every stage, also from held there, by every event: it goes where the table says,
// or it is refused and nothing changes.
func TestEveryPairHasAnAnswer(t *testing.T) {
	for _, stage := range allStages {
		for _, held := range []bool{false, true} {
			for _, event := range movingEvents {
				g := &Group{Name: "g", Stage: stage, Operation: &Operation{ID: "g-1"}}
				if held {
					g.Stage, g.HeldFrom, g.Hold = Held, stage, Hold{Reason: HoldVerify}
				}
				before := *g
				c := &change{entry: Entry{Index: 9}}
				refusal := c.advance(g, event, "test")
				want, ok := transitions[stage][event]
				switch {
				case !ok && (refusal == nil || g.Stage != before.Stage || len(c.events) != 0):
					t.Errorf("%s, %s is not in the table and was not refused", stage, event)
				case ok && refusal != nil:
					t.Errorf("%s, %s: %v", stage, event, refusal)
				case ok && g.Stage != want && !(held && g.Stage == Held && g.HeldFrom == want):
					t.Errorf("%s, %s led to %s (held from %q), want %s", stage, event, g.Stage, g.HeldFrom, want)
				}
				if (g.Stage == Held) != (g.HeldFrom != "") {
					t.Errorf("%s, %s: %s from %q", stage, event, g.Stage, g.HeldFrom)
				}
			}
		}
	}
}

func TestEveryStageIsReachableAndCanEnd(t *testing.T) {
	reach := func(from Stage) map[Stage]bool {
		seen, todo := map[Stage]bool{from: true}, []Stage{from}
		for len(todo) > 0 {
			stage := todo[0]
			todo = todo[1:]
			for _, to := range transitions[stage] {
				if !seen[to] {
					seen[to], todo = true, append(todo, to)
				}
			}
		}
		return seen
	}
	from := reach(Steady)
	for _, stage := range append([]Stage{Held}, allStages...) {
		if !from[stage] {
			t.Errorf("%s can't be reached", stage)
		}
		if stage != Held && !reach(stage)[Steady] {
			t.Errorf("from %s no operation can end", stage)
		}
	}
}

// cooperate lets everything succeed until the operation has ended.
func (w *world) cooperate(t *testing.T) {
	t.Helper()
	for range 60 {
		g := w.group(t)
		if g.Operation == nil {
			return
		}
		if node, group := w.running(""); node != nil {
			outcome := "outcome " + string(node.started[group].Action.Kind) + " "
			switch node.started[group].Action.Kind {
			case ActionIsolate:
				outcome += "CONFIRMED_OFF"
			case ActionCatchUp:
				outcome += "pg-b@1000 pg-c@990"
			default:
				outcome += "done"
			}
			w.do(t, outcome)
			continue
		}
		w.do(t, "look-again answers\ntick 3s")
	}
	t.Errorf("the operation never ends\n%s", w.out.String())
}

// TestFromEveryStageAnOperationEnds plays on from every stage, through Next, Plan and Controller, in a world that cooperates:
// under the same leader, under the next one, and after the operation was held there.
func TestFromEveryStageAnOperationEnds(t *testing.T) {
	stations := map[string]string{
		"confirmed": adopted + "observe a,b: pg-a=down(refused)\n", "leased": leased, "isolating": isolating, "catching up": catchingUp,
		"promoting": promoting, "verifying": verifying,
		"configuring": promoting + "outcome promote done\n", "routing": promoting + "outcome promote done\noutcome configure done\n",
		"isolated":  isolating + "keep a\noutcome isolate CONFIRMED_OFF\ncommit a\ndepose a\nkeep a no\nreign b 2\nobserve all\n",
		"caught up": catchingUp + "keep a\noutcome catch_up pg-b@1000 pg-c@990\ncommit a\ndepose a\nkeep a no\nreign b 2\nobserve all\n",
		"promoted":  promoting + "keep a\noutcome promote done\ncommit a\ndepose a\nkeep a no\nreign b 2\nobserve all\n",
		"rogue":     finished + "observe c: pg-a=primary@1000\n",
		"operator":  adopted + "failover orders\n",
	}
	for name, station := range stations {
		t.Run(name, func(t *testing.T) {
			given(t, station).cooperate(t)
		})
		t.Run(name+", next leader", func(t *testing.T) {
			w := given(t, station)
			w.do(t, "depose a\ndepose b\nreign c 7\nobserve all")
			w.arbiters["a"].started = map[GroupName]Start{} // it has ended, and nobody hears of it
			w.arbiters["b"].started = map[GroupName]Start{}
			w.cooperate(t)
		})
		t.Run(name+", held", func(t *testing.T) {
			w := given(t, station)
			leader := w.leader("")
			w.accepted(t, leader.node, leader.term, HoldOperation{Group: "orders", Operation: w.group(t).Operation.ID, Reason: HoldCatchUp, Detail: "test"})
			if w.group(t).Stage != Held {
				t.Fatal(w.out.String())
			}
			w.cooperate(t)
		})
		t.Run(name+", held and released", func(t *testing.T) {
			w := given(t, station)
			leader := w.leader("")
			w.accepted(t, leader.node, leader.term, HoldOperation{Group: "orders", Operation: w.group(t).Operation.ID, Reason: HoldCatchUp, Detail: "test"})
			w.do(t, "release orders")
			w.cooperate(t)
		})
	}
}

// TestFromEveryStageAnOperatorCanEndIt: what is held, whatever for, ends when the group is adopted as it is, once nothing runs.
func TestFromEveryStageAnOperatorCanEndIt(t *testing.T) {
	for _, station := range []string{leased, isolating, catchingUp, promoting, verifying} {
		w := given(t, station)
		w.accepted(t, "a", 1, HoldOperation{Group: "orders", Operation: w.group(t).Operation.ID, Reason: HoldVerify, Detail: "test"})
		w.do(t, "pause orders\nobserve all: pg-a=down(refused) pg-b=down(refused) pg-c=primary@990")
		if node, group := w.running(""); node != nil {
			w.do(t, "outcome "+string(node.started[group].Action.Kind)+" failed")
		}
		w.do(t, "look-again answers\ntick 1s\nadopt orders pg-c attest=pg-a,pg-b")
		w.wantAuthorities(t, none, none, writer)
		w.wantStage(t, Steady)
	}
}
