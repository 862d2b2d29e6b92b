package failover

import (
	"strings"
	"testing"
	"time"
)

// astray is what the arbiter that leads says of the routes of a group.
func (w *world) astray(t *testing.T) StartOperation {
	t.Helper()
	g := w.group(t)
	return StartOperation{Group: "orders", Kind: KindReroute, Epoch: g.Epoch, SpecSince: g.SpecSince, Request: Request{Reason: "lb sends nobody to the primary"}}
}

// S14: what changes routes outside a failover needs what every automatic operation needs, at its own index; S4, S8: it is the word of the arbiter
// that leads, about the group as it is.
func TestS14_ARerouteBeginsOnlyInASettledGroup(t *testing.T) {
	for name, test := range map[string]struct {
		before, rule string
		node         NodeID
		refused      bool
	}{
		"it may":                      {node: "a"},
		"an arbiter does not lead":    {node: "b", rule: "S8", refused: true},
		"paused":                      {before: "pause orders\n", node: "a", refused: true},
		"only observed":               {before: "apply orders automation=observe\n", node: "a", refused: true},
		"the primary is suspected":    {before: "observe b: pg-a=down(refused)\n", node: "a", refused: true},
		"the primary is down":         {before: "keep a\nobserve all: pg-a=down(refused)\n", node: "a", refused: true},
		"nobody has looked":           {before: "depose a\nreign b 2\n", node: "b", refused: true},
		"an operation is in progress": {before: "keep a\nfailover orders\n", node: "a", refused: true},
		"a member has changed":        {before: "apply orders address=pg-c:elsewhere\n", node: "a", refused: true},
		"it has no routes":            {before: "apply orders routes=none\n", node: "a", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, adopted+test.before)
			if !test.refused {
				w.accepted(t, test.node, w.state.Reign.Term, w.astray(t))
				return
			}
			w.refused(t, test.rule, test.node, w.state.Reign.Term, w.astray(t))
		})
	}
	w := given(t, adopted)
	seen := w.astray(t)
	seen.Epoch--
	w.refused(t, "S4", "a", 1, seen)
	seen = w.astray(t)
	w.do(t, "apply orders max_loss=200\n") // which leaves the epoch as it is, and may take a route out or give it another address
	w.refused(t, "", "a", 1, seen)
	w.do(t, "depose a\nreign a 2\nobserve all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990\n")
	w.refused(t, "S8", "a", 1, w.astray(t)) // of its earlier term, and late
	w.accepted(t, "a", 2, w.astray(t))
}

// After reroutes in a row routes are left alone for a minute, then for twice as long each time, for an hour at most.
func TestRoutesAreLeftAloneLongerEachTime(t *testing.T) {
	for count, want := range []time.Duration{0, 0, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		if got := (Reroutes{Done: count}).pause(); got != want {
			t.Errorf("after %d: %s", count, got)
		}
	}
	if got := (Reroutes{Done: 1 << 40, Failed: 1}).pause(); got != time.Hour {
		t.Errorf("after very many: %s", got)
	}
}

// A row of reroutes ends when something else has sent the routes anew, and by nothing else.
func TestAnotherOperationEndsARowOfReroutes(t *testing.T) {
	g := &Group{Reroutes: Reroutes{Done: 1, Failed: 1}}
	g.countReroute(&Operation{Kind: KindFailover}, OperationRecovered, 1)
	if g.Reroutes.count() != 2 {
		t.Error("a failover that did nothing ends it")
	}
	g.countReroute(&Operation{Kind: KindFailover, Routed: true}, OperationDone, 1)
	if g.Reroutes.count() != 0 {
		t.Error("a failover does not end it")
	}
}

