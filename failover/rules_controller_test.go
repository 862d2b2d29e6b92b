package failover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// do runs more commands in a world.
func (w *world) do(t *testing.T, commands string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
		if err := w.run(strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, w.out.String())
		}
		w.settle()
		if w.failure != nil {
			t.Fatalf("%s: %v\n%s", line, w.failure, w.out.String())
		}
	}
}

func (w *world) wantStarted(t *testing.T, node NodeID, want ...ActionKind) {
	t.Helper()
	var got []ActionKind
	for _, g := range sortedKeys(w.arbiters[node].started) {
		got = append(got, w.arbiters[node].started[g].Action.Kind)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s runs %v, want %v\n%s", node, got, want, w.out.String())
	}
}

func TestS6_NothingStartsBeforeItsIntentIsApplied(t *testing.T) {
	w := given(t, leased+"keep a\nlook-again answers\n")
	w.wantStarted(t, "a")
	w.do(t, "tick 1s")
	w.wantStarted(t, "a")
}

func TestS6_NothingStartsBeforeLeadershipIsConfirmed(t *testing.T) {
	w := given(t, leased+"confirm a by-hand\nlook-again answers\n")
	w.wantStarted(t, "a")
	w.do(t, "confirm a fail\ntick 100ms")
	w.wantStarted(t, "a")
	w.do(t, "confirm a ok")
	w.wantStarted(t, "a", ActionIsolate)
}

func TestS6_AConfirmationCountsOnce(t *testing.T) {
	w := given(t, leased+"confirm a by-hand\nlook-again answers\nconfirm a ok\noutcome isolate UNKNOWN\n")
	if stage := w.group(t); stage.Operation.Attempts != 0 {
		t.Error("an outcome was committed without a confirmation after the action")
	}
	w.do(t, "confirm a ok\ntick 1s")
	w.wantStarted(t, "a") // the second try asks anew
	w.do(t, "confirm a ok")
	w.wantStarted(t, "a", ActionIsolate)
}

func TestS6_AConfirmationIsNotKept(t *testing.T) {
	w := given(t, `arbiters a b c
group g1 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared
group g2 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared
reign a 1
observe all: g1: pg-a=primary@10 pg-b=standby@10 g2: pg-a=primary@10 pg-b=standby@10
adopt g1
adopt g2
confirm a by-hand
observe all: g1: pg-a=down(refused) g2: pg-a=down(refused)
look-again answers
confirm a ok`)
	w.wantStarted(t, "a", ActionIsolate)
	w.do(t, "tick 500ms")
	w.arbiters["a"].started = map[GroupName]Start{}
	w.step(w.arbiters["a"], ActionEnded{Group: "g1", Intent: w.state.Group("g1").Operation.Intent.Index, Outcome: offProof()})
	w.wantStarted(t, "a") // g2 asked when g1's fence ran; that answer is too old now
	w.do(t, "tick 100ms\nconfirm a ok")
	if _, ok := w.arbiters["a"].started["g2"]; !ok {
		t.Error(w.out.String())
	}
}

func TestS6_TheLeaseIsReadLast(t *testing.T) {
	w := given(t, leased+"confirm a by-hand\nlook-again answers\nkeep a\ntick 3s\nconfirm a ok\n")
	w.wantStarted(t, "a")
}

func TestS6_TheLeaseCountsFromBeforeItsProposal(t *testing.T) {
	w := given(t, adopted+"keep a\nobserve all: pg-a=down(refused)\n")
	a, proposed := w.arbiters["a"], w.now
	w.now += 700 * time.Millisecond // until it is committed
	w.do(t, "commit a\nkeep a no")
	w.step(a, ProposalEnded{ID: a.controller.lastID})
	w.do(t, "look-again answers")
	start := a.started["orders"]
	want := proposed + 2*time.Second - 25*time.Millisecond // 1 % and 5 ms for clocks that differ
	if start.LeaseUntil != want {
		t.Errorf("the lease ends %s after its proposal, want %s", start.LeaseUntil-proposed, want-proposed)
	}
}

