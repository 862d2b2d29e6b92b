package arbiter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

func TestRaftNode_ApplyReachesEveryStateMachineInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		var want []string
		var last uint64
		for i := range 5 {
			entry := fmt.Sprint("entry ", i)
			index, response, err := leader.Apply([]byte(entry), time.Second)
			if err != nil || response != i+1 || index <= last {
				t.Fatalf("Apply = %d, %v, %v", index, response, err)
			}
			want, last = append(want, entry), index
		}
		asked := c.clock.Boot()
		for id, j := range c.journals {
			c.eventually("entries on "+string(id), func() bool { return slices.Equal(j.all(), want) })
			if voters := j.lastVoters(); !slices.Equal(voters, c.ids) {
				t.Errorf("%s heard that %v vote, want %v", id, voters, c.ids)
			}
		}
		if took := c.clock.Boot() - asked; took > 25*time.Millisecond {
			t.Errorf("followers learned of the last commit after %v", took)
		}
		if err := leader.Barrier(time.Second); err != nil {
			t.Error(err)
		}
		if stats := leader.Stats(); stats.State != raft.Leader || stats.Voters != 3 || stats.Leader != leader.ID() || stats.LastIndex != last+1 {
			t.Errorf("Stats() = %+v after entry %d and a barrier", stats, last)
		}
	})
}

func TestS4_EveryErrorOfApplyIsUnknown(t *testing.T) {
	tests := map[string]struct {
		act         func(t *testing.T, c *testCluster, leader *RaftNode) error
		notProposed bool
		cause       error
	}{
		"a follower": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			_, _, err := c.nodes[c.others(leader.ID())[0]].Apply([]byte("x"), time.Second)
			return err
		}, true, raft.ErrNotLeader},
		"no majority, timeout first": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			cutOff(c, leader.ID())
			_, _, err := leader.Apply([]byte("x"), 20*time.Millisecond)
			return err
		}, false, clock.ErrDeadline},
		"no majority, leadership lost first": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			cutOff(c, leader.ID())
			_, _, err := leader.Apply([]byte("x"), time.Minute)
			return err
		}, false, raft.ErrLeadershipLost},
		"no timeout given": {func(_ *testing.T, _ *testCluster, leader *RaftNode) error {
			_, _, err := leader.Apply([]byte("x"), 0)
			return err
		}, true, raft.ErrEnqueueTimeout},
		"no room at a main loop that hangs": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			c.disks[leader.ID()].delay.Store(int64(time.Minute))
			leader.raft.Apply([]byte("hangs"), 0)
			synctest.Wait()
			return applyError("apply entry", leader.raft.Apply([]byte("x"), 20*time.Millisecond).Error())
		}, true, raft.ErrEnqueueTimeout},
		"a hand-over under way": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			for _, other := range c.others(leader.ID()) {
				c.network.hold(leader.ID(), other)
			}
			leader.raft.LeadershipTransfer()
			synctest.Wait()
			_, _, err := leader.Apply([]byte("x"), time.Second)
			return err
		}, true, raft.ErrLeadershipTransferInProgress},
		"after the end": {func(t *testing.T, _ *testCluster, leader *RaftNode) error {
			if err := leader.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, _, err := leader.Apply([]byte("x"), time.Second)
			return err
		}, true, ErrStopped},
		"a barrier": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			cutOff(c, leader.ID())
			return leader.Barrier(20 * time.Millisecond)
		}, false, clock.ErrDeadline},
		"a change of members": {func(_ *testing.T, c *testCluster, leader *RaftNode) error {
			cutOff(c, leader.ID())
			return leader.RemoveServer(c.others(leader.ID())[0], 20*time.Millisecond)
		}, false, clock.ErrDeadline},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestCluster(t, 3)
				err := test.act(t, c, c.leader())
				if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, test.cause) {
					t.Errorf("%v; want ErrOutcomeUnknown for %v", err, test.cause)
				}
				if errors.Is(err, ErrNotProposed) != test.notProposed {
					t.Errorf("%v; not proposed should be %v", err, test.notProposed)
				}
			})
		})
	}
}

func cutOff(c *testCluster, id raft.ServerID) {
	for _, other := range c.others(id) {
		c.network.cut(id, other)
		c.network.cut(other, id)
	}
}

