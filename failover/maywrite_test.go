package failover

import (
	"strings"
	"testing"
)

const fenceUnproven = isolating + "outcome isolate UNKNOWN\ntick 1s\noutcome isolate UNKNOWN\ntick 1s\noutcome isolate UNKNOWN\n"

// Whoever is woken by a fence without a proof must read that two may write, and what became of the clients.
func TestMayWrite_SaysWhatBecameOfClients(t *testing.T) {
	closed, open, ended := StepTime{Name: "lb closed"}, StepTime{Name: "lb not closed", Detail: "refused"}, StepTime{Name: "sessions ended"}
	const may = "pg-a MAY STILL BE WRITING, since nothing proves that it has stopped; "
	for want, parts := range map[string][]StepTime{
		"clients were cut off from it (closed: lb; its open sessions were ended), but for those that know its own address": {closed, ended},
		"clients that come by routes were cut off from it (closed: lb); its open sessions could not be ended":              {closed},
		"CLIENTS MAY STILL REACH IT: not closed: lb; its open sessions were ended":                                         {open, ended},
		"CLIENTS MAY STILL REACH IT: not closed: lb; its open sessions could not be ended":                                 {open},
		"no route was closed to it; its open sessions could not be ended":                                                  {{Name: "fence_test gave no proof"}},
		"whether clients still reach it is not known":                                                                      nil,
	} {
		w := given(t, fenceUnproven)
		g := w.group(t)
		for i := range g.Operation.Steps {
			g.Operation.Steps[i].Parts = nil
		}
		steps := g.Operation.Steps
		for i := range steps {
			if steps[i].Name == string(ActionIsolate) {
				steps[i].Parts = parts
			}
		}
		if got := MayWrite(g); got != may+want {
			t.Errorf("%v: %s", parts, got)
		}
		if e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}); !strings.HasSuffix(e.Summary, " "+may+want+".") {
			t.Errorf("explain: %s", e.Summary)
		}
	}
}

// Nobody is alarmed by the first try of an ordinary failover, or once the proof is there.
func TestMayWrite_OnlyWithoutProof(t *testing.T) {
	for name, commands := range map[string]string{
		"steady": adopted, "before the isolate": leased, "in the first try": isolating, "proven": fenceUnproven + "tick 11s\noutcome isolate CONFIRMED_OFF\n",
	} {
		if may := MayWrite(given(t, commands).group(t)); may != "" {
			t.Errorf("%s: %s", name, may)
		}
	}
	if may := MayWrite(given(t, isolating+"outcome isolate UNKNOWN\n").group(t)); !strings.Contains(may, "pg-a MAY STILL BE WRITING") {
		t.Errorf("after a try without proof: %q", may)
	}
}

// A rogue that was told to stop is a member like any other that was; one that waits for a person was told nothing yet.
func TestMayWrite_OfARogueThatWasToldToStop(t *testing.T) {
	const rogue = adopted + "observe c: pg-c=primary@1000\n"
	if may := MayWrite(given(t, rogue+"outcome isolate UNKNOWN\n").group(t)); !strings.HasPrefix(may, "pg-c MAY STILL BE WRITING") {
		t.Errorf("after a try without proof: %q", may)
	}
	for name, commands := range map[string]string{
		"in the first try": rogue, "by hand": adopted + "apply orders refence_rogues=no\nobserve c: pg-c=primary@1000\n", "proven": rogue + "outcome isolate CONFIRMED_OFF\n",
	} {
		if may := MayWrite(given(t, commands).group(t)); may != "" {
			t.Errorf("%s: %s", name, may)
		}
	}
}

// A hold that comes again for the same thing is as old as the first one: each try in between must not make it young.
func TestAHoldThatComesAgainKeepsItsBeginning(t *testing.T) {
	w := given(t, fenceUnproven)
	first := w.group(t).Hold
	if w.group(t).Stage != Held || first.Since == 0 {
		t.Fatalf("%+v", w.group(t))
	}
	again := *w.group(t)
	w.do(t, "tick 11s\noutcome isolate UNKNOWN\n")
	if now := w.group(t).Hold; now.Since != first.Since || w.group(t).Epoch == again.Epoch {
		t.Errorf("held since %d under epoch %d, first %d under %d", now.Since, w.group(t).Epoch, first.Since, again.Epoch)
	}
	c := &change{state: w.state.clone(), before: w.state, entry: Entry{Index: w.group(t).Hold.Index + 100, Wall: first.Since + 1e12}}
	g := c.group(again.Name)
	g.Stage, g.HeldFrom = Isolating, ""
	c.hold(g, OperationHeld, HoldFenceUnproven, "again", aboutHold(&c.state, g, HoldFenceUnproven))
	if g.Hold.Since != first.Since || g.Hold.First != first.First || g.Hold.Index == first.Index {
		t.Errorf("held again: %+v, first %+v", g.Hold, first)
	}
}
