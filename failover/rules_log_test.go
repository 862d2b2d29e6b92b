package failover

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestS3_IntentRevokesBeforeAnythingIsDone(t *testing.T) {
	w := given(t, ready)
	w.wantAuthorities(t, writer, none, none)
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	w.wantAuthorities(t, revoked, none, none)
}

func TestS3_OnlyAnAcceptedProofEndsAuthority(t *testing.T) {
	accepts := []ProofGrade{ProofDemotedCleanly, ProofUnknown} // a policy can't make UNKNOWN a proof
	tests := []struct {
		grade  ProofGrade
		result Result
		policy []ProofGrade
		want   Authority
	}{
		{ProofConfirmedOff, ResultDone, nil, none},
		{ProofConfirmedIsolated, ResultDone, nil, none},
		{ProofHeldByAgent, ResultDone, nil, none},
		{ProofUnknown, ResultDone, nil, revoked},
		{"", ResultDone, nil, revoked},
		{ProofSelfFencedByDeadline, ResultDone, nil, revoked},
		{ProofDemotedCleanly, ResultDone, nil, revoked},
		{ProofConfirmedOff, ResultUnknown, nil, revoked},
		{ProofConfirmedOff, ResultFailed, nil, revoked},
		{ProofConfirmedOff, ResultDone, accepts, revoked},
		{ProofDemotedCleanly, ResultDone, accepts, none},
		{ProofUnknown, ResultDone, accepts, revoked},
	}
	for _, test := range tests {
		w := given(t, isolating)
		spec := *w.group(t).Spec
		spec.Policy.AcceptProofs = test.policy
		w.accepted(t, "", 0, ApplySpec{Group: "orders", Spec: &spec})
		w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: test.result, Proof: Proof{Grade: test.grade, By: "x"}}))
		w.wantAuthorities(t, test.want, none, none)
		if t.Failed() {
			t.Fatalf("%+v", test)
		}
	}
}

func TestS3_AttestOnlyWhatIsRevokedAndNotSeen(t *testing.T) {
	attest := func(w *world, m MemberName) Attest {
		return Attest{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied, Member: m}
	}
	w := given(t, isolating)
	w.refused(t, "S3", "", 0, attest(w, "pg-b"))
	w.refused(t, "S3", "", 0, attest(w, "nobody"))
	if err := w.run([]string{"observe", "c", "pg-a=degraded(slow)"}); err != nil {
		t.Fatal(err)
	}
	w.refused(t, "S3", "", 0, attest(w, "pg-a"))
	if err := w.run([]string{"observe", "all", "pg-a=down(timeout)"}); err != nil {
		t.Fatal(err)
	}
	spec := *w.group(t).Spec
	spec.Policy.AcceptProofs = []ProofGrade{ProofConfirmedOff}
	w.accepted(t, "", 0, ApplySpec{Group: "orders", Spec: &spec})
	w.refused(t, "S3", "", 0, attest(w, "pg-a")) // the policy takes nobody's word
	spec.Policy.AcceptProofs = nil
	w.accepted(t, "", 0, ApplySpec{Group: "orders", Spec: &spec})
	w.accepted(t, "", 0, attest(w, "pg-a"))
	w.wantAuthorities(t, none, none, none)
	w.refused(t, "S3", "", 0, attest(w, "pg-a")) // once
}

func TestS3_ProvenMembersAreNotIsolated(t *testing.T) {
	w := given(t, isolated)
	w.refused(t, "S3", "a", 1, w.intend(t, ActionIsolate, "pg-c"))
	w = given(t, adopted+"keep a\nobserve c: pg-c=primary@990\ncommit a\n")
	w.refused(t, "S3", "a", 1, w.intend(t, ActionIsolate, "pg-a")) // a refence isolates a rogue, nothing else
}