// An entry whose fate was unknown may be applied after all. This is why it must not be sent again.
func TestS4_AnUnknownEntryIsAppliedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		for _, id := range c.others(leader.ID()) {
			c.network.hold(id, leader.ID())
		}
		if _, _, err := leader.Apply([]byte("once"), 20*time.Millisecond); !errors.Is(err, ErrOutcomeUnknown) {
			t.Fatalf("Apply = %v", err)
		}
		c.network.heal()
		for _, id := range c.ids {
			c.eventually("the entry on "+string(id), func() bool { return slices.Contains(c.journals[id].all(), "once") })
		}
	})
}

func TestLeadership_NoTransitionIsLostOnASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		first := c.leader()
		// Lead and lose leadership many times while nobody reads. More often than the buffers could hold.
		wins := 1
		for range 3 * noticeBuffer {
			leader := c.leader()
			if err := leader.TransferLeadership("", time.Second); err != nil {
				continue // the candidate lost its election; the same one leads on, or another does
			}
			c.eventually("another leader", func() bool { return c.leader() != leader })
			if c.leader() == first {
				wins++
			}
		}
		leads := c.leader() == first
		var got []Transition
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			for transition := range first.Leadership() {
				got = append(got, transition)
			}
		}()
		synctest.Wait()
		if want := 2*wins - map[bool]int{true: 1, false: 0}[leads]; len(got) != want {
			t.Errorf("%d transitions were told, want %d", len(got), want)
		}
		c.close()
		<-drained
		for i, transition := range got {
			if transition.Leader != (i%2 == 0) {
				t.Fatalf("transition %d of %v doesn't alternate", i, got)
			}
			if i > 0 && (transition.Term < got[i-1].Term || transition.At < got[i-1].At) {
				t.Errorf("transition %d goes back: %v", i, got)
			}
		}
	})
}

func TestLeaderChanged_TellsFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		watcher := c.nodes[c.others(leader.ID())[0]]
		synctest.Wait()
		for len(watcher.LeaderChanged()) > 0 {
			<-watcher.LeaderChanged()
		}
		if err := leader.TransferLeadership(c.others(leader.ID())[1], time.Second); err != nil {
			t.Fatal(err)
		}
		for {
			<-watcher.LeaderChanged()
			if id, address := watcher.Leader(); id == c.others(leader.ID())[1] && address == raft.ServerAddress(id) {
				return
			}
		}
	})
}

func TestTransferLeadership_ToSomebodyUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		if err := c.leader().TransferLeadership("az-x", time.Second); err == nil || !strings.Contains(err.Error(), `"az-x" is not in the cluster`) {
			t.Errorf("TransferLeadership = %v", err)
		}
	})
}

// A node that comes back from behind a cut has stood for election in vain; with a pre-vote it doesn't depose the leader.
func TestPreVote_AReturningNodeLeavesTheLeaderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		term := leader.Term()
		away := c.others(leader.ID())[0]
		cutOff(c, away)
		wait(t, c.clock, 10*time.Second)
		c.network.heal()
		wait(t, c.clock, 5*time.Second)
		if leader.Term() != term || !leader.BelievesLeader() {
			t.Errorf("term went from %d to %d", term, leader.Term())
		}
		if got := c.nodes[away].Term(); got != term {
			t.Errorf("the node that was away is in term %d, want %d", got, term)
		}
	})
}

func TestMembers_ANodeIsAddedAndTheLostOneRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		lost := c.others(leader.ID())[0]
		if err := c.nodes[lost].Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := leader.Apply([]byte("before"), time.Second); err != nil {
			t.Fatal(err)
		}
		c.join("az-d")
		if err := leader.AddNonvoter("az-d", "az-d", time.Second); err != nil {
			t.Fatal(err)
		}
		c.eventually("the new one has the log", func() bool { return slices.Contains(c.journals["az-d"].all(), "before") })
		if err := errors.Join(leader.AddVoter("az-d", "az-d", time.Second), leader.RemoveServer(lost, time.Second)); err != nil {
			t.Fatal(err)
		}
		want := append(c.others(lost), "az-d")
		c.eventually("all hear who votes", func() bool {
			for _, id := range want {
				voters := slices.Clone(c.journals[id].lastVoters())
				slices.Sort(voters)
				slices.Sort(want)
				if !slices.Equal(voters, want) {
					return false
				}
			}
			return true
		})
	})
}

