package failover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func (w *world) adopt(member MemberName, attested ...MemberName) Adopt {
	return Adopt{Request: w.request(), Group: "orders", Member: member, Seen: w.state.Applied, Attested: attested}
}

// heldPromoting is held in the promotion of pg-b, which was tried three times and may yet take effect; pg-a has come back.
const heldPromoting = promoting + `outcome promote failed
tick 1s
outcome promote failed
tick 1s
outcome promote failed
tick 1s
pause orders
observe all: pg-a=primary@1000
`

// A promotion takes effect when the replay of the candidate ends, however long ago it was asked for.
func TestS7_AnUnprovenPromotionStandsInTheWayOfAnAdoption(t *testing.T) {
	w := given(t, heldPromoting)
	w.wantStage(t, Held)
	if w.group(t).Lease != nil {
		t.Fatalf("the lease is not released: %+v", w.group(t).Lease)
	}
	w.refused(t, "S7", "", 0, w.adopt("pg-a"))
	w.refused(t, "S7", "", 0, w.adopt(""))
	w.refused(t, "S3", "", 0, w.adopt("pg-a", "pg-b")) // it answers
	w.do(t, "observe all: pg-b=down(refused)")
	w.accepted(t, "", 0, w.adopt("pg-a", "pg-b"))
	w.wantAuthorities(t, writer, none, none)
}

// The candidate was given up, and its fence gave no proof.
func TestS7_ACandidateThatWasGivenUpMayYetBePromoted(t *testing.T) {
	w := given(t, promoting+"keep a\noutcome promote unknown\ncommit a\n")
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-b"))
	w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultUnknown}))
	w.accepted(t, "a", 1, HoldOperation{Group: "orders", Operation: w.group(t).Operation.ID, Reason: HoldFenceUnproven, Detail: "test"})
	w.accepted(t, "a", 1, ReleaseLease{Group: "orders", Holder: "a", Epoch: 2})
	w.do(t, "observe all: pg-a=primary@1000")
	w.refused(t, "S7", "", 0, w.adopt("pg-a"))
}

func TestS7_WhatEndsAPromotion(t *testing.T) {
	tests := []struct {
		name, commands string
		pending        bool
	}{
		{"nothing", "", true},
		{"it failed", "keep a\noutcome promote failed\ncommit a", true},
		{"its success", "keep a\noutcome promote done\ncommit a", false},
		{"an operator's restore does not", "restored x above=9", true},
	}
	for _, test := range tests {
		w := given(t, promoting+test.commands)
		if got := w.group(t).Member("pg-b").Promoting; got != test.pending {
			t.Errorf("%s: pending %v", test.name, got)
		}
	}
	w := given(t, heldPromoting+"observe all: pg-a=down(refused) pg-b=primary@1000\n")
	w.accepted(t, "", 0, w.adopt("pg-b", "pg-a")) // it has become the primary after all
	w.wantAuthorities(t, none, writer, none)
	if w.group(t).Member("pg-b").Promoting {
		t.Error("the promotion of an adopted writer is pending")
	}
}

// An old leader that is cut off may act until its lease has run out.
func TestS0_NotBesideALease(t *testing.T) {
	w := given(t, isolating+"keep a\ntick 1s\nreign b 2\nobserve all: pg-a=primary@1000\nabort orders\n")
	may := w.arbiters["a"].started["orders"].LeaseUntil
	if w.now >= may || w.group(t).Lease == nil {
		t.Fatalf("a may act until %s, now %s", may, w.now)
	}
	w.refused(t, "S0", "", 0, w.adopt("pg-a"))
	w.do(t, "tick 3s")
	if l := w.group(t).Lease; l != nil || w.now < may {
		t.Fatalf("the leader did not end the lease that it has waited out: %+v", l)
	}
	w.accepted(t, "", 0, w.adopt("pg-a"))
}

func TestS8_OnlyWhoReignsEndsALease(t *testing.T) {
	release := ReleaseLease{Group: "orders", Holder: "b", Epoch: 2}
	w := given(t, isolating)
	w.refused(t, "S8", "b", 1, release)
	w.refused(t, "S8", "a", 2, release)
	w.accepted(t, "b", 2, BeginReign{Term: 2, Leader: "b"})
	w.refused(t, "S8", "a", 1, release)
	w.accepted(t, "b", 2, release)
}

