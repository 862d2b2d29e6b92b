package failover

import (
	"fmt"
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
	w.step(a, HandOverFailed{ID: a.handOver.ID})
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
	w.step(a, HandOverFailed{ID: a.handOver.ID})
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
	w.step(a, HandOverFailed{ID: a.handOver.ID})
	w.now += time.Second
	w.step(a, Drain{Why: "late"})
	if !strings.Contains(w.out.String(), `a: hand over to "": late`) {
		t.Error(w.out.String())
	}
}

// handOverFails answers the hand-over that an arbiter asked for, and lets it go on.
func (w *world) handOverFails(a *arbiter) {
	w.step(a, HandOverFailed{ID: a.handOver.ID})
	w.settle()
}

func (w *world) handOvers(to NodeID) int {
	return strings.Count(w.out.String(), `: hand over to "`+string(to)+`"`)
}

// inDoubt tells a leader for so many seconds that it is in doubt, while nobody takes leadership over.
func (w *world) inDoubt(t *testing.T, a *arbiter, seconds int) {
	t.Helper()
	for range seconds {
		w.do(t, "in-doubt "+string(a.node))
		w.handOverFails(a)
		w.do(t, "tick 1s")
	}
}

func (w *world) wantHandOvers(t *testing.T, when string, b, c int) {
	t.Helper()
	if gotB, gotC := w.handOvers("b"), w.handOvers("c"); gotB != b || gotC != c {
		t.Fatalf("%s: offered to b %d times, want %d, to c %d times, want %d\n%s", when, gotB, b, gotC, c, w.out.String())
	}
}

// A leader in doubt offers leadership to each arbiter whose view counts, once in a while: what is begun is cancelled by each offer. It
// offers it anew to one whose view has begun to count anew.
func TestController_InDoubtItOffersLeadershipToEachOnce(t *testing.T) {
	w := given(t, adopted)
	a := w.arbiters["a"]
	w.inDoubt(t, a, 5)
	w.wantHandOvers(t, "at first", 1, 1)
	w.do(t, "doubt c network\ndoubt c")
	w.inDoubt(t, a, 2)
	w.wantHandOvers(t, "after c's view counted anew", 1, 2)
	w.do(t, "silent a b\nobserve b")
	w.inDoubt(t, a, 2)
	w.wantHandOvers(t, "after b's view was sent anew", 2, 2)
	w.do(t, "depose a\nreign a 2\nobserve all")
	w.inDoubt(t, a, 1)
	w.wantHandOvers(t, "in the next reign", 3, 2)
}

// One that could not take leadership over may be able to later: an arbiter that can reach nothing must not lead for ever.
func TestController_AnOfferLastsForAWhile(t *testing.T) {
	w := given(t, adopted)
	a := w.arbiters["a"]
	w.inDoubt(t, a, int(offerLasts/time.Second))
	w.wantHandOvers(t, "within the while", 1, 1)
	w.inDoubt(t, a, 2)
	w.wantHandOvers(t, "after it", 2, 2)
}

// hearsNobody silences all arbiters but one.
func (w *world) hearsNobody(t *testing.T, leader NodeID) {
	t.Helper()
	for _, node := range w.order {
		if node != leader {
			w.do(t, "silent "+string(leader)+" "+string(node))
		}
	}
}

// Two of five are dead, and those who are left hear no majority as leaders, but for c: nobody offers leadership to one that had its turn, so it
// gets there, or comes to rest.
func TestController_WhoHearsNobodyOffersLeadershipToEachOnce(t *testing.T) {
	w := given(t, "arbiters a b c d e\ngroup orders pg-a pg-b\n")
	term, leader := 0, NodeID("a")
	for range 40 { // far more than all can offer
		term++
		w.do(t, fmt.Sprintf("reign %s %d\nobserve all: pg-a=primary@1000 pg-b=standby@1000", leader, term))
		w.hearsNobody(t, leader)
		w.out.Reset()
		w.do(t, "tick 31s")
		to := w.arbiters[leader].handOver.To
		for strings.Contains(w.out.String(), "hand over") && (to == "d" || to == "e") { // they are dead
			w.out.Reset()
			w.handOverFails(w.arbiters[leader])
			to = w.arbiters[leader].handOver.To
		}
		if !strings.Contains(w.out.String(), "hand over") {
			break
		}
		w.do(t, "depose "+string(leader))
		leader = to
	}
	if term > 7 { // three that live offer it to two others each
		t.Errorf("leadership went round %d times", term)
	}
	w.out.Reset()
	w.do(t, "tick 5m")
	if strings.Contains(w.out.String(), "hand over") {
		t.Errorf("it does not come to rest:\n%s", w.out.String())
	}
	w.do(t, "tick 15m")
	if !strings.Contains(w.out.String(), "hand over") {
		t.Error("never offers it again")
	}
}