func TestS3_AnOldProofIsReadBackBeforePromoting(t *testing.T) {
	w := given(t, caughtUp)
	op := w.group(t).Operation.ID
	w.accepted(t, "a", 1, HoldOperation{Group: "orders", Operation: op, Reason: HoldLossBound, Detail: "test"})
	w.refused(t, "S3", "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w.accepted(t, "", 0, Release{Request: w.request(), Group: "orders", Operation: op, Seen: w.state.Applied})
	w.refused(t, "S3", "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	w.accepted(t, "a", 1, w.conclude(t, offProof()))
	w.accepted(t, "a", 1, w.intend(t, ActionCatchUp, "pg-a"))
	positions := []MemberPosition{{Member: "pg-b", Answered: true, SystemID: "sys1", Received: 1000}}
	w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultDone, Positions: positions}))
	w.accepted(t, "a", 1, w.intend(t, ActionPromote, "pg-b"))
}

func TestS3_AnOldProofIsReadBackAndNotFencedAnew(t *testing.T) {
	released := catchingUp + "outcome catch_up pg-b@500 pg-c@400\nrelease orders accept_loss=500\n"
	wantStart := func(w *world, node NodeID, readBack bool) {
		t.Helper()
		w.wantStarted(t, node, ActionIsolate)
		if a := w.arbiters[node].started["orders"].Action; a.ReadBack != readBack || a.Attempt != 1 {
			t.Errorf("read back %v at try %d, want %v at the first", a.ReadBack, a.Attempt, readBack)
		}
	}
	w := given(t, isolating)
	wantStart(w, "a", false)
	if w.arbiters["a"].started["orders"].Action.Tried {
		t.Error("looks before its first try")
	}
	w = given(t, released)
	w.wantAuthorities(t, revoked, none, none)
	wantStart(w, "a", true)
	w.do(t, "depose a\nreign b 2\nobserve all\ntick 5s")
	clear(w.arbiters["a"].started)
	wantStart(w, "b", true) // what the old leader had not read, the new one reads
	w.do(t, "outcome isolate CONFIRMED_OFF")
	w.wantAuthorities(t, none, none, none)
	if w.group(t).Member("pg-a").ReadBack {
		t.Error("it was read back, and is to be read back")
	}
}