// The next leader ends a lease that nobody needs only when it must have run out on any clock.
func TestS8_AForeignLeaseIsWaitedOutBeforeItEnds(t *testing.T) {
	w := given(t, leased+"depose a\nreign b 2\nobserve all: pg-a=primary@1000\n")
	began := w.now
	for w.group(t).Lease != nil {
		w.do(t, "tick 10ms")
		if w.now > began+time.Minute {
			t.Fatal("the lease never ends")
		}
	}
	if waited := w.now - began; waited < 2*time.Second {
		t.Errorf("it ended after %s, its length is 2 s", waited)
	}
}

func TestS8_NoLeaseIsReleasedBesideWhatRuns(t *testing.T) {
	tests := []struct{ name, commands string }{
		{"the operation ended", finished + "observe c: pg-a=primary@1000\nobserve all: pg-a=down(refused)\nattest orders pg-a\n"},
		{"it is held", isolating + "abort orders\n"},
		{"it was restored", isolating + "restored x above=9\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.commands)
			if node, _ := w.running(""); node == nil || w.group(t).Lease == nil {
				t.Fatalf("nothing runs, or without a lease\n%s", w.out.String())
			}
			w.do(t, "outcome isolate failed")
			if w.group(t).Lease != nil {
				t.Error("the lease is not released when nothing runs any more")
			}
		})
	}
}

// A guard that fails before the first action gives the lease back, not beside what runs.
func TestPlan_AReleaseWaitsForWhatRuns(t *testing.T) {
	w := given(t, ready+"pause orders\n")
	d := Durations{LeaseLeft: time.Second, VerdictStood: time.Hour, SinceLastFailover: -1}
	if got := Plan(&w.state, "orders", d).Step; got != StepRelease {
		t.Fatalf("with nothing running: %s", got)
	}
	d.Running = true
	if got := Plan(&w.state, "orders", d); got.Step != StepNone {
		t.Errorf("beside an action: %s (%s)", got.Step, got.Detail)
	}
}

func (w *world) attest(t *testing.T, member MemberName) Attest {
	return Attest{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied, Member: member}
}

// That nobody has looked says nothing: after a change of leader, a view that went silent, or in doubt.
func TestS3_APersonsWordIsBorneOutByAMajority(t *testing.T) {
	const looked = isolating + "outcome isolate UNKNOWN\nobserve all: pg-a=down(refused)\n"
	tests := []struct {
		name, commands string
		refused        bool
	}{
		{"all have looked", looked, false},
		{"two have looked", looked + "silent a c", false},
		{"one has looked", looked + "silent a b\nsilent a c", true},
		{"one has looked, the others doubt themselves", looked + "doubt b slow\ndoubt c slow", true},
		{"nobody since the change of leader", looked + "depose a\nreign b 2", true},
		{"all since the change of leader", looked + "depose a\nreign b 2\nobserve all", false},
		{"nobody since it was revoked", isolating + "outcome isolate UNKNOWN", true},
		{"nobody since it was unmasked", finished + "observe c: pg-a=primary@1000\nobserve c: pg-a=down(refused)", true},
		{"nobody can tell", looked + "observe all: pg-a=unknown(bad-configuration)", true},
		{"its name is not found any more", isolating + "outcome isolate UNKNOWN\nobserve all: pg-a=unknown(name-not-found)", false},
		{"its name was not found before it was revoked only", adopted + "observe all: pg-a=unknown(name-not-found)\nobserve all: pg-a=down(refused)\nlook-again answers\noutcome isolate UNKNOWN", true},
		{"the name servers are in trouble", isolating + "outcome isolate UNKNOWN\nobserve all: pg-a=unknown(arbiter-trouble)", true},
		{"it refuses a password", looked + "observe c: pg-a=unknown(bad-credentials)", true},
		{"it writes for one of them", looked + "observe c: pg-a=primary@1000", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.commands)
			if test.refused {
				w.refused(t, "S3", "", 0, w.attest(t, "pg-a"))
			} else {
				w.accepted(t, "", 0, w.attest(t, "pg-a"))
			}
		})
	}
}