// S10: by the wall clock of another arbiter, which may be days ahead, routes are not left alone for days.
func TestS10_AClockThatIsAheadKeepsNoRoutesAstray(t *testing.T) {
	const back = "outcome promote done timeline=1 position=1000\noutcome route done\noutcome verify done\n"
	w := given(t, adopted)
	w.now += 24 * time.Hour
	w.do(t, "astray orders\n"+back+"astray orders\n"+back)
	alone := func() string { return RoutesLeftAlone(&w.state, w.group(t), w.wall()) }
	if alone() == "" {
		t.Error("right after it, by the same clock, they are not left alone")
	}
	w.refused(t, "", "a", 1, w.astray(t))
	w.now -= 24 * time.Hour
	if why := alone(); why != "" {
		t.Errorf("by a clock that is a day behind they are left alone: %s", why)
	}
	w.do(t, "astray orders\n"+back)
	if r := w.group(t).Reroutes; r.count() != 3 || r.rest(r.since(w.wall())) != 2*time.Minute {
		t.Errorf("only one begins early: after it %s are left alone for %s, by the clock that it ended by", r, r.rest(r.since(w.wall())))
	}
	w.refused(t, "", "a", 1, w.astray(t))
}

// What operators read of a reroute, also while the lease of what was done before it goes on, is of routes: nobody is reinstated.
func TestARerouteIsToldAsWhatItIs(t *testing.T) {
	w := given(t, adopted+"keep a\nastray orders\n")
	for _, d := range []Durations{{}, {Running: true}, {LeaseLeft: time.Second}, {LeaseLeft: time.Second, Running: true}} {
		if got := Plan(&w.state, "orders", d); strings.Contains(got.Detail, "reinstate") {
			t.Errorf("%+v: %s", d, got.Detail)
		}
	}
}

// S2, S14: a reroute does nothing but to the writer, which stays it, and isolates nobody.
func TestS14_ARerouteIsAboutTheWriterAlone(t *testing.T) {
	w := given(t, adopted+"keep a\nastray orders\ncommit a\n")
	w.wantStage(t, Leased)
	for _, member := range []MemberName{"pg-a", "pg-b"} {
		w.refused(t, "S14", "a", 1, w.intend(t, ActionIsolate, member))
	}
	w.refused(t, "S2", "a", 1, w.intend(t, ActionCatchUp, "pg-a"))
	w.refused(t, "S4", "a", 1, w.intend(t, ActionRoute, "pg-a")) // it has not taken the epoch
	for _, member := range []MemberName{"pg-b", "pg-c"} {
		other := w.intend(t, ActionPromote, member)
		w.refused(t, "S2", "a", 1, other)
		other.Reinstate = true
		w.refused(t, "S2", "a", 1, other)
	}
	writer := w.intend(t, ActionPromote, "pg-a")
	writer.Reinstate = true
	w.accepted(t, "a", 1, writer)
	if w.group(t).Member("pg-a").Promoting {
		t.Error("it counts as one that may become the primary at any time")
	}
	w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultDone}))
	w.refused(t, "S4", "a", 1, w.intend(t, ActionRoute, "pg-b"))
	w.refused(t, "S14", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	w.accepted(t, "a", 1, w.intend(t, ActionRoute, "pg-a"))
	w.wantAuthorities(t, AuthorityWriter, AuthorityNone, AuthorityNone)
}

// Routes are looked at also where nobody may bring them back, and never where nobody knows to whom they belong.
func TestRoutesBelongTo(t *testing.T) {
	for name, test := range map[string]struct {
		commands string
		to       MemberName
		alone    string
	}{
		"settled":     {adopted, "pg-a", ""},
		"paused":      {adopted + "pause orders\n", "pg-a", "orders is paused"},
		"under way":   {isolating, "", ""},
		"not adopted": {strings.TrimSuffix(adopted, "adopt orders\n"), "", "orders is not adopted"},
	} {
		w := given(t, test.commands)
		g := w.group(t)
		if to := RoutesBelongTo(&w.state, g); to != test.to {
			t.Errorf("%s: they belong to %q", name, to)
		}
		if why := RoutesLeftAlone(&w.state, g, w.wall()); (why == "") != (name == "settled") || test.alone != "" && why != test.alone {
			t.Errorf("%s: left alone since %q", name, why)
		}
	}
}