func TestS4_StaleEntriesChangeNothing(t *testing.T) {
	tests := []struct {
		name, from string
		node       NodeID
		term       Term
		body       func(*world) Body
	}{
		{"an older epoch", ready, "a", 1, func(w *world) Body { i := w.intend(t, ActionIsolate, "pg-a"); i.Epoch--; return i }},
		{"a newer epoch", ready, "a", 1, func(w *world) Body { i := w.intend(t, ActionIsolate, "pg-a"); i.Epoch++; return i }},
		{"another arbiter", ready, "b", 1, func(w *world) Body { return w.intend(t, ActionIsolate, "pg-a") }},
		{"another term", ready, "a", 2, func(w *world) Body { return w.intend(t, ActionIsolate, "pg-a") }},
		{"another operation", ready, "a", 1, func(w *world) Body { i := w.intend(t, ActionIsolate, "pg-a"); i.Operation = "orders-1"; return i }},
		{"no operation", adopted, "a", 1, func(*world) Body { return Intend{Group: "orders", Epoch: 1, Action: ActionIsolate, Member: "pg-a"} }},
		{"a pair not in the table", caughtUp, "a", 1, func(w *world) Body { return w.intend(t, ActionConfigure, "pg-a") }},
		{"a second intent", isolating, "a", 1, func(w *world) Body { return w.intend(t, ActionIsolate, "pg-a") }},
		{"an outcome of another intent", isolating, "a", 1, func(w *world) Body { c := w.conclude(t, offProof()); c.Intent--; return c }},
		{"an outcome of another epoch", isolating, "a", 1, func(w *world) Body { c := w.conclude(t, offProof()); c.Epoch--; return c }},
		{"an outcome of another operation", isolating, "a", 1, func(w *world) Body { c := w.conclude(t, offProof()); c.Operation = "orders-1"; return c }},
		{"an outcome by another arbiter", isolating, "b", 1, func(w *world) Body { return w.conclude(t, offProof()) }},
		{"an outcome in another term", isolating, "a", 2, func(w *world) Body { return w.conclude(t, offProof()) }},
		{"a renewal by another arbiter", isolating, "b", 1, func(w *world) Body { return RenewLease{Group: "orders", Holder: "b", Epoch: 2} }},
		{"a renewal of an older epoch", isolating, "a", 1, func(w *world) Body { return RenewLease{Group: "orders", Holder: "a", Epoch: 1} }},
		{"a release of an older epoch", isolating, "a", 1, func(w *world) Body { return ReleaseLease{Group: "orders", Holder: "a", Epoch: 1} }},
		{"an abort of another operation", isolating, "", 0, func(w *world) Body { return Abort{Request: w.request(), Group: "orders", Operation: "orders-1"} }},
		{"a release of another operation", isolating, "", 0, func(w *world) Body {
			return Release{Request: w.request(), Group: "orders", Operation: "orders-1", Seen: w.state.Applied}
		}},
		{"a reinstatement of another operation", isolating, "", 0, func(w *world) Body {
			return Reinstate{Request: w.request(), Group: "orders", Operation: "orders-1", Seen: w.state.Applied}
		}},
		{"an attest for another operation", isolating, "", 0, func(w *world) Body {
			return Attest{Request: w.request(), Group: "orders", Operation: "orders-1", Seen: w.state.Applied, Member: "pg-a"}
		}},
		{"a failover that was confirmed under an older epoch", ready, "", 0, func(w *world) Body {
			return StartOperation{Request: w.request(), Group: "orders", Kind: KindFailover, Epoch: w.group(t).Epoch - 1}
		}},
		{"a failover that was confirmed under a newer epoch", adopted, "", 0, func(w *world) Body {
			return StartOperation{Request: w.request(), Group: "orders", Kind: KindFailover, Epoch: w.group(t).Epoch + 1}
		}},
		{"a lease for nothing", adopted, "a", 1, func(w *world) Body {
			return AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: 1, Duration: 2 * time.Second}
		}},
		{"an intent after the lease was released", adopted + "keep a\nobserve all: pg-a=down(refused)\ncommit a\nlose a\n", "a", 1, func(w *world) Body {
			w.accepted(t, "a", 1, ReleaseLease{Group: "orders", Holder: "a", Epoch: 2})
			return w.intend(t, ActionIsolate, "pg-a")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.from)
			w.refused(t, "S4", test.node, test.term, test.body(w))
		})
	}
}

// Who was fenced before the operation was held may have been switched on since: also the former writer is only reinstated once that is read back.
func TestS3_AnOldProofIsReadBackBeforeReinstating(t *testing.T) {
	gaveUp := "observe all: pg-b=down(no-route)\noutcome promote failed\nlook-again answers\ntick 1s\noutcome promote failed\ntick 1s\noutcome promote failed\n" +
		"look-again answers\noutcome isolate CONFIRMED_OFF\n"
	heldSince := "observe all: pg-c=down(no-route)\noutcome catch_up failed\ntick 1s\noutcome catch_up failed\ntick 1s\noutcome catch_up failed\n"
	w := given(t, promoting+gaveUp+heldSince+"keep a\nreinstate orders\ncommit a\nlose a\n")
	back := w.intend(t, ActionPromote, "pg-a")
	back.Reinstate = true
	w.refused(t, "S3", "a", 1, back)
}

// A failover names the epoch that its plan was made under, or none.
func TestS4_AFailoverIsOfThePrimaryThatWasSeen(t *testing.T) {
	for _, epoch := range []Epoch{0, 1} {
		w := given(t, adopted)
		w.accepted(t, "", 0, StartOperation{Request: w.request(), Group: "orders", Kind: KindFailover, Epoch: epoch})
	}
}

