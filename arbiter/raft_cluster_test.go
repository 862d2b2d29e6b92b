package arbiter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// lan is the profile that most tests run on.
func lan() Timing { return timingProfiles()[TimingLAN] }

// quiet is a logger for nodes whose complaints are expected.
func quiet() hclog.Logger { return hclog.NewNullLogger() }

// journal is a state machine that keeps what it is told.
type journal struct {
	mu      sync.Mutex
	entries []string
	voters  [][]raft.ServerID
}

func (j *journal) Apply(entry *raft.Log) any {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, string(entry.Data))
	return len(j.entries)
}

func (j *journal) StoreConfiguration(_ uint64, configuration raft.Configuration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var voters []raft.ServerID
	for _, server := range configuration.Servers {
		if server.Suffrage == raft.Voter {
			voters = append(voters, server.ID)
		}
	}
	j.voters = append(j.voters, voters)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.entries...)
}

func (j *journal) lastVoters() []raft.ServerID {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.voters) == 0 {
		return nil
	}
	return j.voters[len(j.voters)-1]
}

func (j *journal) Snapshot() (raft.FSMSnapshot, error) { return journalSnapshot(j.all()), nil }

func (j *journal) Restore(from io.ReadCloser) error {
	data, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
	for rest := data; len(rest) > 0; rest = rest[1+int(rest[0]):] {
		j.entries = append(j.entries, string(rest[1:1+int(rest[0])]))
	}
	return nil
}

type journalSnapshot []string

func (s journalSnapshot) Persist(sink raft.SnapshotSink) error {
	for _, entry := range s {
		if _, err := sink.Write(append([]byte{byte(len(entry))}, entry...)); err != nil {
			return errors.Join(err, sink.Cancel())
		}
	}
	return sink.Close()
}

func (journalSnapshot) Release() {}

// faultNetwork joins transports in memory by links that a test cuts, holds and slows, each direction by itself. A request
// and its answer travel on two links.
type faultNetwork struct {
	mu     sync.Mutex
	links  map[[2]raft.ServerID]*faultLink
	all    map[raft.ServerID]*raft.InmemTransport
	closed chan struct{}
	sent   map[raft.ServerID]int // AppendEntries, by sender
}

type faultLink struct {
	cut   bool
	delay time.Duration
	held  chan struct{} // nil: not held
}

var errLost = errors.New("lost in the network")

func newFaultNetwork() *faultNetwork {
	return &faultNetwork{links: map[[2]raft.ServerID]*faultLink{}, all: map[raft.ServerID]*raft.InmemTransport{}, closed: make(chan struct{}), sent: map[raft.ServerID]int{}}
}

// join adds a node. Its address is its id.
func (n *faultNetwork) join(id raft.ServerID) *faultTransport {
	_, inner := raft.NewInmemTransportWithTimeout(raft.ServerAddress(id), time.Second)
	n.mu.Lock()
	defer n.mu.Unlock()
	for other, transport := range n.all {
		inner.Connect(raft.ServerAddress(other), transport)
		transport.Connect(raft.ServerAddress(id), inner)
	}
	n.all[id] = inner
	return &faultTransport{InmemTransport: inner, id: id, network: n}
}

func (n *faultNetwork) change(from, to raft.ServerID, how func(*faultLink)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := [2]raft.ServerID{from, to}
	if n.links[key] == nil {
		n.links[key] = &faultLink{}
	}
	how(n.links[key])
}

func (n *faultNetwork) cut(from, to raft.ServerID) {
	n.change(from, to, func(l *faultLink) { l.cut = true })
}

// hold stops what travels on a link; it arrives at release.
func (n *faultNetwork) hold(from, to raft.ServerID) {
	n.change(from, to, func(l *faultLink) {
		if l.held == nil {
			l.held = make(chan struct{})
		}
	})
}

func (n *faultNetwork) release(from, to raft.ServerID) {
	n.change(from, to, func(l *faultLink) {
		if l.held != nil {
			close(l.held)
			l.held = nil
		}
	})
}

// appends is how many AppendEntries a node has sent.
func (n *faultNetwork) appends(id raft.ServerID) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent[id]
}

func (n *faultNetwork) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, link := range n.links {
		if link.held != nil {
			close(link.held)
		}
		*link = faultLink{}
	}
}

func (n *faultNetwork) pass(from, to raft.ServerID) error {
	n.mu.Lock()
	var link faultLink
	if l := n.links[[2]raft.ServerID{from, to}]; l != nil {
		link = *l
	}
	n.mu.Unlock()
	if link.held != nil {
		select {
		case <-link.held:
		case <-n.closed:
			return errLost
		}
	}
	wait := link.delay
	if link.cut {
		wait = time.Second // what is lost is noticed by a time-out
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-n.closed:
		}
	}
	if link.cut {
		return errLost
	}
	return nil
}

// faultTransport is one node's end of a faultNetwork.
type faultTransport struct {
	*raft.InmemTransport
	id      raft.ServerID
	network *faultNetwork
}

func (f *faultTransport) roundTrip(to raft.ServerID, call func() error) error {
	if err := f.network.pass(f.id, to); err != nil {
		return err
	}
	err := call()
	if lost := f.network.pass(to, f.id); lost != nil {
		return lost
	}
	return err
}