func TestS6_WhatRunsEndsWithTheLeaseAndWithLeadership(t *testing.T) {
	for _, how := range []string{"keep a\ntick 3s", "depose a", "reign a 5"} {
		w := given(t, isolating+how)
		if !strings.Contains(w.out.String(), "a: cancel the action of orders") {
			t.Errorf("%s: %s", how, w.out.String())
		}
	}
}

func TestS6_ADeposedLeaderCommitsNoOutcome(t *testing.T) {
	w := given(t, isolating+"depose a\noutcome isolate CONFIRMED_OFF\ntick 10s\n")
	w.wantAuthorities(t, revoked, none, none)
}

func TestS8_ANewLeaderDoesNothingBeforeItsReign(t *testing.T) {
	w := given(t, isolating+"depose a\nkeep b\nreign b 2\ntick 4s\n")
	b := w.arbiters["b"]
	if len(b.late) != 1 || bodyText(b.late[0].body) != "BeginReign" || b.controller.Leading() {
		t.Errorf("%v\n%s", b.late, w.out.String())
	}
	w.do(t, "commit b")
	if !b.controller.Leading() {
		t.Error("it does not lead")
	}
}

func TestS8_ALeaseIsWaitedOutOnAnyClock(t *testing.T) {
	w := given(t, isolating)
	w.do(t, "depose a\nreign b 2\nobserve all\ntick 2024ms")
	if got := w.group(t).Epoch; got != 2 {
		t.Errorf("epoch %d was granted before the lease must have run out", got)
	}
	w.do(t, "tick 2ms")
	if got := w.group(t).Epoch; got != 3 {
		t.Errorf("epoch %d, want 3", got)
	}
}

func TestS8_TheWaitBeginsWhenLeadershipOrTheProcessDid(t *testing.T) {
	w := given(t, isolating+"keep a\ntick 10s\n") // nobody heard of the lease for long
	state := w.state
	w.arbiters["b"].controller = NewController("b", DefaultSettings("c1"), &state, w.now) // b has just been started
	w.do(t, "reign b 2\nobserve all\ntick 2s")
	if got := w.group(t).Epoch; got != 2 {
		t.Errorf("epoch %d was granted at once", got)
	}
	w.do(t, "tick 1s")
	if got := w.group(t).Epoch; got != 3 {
		t.Errorf("epoch %d, want 3", got)
	}
}

func TestS8_AReinstatementWaitsToo(t *testing.T) {
	w := given(t, isolating+"reinstate orders\noutcome isolate UNKNOWN\ndepose a\nreign b 2\nobserve all\ntick 2s\n")
	if got := w.group(t).Epoch; got != 3 {
		t.Errorf("epoch %d was granted before the lease of 3 must have run out", got)
	}
	w.do(t, "tick 1s")
	if got := w.group(t).Epoch; got != 4 {
		t.Errorf("epoch %d, want 4", got)
	}
}

func TestS8_AReleasedLeaseIsNotWaitedFor(t *testing.T) {
	w := given(t, isolating+"drain a\noutcome isolate UNKNOWN\n")
	if w.group(t).Lease != nil {
		t.Fatalf("handed over with a lease\n%s", w.out.String())
	}
	w.do(t, "depose a\nreign b 2\nobserve all")
	w.wantStarted(t, "b", ActionIsolate)
}

func TestS8_ANewLeaderGoesOnFromTheLastCommittedStage(t *testing.T) {
	for from, want := range map[string]ActionKind{
		isolating: ActionIsolate, catchingUp: ActionCatchUp, promoting: ActionPromote, verifying: ActionVerify,
	} {
		w := given(t, from+"depose a\nreign b 2\nobserve all\ntick 3s\n")
		w.wantStarted(t, "b", want)
	}
}

