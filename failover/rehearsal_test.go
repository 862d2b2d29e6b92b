package failover

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// What one arbiter saw last counts for what is told of a failover, and changes nothing of the state that it is told of.
func TestFreshened(t *testing.T) {
	w := given(t, adopted)
	before, _ := w.state.CanonicalBytes()
	at := func(member MemberName, s seen, asOf Index) Observation {
		return s.observation("orders", member, SyncRule{}, asOf, 0)
	}
	judge := func(s *State) (MemberName, string) {
		best, _ := Outlook(s, s.Group("orders"))
		return best.Member, best.Loss.String()
	}
	for name, c := range map[string]struct {
		node NodeID
		seen []Observation
		best MemberName
		loss string
	}{
		"nothing":                 {"a", nil, "pg-b", "0 bytes (estimate: replication is asynchronous)"},
		"newer positions":         {"a", []Observation{at("pg-a", primaryAt(3000), 9), at("pg-b", standbyAt(2000), 9), at("pg-c", standbyAt(2950), 9)}, "pg-c", "50 bytes (estimate: replication is asynchronous)"},
		"of before its address":   {"a", []Observation{at("pg-c", standbyAt(2950), 0)}, "pg-b", "0 bytes (estimate: replication is asynchronous)"},
		"of a member that is not": {"a", []Observation{at("pg-z", standbyAt(2950), 9)}, "pg-b", "0 bytes (estimate: replication is asynchronous)"},
		"by nobody":               {"z", []Observation{at("pg-c", standbyAt(2950), 9)}, "pg-b", "0 bytes (estimate: replication is asynchronous)"},
	} {
		s := w.state
		if best, loss := judge(Freshened(&s, "orders", c.node, c.seen)); best != c.best || loss != c.loss {
			t.Errorf("%s: %s, losing %s; want %s, losing %s", name, best, loss, c.best, c.loss)
		}
	}
	if after, _ := w.state.CanonicalBytes(); !bytes.Equal(after, before) {
		t.Error("the state was changed")
	}
	void := w.state.clone()
	void.Views[0].Generation++
	if best, loss := judge(Freshened(&void, "orders", "a", []Observation{at("pg-a", primaryAt(3000), 9)})); best != "pg-b" || !strings.HasPrefix(loss, "0 bytes") {
		t.Errorf("by a view that is void: %s, losing %s", best, loss)
	}
}

// Whose fence doesn't answer can't be proven unable to write: a failover of a primary that serves is refused, and that of a dead one would be held, and the
// dry run says so. What begins by itself tries the fence all the same, and is told of with a warning.
func TestRehearsal_NotArmed(t *testing.T) {
	const down = "pause orders\nobserve all: pg-a=down(refused)\n"
	const armed = "paths a orders pg-a armed\n"
	for log, would := range map[string]string{"": "refused", down: "held"} {
		name := "would be " + would
		w := given(t, adopted+log)
		fence := func(guards []Guard) Guard {
			return guards[slices.IndexFunc(guards, func(g Guard) bool { return g.Name == guardFence })]
		}
		rehearse := func() (Explanation, Guard) {
			s, _ := Next(w.state, Entry{Index: w.state.Applied + 1, Term: w.state.Reign.Term, Proposer: w.state.Reign.Leader, Body: StartOperation{Group: "orders", Kind: KindFailover}})
			e := Rehearsal(&s, "orders", Asked{})
			return e, fence(e.Decision.Guards)
		}
		e, guard := rehearse()
		if e.Possible() || guard.OK || !strings.Contains(guard.Detail, "NOT ARMED") || !strings.HasPrefix(e.WouldDo, "A failover would be "+would+": the fence of pg-a is NOT ARMED") || (e.Refused() != "") != (would == "refused") {
			t.Errorf("%s: possible %v, %+v: %s", name, e.Possible(), guard, e.WouldDo)
		}
		e = Explain(&w.state, "orders", Durations{SinceLastFailover: -1})
		if guard := fence(e.Decision.Guards); !guard.OK || !strings.Contains(guard.Detail, "but the fence of pg-a is NOT ARMED") {
			t.Errorf("%s: by itself: %+v", name, guard)
		}
		w = given(t, adopted+log+armed)
		if e, guard := rehearse(); !e.Possible() || !guard.OK || strings.Contains(guard.Detail+e.WouldDo, "ARMED") {
			t.Errorf("%s, armed: possible %v, %+v: %s", name, e.Possible(), guard, e.WouldDo)
		}
	}
}