// batcher is a state machine that Raft would not tell who votes.
type batcher struct{ journal }

func (*batcher) ApplyBatch(entries []*raft.Log) []any { return make([]any, len(entries)) }

func TestStartRaft_RefusesWhatWouldGoWrongLater(t *testing.T) {
	tests := map[string]struct {
		change func(*RaftOptions)
		want   string
	}{
		"batches":      {func(o *RaftOptions) { o.FSM = &batcher{} }, "ApplyBatch"},
		"empty":        {func(o *RaftOptions) { o.Storage = MemoryStorage() }, ErrStorageEmpty.Error()},
		"bad timing":   {func(o *RaftOptions) { o.Timing.Lease = time.Hour }, "lease 1h0m0s"},
		"no server id": {func(o *RaftOptions) { o.ID = "" }, "LocalID"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			storage := MemoryStorage()
			if err := storage.bootstrap("1", []raft.Server{{ID: "az-a", Address: "az-a"}}); err != nil {
				t.Fatal(err)
			}
			options := RaftOptions{
				ID: "az-a", Timing: lan(), Storage: storage, FSM: &journal{}, Clock: clock.System(), Log: quiet(),
				Transport: NewStampingTransport(newFaultNetwork().join("az-a"), clock.System()),
			}
			test.change(&options)
			if _, err := StartRaft(options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("StartRaft = %v, want it to say %q", err, test.want)
			}
		})
	}
}

// hangingLog is a log whose disk can be made to hang.
type hangingLog struct {
	raft.LogStore
	hangs atomic.Bool
	hang  chan struct{}
}

func (h *hangingLog) StoreLogs(entries []*raft.Log) error {
	if h.hangs.Load() {
		<-h.hang
	}
	return h.LogStore.StoreLogs(entries)
}