func TestS4_AnUnknownFateIsNotSentAgain(t *testing.T) {
	w := given(t, leased+"keep a\nlook-again answers\nunknown a\nkeep a no\ntick 1s\n")
	if !strings.Contains(w.out.String(), "a: hand over") {
		t.Error(w.out.String())
	}
	w.wantStage(t, Leased)
	if w.arbiters["a"].controller.Leading() {
		t.Error("it still leads")
	}
}

func TestS13_ReplayAndRestoreStartNothing(t *testing.T) {
	for _, from := range []string{isolating, promoting, verifying, finished} {
		w := given(t, from)
		data, _ := w.state.CanonicalBytes()
		state, err := StateFromBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		c := NewController("a", DefaultSettings("c1"), &state, w.now)
		for _, what := range []any{Tick{}, Applied{State: &state}, Tick{}} {
			if out := c.Step(Input{Now: w.now + time.Hour, What: what}); len(out) != 0 {
				t.Errorf("after a restart: %v", out)
			}
		}
	}
}

func TestS13_ASnapshotHoldsTheWholeState(t *testing.T) {
	for _, from := range []string{adopted, ready, isolating, caughtUp, promoting, verifying, finished} {
		w := given(t, from)
		data, _ := w.state.CanonicalBytes()
		back, err := StateFromBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		// The same entries lead to the same bytes from here on.
		for _, body := range []Body{
			Observe{Batches: []Batch{{Node: "b", Incarnation: 1, Sequence: 99, Whole: true}}},
			BeginReign{Term: 9, Leader: "c"},
			Pause{Group: "orders"},
			DeleteGroup{Group: "orders"},
			ApplySpec{Group: "orders", Spec: testSpec("pg-a", "pg-b", "pg-c", "pg-d")},
		} {
			e := Entry{Index: w.state.Applied + 1, Term: 9, Proposer: "c", Body: body}
			w.state, _ = Next(w.state, e)
			back, _ = Next(back, e)
			want, _ := w.state.CanonicalBytes()
			if got, _ := back.CanonicalBytes(); string(got) != string(want) {
				t.Fatalf("%T goes another way after a snapshot", body)
			}
		}
	}
}

func TestS15_PowerActionsAreSerialisedPerMachine(t *testing.T) {
	const fleet = `arbiters a b c
group g1 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:FENCE
group g2 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared
reign a 1
observe all: g1: pg-a=primary@10 pg-b=standby@10 g2: pg-a=primary@10 pg-b=standby@10
adopt g1
adopt g2
observe all: g1: pg-a=down(refused) g2: pg-a=down(refused)
look-again answers
`
	for _, fence := range []string{"shared", "shared/another-user"} {
		w := given(t, strings.Replace(fleet, "FENCE", fence, 1))
		w.wantStarted(t, "a", ActionIsolate)
		w.do(t, "tick 300ms")
		w.wantStarted(t, "a", ActionIsolate)
		w.do(t, "outcome isolate CONFIRMED_OFF\ntick 100ms")
		w.wantStarted(t, "a", ActionCatchUp, ActionIsolate)
	}
	w := given(t, strings.Replace(fleet, "FENCE", "own", 1))
	w.wantStarted(t, "a", ActionIsolate, ActionIsolate)
}

