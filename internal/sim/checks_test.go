package sim

import (
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// A rule that refuses an entry of looks which its arbiter sent in order is a violation; what is out of order may be refused.
func TestChecks_LooksThatARuleRefuses(t *testing.T) {
	view := failover.View{Node: "a", Current: true, Incarnation: 1, Sequence: 4}
	next := failover.Batch{Node: "a", Incarnation: 1, Sequence: 5}
	late := failover.Batch{Node: "a", Incarnation: 1, Sequence: 4}
	taken := view
	taken.Sequence = 5
	refused := []failover.Event{{Kind: failover.Rejected, Rule: "S1", Text: "pg-b is REVOKED"}}
	for name, test := range map[string]struct {
		batch  failover.Batch
		after  failover.View
		events []failover.Event
		want   string
	}{
		"the next one, refused":                      {next, view, refused, "looks-refused"},
		"the next one, taken":                        {next, taken, nil, ""},
		"the next one, taken beside one that is not": {next, taken, refused, ""},
		"one that was taken already":                 {late, view, refused, ""},
	} {
		s := newSim(Draw(1), false)
		known := view
		s.views["a"] = &known
		s.checkViews(&entry{
			Entry:  failover.Entry{Index: 9, Body: failover.Observe{Batches: []failover.Batch{test.batch}}},
			before: &failover.State{Voters: []failover.NodeID{"a"}, Views: []failover.View{view}},
			after:  &failover.State{Voters: []failover.NodeID{"a"}, Views: []failover.View{test.after}}, events: test.events,
		})
		got := ""
		if s.failure != nil {
			got = s.failure.Check
		}
		if got != test.want {
			t.Errorf("%s: violation %q, want %q", name, got, test.want)
		}
	}
}