// What passes by itself is waited for; what keeps arbiters from asking is mended. That a name is not found counts once it is looked for anew.
func TestS3_ARefusedWordSaysWhatToDo(t *testing.T) {
	const wait, mend = "wait for their looks", "mend that first"
	for commands, want := range map[string]string{
		isolating: wait,
		adopted + "observe all: pg-a=unknown(name-not-found)\nobserve all: pg-a=down(refused)\nlook-again answers\n": wait,
		adopted + "observe all: pg-a=unknown(name-not-found)\nfailover orders\nlook-again answers\n":                 wait,
		isolating + "outcome isolate UNKNOWN\nobserve all: pg-a=unknown(bad-configuration)\n":                        mend,
	} {
		w := given(t, commands)
		if refusal, refused := w.entry("", 0, w.attest(t, "pg-a")); !refused || !strings.Contains(refusal.Next, want) {
			t.Errorf("after %q: %q advises %q, want %q", commands, refusal.Text, refusal.Next, want)
		}
	}
}

// Who is refused must see why, for each arbiter: what one of them can't tell is mended there.
func TestS3_ARefusedWordNamesWhatEachArbiterSaw(t *testing.T) {
	w := given(t, isolating+"outcome isolate UNKNOWN\nobserve a: pg-a=down(refused)\nobserve b: pg-a=unknown(bad-configuration)\nsilent a c\n")
	refusal, ok := w.entry("", 0, w.attest(t, "pg-a"))
	const want = "1 of 3 arbiters have looked at pg-a and got no answer, 2 are needed (a: refused; b: bad-configuration; c: its view is void)"
	if !ok || refusal.Text != want {
		t.Errorf("%q, want %q", refusal.Text, want)
	}
	w = given(t, isolating+"doubt b slow\n")
	refusal, ok = w.entry("", 0, w.attest(t, "pg-a"))
	if !ok || !strings.HasSuffix(refusal.Text, "(a: refused, too long ago; b: it doubts itself; c: refused, too long ago)") {
		t.Errorf("%q", refusal.Text)
	}
}

// A person's word is kept with what it was given on: that nobody found the name is not that somebody asked the machine, and a machine that
// refuses connections is not off.
func TestS3_APersonsWordIsKeptWithWhatTheArbitersSaw(t *testing.T) {
	const nobody = "no arbiter has reached its address: its name is not found ("
	const runs = "; its machine refuses connections, so it runs: nothing of the service may be left on it"
	const goesOn = "a frozen service writes again when it goes on, so the machine must be without power"
	const frozen = "; its machine accepts connections, so it runs: " + goesOn
	for seen, want := range map[string]string{
		"observe all: pg-a=down(refused)\nobserve b: pg-a=frozen": "looked at (a: refused; b: timeout; c: refused)" + frozen,
		"observe all: pg-a=was-frozen(12.7s)\nobserve b: pg-a=was-frozen(1h)": "looked at (a: timeout; b: timeout; c: timeout); " +
			"its machine accepted a connection 12s before, so it ran then: " + goesOn,
		"observe all: pg-a=was-frozen(3s)\nobserve b: pg-a=down(refused)": "looked at (a: timeout; b: refused; c: timeout); " +
			"its machine accepted a connection 3s before, so it ran then: " + goesOn + runs,
		"observe all: pg-a=was-frozen(3s)\nobserve c: pg-a=frozen":                    "looked at (a: timeout; b: timeout; c: timeout)" + frozen,
		"observe all: pg-a=down(refused)\nobserve c: pg-a=was-frozen(3s)\nsilent a c": "looked at (a: refused; b: refused; c: its view is void)" + runs,
		"observe all: pg-a=down(timeout)":                                             "looked at (a: timeout; b: timeout; c: timeout)",
		"observe all: pg-a=down(timeout)\nobserve b: pg-a=down(reset)":                "looked at (a: timeout; b: reset; c: timeout)" + runs,
		"observe all: pg-a=down(refused)\nobserve c: pg-a=unknown(name-not-found)":    "looked at (a: refused; b: refused; c: name-not-found)" + runs,
		"observe all: pg-a=unknown(name-not-found)":                                   nobody + "a: name-not-found; b: name-not-found; c: name-not-found)",
		"observe all: pg-a=unknown(name-not-found)\nsilent a c":                       nobody + "a: name-not-found; b: name-not-found; c: its view is void)",
	} {
		w := given(t, isolating+"outcome isolate UNKNOWN\n"+seen)
		w.accepted(t, "", 0, w.attest(t, "pg-a"))
		m, steps := w.group(t).Member("pg-a"), w.group(t).Operation.Steps
		if step := steps[len(steps)-1]; step.Name != "attest" || !strings.HasSuffix(step.Detail, want) || m.Proof.Detail != step.Detail {
			t.Errorf("%+v, proof %+v: want %q", step, m.Proof, want)
		}
		if !strings.Contains(w.out.String(), want) {
			t.Errorf("no event says %q:\n%s", want, w.out.String())
		}
	}
	w := given(t, adopted+"observe all: pg-c=unknown(name-not-found)\n")
	w.accepted(t, "", 0, Adopt{Request: Request{Actor: "dana", Reason: "pulled out"}, Group: "orders", Member: "pg-a", Seen: w.state.Applied, Attested: []MemberName{"pg-c"}})
	if detail := w.group(t).Member("pg-c").Proof.Detail; !strings.HasPrefix(detail, "pulled out; "+nobody) || !strings.Contains(w.out.String(), detail) {
		t.Errorf("%q\n%s", detail, w.out.String())
	}
}