// A leader fences a machine for g1 and is frozen, or doesn't know yet that it leads no more. Nothing of g2, which has a member on that machine, is
// outstanding, so that its lease could be had at once.
func TestS15_ANewLeaderWaitsOutFencesOfOtherGroups(t *testing.T) {
	const fleet = `arbiters a b c
group g1 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared lease=5s
group g2 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:FENCE
reign a 1
observe all: g1: pg-a=primary@10 pg-b=standby@10 g2: pg-a=primary@10 pg-b=standby@10
adopt g1
adopt g2
observe all: g1: pg-a=down(refused)
look-again answers
`
	fenced := func(w *world) bool { _, ok := w.arbiters["b"].started["g2"]; return ok }
	given := func(fence, then string) *world {
		w := given(t, strings.Replace(fleet, "FENCE", fence, 1)+then)
		w.wantStarted(t, "b")
		w.do(t, "reign b 2\nobserve all: g2: pg-a=down(refused)\nlook-again answers")
		if g := w.state.Group("g2"); g.Stage != Isolating {
			t.Fatalf("g2 is %s\n%s", g.Stage, w.out.String())
		}
		return w
	}
	w := given("shared/another-user", "depose a\n")
	w.do(t, "tick 5053ms") // longer than its own lease, which it renews
	if fenced(w) {
		t.Errorf("a machine is fenced beside one who may still fence it\n%s", w.out.String())
	}
	w.do(t, "explain g2")
	if text := w.out.String(); !strings.Contains(text, "another arbiter may still fence the machine of pg-a for another group, for at most 2ms") {
		t.Errorf("nothing says what is waited for:\n%s", text)
	}
	w.do(t, "tick 3ms")
	if !fenced(w) || w.state.Group("g2").Operation.Attempts != 0 {
		t.Errorf("the fence does not begin once the lease has run out\n%s", w.out.String())
	}
	if w := given("own", "depose a\n"); !fenced(w) {
		t.Errorf("the fence of another machine waits\n%s", w.out.String())
	}
	if w := given("shared", "drain a\noutcome isolate CONFIRMED_OFF\ndepose a\n"); !fenced(w) {
		t.Errorf("it waits for a lease that was given back\n%s", w.out.String())
	}
}

// A leader fences a rogue of g1 and is frozen. A person's word ends that, so that g1 could be deleted, or be given other machines: then nobody would
// know any more what the lease of the frozen one is about.
func TestS15_MachinesOfALeaseStayKnown(t *testing.T) {
	const fleet = `arbiters a b c
group g1 pg-a pg-b sync=pg-a max_loss=none fence=pg-a:shared refence_rogues=yes lease=5s
group g2 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared
reign a 1
observe all: g1: pg-a=standby@10 pg-b=primary@10 g2: pg-a=primary@10 pg-b=standby@10
adopt g1
adopt g2
observe all: g1: pg-a=primary@10
observe all: g1: pg-a=down(refused)
depose a
reign b 2
observe all
attest g1 pg-a
`
	fenced := func(w *world) bool { _, ok := w.arbiters["b"].started["g2"]; return ok }
	for name, change := range map[string]string{
		"deleted":         "delete g1",
		"another machine": "group g1 pg-a pg-b sync=pg-a max_loss=none fence=pg-a:own lease=5s",
		"taken out":       "group g1 pg-b sync=pg-b max_loss=none lease=5s",
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, fleet)
			g := w.state.Group("g1")
			if g.Operation != nil || g.Lease == nil || g.Lease.Holder != "a" {
				t.Fatalf("operation %v, lease %v\n%s", g.Operation, g.Lease, w.out.String())
			}
			refused := func() bool {
				before := w.out.Len()
				w.do(t, change)
				return strings.Contains(w.out.String()[before:], "[S15]: a may still be acting on the machines of g1")
			}
			if !refused() {
				t.Fatalf("it is not refused\n%s", w.out.String())
			}
			w.do(t, "observe all: g2: pg-a=down(refused)\nlook-again answers\ntick 4s")
			if fenced(w) {
				t.Errorf("the machine is fenced beside one who may still fence it\n%s", w.out.String())
			}
			w.do(t, "tick 2s")
			if !fenced(w) || w.state.Group("g1").Lease != nil {
				t.Errorf("it is waited for longer than the lease lasts\n%s", w.out.String())
			}
			if refused() {
				t.Errorf("it is refused for longer\n%s", w.out.String())
			}
		})
	}
}

