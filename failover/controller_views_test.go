package failover

import "testing"

// wholeBatch is what c sends first over a new stream.
func wholeBatch(w *world) Batch {
	c := w.arbiters["c"]
	c.incarnation, c.sequence = 2, 0
	b := w.batch(c, map[GroupName][]MemberName{"orders": {"pg-a", "pg-b", "pg-c"}})
	b.Whole = true
	return b
}

func (w *world) wantView(t *testing.T, node NodeID, incarnation uint64, current bool) {
	t.Helper()
	if v, _ := w.state.View(node); v.Incarnation != incarnation || v.Current != current {
		t.Errorf("the view of %s: %+v, want incarnation %d, current %v", node, v, incarnation, current)
	}
}

// A stream that ends while its first batch is under way leaves a view behind that nobody sends any more.
func TestViews_OneThatTurnsUpAfterItsStreamEndedIsVoided(t *testing.T) {
	w := given(t, adopted)
	b := wholeBatch(w)
	w.step(w.arbiters["a"], ViewSilent{Node: "c", Incarnation: 2})
	w.settle()
	w.wantView(t, "c", 1, true) // the older one is another stream's
	w.commit("", 0, Observe{Batches: []Batch{b}})
	w.settle()
	w.wantView(t, "c", 2, false)
	b.Incarnation = 3
	w.commit("", 0, Observe{Batches: []Batch{b}})
	w.settle()
	w.wantView(t, "c", 3, true) // the next stream
}

func TestViews_AnExpiryThatWasRefusedIsProposedAgain(t *testing.T) {
	w := given(t, adopted)
	a := w.arbiters["a"]
	w.step(a, ViewSilent{Node: "c", Incarnation: 1})
	if len(a.proposals) != 1 {
		t.Fatalf("%+v", a.proposals)
	}
	id := a.proposals[0].ID
	a.proposals = nil
	w.step(a, ProposalEnded{ID: id, Refused: true})
	w.settle()
	w.wantView(t, "c", 1, true)
	w.do(t, "tick 1s")
	w.wantView(t, "c", 1, false)
}

// S8: the log says that another one reigns before Raft says that this arbiter does not lead any more.
func TestS8_WhoSeesAnotherReignIsDeposed(t *testing.T) {
	w := given(t, isolating)
	a := w.arbiters["a"]
	if !a.controller.Leading() {
		t.Fatal("a does not lead")
	}
	w.out.Reset()
	w.do(t, "reign b 2")
	if a.controller.Leading() {
		t.Error("a answers as the leader under the reign of b")
	}
	if len(a.started) != 1 || !a.controller.groups["orders"].running.cancelled {
		t.Errorf("what a runs is not cancelled\n%s", w.out.String())
	}
	a.wake = 0
	w.step(a, ViewSilent{Node: "c", Incarnation: 1})
	w.step(a, Tick{})
	if len(a.proposals)+len(a.confirms) != 0 {
		t.Errorf("it proposes %+v", a.proposals)
	}
}

// S2, S12: no promotion goes on beside a rogue, which is fenced before anything else. The candidate stays WRITER (S7).
func TestS12_ARogueEndsThePromotion(t *testing.T) {
	for _, policy := range []string{"yes", "no"} {
		w := given(t, promoting+"apply orders refence_rogues="+policy+"\n")
		w.do(t, "observe c: pg-a=primary@1000")
		if !w.arbiters["a"].controller.groups["orders"].running.cancelled {
			t.Fatalf("the promotion goes on\n%s", w.out.String())
		}
		w.do(t, "outcome promote unknown")
		w.wantAuthorities(t, revoked, writer, none)
		if policy == "no" {
			w.wantStage(t, Held)
			w.wantStarted(t, "a")
		} else {
			w.wantStage(t, Isolating)
			w.wantStarted(t, "a", ActionIsolate)
		}
	}
}

func TestS12_ARogueIsFencedBeforeStandbysAndRoutesFollow(t *testing.T) {
	w := given(t, promoting+"outcome promote done\nobserve c: pg-a=primary@1000\noutcome configure failed\n")
	w.wantStarted(t, "a", ActionIsolate)
	w.do(t, "outcome isolate CONFIRMED_OFF\noutcome promote done\noutcome configure done\noutcome route done\noutcome verify done")
	w.wantStage(t, Steady)
	w.wantAuthorities(t, none, writer, none)
	// Where a person decides about rogues the service comes first: the rogue is told of when the operation has ended.
	w = given(t, promoting+"apply orders refence_rogues=no\noutcome promote done\nobserve c: pg-a=primary@1000\noutcome configure done\n")
	w.wantStarted(t, "a", ActionRoute)
}