func TestS4_ARequestIsAboutWhatTheOperatorSaw(t *testing.T) {
	tooFar := catchingUp + "outcome catch_up pg-b@500 pg-c@400\n" // held, since 500 bytes would be lost
	nobody := catchingUp + "outcome catch_up pg-b!refused-from:40001 pg-c!refused-from:40001\n"
	aborted := isolating + "outcome isolate CONFIRMED_OFF\nabort orders\n"
	fenced := promoting + "observe all: pg-b=down(refused)\noutcome promote failed\ntick 1s\noutcome promote failed\ntick 1s\noutcome promote failed\ntick 1s\nlook-again answers\n"
	tests := []struct {
		name, from, meanwhile, ask string
		refused                    bool
	}{
		{"a release of this hold", tooFar, "", "release orders accept_loss=500", false},
		{"of the same one, after a try that changed nothing", tooFar, "tick 11s\noutcome catch_up pg-b@500 pg-c@400", "release orders accept_loss=500", false},
		{"of one for another loss", tooFar, "tick 11s\noutcome catch_up pg-b@300 pg-c@400", "release orders accept_loss=900", true},
		{"of one for another member's loss of as much", tooFar, "tick 11s\noutcome catch_up pg-b@400 pg-c@500", "release orders accept_loss=500", true},
		{"of one for nobody to promote, whose errors read differently", nobody, "tick 11s\noutcome catch_up pg-b!refused-from:40002 pg-c!reset-from:40003", "release orders", false},
		{"of one for nobody to promote, after which somebody was", nobody, "tick 11s\noutcome catch_up pg-b@500 pg-c@400", "release orders accept_loss=500", true},
		{"of an abort, after the same operator's once more", aborted, "abort orders", "release orders", false},
		{"of an abort, after another operator's", aborted, "abort orders actor=erin", "release orders", true},
		{"of one that was released, and is held for the same again", tooFar, "release orders", "release orders accept_loss=500", true},
		{"an attest", isolating, "outcome isolate UNKNOWN\ntick 1s\nobserve all", "attest orders pg-a", false},
		{"an attest for an earlier revocation", isolating, "outcome isolate CONFIRMED_OFF\nobserve c: pg-a=primary@1100\nobserve all: pg-a=down(refused)", "attest orders pg-a", true},
		{"a reinstatement", isolating, "outcome isolate UNKNOWN\ntick 1s", "reinstate orders", false},
		{"a reinstatement after another one was promoted and given up", isolating, fenced[len(isolating):], "reinstate orders", true},
		{"an abort, whatever it stands at", isolating, "outcome isolate CONFIRMED_OFF", "abort orders", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, test.from)
			seen := w.group(t).Turn()
			if test.meanwhile != "" {
				w.do(t, test.meanwhile)
			}
			w.out.Reset()
			w.do(t, fmt.Sprintf("%s seen=%d", test.ask, seen))
			said := fmt.Sprintf("[S4]: what was seen at index %d has passed: now it is orders-6, ", seen)
			if got := strings.Contains(w.out.String(), "rejected"); got != test.refused || got && !strings.Contains(w.out.String(), said) {
				t.Errorf("refused: %v, want %v\n%s", got, test.refused, w.out.String())
			}
			w.out.Reset()
			if w.do(t, test.ask); test.refused && strings.Contains(w.out.String(), "rejected") {
				t.Errorf("refused for another reason too:\n%s", w.out.String())
			}
		})
	}
}

func TestS4_ALeaseOfAnOlderEpochIsWorthNothing(t *testing.T) {
	w := given(t, isolating+"keep a\nrestored x above=41\n")
	if g := w.group(t); g.Epoch != 41 || g.Lease == nil || g.Lease.Epoch != 2 {
		t.Fatalf("epoch %d, lease %+v", g.Epoch, g.Lease)
	}
	for _, epoch := range []Epoch{2, 41} {
		w.refused(t, "S4", "a", 1, RenewLease{Group: "orders", Holder: "a", Epoch: epoch})
	}
	w.refused(t, "S4", "a", 1, ReleaseLease{Group: "orders", Holder: "a", Epoch: 41})
	w.accepted(t, "a", 1, ReleaseLease{Group: "orders", Holder: "a", Epoch: 2})
}

