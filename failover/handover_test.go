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