// A hand-over that waits for what is under way is off once a majority is heard again.
func TestController_WhoHearsAgainKeepsLeading(t *testing.T) {
	for _, test := range []struct {
		what string
		then string
		want int
	}{
		{"nobody", "tick 1s", 1},
		{"a majority", "observe b\ntick 1s", 0},
		{"a majority, and an operator asks", "observe b\ntick 500ms\ndrain a\ntick 500ms", 1},
	} {
		w := given(t, adopted+"failover orders\n") // whose lease is to be released first
		w.hearsNobody(t, "a")
		a := w.arbiters["a"]
		w.do(t, "tick 29s\nkeep a\ntick 1500ms")
		w.do(t, test.then)
		w.do(t, "keep a no\ncommit a")
		w.step(a, ProposalEnded{ID: a.controller.groups["orders"].proposed.id}) // the renewal that was on its way
		w.do(t, "tick 1s")
		if got := strings.Count(w.out.String(), "a: hand over"); got != test.want {
			t.Errorf("it hears %s: handed over %d times\n%s", test.what, got, w.out.String())
		}
	}
}

// The end of an older hand-over says nothing of the one that is under way.
func TestController_ALateFailureEndsNoOtherHandOver(t *testing.T) {
	w := given(t, adopted+"drain a\n")
	a := w.arbiters["a"]
	older := a.handOver.ID
	w.do(t, "tick 5s\ndrain a") // the first one was not heard of in time
	if w.handOvers("") != 2 {
		t.Fatal(w.out.String())
	}
	w.step(a, HandOverFailed{ID: older})
	w.do(t, "observe all: pg-a=down(refused)")
	if w.group(t).Lease != nil {
		t.Error("acts while it hands leadership over")
	}
	w.handOverFails(a)
	if w.group(t).Lease == nil {
		t.Errorf("still idle:\n%s", w.out.String())
	}
}

// cutShort ends a try with a hand-over in vain.
func (w *world) cutShort(t *testing.T, a *arbiter) {
	t.Helper()
	w.wantStarted(t, a.node, ActionIsolate)
	w.step(a, Drain{Why: "asked"})
	w.do(t, "outcome isolate UNKNOWN")
	w.handOverFails(a)
	w.do(t, "tick 2s")
}

