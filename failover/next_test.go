package failover

import (
	"slices"
	"testing"
)

// TestNextLeavesItsInputAlone also where lists are full and make room.
func TestNextLeavesItsInputAlone(t *testing.T) {
	w := given(t, isolating)
	for range 70 {
		w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultUnknown})) // world.commit compares
		if w.failure != nil {
			t.Fatal(w.failure)
		}
	}
	op := w.group(t).Operation
	if len(op.Steps) != stepsKept || op.Steps[0].Name != "fault" || op.Attempts != 70 {
		t.Errorf("%d steps from %s, %d attempts", len(op.Steps), op.Steps[0].Name, op.Attempts)
	}
	before, _ := w.state.CanonicalBytes()
	for _, outcome := range []Outcome{offProof(), {Result: ResultFailed}} { // two futures of one state
		Next(w.state, Entry{Index: w.state.Applied + 1, Term: 1, Proposer: "a", Body: w.conclude(t, outcome)})
		if after, _ := w.state.CanonicalBytes(); string(after) != string(before) {
			t.Fatal("the state that was given has changed")
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h History
	for i := range 200 {
		h.addEpoch(EpochRow{Epoch: Epoch(i + 1), Holder: "a", Operation: OperationID(rune('a' + i%2))})
		h.addReceipt(Receipt{Index: Index(i + 1)})
	}
	if len(h.Epochs) != epochsKept || h.Epochs[epochsKept-1].Epoch != 200 || len(h.Receipts) != receiptsKept || h.epochRow(200) == nil || h.epochRow(1) != nil {
		t.Errorf("%d epochs, %d receipts", len(h.Epochs), len(h.Receipts))
	}
}

func TestTwoFuturesOfAHistoryShareNoRow(t *testing.T) {
	var h History
	for i := range 3 { // a list that was appended to three times has room for a fourth row
		h.addEpoch(EpochRow{Epoch: Epoch(i + 1)})
		h.addReceipt(Receipt{Index: Index(i + 1)})
	}
	one, other := h, h
	for i, future := range []*History{&one, &other} {
		future.addEpoch(EpochRow{Epoch: Epoch(i + 10)})
		future.addReceipt(Receipt{Index: Index(i + 10)})
	}
	if one.Epochs[3].Epoch != 10 || one.Receipts[3].Index != 10 {
		t.Errorf("epoch %d, receipt of %d", one.Epochs[3].Epoch, one.Receipts[3].Index)
	}
}

func TestGrantsOfWhichNothingCameShareARow(t *testing.T) {
	var h History
	h.addEpoch(EpochRow{Epoch: 1, Writer: "m", Why: "adopted"})
	for i := range 10 {
		h.addEpoch(EpochRow{Epoch: Epoch(i + 2), Holder: "a", Term: 1, Why: "failover", Operation: "orders-6"})
	}
	h.addEpoch(EpochRow{Epoch: 12, Holder: "b", Term: 2, Why: "failover", Operation: "orders-6"})
	h.addEpoch(EpochRow{Epoch: 13, Holder: "b", Term: 2, Why: "failover", Operation: "orders-7"}) // in the same words
	if len(h.Epochs) != 4 || h.Epochs[1].Epoch != 11 {
		t.Errorf("%+v", h.Epochs)
	}
}

// TestNextIsTotal: entries that make no sense are refused, never a panic.
func TestNextIsTotal(t *testing.T) {
	bodies := []Body{
		nil,
		BeginReign{},
		SetVoters{},
		Observe{},
		Observe{Batches: []Batch{{}}},
		ExpireView{},
		ApplySpec{},
		ApplySpec{Group: "orders"},
		ApplySpec{Group: "orders", Spec: &Spec{}},
		ApplySpec{Group: "orders", Spec: testSpec("b", "b")},
		DeleteGroup{},
		Adopt{},
		Adopt{Group: "orders"},
		Pause{},
		Resume{},
		StartOperation{},
		StartOperation{Group: "orders"},
		AcquireLease{},
		AcquireLease{Group: "orders"},
		RenewLease{},
		RenewLease{Group: "orders"},
		ReleaseLease{},
		Intend{},
		Intend{Group: "orders"},
		Conclude{},
		Conclude{Group: "orders"},
		HoldOperation{},
		HoldOperation{Group: "orders"},
		Release{},
		Release{Group: "orders"},
		Abort{},
		Abort{Group: "orders"},
		Reinstate{},
		Reinstate{Group: "orders"},
		Attest{},
		Attest{Group: "orders"},
		Restored{},
	}
	for _, from := range []string{"arbiters a b c\n", "arbiters a b c\ngroup orders pg-a pg-b\n", adopted, leased, isolating, promoting, finished} {
		for _, body := range bodies {
			w := given(t, from)
			Next(w.state, Entry{Index: w.state.Applied + 1, Body: body})
			Next(w.state, Entry{Index: w.state.Applied + 1, Term: 1, Proposer: "a", Body: body})
		}
	}
	Next(State{}, Entry{})
	s := NewState()
	if d := Plan(&s, "nobody", Durations{}); d.Step != StepNone {
		t.Errorf("%+v", d)
	}
	Explain(&s, "nobody", Durations{})
}

// What the second looks found does not take the place of what the verdict rested on: each decision keeps its own basis, the newest of it if it is long.
func TestStep_KeepsWhatItWasDecidedOn(t *testing.T) {
	w := given(t, ready)
	before := slices.Clone(w.group(t).Operation.Basis)
	intent := w.intend(t, ActionIsolate, "pg-a")
	intent.Rule = "begin"
	for i := range Index(basisKept + 3) {
		intent.Basis = append(intent.Basis, 1000+i)
	}
	w.accepted(t, "a", 1, intent)
	w.accepted(t, "a", 1, w.conclude(t, offProof()))
	op := w.group(t).Operation
	step, _ := op.lastTry()
	if !slices.Equal(op.Basis, before) || len(before) == 0 {
		t.Errorf("the verdict rests on %v, and rested on %v", op.Basis, before)
	}
	if step.Rule != "begin" || !slices.Equal(step.Basis, intent.Basis[3:]) {
		t.Errorf("the isolation rests on %q %v", step.Rule, step.Basis)
	}
}
