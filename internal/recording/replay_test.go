package recording

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// An arbiter looks at its state before it says so, and Raft applies entries in between: those stand before the line.
func TestReplay_BeginsWithTheEmptyStateWhateverWasAppliedSince(t *testing.T) {
	lines := func(list ...line) string {
		var text strings.Builder
		for _, l := range list {
			if err := json.NewEncoder(&text).Encode(l); err != nil {
				t.Fatal(err)
			}
		}
		return text.String()
	}
	r := newReplay()
	voters := raft.Configuration{Servers: []raft.Server{{ID: "a", Suffrage: raft.Voter}}}
	begin := line{Begin: &begin{Node: "a", Settings: failover.DefaultSettings("cluster")}}
	if err := r.run(strings.NewReader(lines(line{Entry: &entry{Index: 1, Voters: &voters}}, begin))); err != nil {
		t.Fatal(err)
	}
	if r.controller == nil {
		t.Fatal("no Controller was begun")
	}
	if state, err := r.state(0); err != nil || state.Applied != 0 || len(state.Voters) != 0 {
		t.Errorf("the state at the beginning is %+v, %v", state, err)
	}
	if state, err := r.state(1); err != nil || state.Applied != 1 {
		t.Errorf("the state at 1 is %+v, %v", state, err)
	}
}
