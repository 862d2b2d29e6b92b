package failover

import (
	"strings"
	"testing"
)

const contradicted = "paths b orders pg-a contradicted\n"

// What devices say of a member proves nothing once they were seen to be wrong about it, also when nobody sees the member any more (S3).
func TestS3_ContradictedDevicesProveNothing(t *testing.T) {
	for _, grade := range []ProofGrade{ProofConfirmedOff, ProofConfirmedIsolated} {
		w := given(t, adopted+"observe all: pg-a=down(timeout)\nlook-again answers\n")
		w.wantStarted(t, "a", ActionIsolate)
		w.do(t, contradicted)
		w.wantStarted(t, "a", ActionIsolate) // what runs is not broken off
		w.wantStage(t, Isolating)
		w.do(t, "outcome isolate "+string(grade)+"\n")
		step, _ := w.group(t).Operation.lastTry()
		if m := w.group(t).Member("pg-a"); m.Authority != AuthorityRevoked || step.Result != ResultUnknown || step.Proof.Grade != "" {
			t.Errorf("%s: %+v, %+v", grade, m, step)
		}
		w.wantHeld(t, HoldFenceUnproven)
	}
}

// They are not asked either: nothing is begun, and what ends a member's right to write is a person's word.
func TestS3_ContradictedDevicesAreNotAsked(t *testing.T) {
	const down = "observe all: pg-a=down(timeout)\nlook-again answers\n"
	w := given(t, adopted+contradicted+down)
	w.wantHeld(t, HoldFenceUnproven)
	w.wantAuthorities(t, writer, none, none)
	w.do(t, "release orders\nlook-again answers\n")
	w.wantHeld(t, HoldFenceUnproven)
	w.wantAuthorities(t, revoked, none, none)
	w.wantStarted(t, "a")
	w.do(t, "tick 1m\n")
	w.wantStarted(t, "a")
	w.do(t, "observe all: pg-a=down(timeout)\nattest orders pg-a\n")
	w.wantAuthorities(t, none, none, none)

	w = given(t, adopted+contradicted+down)
	w.do(t, "observe all: pg-a=primary@1000\n")
	if w.group(t).Operation != nil {
		t.Error("it goes on, though the primary is well again and nothing was done")
	}

	w = given(t, adopted+"keep a\n"+down+"commit a\nlook-again answers\n"+contradicted)
	w.refused(t, "S14", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
}

// Nor does a proof of theirs stand that came before, as long as nobody was promoted on it.
func TestS3_AContradictionVoidsAProofByTheSameDevices(t *testing.T) {
	const isolated = "observe all: pg-a=down(timeout)\nlook-again answers\noutcome isolate CONFIRMED_OFF\n"
	for contradicts, want := range map[string]Authority{contradicted: revoked, "paths b orders pg-a off\n": none} {
		w := given(t, adopted+isolated)
		w.wantAuthorities(t, none, none, none)
		w.do(t, contradicts+"outcome catch_up pg-b@1000 pg-c@990\n")
		w.wantAuthorities(t, want)
		if promoted := w.group(t).Operation.Candidate != ""; promoted == (want == revoked) {
			t.Errorf("%s: candidate %q", contradicts, w.group(t).Operation.Candidate)
		}
	}
}

// Only a person can tell that devices are right again: what they say themselves is no better than what they said before.
func TestS3_ContradictedDevicesDontVouchForThemselves(t *testing.T) {
	for between, trusted := range map[string]bool{
		"paths b orders pg-a armed\npaths c orders pg-a armed\n":                      false,
		"reign b 2\npaths b orders pg-a armed\n":                                      false,
		"adopt orders\n":                                                              false, // b sees it answer
		"observe all: pg-a=primary@1000\nadopt orders\n":                              false,
		"paths b orders pg-a armed\nadopt orders\n":                                   true,
		"apply orders fence=pg-a:other\nobserve all\nadopt orders\n":                  true,
		"observe b: pg-a=down(timeout)\nadopt orders\n":                               true, // and so nothing says that it is on
		"apply orders fence=pg-b:other\nobserve all\n":                                false,
		"paths b orders pg-a armed\nadopt orders\npaths b orders pg-a off\n":          true,
		"silent a b\nadopt orders\n":                                                  true, // b's word is void, and is yet to be sent anew
		"silent a b\nobserve b\nadopt orders\n":                                       true, // b sees it answer, and has yet to ask them again
		"paths b orders pg-b contradicted\npaths b orders pg-a armed\nadopt orders\n": true, // others are wrong still
	} {
		w := given(t, adopted+contradicted+between)
		if m := w.group(t).Member("pg-a"); (m.FenceContradicted == "") != trusted {
			t.Errorf("after %q: %+v, want them trusted: %v", between, m, trusted)
		}
	}
}

// Who adopts a group beside a device that is wrong still is not believed against an arbiter that sees it; nor is an old look believed against them.
func TestS3_AnAdoptionTrustsNoDeviceThatIsWrongStill(t *testing.T) {
	const down = "observe all: pg-a=down(timeout)\nlook-again answers\n"
	w := given(t, adopted+contradicted+"adopt orders\n"+down)
	w.wantHeld(t, HoldFenceUnproven)
	w.wantAuthorities(t, writer, none, none)

	const mended = "paths b orders pg-a armed\nadopt orders\n"
	w = given(t, adopted+contradicted+mended+"observe all: pg-a=primary@1000\n"+contradicted)
	if m := w.group(t).Member("pg-a"); m.FenceContradicted != "b" {
		t.Errorf("what is seen anew counts: %+v", m)
	}
	w = given(t, adopted+contradicted)
	before := w.state.Applied
	w.do(t, mended)
	old := w.batch(w.arbiters["c"], nil)
	old.FencePaths = []FencePath{{Group: "orders", Member: "pg-a", Armed: true, Off: true, Contradicted: true, AsOf: before}}
	w.commit("", 0, Observe{Batches: []Batch{old}})
	if m := w.group(t).Member("pg-a"); m.FenceContradicted != "" {
		t.Errorf("what was seen before doesn't: %+v", m)
	}
}

// A proof that is void is void for every member that the operation would promote, also for the one after a candidate that was given up.
func TestS3_AVoidProofPromotesNobodyAfterTheCandidate(t *testing.T) {
	const readAgain = "outcome catch_up pg-c@990\n"
	givenUp := func() *world {
		w := given(t, adopted+"observe all: pg-a=down(timeout)\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@1000 pg-c@990\n")
		w.do(t, contradicted+"observe all: pg-b=down(timeout)\nlook-again answers\n")
		failPromotions(t, w)
		w.do(t, "outcome isolate CONFIRMED_OFF\n")
		return w
	}
	w := givenUp()
	w.do(t, "keep a\n"+readAgain+"commit a\n")
	w.refused(t, "S3", "a", 1, w.intend(t, ActionPromote, "pg-c"))

	w = givenUp()
	w.do(t, readAgain)
	w.wantHeld(t, HoldFenceUnproven)
	w.wantAuthorities(t, revoked, none, none)
}

// failPromotions has the promotion that runs fail as often as it is tried before the operation is held.
func failPromotions(t *testing.T, w *world) {
	t.Helper()
	for range w.group(t).Spec.Policy.MaxAttempts {
		w.do(t, "outcome promote failed\ntick 2s\nlook-again answers\n")
	}
}

// What makes a proof void, one by one.
func TestS3_OnlyTheDevicesWordOfThisOperationIsVoid(t *testing.T) {
	fenced := func() (*Group, *Member) {
		g := &Group{Operation: &Operation{ConfirmedAt: 10}}
		return g, &Member{Authority: AuthorityNone, NoneSince: 20, FenceContradicted: "b", Proof: Proof{Grade: ProofConfirmedOff}}
	}
	for name, test := range map[string]struct {
		change func(g *Group, m *Member)
		want   bool
	}{
		"a device's":                {func(*Group, *Member) {}, true},
		"of an isolating device":    {func(_ *Group, m *Member) { m.Proof.Grade = ProofConfirmedIsolated }, true},
		"a person's":                {func(_ *Group, m *Member) { m.Proof.Grade = ProofAttested }, false},
		"none":                      {func(_ *Group, m *Member) { m.Proof = Proof{} }, false},
		"of an earlier operation":   {func(g *Group, _ *Member) { g.Operation.ConfirmedAt = 30 }, false},
		"of devices that are right": {func(_ *Group, m *Member) { m.FenceContradicted = "" }, false},
		"of one that may write":     {func(_ *Group, m *Member) { m.Authority = AuthorityWriter }, false},
	} {
		g, m := fenced()
		if test.change(g, m); g.isVoid(m) != test.want {
			t.Errorf("%s: void %v, want %v", name, !test.want, test.want)
		}
	}
}

// Beside a writer the member is a rogue again, which the refence waits for; no view is refused for it.
func TestS3_AVoidProofBesideAWriterMakesARogue(t *testing.T) {
	w := given(t, adopted+"observe c: pg-b=primary@1000 pg-c=primary@1000\nlook-again answers\noutcome isolate CONFIRMED_OFF\n")
	w.wantAuthorities(t, writer, none, revoked)
	w.do(t, "paths b orders pg-b contradicted\n")
	w.wantAuthorities(t, writer, revoked, revoked)
	if m := w.group(t).Member("pg-b"); !m.Rogue || m.FenceContradicted != "b" {
		t.Errorf("%+v", m)
	}
	w.do(t, contradicted)
	w.wantAuthorities(t, writer, revoked, revoked)
}

// Nobody who reinstates, or fences a rogue beside an operation, asks them.
func TestS3_ContradictedDevicesAreNotAskedAboutARogue(t *testing.T) {
	const rogue = "observe c: pg-c=primary@1000\n"
	wrong := strings.ReplaceAll(contradicted, "pg-a", "pg-c")
	w := given(t, adopted+"observe all: pg-a=down(timeout)\nlook-again answers\noutcome isolate CONFIRMED_OFF\n"+wrong+rogue+"outcome catch_up pg-b@1000\n")
	w.wantHeld(t, HoldFenceUnproven)
	w.do(t, "reinstate orders\ntick 1s\n")
	w.wantHeld(t, HoldFenceUnproven)
	w.wantStarted(t, "a")
	w.wantAuthorities(t, none, none, revoked)
}

// A candidate that could not be fenced is not given up by itself, which can't be undone: it is tried again until it is back, or a person decides.
func TestS7_ACandidateThatCanNotBeFencedIsNotGivenUp(t *testing.T) {
	wrong := strings.ReplaceAll(contradicted, "pg-a", "pg-b")
	w := given(t, adopted+wrong+"observe all: pg-a=down(timeout)\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@1000 pg-c@990\n")
	w.do(t, "observe all: pg-b=down(timeout)\nlook-again answers\n")
	failPromotions(t, w)
	w.wantHeld(t, HoldPromote)
	w.wantAuthorities(t, none, writer, none)
	w.do(t, "release orders\n")
	failPromotions(t, w)
	w.wantHeld(t, HoldFenceUnproven)
	w.wantAuthorities(t, none, revoked, none)
}

// Somebody who asks for a failover of a healthy primary is told that it is held before anything is done, and how to call it off.
func TestS3_AFailoverThatIsAskedForWaitsForAFenceThatIsBelieved(t *testing.T) {
	w := given(t, adopted+contradicted+"failover orders\nlook-again answers\n")
	w.wantHeld(t, HoldFenceUnproven)
	w.wantAuthorities(t, writer, none, none)
	if next := strings.Join(nextCommands(&w.state, w.group(t), Durations{SinceLastFailover: -1}), "\n"); !strings.Contains(next, "arbiterctl abort orders") || strings.Contains(next, "bring pg-a back") {
		t.Errorf("%s", next)
	}
}

// Nor is leadership handed to another arbiter that reaches them.
func TestS3_NobodyElseIsOfferedDevicesThatAreNotAsked(t *testing.T) {
	const tries = "outcome isolate UNKNOWN\ntick 1s\noutcome isolate UNKNOWN\ntick 1s\n"
	for wrong, offered := range map[string]int{"": 1, strings.ReplaceAll(contradicted, "paths b", "paths c"): 0} {
		w := given(t, adopted+"paths a orders pg-a silent\npaths b orders pg-a armed\nobserve all: pg-a=down(refused)\nlook-again answers\n"+tries)
		w.do(t, wrong+"outcome isolate UNKNOWN\ntick 4s\n")
		if got := w.handOvers("b"); got != offered {
			t.Errorf("after %q: offered to b %d times, want %d", wrong, got, offered)
		}
	}
}

// Nor is a lease taken for a reinstatement that waits for a person's word on a rogue: it would be released for nothing, and taken again, without end.
func TestS3_NoLeaseIsTakenForARogueThatIsNotFenced(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=down(timeout)\nlook-again answers\noutcome isolate CONFIRMED_OFF\npause orders\nobserve c: pg-c=primary@1000\noutcome catch_up pg-b@1000\n")
	w.do(t, "reinstate orders\n"+strings.ReplaceAll(contradicted, "pg-a", "pg-c")+"resume orders\ntick 11s\n")
	w.wantHeld(t, HoldFenceUnproven)
	epoch := w.group(t).Epoch
	w.do(t, "tick 1m\n")
	if got := w.group(t).Epoch; got != epoch {
		t.Errorf("%d leases were taken for nothing", got-epoch)
	}
}

// check says of whom it is that the devices are not believed, and how they are again; that it keeps a failover from being done where it is the primary.
func TestS3_ContradictedDevicesAreAnObstacle(t *testing.T) {
	for member, blocks := range map[string]bool{"pg-a": true, "pg-c": false} {
		w := given(t, adopted+strings.ReplaceAll(contradicted, "pg-a", member))
		var found []Obstacle
		for _, o := range Obstacles(&w.state, "orders", Durations{SinceLastFailover: -1}) {
			if strings.Contains(o.Why, member+" is not fenced") {
				found = append(found, o)
			}
		}
		if len(found) != 1 || found[0].Blocks != blocks || !strings.Contains(found[0].Next, "arbiterctl adopt orders") || !strings.Contains(found[0].Next, "arbiterctl apply") {
			t.Errorf("%s: %+v", member, found)
		}
		w.do(t, "paths b orders "+member+" armed\nadopt orders\n")
		for _, o := range Obstacles(&w.state, "orders", Durations{SinceLastFailover: -1}) {
			if strings.Contains(o.Why, "is not fenced") {
				t.Errorf("%s, once it was mended and adopted: %+v", member, o)
			}
		}
	}
}