func TestS4_OnlyTheOpenIntentIsConcluded(t *testing.T) {
	open := &OpenIntent{Index: 9, Epoch: 4}
	tests := []struct {
		open  *OpenIntent
		epoch Epoch
		index Index
		ok    bool
	}{{open, 4, 9, true}, {open, 4, 8, false}, {open, 3, 9, false}, {nil, 4, 9, false}}
	for _, test := range tests {
		g := &Group{Operation: &Operation{Intent: test.open}}
		if refusal := checkS4Intent(g, test.epoch, test.index); (refusal == nil) != test.ok {
			t.Errorf("%+v: %v", test, refusal)
		}
	}
}

func TestS4_AnOutcomeCountsOnce(t *testing.T) {
	w := given(t, isolating)
	outcome := w.conclude(t, offProof())
	w.accepted(t, "a", 1, outcome)
	w.refused(t, "S4", "a", 1, outcome)
}

// Scenario 64: the outcome of a fence comes a second time, after the member was reinstated.
func TestS4_AnOutcomeAfterReinstatementCountsForNothing(t *testing.T) {
	w := given(t, isolating)
	outcome := w.conclude(t, offProof())
	if err := w.run([]string{"reinstate", "orders"}); err != nil {
		t.Fatal(err)
	}
	w.accepted(t, "a", 1, AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: 2, Duration: 2 * time.Second})
	i := w.intend(t, ActionPromote, "pg-a")
	i.Reinstate = true
	w.accepted(t, "a", 1, i)
	w.refused(t, "S4", "a", 1, outcome)
	w.wantAuthorities(t, writer, none, none)
}

func TestS4_UnknownEndsTheAttemptNotTheIntent(t *testing.T) {
	w := given(t, isolating)
	first := w.conclude(t, Outcome{Result: ResultUnknown})
	w.accepted(t, "a", 1, first)
	w.accepted(t, "a", 1, w.conclude(t, offProof()))
	w.wantAuthorities(t, none, none, none)
}

func TestS4_AGrantClosesTheIntent(t *testing.T) {
	w := given(t, isolating)
	old := w.conclude(t, offProof())
	w.accepted(t, "a", 1, AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: 2, Duration: 2 * time.Second})
	w.refused(t, "S4", "a", 1, old)
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-a")) // isolating a revoked member again is legal
	w.refused(t, "S4", "a", 1, old)
}

func TestS5_EpochsOnlyGrow(t *testing.T) {
	w := given(t, ready)
	acquire := func(after Epoch) AcquireLease {
		return AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: after, Duration: 2 * time.Second}
	}
	w.accepted(t, "a", 1, acquire(2)) // the same arbiter
	if got := w.group(t).Epoch; got != 3 {
		t.Errorf("epoch %d after a grant, want 3", got)
	}
	w.accepted(t, "a", 1, RenewLease{Group: "orders", Holder: "a", Epoch: 3})
	if got := w.group(t).Epoch; got != 3 {
		t.Errorf("epoch %d after a renewal, want 3", got)
	}
}

func TestS5_ADeletedGroupKeepsItsEpoch(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=down(refused)\ndepose a\nobserve all: pg-a=primary@1000\nreign b 2\ntick 2100ms\n")
	before := *w.group(t)
	w.accepted(t, "", 0, DeleteGroup{Request: w.request(), Group: "orders"})
	w.accepted(t, "", 0, ApplySpec{Request: w.request(), Group: "orders", Spec: before.Spec})
	after := w.group(t)
	if after.Epoch != before.Epoch || after.Epoch != 2 {
		t.Errorf("epoch %d to %d, want 2", before.Epoch, after.Epoch)
	}
}

func TestS5_Restored(t *testing.T) {
	w := given(t, isolating)
	w.accepted(t, "", 0, Restored{Request: w.request(), EpochsAbove: 41})
	g := w.group(t)
	if g.Epoch != 41 || g.Adopted || g.Pause == nil || g.Operation != nil || g.Stage != Steady {
		t.Errorf("%+v", g)
	}
	w.wantAuthorities(t, unset, unset, unset)
	w = given(t, isolating)
	w.accepted(t, "", 0, Restored{Request: w.request(), EpochsAbove: 1})
	if got := w.group(t).Epoch; got != 2 {
		t.Errorf("the epoch fell to %d", got)
	}
}

