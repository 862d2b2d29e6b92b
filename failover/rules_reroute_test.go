package failover

import "testing"

// astray is what the arbiter that leads says of the routes of a group.
func (w *world) astray(t *testing.T) StartOperation {
	t.Helper()
	return StartOperation{Group: "orders", Kind: KindReroute, Epoch: w.group(t).Epoch, Request: Request{Reason: "lb sends nobody to the primary"}}
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
	w.accepted(t, "a", 1, w.conclude(t, Outcome{Result: ResultDone}))
	w.refused(t, "S4", "a", 1, w.intend(t, ActionRoute, "pg-b"))
	w.refused(t, "S14", "a", 1, w.intend(t, ActionIsolate, "pg-a"))
	w.accepted(t, "a", 1, w.intend(t, ActionRoute, "pg-a"))
	w.wantAuthorities(t, AuthorityWriter, AuthorityNone, AuthorityNone)
}