// A leader is frozen while it fences a rogue of g1, and hears of all that came after at once, when its lease has long run out and g1 was deleted, perhaps
// made anew. What runs is ended then, and until it has ended its machine is fenced for no other group.
func TestS15_WhatRunsOfADeletedGroupIsEndedFirst(t *testing.T) {
	const fleet = `arbiters a b c
group g1 pg-a pg-b sync=pg-a max_loss=none fence=pg-a:shared refence_rogues=yes
group g2 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared
reign a 1
observe all: g1: pg-a=standby@10 pg-b=primary@10 g2: pg-a=primary@10 pg-b=standby@10
adopt g1
adopt g2
observe all: g1: pg-a=primary@10
`
	const anew = "group g1 pg-a pg-b\n"
	stuck := map[string]bool{"deleted, and it hangs": true, "made anew, and it hangs": true}
	const meanwhile = "observe b,c: g1: pg-a=down(refused)\nreign b 2\nobserve b,c\nattest g1 pg-a\ntick 3s\ndelete g1\n"
	for name, then := range map[string]string{"deleted": "", "made anew": anew, "deleted, and it hangs": "", "made anew, and it hangs": anew} {
		t.Run(name, func(t *testing.T) {
			w := given(t, fleet)
			frozen := w.arbiters["a"]
			old := frozen.started["g1"].Action
			delete(frozen.started, "g1")
			delete(w.arbiters, "a")
			w.order = []NodeID{"b", "c"}
			w.do(t, meanwhile+then)
			w.arbiters["a"], w.order = frozen, []NodeID{"a", "b", "c"}
			now := w.state
			w.step(frozen, Applied{State: &now})
			if said := "a: cancel the action of g1: "; old.Kind != ActionIsolate || strings.Count(w.out.String(), said) != 1 {
				t.Fatalf("%s %s is not cancelled once\n%s", old.Kind, old.Member, w.out.String())
			}
			w.do(t, "depose b\nreign a 3\nobserve all: g2: pg-a=down(refused)\nlook-again answers\ntick 3s")
			if _, fenced := frozen.started["g2"]; fenced {
				t.Errorf("the machine is fenced beside what runs\n%s", w.out.String())
			}
			if stuck[name] {
				if w.do(t, "tick 3s"); frozen.handOver.Why != "the cancelled action of g1 does not end" {
					t.Errorf("handed over: %q\n%s", frozen.handOver.Why, w.out.String())
				}
				return
			}
			w.step(frozen, ActionEnded{Group: "g1", Intent: old.Intent, Outcome: offProof()})
			if w.do(t, "tick 100ms"); frozen.started["g2"].Action.Kind != ActionIsolate {
				t.Errorf("it is not fenced once that has ended\n%s", w.out.String())
			}
			if gone := w.state.Group("g1") == nil; gone != (frozen.controller.groups["g1"] == nil) {
				t.Errorf("what is kept of g1: %+v", frozen.controller.groups["g1"])
			}
		})
	}
}

// A held fence keeps its lease while it waits: to take another one for each look would fill the log.
func TestS15_AHeldFenceWaitsToo(t *testing.T) {
	w := given(t, `arbiters a b c
group g1 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared lease=30s
group g2 pg-a pg-b sync=pg-b max_loss=none fence=pg-a:shared
reign a 1
observe all: g1: pg-a=primary@10 pg-b=standby@10 g2: pg-a=primary@10 pg-b=standby@10
adopt g1
adopt g2
observe all: g2: pg-a=down(refused)
look-again answers
outcome isolate UNKNOWN
tick 1s
outcome isolate UNKNOWN
tick 1s
outcome isolate UNKNOWN
observe all: g1: pg-a=down(refused)
look-again answers
depose a
reign b 2
observe all
tick 11s
`)
	g := w.state.Group("g2")
	if g.Stage != Held || g.Operation.Intent == nil {
		t.Fatalf("g2 is %s\n%s", g.Stage, w.out.String())
	}
	w.wantStarted(t, "b")
	epoch := g.Epoch
	w.do(t, "tick 18s")
	if got := w.state.Group("g2").Epoch; got != epoch {
		t.Errorf("epoch %d, and it was %d: the lease was given back", got, epoch)
	}
	w.wantStarted(t, "b")
	w.do(t, "tick 2s")
	if _, ok := w.arbiters["b"].started["g2"]; !ok {
		t.Errorf("it is not tried again\n%s", w.out.String())
	}
}