func TestS7_AnUnprovenPromotionLeavesTheCandidateWriter(t *testing.T) {
	for _, result := range []Result{ResultFailed, ResultUnknown} {
		w := given(t, promoting)
		w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: result}))
		w.wantAuthorities(t, none, writer, none)
		w.wantStage(t, Promoting)
		w.refused(t, "S7", "", 0, Abort{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID})
		w.refused(t, "S7", "", 0, Reinstate{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied})
		w.refused(t, "S4", "a", 1, w.intend(t, ActionPromote, "pg-c"))
		// Another candidate only after a fence of the first, with proof.
		w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-b"))
		w.wantAuthorities(t, none, revoked, none)
		w.refused(t, "S4", "a", 1, w.intend(t, ActionPromote, "pg-c"))
		w.accepted(t, "a", 1, w.conclude(t, offProof()))
		w.wantStage(t, Isolated)
	}
}

func TestS8_AReignIsGrantedOnce(t *testing.T) {
	w := given(t, adopted)
	w.refused(t, "S8", "b", 1, BeginReign{Term: 1, Leader: "b"})
	w.refused(t, "S8", "b", 2, BeginReign{Term: 3, Leader: "b"})
	w.refused(t, "S8", "c", 2, BeginReign{Term: 2, Leader: "b"})
	w.accepted(t, "b", 2, BeginReign{Term: 2, Leader: "b"})
	for _, node := range []NodeID{"a", "b", "c"} {
		if v, _ := w.state.View(node); v.Current {
			t.Errorf("the view of %s still counts", node)
		}
	}
}

func TestS8_ALeaseIsGrantedToWhoeverReignsAndNamesTheEpochItWaitedFor(t *testing.T) {
	good := AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: 2, Duration: 2 * time.Second}
	tests := []struct {
		name   string
		node   NodeID
		term   Term
		change func(*AcquireLease)
	}{
		{"another holder", "a", 1, func(l *AcquireLease) { l.Holder = "b" }},
		{"another term", "a", 1, func(l *AcquireLease) { l.Term = 2 }},
		{"proposed by another one", "b", 1, func(*AcquireLease) {}},
		{"proposed in another term", "a", 2, func(*AcquireLease) {}},
		{"an older epoch", "a", 1, func(l *AcquireLease) { l.AfterEpoch = 1 }},
		{"a newer epoch", "a", 1, func(l *AcquireLease) { l.AfterEpoch = 3 }},
		{"another length", "a", 1, func(l *AcquireLease) { l.Duration *= 2 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, ready)
			l := good
			test.change(&l)
			w.refused(t, "S8", test.node, test.term, l)
		})
	}
	w := given(t, ready)
	w.accepted(t, "a", 1, good)
}

func TestS8_VoidViewsCountForNothing(t *testing.T) {
	w := given(t, adopted)
	w.accepted(t, "b", 2, BeginReign{Term: 2, Leader: "b"})
	a := w.arbiters["a"]
	a.sequence++
	changes := Batch{Node: "a", Incarnation: 1, Sequence: a.sequence, Observations: []Observation{
		dead(ReasonRefused).observation("orders", "pg-a", SyncRule{}, w.state.Applied, 0),
	}}
	w.refused(t, "S8", "", 0, Observe{Batches: []Batch{changes}})
	if v := Tally(&w.state, w.group(t), "pg-a"); len(v.Silent) != 3 {
		t.Errorf("%+v", v)
	}
}

func TestS8_OnlyTheNextBatchCounts(t *testing.T) {
	batch := func(w *world, sequence uint64, what seen) Observe {
		return Observe{Batches: []Batch{{Node: "b", Incarnation: 1, Sequence: sequence, Observations: []Observation{
			what.observation("orders", "pg-a", SyncRule{}, w.state.Applied, 0),
		}}}}
	}
	w := given(t, adopted)
	next := w.arbiters["b"].sequence + 1
	w.accepted(t, "", 0, batch(w, next, dead(ReasonRefused)))
	w.refused(t, "S4", "", 0, batch(w, next, primaryAt(1000))) // again
	if v := Tally(&w.state, w.group(t), "pg-a"); len(v.For) != 1 {
		t.Errorf("a batch counted twice: %+v", v)
	}
	w.commit("", 0, batch(w, next+2, primaryAt(1000))) // one is missing
	view, _ := w.state.View("b")
	if v := Tally(&w.state, w.group(t), "pg-a"); view.Current || len(v.Silent) != 1 {
		t.Errorf("a view with a gap counts: %+v", v)
	}
	w.refused(t, "S8", "", 0, batch(w, next+3, primaryAt(1000))) // until it is sent whole
}