// What a hand-over cut short says nothing of the fence: it is no failed try of it.
func TestController_WhatAHandOverCutsShortIsNoFailedTry(t *testing.T) {
	w := given(t, isolating)
	a := w.arbiters["a"]
	w.cutShort(t, a)
	if !a.started["orders"].Action.Tried {
		t.Error("it acts without a look at what the try that was cut short has done")
	}
	op := w.group(t).Operation
	if last, _ := op.lastTry(); op.Attempts != 0 || last.Result != ResultCutShort || !strings.Contains(last.Detail, "asked") {
		t.Fatalf("%d attempts, the last try: %+v", op.Attempts, last)
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

// An arbiter that hands its leadership on in vain all the time does not try for ever without saying so.
func TestController_TriesThatAreCutShortAgainAndAgainComeToAHold(t *testing.T) {
	w := given(t, isolating)
	a := w.arbiters["a"]
	for range 2 * w.group(t).Spec.Policy.MaxAttempts {
		w.wantStage(t, Isolating)
		w.cutShort(t, a)
	}
	w.wantStage(t, Held)
	if hold := w.group(t).Hold; hold.Reason != HoldFenceUnproven || !strings.Contains(hold.Detail, "cut short to hand leadership on (asked)") {
		t.Errorf("%+v", hold)
	}
}

// failsToIsolate has every try of an isolation fail until the leader gives it up.
func (w *world) failsToIsolate(t *testing.T, leader NodeID) {
	t.Helper()
	for range w.group(t).Spec.Policy.MaxAttempts {
		w.wantStarted(t, leader, ActionIsolate)
		w.do(t, "outcome isolate UNKNOWN\ntick 1s")
	}
	w.do(t, "tick 2s")
}

const (
	fencePaths    = adopted + "paths a orders pg-a silent\npaths b orders pg-a armed\n"
	primaryIsDown = "observe all: pg-a=down(refused)\nlook-again answers"
)

// One hand-over in vain, of whatever, does not keep a leader from handing on what it can't fence.
func TestController_AfterAHandOverInVainItHandsOnWhatItCantFence(t *testing.T) {
	w := given(t, fencePaths+"drain a\n")
	w.handOverFails(w.arbiters["a"])
	w.do(t, primaryIsDown)
	w.failsToIsolate(t, "a")
	w.wantHandOvers(t, "after the last try", 1, 0)
}

// The same holds for an action that does not end, also when nothing is left to do: whoever leads next goes on when the lease has run out.
func TestController_AnActionThatDoesNotEndIsHandedOnUntilSomebodyTakesIt(t *testing.T) {
	for name, commands := range map[string]string{
		"its time is over":      isolating + "tick 26s",
		"its operation is over": adopted + "observe c: pg-c=primary@990\nobserve all: pg-c=down(refused)\nattest orders pg-c\ntick 6s",
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, commands)
			a := w.arbiters["a"]
			w.wantStarted(t, "a", ActionIsolate)
			w.wantHandOvers(t, "at first", 1, 0)
			w.handOverFails(a)
			w.do(t, "tick 10ms")
			w.wantHandOvers(t, "after that was in vain", 1, 1)
			w.handOverFails(a)
			w.do(t, "tick 2m")
			w.wantHandOvers(t, "soon after", 1, 1)
			w.do(t, "tick 1m")
			w.wantHandOvers(t, "after a while", 2, 1)
		})
	}
}

// An arbiter that has no way at all hands on also to one that has tried: it does better than nobody.
func TestController_WithoutAPathItHandsOnToOneThatHasTried(t *testing.T) {
	const paths = "paths a orders pg-a silent\npaths b orders pg-a armed\n"
	w := given(t, adopted+primaryIsDown+"\ndepose a\noutcome isolate UNKNOWN\nreign b 2\nobserve all\n"+paths+"tick 3s\noutcome isolate UNKNOWN\ndepose b\nreign a 3\nobserve all\n"+paths+"tick 3s")
	w.failsToIsolate(t, "a")
	w.wantHandOvers(t, "after a's last try", 1, 0)
}

// An operation that is held is still handed on, when somebody can take it.
func TestController_AHeldOperationIsHandedOnLater(t *testing.T) {
	w := given(t, fencePaths+primaryIsDown)
	w.failsToIsolate(t, "a")
	w.handOverFails(w.arbiters["a"])
	w.wantStage(t, Held)
	for at := time.Duration(0); at < offerLasts+30*time.Second && w.handOvers("b") == 1; at += 10 * time.Second {
		w.do(t, "tick 10s")
		if len(w.arbiters["a"].started) > 0 {
			w.do(t, "outcome isolate UNKNOWN")
		}
	}
	w.wantHandOvers(t, "while it is held", 2, 0)
}

// A path that answers whoever asks for its status, and yet does not fence, is none: others try. Each of them does so once.
func TestController_OthersTryWhereTheOwnPathDoesNotFence(t *testing.T) {
	const allArmed = "paths a orders pg-a armed\npaths b orders pg-a armed\npaths c orders pg-a armed\n"
	w := given(t, adopted+allArmed+"doubt b network\n"+primaryIsDown)
	w.failsToIsolate(t, "a")
	w.wantHandOvers(t, "b doubts itself", 0, 1)
	w.do(t, "doubt b\ndepose a\nreign c 2\nobserve all\n"+allArmed+"tick 3s")
	w.failsToIsolate(t, "c")
	w.wantHandOvers(t, "c could not either", 1, 1)
	w.do(t, "depose c\nreign b 3\nobserve all\n"+allArmed+"tick 3s")
	w.failsToIsolate(t, "b")
	w.wantStage(t, Held)
	w.wantHandOvers(t, "everybody has tried", 1, 1)
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