func TestController_EndsAProcessThatCannotCommit(t *testing.T) {
	w := given(t, adopted+"keep a\nobserve all: pg-a=down(refused)\ntick 4s\n")
	if strings.Contains(w.out.String(), "a: halt") {
		t.Error("too early")
	}
	w.do(t, "tick 2s")
	if !strings.Contains(w.out.String(), "a: halt") {
		t.Error(w.out.String())
	}
}

// Each attempt to confirm leadership ends after a while. All in a row have one bound, and one that comes begins anew.
func TestController_EndsAProcessThatIsNeverConfirmed(t *testing.T) {
	attempts := func(w *world, n int) {
		for range n {
			w.do(t, "tick 400ms\nconfirm a fail\ntick 60ms")
		}
	}
	w := given(t, leased+"confirm a by-hand\nlook-again answers\n")
	attempts(w, 10)
	if strings.Contains(w.out.String(), "a: halt") {
		t.Fatalf("too early\n%s", w.out.String())
	}
	w.do(t, "tick 500ms")
	if !strings.Contains(w.out.String(), "a: halt") {
		t.Errorf("it goes on without ever being confirmed\n%s", w.out.String())
	}

	w = given(t, leased+"confirm a by-hand\nlook-again answers\n")
	attempts(w, 10)
	w.do(t, "confirm a ok\noutcome isolate UNKNOWN")
	attempts(w, 9)
	if strings.Contains(w.out.String(), "a: halt") {
		t.Errorf("it was confirmed in between\n%s", w.out.String())
	}
}

// Scenario of a stuck executor: draining does not wait for it for ever.
func TestController_DrainsBesideAnActionThatDoesNotEnd(t *testing.T) {
	w := given(t, isolating+"drain a\ntick 4s\n")
	if strings.Contains(w.out.String(), "a: hand over") {
		t.Error("handed over while an action still ran")
	}
	w.do(t, "tick 2s")
	if !strings.Contains(w.out.String(), "a: hand over") {
		t.Error(w.out.String())
	}
	if w.group(t).Lease == nil {
		t.Error("the lease was released although something may still run")
	}
}

// A leader whose reign is refused leads and never reigns: it must not go on.
func TestS8_WhoseReignIsRefusedLeadsNoMore(t *testing.T) {
	w := given(t, "arbiters a b c\ngroup orders pg-a pg-b\nkeep a\nreign a 1\n")
	a := w.arbiters["a"]
	w.step(a, ProposalEnded{ID: a.controller.begin.id, Refused: true})
	if !strings.Contains(w.out.String(), `a: hand over to "": its reign was refused`) {
		t.Fatal(w.out.String())
	}
	w.step(a, HandOverFailed{ID: a.handOver.ID})
	w.do(t, "tick 11s")
	if !strings.Contains(w.out.String(), "a: halt") {
		t.Errorf("leads on without reigning:\n%s", w.out.String())
	}
}

// outcomeRefused answers the outcome that an arbiter proposed, and says how much it has proposed since.
func (w *world) outcomeRefused(a *arbiter) (proposed int) {
	before := len(a.late)
	w.step(a, ProposalEnded{ID: a.controller.groups["orders"].proposed.id, Refused: true})
	w.settle()
	return len(a.late) - before
}