func TestS8_OnlyWhoReignsHolds(t *testing.T) {
	w := given(t, leased)
	hold := HoldOperation{Group: "orders", Operation: w.group(t).Operation.ID, Reason: HoldRoute, Detail: "x"}
	w.refused(t, "S8", "b", 1, hold)
	w.refused(t, "S8", "a", 2, hold)
}

func TestS12_ARogueIsRevokedAtOnce(t *testing.T) {
	w := given(t, finished)
	if err := w.run([]string{"observe", "c", "pg-a=primary@1000"}); err != nil { // one arbiter is enough
		t.Fatal(err)
	}
	w.wantAuthorities(t, revoked, writer, none)
	m := w.group(t).Member("pg-a")
	if !m.Rogue || m.Proof != (Proof{}) {
		t.Errorf("%+v", m)
	}
}

// A rogue goes before a failover that has changed nothing yet: no promotion would pass beside it, and the primary would be killed for
// nothing. The failover begins anew when that is done.
func TestS12_ARogueGoesBeforeAFailoverThatHasDoneNothing(t *testing.T) {
	for name, begun := range map[string]string{
		"automatic": adopted + "observe a,b: pg-a=down(refused)\n", "asked for": adopted + "failover orders\n", "leased": leased,
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, begun+"observe c: pg-c=primary@1000\n")
			op := w.group(t).Operation
			if op == nil || op.Kind != KindRefence || op.From != "pg-c" {
				t.Fatalf("operation %+v\n%s", op, w.out.String())
			}
			w.wantAuthorities(t, writer, none, revoked)
		})
	}
	w := given(t, isolating+"observe c: pg-c=primary@1000\n")
	if op := w.group(t).Operation; op.Kind != KindFailover {
		t.Errorf("%s, though the primary may be isolated already", op.Kind)
	}
}

func TestS12_OnlyLooksSinceTheProofCount(t *testing.T) {
	w := given(t, isolating)
	began := w.state.Applied // before the proof is committed
	w.accepted(t, "a", 1, w.conclude(t, offProof()))
	look := func(asOf Index) {
		c := w.arbiters["c"]
		c.sequence++
		w.commit("", 0, Observe{Batches: []Batch{{Node: "c", Incarnation: 1, Sequence: c.sequence, Observations: []Observation{
			primaryAt(1000).observation("orders", "pg-a", SyncRule{}, asOf, 0),
		}}}})
	}
	look(began)
	w.wantAuthorities(t, none, none, none)
	look(began + 1)
	w.wantAuthorities(t, revoked, none, none)
}

func TestS12_NoPromotionPassesBesideARogue(t *testing.T) {
	w := given(t, caughtUp+"observe c: pg-c=primary@990\n")
	w.wantAuthorities(t, none, none, revoked)
	w.refused(t, "S2", "a", 1, w.intend(t, ActionPromote, "pg-b"))
	w.refused(t, "S2", "a", 1, w.intend(t, ActionCatchUp, "pg-a"))
}

func TestS12_OnlyAlarmsBeforeTheFirstAdoption(t *testing.T) {
	w := given(t, "arbiters a b c\ngroup orders pg-a pg-b\nreign a 1\nobserve all: pg-a=primary@9 pg-b=primary@9\n")
	w.wantAuthorities(t, unset, unset)
	if w.group(t).Operation != nil {
		t.Error("an operation began")
	}
}

