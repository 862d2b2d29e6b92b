package failover

import (
	"strings"
	"testing"
	"time"
)

// A hand-over that failed costs nothing: this arbiter goes on at once with what it leads.
func TestController_GoesOnAfterAHandOverInVain(t *testing.T) {
	w := given(t, adopted+"drain a\n")
	a := w.arbiters["a"]
	if !strings.Contains(w.out.String(), "a: hand over") {
		t.Fatal(w.out.String())
	}
	w.do(t, "observe all: pg-a=down(refused)")
	if w.group(t).Lease != nil {
		t.Fatal("acts while it hands leadership over")
	}
	w.step(a, HandOverFailed{})
	w.do(t, "tick 100ms")
	if w.group(t).Lease == nil {
		t.Errorf("still idle:\n%s", w.out.String())
	}
}

// Raft refuses entries during a hand-over, and an entry whose fate is unknown makes a leader go for good: a hand-over that
// need not be must not come to that.
func TestController_ProposesNothingDuringAHandOver(t *testing.T) {
	w := given(t, adopted+"drain a\n")
	a := w.arbiters["a"]
	view, _ := w.state.View("c")
	w.step(a, ViewSilent{Node: "c", Incarnation: view.Incarnation})
	if len(a.proposals) != 0 {
		t.Errorf("proposes %v", a.proposals)
	}
	w.do(t, "tick 12s")
	if strings.Contains(w.out.String(), "a: halt") {
		t.Errorf("ended itself for a hand-over that need not be:\n%s", w.out.String())
	}
}

// A leader that can't go on does not take a failed hand-over for a reason to do so.
func TestController_DoesNotGoOnWithAnEntryOfUnknownFate(t *testing.T) {
	w := given(t, adopted+"keep a\nobserve all: pg-a=down(refused)\nunknown a\n")
	a := w.arbiters["a"]
	if !strings.Contains(w.out.String(), "a: hand over") {
		t.Fatal(w.out.String())
	}
	w.step(a, HandOverFailed{})
	w.step(a, Tick{})
	if len(a.proposals) != 0 {
		t.Errorf("proposes %v", a.proposals)
	}
}

// Whom an operator asked for is who gets it, and only then.
func TestController_HandsOverToWhomItWasAskedFor(t *testing.T) {
	w := given(t, adopted)
	a := w.arbiters["a"]
	w.step(a, Drain{Why: "asked", To: "c"})
	if !strings.Contains(w.out.String(), `a: hand over to "c": asked`) {
		t.Error(w.out.String())
	}
	w.step(a, HandOverFailed{})
	w.now += time.Second
	w.step(a, Drain{Why: "late"})
	if !strings.Contains(w.out.String(), `a: hand over to "": late`) {
		t.Error(w.out.String())
	}
}

// handOverFails answers the hand-over that an arbiter asked for, and lets it go on.
func (w *world) handOverFails(a *arbiter) {
	w.step(a, HandOverFailed{})
	w.settle()
}

func (w *world) handOvers(to NodeID) int {
	return strings.Count(w.out.String(), `a: hand over to "`+string(to)+`"`)
}

// A leader in doubt offers leadership to each arbiter whose view counts, once: what is begun is cancelled by each offer. It offers it
// anew to one whose view has begun to count anew.
func TestController_InDoubtItOffersLeadershipToEachOnce(t *testing.T) {
	w := given(t, adopted)
	a := w.arbiters["a"]
	offer := func() {
		w.do(t, "in-doubt a")
		w.handOverFails(a)
		w.do(t, "tick 1s")
	}
	for range 5 {
		offer()
	}
	if b, c := w.handOvers("b"), w.handOvers("c"); b != 1 || c != 1 {
		t.Fatalf("offered to b %d times, to c %d times\n%s", b, c, w.out.String())
	}
	w.do(t, "doubt c network\ndoubt c")
	offer()
	offer()
	if b, c := w.handOvers("b"), w.handOvers("c"); b != 1 || c != 2 {
		t.Errorf("after c's view counted anew: offered to b %d times, to c %d times\n%s", b, c, w.out.String())
	}
	w.do(t, "silent a b\nobserve b")
	offer()
	offer()
	if b, c := w.handOvers("b"), w.handOvers("c"); b != 2 || c != 2 {
		t.Errorf("after b's view was sent anew: offered to b %d times, to c %d times\n%s", b, c, w.out.String())
	}
	w.do(t, "depose a\nreign a 2\nobserve all")
	offer()
	if b := w.handOvers("b"); b != 3 {
		t.Errorf("in the next reign offered to b %d times\n%s", b, w.out.String())
	}
}

// What a hand-over cut short says nothing of the fence: it is no failed try of it.
func TestController_WhatAHandOverCutsShortIsNoFailedTry(t *testing.T) {
	w := given(t, isolating)
	a := w.arbiters["a"]
	for i := range 5 {
		w.step(a, Drain{Why: "asked"})
		w.do(t, "outcome isolate UNKNOWN")
		w.handOverFails(a)
		w.wantStage(t, Isolating)
		w.wantStarted(t, "a", ActionIsolate)
		if !a.started["orders"].Action.Tried {
			t.Fatalf("%d: acts without a look at what the try that was cut short has done", i)
		}
		op := w.group(t).Operation
		last, _ := op.lastTry()
		if op.Attempts != 0 || last.Result != ResultCutShort || !strings.Contains(last.Detail, "asked") {
			t.Fatalf("%d: %d attempts, the last try: %+v", i, op.Attempts, last)
		}
	}
	w.do(t, "tick 1m\noutcome isolate UNKNOWN")
	if op := w.group(t).Operation; op.Attempts != 1 {
		t.Errorf("a try that took too long: %d attempts", op.Attempts)
	}
	w.do(t, "tick 1s")
	w.step(a, Drain{Why: "asked"})
	w.do(t, "outcome isolate CONFIRMED_OFF")
	w.wantAuthorities(t, none, none, none) // a proof counts also if it came late
}

// An orderly stop that comes during another hand-over is carried out when that one fails.
func TestController_AStopDuringAHandOverIsNotForgotten(t *testing.T) {
	for name, ends := range map[string]func(*world, *arbiter){
		"it fails":         func(w *world, a *arbiter) { w.handOverFails(a) },
		"nothing is heard": func(w *world, _ *arbiter) { w.tick(6 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, adopted)
			a := w.arbiters["a"]
			w.do(t, "in-doubt a")
			w.step(a, Drain{Why: "shutting down"})
			if w.handOvers("b") != 1 || w.handOvers("") != 0 {
				t.Fatal(w.out.String())
			}
			ends(w, a)
			if w.handOvers("") != 1 {
				t.Fatal(w.out.String())
			}
			ends(w, a)
			w.do(t, "tick 1m")
			if w.handOvers("") != 1 {
				t.Errorf("it was asked for once\n%s", w.out.String())
			}
		})
	}
}
