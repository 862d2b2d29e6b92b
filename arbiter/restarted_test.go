package arbiter

import (
	"testing"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestLastCommand_PassesOverEntriesOfRaft(t *testing.T) {
	storage := MemoryStorage()
	for _, step := range []struct {
		entries []*raft.Log
		want    logEnd
	}{
		{nil, logEnd{}},
		{[]*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration}}, logEnd{}},
		{[]*raft.Log{{Index: 2, Term: 2, Type: raft.LogNoop}, {Index: 3, Term: 2, Type: raft.LogCommand}}, logEnd{3, 2}},
		{[]*raft.Log{{Index: 4, Term: 3, Type: raft.LogNoop}, {Index: 5, Term: 3, Type: raft.LogBarrier}}, logEnd{3, 2}},
	} {
		if err := storage.Log.StoreLogs(step.entries); err != nil {
			t.Fatal(err)
		}
		if got, err := storage.lastCommand(); err != nil || got != step.want {
			t.Errorf("with %d more: %v, %v; want %v", len(step.entries), got, err, step.want)
		}
	}
	if err := storage.Log.DeleteRange(1, 3); err != nil { // a snapshot has them
		t.Fatal(err)
	}
	if got, err := storage.lastCommand(); err != nil || got != (logEnd{}) {
		t.Errorf("behind a snapshot: %v, %v", got, err)
	}
}

// The end of the log on disk may never have been committed; then no state ever reaches its index by it, and another reign settles that.
func TestPending_UntilAllThatWasCommittedIsApplied(t *testing.T) {
	n := &Node{held: logEnd{index: 100, term: 5}}
	for _, test := range []struct {
		name    string
		applied failover.Index
		reign   failover.Term
		want    failover.Index
	}{
		{"nothing", 0, 0, 100},
		{"a snapshot", 60, 4, 100},
		{"nearly all", 99, 5, 100},
		{"all", 100, 5, 0},
		{"another leader, who did not have the end", 90, 6, 0},
		{"a snapshot of another leader", 200, 7, 0},
	} {
		state := failover.NewState()
		state.Applied, state.Reign.Term = test.applied, test.reign
		if got := n.pending(&state); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