func TestS14_TheFirstAutomaticIsolateMustHoldAtItsOwnIndex(t *testing.T) {
	tests := []struct {
		name, before string
		refused      bool
	}{
		{"it holds", "", false},
		{"paused", "pause orders", true},
		{"automation off", "apply orders automation=observe", true},
		{"two arbiters fall silent", "keep a no\nsilent a b\nsilent a c", true},
		{"two arbiters doubt themselves", "doubt b slow\ndoubt c slow", true},
		{"no candidate left", "observe all: pg-b=down(timeout) pg-c=down(timeout)", true},
		{"beyond the loss bound", "observe all: pg-b=standby@1 pg-c=standby@1", true},
		{"a witness", "observe b: pg-b=standby+@2000", true},
		{"more votes are asked for", "doubt c slow\napply orders down_votes=3", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, ready+test.before)
			i := w.intend(t, ActionIsolate, "pg-a")
			if test.refused {
				w.refused(t, "S14", "a", 1, i)
			} else {
				w.accepted(t, "a", 1, i)
			}
		})
	}
}

func TestS14_WhoDidNotLookAgainDoesNotCount(t *testing.T) {
	w := given(t, adopted+"keep a\nobserve all: pg-a=down(refused)\ncommit a\nlook-again a\n")
	w.refused(t, "S14", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	if err := w.run([]string{"look-again", "b"}); err != nil {
		t.Fatal(err)
	}
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-a"))
}

func TestS14_ANewLeaderAsksAgain(t *testing.T) {
	w := given(t, ready+"depose a\nreign b 2\nkeep b\nobserve all\n")
	w.accepted(t, "b", 2, AcquireLease{Group: "orders", Holder: "b", Term: 2, AfterEpoch: 2, Duration: 2 * time.Second})
	w.refused(t, "S14", "b", 2, w.intend(t, ActionIsolate, "pg-a")) // the answers were those of void views
	if err := w.run([]string{"look-again", "answers"}); err != nil {
		t.Fatal(err)
	}
	w.accepted(t, "b", 2, w.intend(t, ActionIsolate, "pg-a"))
}

func TestS14_OnlyTheFirstAndOnlyAutomaticOnes(t *testing.T) {
	w := given(t, isolating+"pause orders\n")
	w.accepted(t, "a", 1, AcquireLease{Group: "orders", Holder: "a", Term: 1, AfterEpoch: 2, Duration: 2 * time.Second})
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-a")) // there is no way back, so it goes on
	w = given(t, adopted+"pause orders\nkeep a\nfailover orders\ncommit a\n")
	w.accepted(t, "a", 1, w.intend(t, ActionIsolate, "pg-a"))
}

// S8: what comes after the promotion is done in its order. A step that was skipped could not be made up for: the table knows no way back to it.
func TestS8_NoStepAfterThePromotionIsSkipped(t *testing.T) {
	w := given(t, promoting+"keep a\noutcome promote done\ncommit a\n")
	w.refused(t, "S8", "a", 1, w.intend(t, ActionVerify, "pg-b"))
	w.refused(t, "S8", "a", 1, w.intend(t, ActionRoute, "pg-b"))
	w.refused(t, "S8", "a", 1, w.intend(t, ActionScale, "pg-b"))
	for _, next := range []ActionKind{ActionConfigure, ActionRoute, ActionVerify} {
		w.accepted(t, "a", 1, w.intend(t, next, "pg-b"))
		w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultDone}))
	}
	w.wantStage(t, Steady)
}

// A failover that was rolled back is no failover that was done: the next plan must not promise its outage.
func TestReinstated_IsNoFailoverThatWasDone(t *testing.T) {
	w := given(t, isolating+"reinstate orders\noutcome isolate UNKNOWN\noutcome promote done\noutcome configure done\noutcome route done\noutcome verify done\n")
	g := w.group(t)
	if n := len(g.History.Receipts); n != 1 || g.History.Receipts[0].Result != OperationReinstated {
		t.Fatalf("receipts %+v, want one that says reinstated", g.History.Receipts)
	}
	if last, measured := lastOutage(g); measured {
		t.Errorf("writes stopped for %s the last time, says a failover that was rolled back", last)
	}
}