// An outcome that can't be written to the log, for whatever it says, is written as unknown: the action is not done again and again meanwhile.
func TestController_AnOutcomeThatIsRefusedIsUnknown(t *testing.T) {
	w := given(t, isolating+"keep a\noutcome isolate CONFIRMED_OFF\n")
	a := w.arbiters["a"]
	if n := w.outcomeRefused(a); n != 1 {
		t.Fatalf("proposed %d entries, want another outcome\n%s", n, w.out.String())
	}
	w.wantStarted(t, "a")
	a.late = a.late[1:]
	w.do(t, "commit a")
	if op := w.group(t).Operation; op.Attempts != 1 || op.Steps[len(op.Steps)-1].Detail != unrecorded {
		t.Errorf("%+v", op)
	}
	w.do(t, "keep a no")
	w.step(a, ProposalEnded{ID: a.controller.groups["orders"].proposed.id})
	w.do(t, "tick 1s")
	w.wantStarted(t, "a", ActionIsolate) // the next try
}

// A leader that can't even record that is of another mind than the log.
func TestController_GivesUpLeadershipWhenNoOutcomeIsTaken(t *testing.T) {
	w := given(t, isolating+"keep a\noutcome isolate CONFIRMED_OFF\n")
	a := w.arbiters["a"]
	w.outcomeRefused(a)
	if n := w.outcomeRefused(a); n != 0 || !strings.Contains(w.out.String(), `a: hand over to "": the outcome of an action of orders was refused`) {
		t.Errorf("proposed %d entries\n%s", n, w.out.String())
	}
}

func TestController_IgnoresWhatIsNotItsOwn(t *testing.T) {
	w := given(t, isolating)
	a := w.arbiters["a"]
	before := w.out.Len()
	for _, what := range []any{
		ProposalEnded{ID: 1},
		ProposalEnded{ID: 1 << 40, Refused: true},
		ConfirmEnded{ID: 7, OK: true},
		ActionEnded{Group: "nobody"},
		ActionEnded{Group: "orders", Intent: 1},
		ViewSilent{Node: "x"},
		Elected{Term: 1},
		Tick{},
	} {
		w.step(a, what)
	}
	if len(a.proposals) != 0 || w.out.Len() != before {
		t.Errorf("%v %s", a.proposals, w.out.String()[before:])
	}
	w.wantStarted(t, "a", ActionIsolate)
}

// An operation that begins while the lease of the one before is still held takes an epoch of its own.
func TestS5_EveryOperationTakesAnEpochOfItsOwn(t *testing.T) {
	w := given(t, leased+"look-again a\n")
	g := *w.group(t)
	g.Stage = Confirmed
	w.state.Groups = []*Group{&g}
	if d := Plan(&w.state, "orders", Durations{SinceLastFailover: -1, LeaseLeft: time.Second}); d.Step != StepAcquire {
		t.Errorf("%+v", d)
	}
}

// A leader that no majority follows starts nothing, whatever it knows, proposed or was about to do: neither while its entries aren't
// committed, nor while nobody confirms that it leads, nor when it has stepped down.
func TestS11_WithoutAQuorumNothingIsFencedOrPromoted(t *testing.T) {
	fence, promotion := "look-again answers\n", "outcome catch_up pg-b@1000 pg-c@990\n"
	for name, test := range map[string]struct{ before, without, then, still string }{
		"entries not committed: fence":     {before: leased, without: "keep a\n", then: fence},
		"entries not committed: promotion": {before: catchingUp, without: "keep a\n", then: promotion},
		"not confirmed: fence":             {before: leased, without: "confirm a by-hand\n", then: fence, still: "confirm a fail\n"},
		"not confirmed: promotion":         {before: catchingUp, without: "confirm a by-hand\n", then: promotion, still: "confirm a fail\n"},
		"deposed: fence":                   {before: leased, without: "depose a\n", then: fence},
		"deposed: promotion":               {before: catchingUp, without: "depose a\n", then: promotion},
	} {
		t.Run(name, func(t *testing.T) {
			starts := func(commands string) int { return strings.Count(given(t, commands).out.String(), ": start ") }
			before := starts(test.before)
			if with := starts(test.before + test.then); with != before+1 {
				t.Fatalf("with a quorum %d actions start, want one", with-before)
			}
			if without := starts(test.before + test.without + test.then + test.still + "tick 1s\ntick 1m\ntick 1h\n"); without != before {
				t.Errorf("without a quorum %d actions start", without-before)
			}
		})
	}
}