// That a name is not found says nothing of the machine: it counts for no verdict, whatever it counts for beside a person's word.
func TestTally_ANameThatIsNotFoundIsNoVerdict(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=unknown(name-not-found)\nlook-again answers\ntick 1m\n")
	w.wantStage(t, Steady)
	if v := Tally(&w.state, w.group(t), "pg-a"); v.Status != StatusUnknown || len(v.For) != 0 {
		t.Errorf("%+v", v)
	}
}

// What was seen at a member's old address is not seen of the member, also if the look was under way when the spec changed.
func TestS0_LooksAtAnOldAddressCountForNothing(t *testing.T) {
	for _, change := range []string{"address=pg-b:10.9.9.9:5432", "fence=pg-b:other"} {
		w := given(t, adopted+"paths a orders pg-b armed\n")
		before := w.state.Applied
		w.do(t, "apply orders "+change)
		w.refused(t, "S0", "", 0, w.adopt("pg-a"))
		if armed, _ := MemberArmed(&w.state, w.group(t), "pg-b"); armed {
			t.Error("the fence path of the old address is armed")
		}
		for _, node := range w.order {
			a := w.arbiters[node]
			a.sequence++
			w.commit("", 0, Observe{Batches: []Batch{{
				Node: node, Incarnation: 1, Sequence: a.sequence, FencePaths: []FencePath{{Group: "orders", Member: "pg-b", Armed: true, AsOf: before}},
				Observations: []Observation{standbyAt(1000).observation("orders", "pg-b", SyncRule{}, before, 0)},
			}}})
		}
		w.refused(t, "S0", "", 0, w.adopt("pg-a"))
		if armed, _ := MemberArmed(&w.state, w.group(t), "pg-b"); armed {
			t.Error("the fence path was asked for before the spec changed")
		}
		w.do(t, "observe all")
		w.accepted(t, "", 0, w.adopt("pg-a"))
	}
}

// A group of the same name that is made anew is another one.
func TestS0_LooksAtADeletedGroupCountForNothing(t *testing.T) {
	w := given(t, adopted)
	before := w.state.Applied
	w.do(t, "delete orders\ngroup orders pg-a pg-b pg-c")
	a := w.arbiters["a"]
	a.sequence++
	w.commit("", 0, Observe{Batches: []Batch{{
		Node: "a", Incarnation: 1, Sequence: a.sequence,
		Observations: []Observation{standbyAt(1000).observation("orders", "pg-b", SyncRule{}, before, 0)},
	}}})
	if looks := w.group(t).Looks; len(looks) != 0 {
		t.Errorf("%+v", looks)
	}
}

