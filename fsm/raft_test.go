package fsm

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// disk is what survives a restart of a node.
type disk struct {
	log       *raft.InmemStore
	snapshots raft.SnapshotStore
	transport *raft.InmemTransport
}

func newDisk(t *testing.T) *disk {
	snapshots, err := raft.NewFileSnapshotStore(t.TempDir(), 2, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("a1")
	return &disk{log: raft.NewInmemStore(), snapshots: snapshots, transport: transport}
}

// run starts a Raft node of one voter over the machine, and waits until it leads.
func (d *disk) run(t *testing.T, machine *FSM) *raft.Raft {
	config := raft.DefaultConfig()
	config.LocalID, config.Logger = "a1", hclog.NewNullLogger()
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 25*time.Millisecond
	config.TrailingLogs = 0 // a snapshot leaves nothing to replay before it
	if known, err := raft.HasExistingState(d.log, d.log, d.snapshots); err != nil {
		t.Fatal(err)
	} else if !known {
		if err := raft.BootstrapCluster(config, d.log, d.log, d.snapshots, d.transport, voters("a1")); err != nil {
			t.Fatal(err)
		}
	}
	node, err := raft.NewRaft(config, machine, d.log, d.log, d.snapshots, d.transport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Shutdown().Error() })
	for leads := range node.LeaderCh() {
		if leads {
			break
		}
	}
	return node
}

func propose(t *testing.T, node *raft.Raft, data []byte) any {
	future := node.Apply(data, 10*time.Second)
	if err := future.Error(); err != nil {
		t.Fatal(err)
	}
	return future.Response()
}

// beginReign proposes the first entry of whoever leads now.
func beginReign(t *testing.T, node *raft.Raft) *Response {
	term := node.CurrentTerm()
	data, err := Encode(failover.BeginReign{Term: failover.Term(term), Leader: "a1", Version: 1, ClusterID: "c0ffee"}, 0, "a1")
	if err != nil {
		t.Fatal(err)
	}
	response, ok := propose(t, node, data).(*Response)
	if !ok || response.Rejection != nil {
		t.Fatalf("got %+v", response)
	}
	return response
}

// TestUnderRealRaft: who votes is known from the bootstrap on and survives a restart that has only the snapshot, and
// the state after a restart has the bytes that it had before.
func TestUnderRealRaft(t *testing.T) {
	d := newDisk(t)
	machine := New(Hooks{})
	node := d.run(t, machine)
	first := beginReign(t, node)
	if got := machine.State(); !slices.Equal(got.Voters, []failover.NodeID{"a1"}) || got.Applied != first.Index {
		t.Fatalf("voters %v at %d", got.Voters, got.Applied)
	}
	if err := node.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	before := canonical(t, machine.State())
	if err := node.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	published := map[failover.Index]string{}
	restarted := New(Hooks{OnApplied: func(index failover.Index, state *failover.State, _ []failover.Event) {
		mu.Lock()
		defer mu.Unlock()
		data, _ := state.CanonicalBytes()
		published[index] = string(data)
	}})
	node = d.run(t, restarted)
	second := beginReign(t, node)
	mu.Lock()
	defer mu.Unlock()
	if published[first.Index] != string(before) {
		t.Errorf("after the restart the state at %d is\n%s\nbefore it was\n%s", first.Index, published[first.Index], before)
	}
	if second.Events[0].Sequence != first.Events[0].Sequence+1 {
		t.Errorf("S13: event %d follows event %d", second.Events[0].Sequence, first.Events[0].Sequence)
	}
}

// TestUnknownEntryUnderRealRaft: the proposer learns why, the arbiter is asked to stop, and no snapshot hides the entry.
func TestUnknownEntryUnderRealRaft(t *testing.T) {
	halted := make(chan error, 2)
	machine := New(Hooks{Halt: func(err error) { halted <- err }})
	node := newDisk(t).run(t, machine)
	beginReign(t, node)
	applied := machine.State().Applied
	for range 2 {
		err, _ := propose(t, node, changed(t, cannotApply["unknown kind"].change)).(error)
		if !errors.Is(err, ErrCannotApply) {
			t.Fatalf("got %v", err)
		}
	}
	if err := <-halted; !errors.Is(err, ErrCannotApply) || len(halted) != 0 {
		t.Errorf("halted with %v and %d more", err, len(halted))
	}
	if err := node.Snapshot().Error(); err == nil || !strings.Contains(err.Error(), "field 77") {
		t.Errorf("snapshot: %v", err)
	}
	if machine.State().Applied != applied {
		t.Errorf("applied up to %d, want %d", machine.State().Applied, applied)
	}
}