// Scenario 62, the part of this file: a hung disk answers nothing, and every question here ends by its deadline all the
// same. In real time: Raft never answers the transfer, and a bubble would wait for the goroutine that asked.
func TestRaftNode_AHungDiskHangsNobodyElse(t *testing.T) {
	storage := MemoryStorage()
	if err := storage.bootstrap("1", []raft.Server{{ID: "az-a", Address: "az-a"}}); err != nil {
		t.Fatal(err)
	}
	disk := &hangingLog{LogStore: storage.Log, hang: make(chan struct{})}
	storage.Log = disk
	c := clock.System()
	node, err := StartRaft(RaftOptions{
		ID: "az-a", Timing: lan(), Storage: storage, FSM: &journal{}, Clock: c, Log: quiet(),
		Transport: NewStampingTransport(newFaultNetwork().join("az-a"), c),
	})
	if err != nil {
		t.Fatal(err)
	}
	if transition := <-node.Leadership(); !transition.Leader {
		t.Fatalf("the first transition is %+v", transition)
	}
	if err := node.Barrier(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	disk.hangs.Store(true)
	asked := c.Boot()
	if _, _, err := node.Apply([]byte("x"), 100*time.Millisecond); !errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrNotProposed) {
		t.Errorf("Apply = %v, want an unknown outcome", err)
	}
	if err := node.TransferLeadership("", 100*time.Millisecond); !errors.Is(err, clock.ErrDeadline) {
		t.Errorf("TransferLeadership = %v, want its deadline", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := node.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "disk may hang") {
		t.Errorf("Shutdown = %v, want it to say that the disk may hang", err)
	}
	if took := c.Boot() - asked; took > 10*time.Second {
		t.Errorf("all that took %v", took)
	}
	close(disk.hang)
	eventually(t, "Raft to end once the disk answers", func() bool { return node.raft.State() == raft.Shutdown })
	eventually(t, "the relay to end with it", func() bool {
		select {
		case _, more := <-node.Leadership():
			return !more
		default:
			return false
		}
	})
}

// realCluster is made of real files and real TLS connections on loopback.
type realCluster struct {
	t       *testing.T
	list    []Peer
	folders map[failover.NodeID]string
	tls     map[failover.NodeID]*pki.Reloader
	nodes   map[failover.NodeID]*RaftNode
	fsms    map[failover.NodeID]*journal
}

func newRealCluster(t *testing.T, host string) *realCluster {
	t.Helper()
	authority := newTestAuthority(t, "prod")
	c := &realCluster{t: t, folders: map[failover.NodeID]string{}, tls: map[failover.NodeID]*pki.Reloader{}, nodes: map[failover.NodeID]*RaftNode{}, fsms: map[failover.NodeID]*journal{}}
	for _, node := range []failover.NodeID{"az-a", "az-b", "az-c"} {
		raft := net.JoinHostPort(host, strconv.Itoa(freeport.Port(t)))
		c.list = append(c.list, Peer{Node: node, Raft: raft, GRPC: "unused-" + string(node)})
		c.folders[node] = filepath.Join(t.TempDir(), "raft")
		c.tls[node] = authority.identity(pki.RoleArbiter, string(node))
	}
	t.Cleanup(func() {
		for node := range c.nodes {
			c.stop(node)
		}
	})
	return c
}

func (c *realCluster) start(node failover.NodeID) {
	c.t.Helper()
	storage, err := OpenStorage(c.folders[node], quiet())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := storage.bootstrap("1", raftServers(c.list)); err != nil {
		c.t.Fatal(err)
	}
	var listen string
	for _, peer := range c.list {
		if peer.Node == node {
			listen = peer.Raft
		}
	}
	inner, err := NewNetworkTransport(NetworkOptions{Listen: listen, ClusterID: "1", TLS: c.tls[node], Timing: lan(), Log: quiet()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.fsms[node] = &journal{}
	c.nodes[node], err = StartRaft(RaftOptions{
		ID: raft.ServerID(node), Timing: lan(), Storage: storage, FSM: c.fsms[node], Clock: clock.System(), Log: quiet(),
		Transport: NewStampingTransport(inner, clock.System()),
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *realCluster) stop(node failover.NodeID) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.nodes[node].Shutdown(ctx); err != nil {
		c.t.Errorf("shut down %s: %v", node, err)
	}
	delete(c.nodes, node)
}

func (c *realCluster) leader() (failover.NodeID, *RaftNode) {
	c.t.Helper()
	var found failover.NodeID
	eventually(c.t, "a confirmed leader", func() bool {
		for id, node := range c.nodes {
			ctx, cancel := clock.WithTimeout(c.t.Context(), clock.System(), time.Second)
			_, err := node.Confirm(ctx)
			cancel()
			if err == nil {
				found = id
				return true
			}
		}
		return false
	})
	return found, c.nodes[found]
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := clock.System().Boot() + 30*time.Second; !holds(); {
		if clock.System().Boot() > end {
			t.Fatalf("waited 30 s in vain: %s", what)
		}
		_ = clock.Wait(t.Context(), clock.System(), 5*time.Millisecond)
	}
}

// written is an entry as a disk must hold it, with its checksum.
func written(t *testing.T, word string) []byte {
	t.Helper()
	data, err := fsm.Encode(failover.Pause{Group: "pay", Request: failover.Request{Actor: "dana", Reason: word}}, 0, "az-a")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRealCluster_TLSAndDisks(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			c := newRealCluster(t, host)
			for _, peer := range c.list {
				c.start(peer.Node)
			}
			id, leader := c.leader()
			for _, entry := range []string{"one", "two"} {
				if _, _, err := leader.Apply(written(t, entry), 5*time.Second); err != nil {
					t.Fatal(err)
				}
			}
			c.stop(id)
			next, leader := c.leader()
			if _, _, err := leader.Apply(written(t, "three"), 5*time.Second); err != nil {
				t.Fatal(err)
			}
			if err := leader.TakeSnapshot(5 * time.Second); err != nil {
				t.Fatal(err)
			}
			c.start(id)
			c.stop(next)
			c.start(next)
			for _, peer := range c.list {
				eventually(t, "all entries on "+string(peer.Node), func() bool {
					return slices.Equal(c.fsms[peer.Node].all(), []string{string(written(t, "one")), string(written(t, "two")), string(written(t, "three"))})
				})
			}
			if err := c.tls[id].Reload(); err != nil {
				t.Fatal(err)
			}
			_, leader = c.leader()
			if _, _, err := leader.Apply([]byte("four"), 5*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}