// TestS10_TheCooldownTrustsNoWallClockForWhatWasSeen: only of a failover before this process began does nothing else tell how long ago it was.
func TestS10_TheCooldownTrustsNoWallClockForWhatWasSeen(t *testing.T) {
	const day = WallTime(24 * time.Hour)
	w := given(t, strings.Replace(finished, "adopt orders\n", "adopt orders\ntick 10m\n", 1)+"tick 2m\n")
	since := func(c *Controller, wall WallTime) time.Duration {
		return c.Durations("orders", w.now, wall).SinceLastFailover
	}
	for _, skew := range []WallTime{-day, 0, day} {
		if got := since(w.arbiters["b"].controller, w.wall()+skew); got != 2*time.Minute {
			t.Errorf("seen 2 minutes ago, by a clock that is off by %s: %s", time.Duration(skew), got)
		}
	}
	state := w.state
	restarted := NewController("b", DefaultSettings("c1"), &state, w.now)
	if got := since(restarted, w.wall()); got != 2*time.Minute {
		t.Errorf("after a restart: %s", got)
	}
	w.now += time.Minute
	if got := since(restarted, w.wall()-day); got != time.Minute {
		t.Errorf("a minute after a restart, by a clock that is behind: %s", got)
	}
	empty := NewState()
	replaying := NewController("b", DefaultSettings("c1"), &empty, w.now-time.Second)
	replaying.Step(Input{Now: w.now, Wall: w.wall(), What: Applied{State: &state}})
	if got := since(replaying, w.wall()); got != 3*time.Minute {
		t.Errorf("replayed: %s", got)
	}
}

// TestS6_AnOutcomeIsConfirmedAtAPace: an arbiter that does not lead any more is told at once that it doesn't, as often as it asks.
func TestS6_AnOutcomeIsConfirmedAtAPace(t *testing.T) {
	w := given(t, isolating+"confirm a by-hand\noutcome isolate CONFIRMED_OFF\n")
	a := w.arbiters["a"]
	for range 3 {
		if len(a.confirms) != 1 {
			t.Fatalf("%d confirmations are asked for", len(a.confirms))
		}
		w.do(t, "confirm a fail\n")
		if len(a.confirms) != 0 {
			t.Fatal("it asks again at once")
		}
		w.do(t, "tick 60ms\n")
	}
	w.do(t, "confirm a ok\n")
	if got := w.group(t).Stage; got == Isolating {
		t.Errorf("the outcome is not committed: %s", got)
	}
}

// TestS8_AnOutcomeOfAnEarlierReignIsForgotten: what this arbiter was about to say of an action, when it lost its reign, has nothing to do with what
// is refused to it in its next one.
func TestS8_AnOutcomeOfAnEarlierReignIsForgotten(t *testing.T) {
	w := given(t, isolating+"keep a\noutcome isolate CONFIRMED_OFF\ndepose a\nlose a\nkeep a no\nreign a 9\nkeep a\ntick 5s\n")
	gc := w.arbiters["a"].controller.groups["orders"]
	if gc.proposed.id == 0 {
		t.Fatalf("it asks for nothing\n%s", w.out.String())
	}
	w.step(w.arbiters["a"], ProposalEnded{ID: gc.proposed.id, Refused: true})
	if gc.ended != nil {
		t.Errorf("it wants to conclude %+v", gc.ended)
	}
}