// The looks that decide whether a candidate is given up are looks at the candidate.
func TestS7_TheArbitersAreAskedAboutTheCandidate(t *testing.T) {
	tests := []struct {
		op   Operation
		want MemberName
	}{
		{Operation{From: "pg-a", Wanted: "pg-c"}, "pg-a"},
		{Operation{From: "pg-a", Candidate: "pg-b"}, "pg-b"},
		{Operation{Wanted: "pg-c"}, "pg-c"}, // adopted without a writer
	}
	for _, test := range tests {
		if got := test.op.inQuestion(); got != test.want {
			t.Errorf("%+v: %s, want %s", test.op, got, test.want)
		}
	}
	w := given(t, promoting)
	var asked AskAgain
	s := w.state
	next, _ := Next(s, Entry{Index: s.Applied + 1, Term: 1, Proposer: "a", Body: Observe{Batches: downBatches(w, "pg-b")}})
	for _, o := range w.arbiters["a"].controller.Step(Input{Now: w.now, Wall: w.wall(), What: Applied{State: &next}}) {
		if a, ok := o.(AskAgain); ok {
			asked = a
		}
	}
	if asked.Member != "pg-b" {
		t.Errorf("asked %+v", asked)
	}
}

// downBatches are what all arbiters send that see a member refuse.
func downBatches(w *world, member MemberName) []Batch {
	var batches []Batch
	for _, node := range w.order {
		w.arbiters[node].sees["orders"][member] = dead(ReasonRefused)
		batches = append(batches, w.batch(w.arbiters[node], map[GroupName][]MemberName{"orders": {member}}))
	}
	return batches
}

// Who would be promoted by an adoption and never is leaves the group without a writer and without a way on.
func TestAdoptToPromoteAsksForAPriority(t *testing.T) {
	w := given(t, "arbiters a b c\ngroup orders pg-a pg-b priority=pg-b:0\nreign a 1\nobserve all: pg-a=down(refused) pg-b=standby@9")
	w.refused(t, "", "", 0, w.adopt("pg-b", "pg-a"))
	w.wantAuthorities(t, unset, unset)
}

// A look from before a promotion ended shows its new primary in recovery. Whoever adopts by such looks would take the right to write from
// the only one that writes.
func TestS0_LooksFromBeforeThePromotionEndedAreNoneOfAStandby(t *testing.T) {
	w := given(t, promoting+"observe all: pg-a=down(refused) pg-c=down(refused)\n")
	w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultDone}))
	w.accepted(t, "a", 1, HoldOperation{Group: "orders", Operation: w.group(t).Operation.ID, Reason: HoldVerify, Detail: "test"})
	w.accepted(t, "a", 1, ReleaseLease{Group: "orders", Holder: "a", Epoch: w.group(t).Epoch})
	w.wantAuthorities(t, none, writer, none)
	w.refused(t, "S0", "", 0, w.adopt("pg-b", "pg-a", "pg-c"))
	w.do(t, "observe all: pg-b=last-standby@1000") // looked at since, and told nothing
	w.refused(t, "S0", "", 0, w.adopt("pg-b", "pg-a", "pg-c"))
	w.do(t, "observe all: pg-b=primary@1000")
	w.accepted(t, "", 0, w.adopt("pg-b", "pg-a", "pg-c"))
	w.wantAuthorities(t, none, writer, none)
}

// What a hold for a rogue names beside a fence is what works once the rogue is a standby again, also where another member is gone.
func TestAdoptionOfAGroupWhoseRogueIsMended(t *testing.T) {
	const vouched = "arbiterctl adopt orders --member pg-a --attest pg-b --seen 7 --reason \"...\""
	for seen, want := range map[string][]string{
		"": {"or make it a standby again: arbiterctl adopt orders"},
		"observe all: pg-b=down(no-route)\n": {
			"or make it a standby again; beside it, no arbiter reaches pg-b: start it as a standby, and adopt the group then; or make sure that it will not write, and vouch for it, also if it was fenced before:",
			vouched,
		},
		"observe b: pg-c=unknown(bad-credentials)\n": {"or make it a standby again: arbiterctl adopt orders"},
		"observe all: pg-a=down(no-route)\n":         {"or make it a standby again; beside it, nobody is seen accepting writes: start the primary; then:", "arbiterctl adopt orders"},
	} {
		w := given(t, "arbiters a b c\ngroup orders pg-a pg-b pg-c refence_rogues=no\nreign a 1\nobserve all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990\nadopt orders\n"+
			"observe all: pg-c=primary@1000\n"+seen)
		w.wantHeld(t, HoldRefenceByHand)
		next := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}).Next
		if got := next[min(2, len(next)):]; !slices.Equal(got, want) {
			t.Errorf("after %q: %q, want %q", seen, got, want)
		}
		if len(want) > 1 && want[1] == vouched {
			w.do(t, "observe all: pg-c=standby@1000\n")
			w.accepted(t, "", 0, w.adopt("pg-a", "pg-b"))
		}
	}
}