func (f *faultTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	f.network.mu.Lock()
	f.network.sent[f.id]++
	f.network.mu.Unlock()
	return f.roundTrip(id, func() error { return f.InmemTransport.AppendEntries(id, target, request, response) })
}

func (f *faultTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	return f.roundTrip(id, func() error { return f.InmemTransport.RequestVote(id, target, request, response) })
}

func (f *faultTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	return f.roundTrip(id, func() error { return f.InmemTransport.RequestPreVote(id, target, request, response) })
}

func (f *faultTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, request *raft.TimeoutNowRequest, response *raft.TimeoutNowResponse) error {
	return f.roundTrip(id, func() error { return f.InmemTransport.TimeoutNow(id, target, request, response) })
}

// slowLog is the disk under a log, whose writes take as long as a test says.
type slowLog struct {
	raft.LogStore
	delay atomic.Int64
}

// StoreLogs implements raft.LogStore.
func (s *slowLog) StoreLogs(entries []*raft.Log) error {
	if delay := time.Duration(s.delay.Load()); delay > 0 {
		time.Sleep(delay)
	}
	return s.LogStore.StoreLogs(entries)
}

// testCluster is a cluster in memory, inside a synctest bubble. Everything ends with the test.
type testCluster struct {
	t        *testing.T
	timing   Timing
	clock    clock.Clock
	network  *faultNetwork
	nodes    map[raft.ServerID]*RaftNode
	journals map[raft.ServerID]*journal
	disks    map[raft.ServerID]*slowLog
	ids      []raft.ServerID
	closed   bool
}

func newTestCluster(t *testing.T, size int) *testCluster {
	t.Helper()
	return newTimedCluster(t, size, lan())
}

func newTimedCluster(t *testing.T, size int, timing Timing) *testCluster {
	t.Helper()
	c := &testCluster{
		t: t, timing: timing, clock: clock.Monotonic(), network: newFaultNetwork(),
		nodes: map[raft.ServerID]*RaftNode{}, journals: map[raft.ServerID]*journal{}, disks: map[raft.ServerID]*slowLog{},
	}
	var configuration raft.Configuration
	for i := range size {
		id := raft.ServerID(fmt.Sprintf("az-%c", 'a'+i))
		c.ids = append(c.ids, id)
		configuration.Servers = append(configuration.Servers, raft.Server{ID: id, Address: raft.ServerAddress(id)})
	}
	t.Cleanup(c.close)
	for _, id := range c.ids {
		storage := MemoryStorage()
		if err := storage.bootstrap("test", configuration.Servers); err != nil {
			t.Fatal(err)
		}
		c.start(id, storage)
	}
	return c
}

func (c *testCluster) start(id raft.ServerID, storage *Storage) {
	c.t.Helper()
	j, disk := &journal{}, &slowLog{}
	if cached, ok := storage.Log.(*cachedLog); ok {
		disk.LogStore, cached.under.LogStore = cached.under.LogStore, disk
	} else { // one that a test has laid over it
		disk.LogStore, storage.Log = storage.Log, disk
	}
	node, err := StartRaft(RaftOptions{
		ID: id, Timing: c.timing, Storage: storage, FSM: j, Clock: c.clock, Log: quiet(),
		Transport: NewStampingTransport(c.network.join(id), c.clock),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[id], c.journals[id], c.disks[id] = node, j, disk
}

// close ends the cluster. It may be called before the end of the test too.
func (c *testCluster) close() {
	if c.closed {
		return
	}
	c.closed = true
	close(c.network.closed)
	c.network.heal()
	var wait sync.WaitGroup
	for _, node := range c.nodes {
		wait.Go(func() {
			if err := node.Shutdown(context.Background()); err != nil && !errors.Is(err, ErrStopped) {
				c.t.Errorf("shut down %s: %v", node.ID(), err)
			}
		})
	}
	wait.Wait()
}

// join starts one more node, for the leader to add.
func (c *testCluster) join(id raft.ServerID) {
	c.t.Helper()
	storage := MemoryStorage()
	if err := storage.dedicate("test"); err != nil {
		c.t.Fatal(err)
	}
	c.start(id, storage)
}

// eventually waits, in virtual time, for a condition.
func (c *testCluster) eventually(what string, holds func() bool) {
	c.t.Helper()
	for end := c.clock.Boot() + 30*time.Second; c.clock.Boot() < end; {
		if holds() {
			return
		}
		if err := clock.Wait(c.t.Context(), c.clock, time.Millisecond); err != nil {
			c.t.Fatal(err)
		}
	}
	c.t.Fatalf("waited 30 s in vain: %s", what)
}

// leader waits for a leader that the others follow.
func (c *testCluster) leader() *RaftNode {
	c.t.Helper()
	var found *RaftNode
	c.eventually("a leader that all follow", func() bool {
		found = nil
		for _, node := range c.nodes {
			if node.BelievesLeader() {
				found = node
			}
		}
		for _, node := range c.nodes {
			if id, _ := node.Leader(); found == nil || id != found.ID() {
				return false
			}
		}
		return true
	})
	return found
}

// others are the ids of all nodes but one.
func (c *testCluster) others(but raft.ServerID) []raft.ServerID {
	var ids []raft.ServerID
	for _, id := range c.ids {
		if id != but {
			ids = append(ids, id)
		}
	}
	return ids
}
