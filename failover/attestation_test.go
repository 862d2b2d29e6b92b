package failover

import (
	"slices"
	"strings"
	"testing"
)

// A person's word is kept with all that it rested on, whatever becomes of the operation and of the group.
func TestAttestationsAreKept(t *testing.T) {
	w := given(t, isolating+"outcome isolate UNKNOWN\nobserve all: pg-a=down(timeout)\n")
	op, revoked := w.group(t).Operation.ID, w.group(t).Member("pg-a").RevokedSince
	index := w.state.Applied + 1
	w.do(t, "attest orders pg-a actor=erin")
	want := Attestation{Index: index, Actor: "erin", Reason: "test", Group: "orders", Member: "pg-a", Operation: op, Revoked: revoked, Epoch: 2}
	w.wantAttestations(t, want)
	if saw := w.state.Attestations[0].Saw; !strings.Contains(saw, "a: timeout; b: timeout; c: timeout") {
		t.Errorf("the arbiters saw %q", saw)
	}
	w.do(t, "attest orders pg-a actor=dana") // refused: it is proven by now
	w.wantAttestations(t, want)
}

// Words that are given with an adoption name the operation that it ended, and the epoch that it took.
func TestAttestationsOfAnAdoptionAreKept(t *testing.T) {
	w := given(t, adopted+"observe all: pg-b=down(refused) pg-c=down(refused)\n")
	w.do(t, "adopt orders pg-a attest=pg-b,pg-c")
	index, epoch := w.state.Applied, w.group(t).Epoch
	want := []Attestation{
		{Index: index, Actor: "dana", Reason: "test", Group: "orders", Member: "pg-b", Epoch: epoch},
		{Index: index, Actor: "dana", Reason: "test", Group: "orders", Member: "pg-c", Epoch: epoch},
	}
	w.wantAttestations(t, want...)
	w.do(t, "delete orders")
	if w.state.Group("orders") != nil {
		t.Fatal("the group is still there")
	}
	w.wantAttestations(t, want...)
	w.do(t, "group orders pg-a pg-b pg-c\nrestored above=50")
	w.wantAttestations(t, want...)
	data, err := w.state.CanonicalBytes()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := StateFromBytes(data); err != nil || !slices.Equal(again.Attestations, w.state.Attestations) {
		t.Errorf("read back as %+v (%v)", again.Attestations, err)
	}
}

func TestAttestationsOfAnAdoptionNameTheOperationThatItEnded(t *testing.T) {
	w := given(t, isolating+"outcome isolate CONFIRMED_OFF\nabort orders\nobserve all: pg-a=down(timeout)\n")
	op, before := w.group(t).Operation.ID, w.state.Groups[0]
	if before.Lease != nil {
		w.accepted(t, "a", 1, ReleaseLease{Group: "orders", Holder: "a", Epoch: before.Epoch})
	}
	w.do(t, "observe all: pg-b=primary@1000")
	w.do(t, "adopt orders pg-b attest=pg-a")
	if kept := w.state.Attestations; len(kept) != 1 || kept[0].Operation != op || kept[0].Member != "pg-a" {
		t.Errorf("kept is %+v, want one for %s", kept, op)
	}
}

// wantAttestations compares all but the time and what the arbiters saw.
func (w *world) wantAttestations(t *testing.T, want ...Attestation) {
	t.Helper()
	kept := slices.Clone(w.state.Attestations)
	for i := range kept {
		if kept[i].Wall == 0 || kept[i].Saw == "" {
			t.Errorf("kept without its time, or without what was seen: %+v", kept[i])
		}
		kept[i].Wall, kept[i].Saw = 0, ""
	}
	if !slices.Equal(kept, want) {
		t.Errorf("kept is\n%+v, want\n%+v", kept, want)
	}
}

// A leader may decide to try a fence again in the moment in which a person vouches for the member. What it decided is refused then: it would take the proof
// back, and the operation would go on waiting for a word that was given.
func TestS3_AnIntentOnItsWayTakesNoProofBack(t *testing.T) {
	w := given(t, fenceUnproven+"observe all: pg-a=down(refused)\ntick 1s\n")
	w.do(t, "attest orders pg-a")
	if m := w.group(t).Member("pg-a"); m.Authority != AuthorityNone || m.Proof.Grade != ProofAttested {
		t.Fatalf("%+v\n%s", m, w.out.String())
	}
	w.refused(t, "S3", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
}