// A device that calls a member off while the arbiter that asked sees it answer is that of another machine: its proof would be about that one.
func TestScenario28_ADeviceOfAnotherMachineArmsNobody(t *testing.T) {
	armed := func(w *world) bool {
		armed, _ := MemberArmed(&w.state, w.group(t), "pg-b")
		return armed
	}
	w := given(t, adopted+"paths a orders pg-b off\n")
	if _, why := MemberArmed(&w.state, w.group(t), "pg-b"); armed(w) || !strings.Contains(why, "another machine") {
		t.Errorf("its device calls it off while it answers: %q", why)
	}
	w.do(t, "paths c orders pg-b armed")
	if armed(w) {
		t.Error("its device calls it off to one arbiter, and on to another")
	}
	w = given(t, adopted+"observe all: pg-b=down(no-route)\npaths a orders pg-b off\n")
	if !armed(w) {
		t.Error("a machine that is off is called off")
	}
	w.do(t, "observe all: pg-b=standby@1000")
	if !armed(w) {
		t.Error("it was switched on after its device was asked")
	}
	w.do(t, "paths a orders pg-b off")
	if armed(w) {
		t.Error("it answers, and its device calls it off again")
	}
}

// Right after `apply` nobody has looked yet; that passes by itself, and somebody who writes a script must know.
func TestAnAdoptionBeforeTheFirstLookSaysToAskAgain(t *testing.T) {
	fresh := "arbiters a b c\ngroup orders pg-a pg-b pg-c\nreign a 1\n"
	for looks, want := range map[string]string{
		"": "ask again in some seconds",
		"observe a pg-a=standby@1 pg-b=standby@1 pg-c=standby@1\n":    "too few arbiters have told what they see of pg-a",
		"observe all: pg-a=standby@1 pg-b=standby@1 pg-c=standby@1\n": "start the primary, and ask again",
	} {
		w := given(t, fresh+looks)
		if next := adviceWithoutWriter(&w.state, w.group(t)); !strings.Contains(next, want) {
			t.Errorf("after %q: %q doesn't say %q", looks, next, want)
		}
	}
}

// Waiting mends no password: whoever adopts is told what is wrong, and to look at that, and is not led to vouch for a server that may well write.
func TestAnAdoptionWhereMembersCantBeAskedSaysWhy(t *testing.T) {
	const fresh = "arbiters a b c\ngroup orders pg-a pg-b\nreign a 1\n"
	request := Request{Actor: "dana"}
	unseen, named := Adopt{Request: request, Group: "orders"}, Adopt{Request: request, Group: "orders", Member: "pg-a"}
	vouched := Adopt{Request: request, Group: "orders", Member: "pg-a", Attested: []MemberName{"pg-b"}}
	for _, test := range []struct {
		name, looks string
		adopt       Adopt
		unasked     string // as the advice begins, which then is about nothing else; empty: it is another one
	}{
		{"a wrong password", "pg-a=unknown(bad-credentials) pg-b=unknown(bad-credentials)", unseen, "3 of 3 arbiters can't ask pg-a (bad-credentials: no detail)"},
		{"no CA", "pg-a=unknown(bad-configuration) pg-b=unknown(bad-configuration)", unseen, "3 of 3 arbiters can't ask pg-a (bad-configuration: no detail)"},
		{"no CA, and a member named", "pg-a=unknown(bad-configuration) pg-b=unknown(bad-configuration)", named, "3 of 3 arbiters can't ask pg-b (bad-configuration: no detail)"},
		{"no CA, and a person's word", "pg-a=unknown(bad-configuration) pg-b=unknown(bad-configuration)", vouched, "3 of 3 arbiters can't ask pg-b (bad-configuration: no detail)"},
		{"no CA for the standby", "pg-a=primary@1000 pg-b=unknown(bad-configuration)", unseen, "3 of 3 arbiters can't ask pg-b (bad-configuration: no detail)"},
		{"no CA for the primary", "pg-a=unknown(bad-configuration) pg-b=standby@1000", named, "3 of 3 arbiters can't ask pg-a (bad-configuration: no detail)"},
		{
			"no CA on two of three machines", "pg-a=primary@1000 pg-b=standby@1000\nobserve b,c: pg-a=unknown(bad-configuration)", unseen,
			"2 of 3 arbiters can't ask pg-a (bad-configuration: no detail)",
		},
		{
			"one of them can't ask the primary, and one sees it write", "pg-a=readonly@1000 pg-b=standby@1000\nobserve a: pg-a=primary@1000\nobserve b: pg-a=unknown(bad-configuration)",
			named, "1 of 3 arbiters can't ask pg-a (bad-configuration: no detail)",
		},
		{"one of them can't ask the primary, and the others see it read-only", "pg-a=readonly@1000 pg-b=standby@1000\nobserve b: pg-a=unknown(bad-configuration)", named, ""},
		{"nobody has looked", "", named, ""},
		{"the standby is down", "pg-a=primary@1000 pg-b=down(refused)", unseen, ""},
		{"nobody finds the standby", "pg-a=primary@1000 pg-b=unknown(name-not-found)", unseen, ""},
	} {
		w := given(t, fresh+"observe all: "+test.looks+"\n")
		test.adopt.Seen = w.state.Applied
		refusal, refused := w.entry("", 0, test.adopt)
		const check = ": mend that first; `arbiterctl check orders` says on which arbiter, and how"
		if told := refusal.Next == test.unasked+check; !refused || told != (test.unasked != "") {
			t.Errorf("%s: %q advises %q", test.name, refusal.Text, refusal.Next)
		}
		next := Explain(&w.state, "orders", Durations{}).Next
		if told := slices.Contains(next, "arbiterctl check orders"); told != (test.unasked != "") {
			t.Errorf("%s: %q", test.name, next)
		}
		if found := Obstacles(&w.state, "orders", Durations{}); test.unasked != "" && (strings.Contains(found[0].Next, "arbiterctl check") || !strings.Contains(found[0].Next, "can't ask")) {
			t.Errorf("%s: check says %q", test.name, found[0].Next)
		}
	}
}

// A majority is enough for an adoption: what one arbiter can't ask is no reason to put it off.
func TestAnAdoptionIsAdvisedThoughOneArbiterCantAsk(t *testing.T) {
	const seen = "arbiters a b c\ngroup orders pg-a pg-b\nreign a 1\nobserve all: pg-a=primary@1000 pg-b=standby@1000\n"
	for _, member := range []string{"pg-a", "pg-b"} {
		w := given(t, seen+"observe c: "+member+"=unknown(bad-credentials)\n")
		if next := Explain(&w.state, "orders", Durations{}).Next; !slices.Equal(next, []string{"arbiterctl adopt orders"}) {
			t.Errorf("c can't ask %s: %q", member, next)
		}
		w.accepted(t, "", 0, w.adopt(""))
	}
}

// Nobody can vouch for a member that answers, and so nobody is told to.
func TestS0_AMemberThatAnswersIsNotToBeVouchedFor(t *testing.T) {
	const two = "arbiters a b c\ngroup orders pg-a pg-b\nreign a 1\nobserve all: pg-a=primary@1000 pg-b="
	for sight, want := range map[string]string{
		"readonly@1000":       "make it a standby of pg-a",
		"degraded(read-only)": "make it a standby of pg-a",
		"down(refused)":       "vouch for it: arbiterctl adopt orders --member pg-a --attest pg-b",
	} {
		w := given(t, two+sight+"\n")
		rejected, refused := w.entry("", 0, w.adopt(""))
		if !refused || rejected.Rule != "S0" || !strings.Contains(rejected.Next, want) {
			t.Errorf("%s: %v, %s; %q", sight, refused, rejected.Text, rejected.Next)
		}
	}
}
