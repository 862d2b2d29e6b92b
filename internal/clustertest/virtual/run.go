package virtual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
)

// run is one life of an arbiter, from its start to its end.
type run struct {
	cluster *Cluster
	node    failover.NodeID
	number  int
	kept    *Disk // its own disk, if it was started without it
	disk    *Disk
	net     *Host
	tape    *tape
	stop    context.CancelFunc
	dead    chan struct{} // closed when it is killed
	ended   chan struct{} // closed when Run has returned
	err     error         // why; read it after ended

	// The rest is guarded by the lock of the truth.
	left    *Disk             // what was on its disk when it was gone
	states  []*failover.State // those that it applied at this instant, and the last one before
	instant time.Time
	intents map[failover.Index]time.Time // when it applied the entry
}

// String names it.
func (r *run) String() string { return fmt.Sprintf("%s/%d", r.node, r.number) }

func (r *run) host() string { return string(r.node) }

func (r *run) isDead() bool {
	select {
	case <-r.dead:
		return true
	default:
		return false
	}
}

func (r *run) mood() Mood {
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	return r.cluster.moods[r.node]
}

// remember keeps a state that was applied. The caller holds the lock of the truth.
func (r *run) remember(index failover.Index, state *failover.State) {
	if now := time.Now(); now.After(r.instant) {
		r.instant = now
		if n := len(r.states); n > 0 {
			r.states = r.states[n-1:]
		}
	}
	r.states = append(r.states, state)
	r.intents[index] = r.instant
}

// recent are the states that it may act by at this instant, the newest first: it need not have got to the last ones yet. The caller holds
// the lock of the truth.
func (r *run) recent() []*failover.State {
	states := r.states
	if n := len(states); n > 0 && time.Now().After(r.instant) {
		states = states[n-1:]
	}
	var newestFirst []*failover.State
	for i := len(states) - 1; i >= 0; i-- {
		newestFirst = append(newestFirst, states[i])
	}
	return newestFirst
}

func (r *run) appliedAt(index failover.Index) time.Time { return r.intents[index] }

// began is called when a driver is called.
func (r *run) began(what string, epoch failover.Epoch) *call {
	t := r.cluster.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &call{run: r, what: what, epoch: epoch}
	for _, state := range r.recent() {
		if g := state.Group(Group); g != nil && g.Operation != nil && g.Operation.Intent != nil {
			c.intent = g.Operation.Intent.Index
			break
		}
	}
	t.calls[c] = struct{}{}
	return c
}

func (r *run) returns(c *call) {
	t := r.cluster.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, c)
}

// acts is called right before an effect. It is false if the arbiter is gone.
func (r *run) acts(c *call) bool {
	t := r.cluster.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.isDead() {
		return false
	}
	t.counts.Effects++
	t.history.Note(string(r.node), "begins %q under epoch %d, intent %d", c.what, c.epoch, c.intent)
	t.checkEffect(c)
	return true
}

// start begins a life of an arbiter on a disk.
func (c *Cluster) start(node failover.NodeID, number int, disk *Disk, data string) *run {
	c.t.Helper()
	r := &run{
		cluster: c, node: node, number: number, disk: disk, net: c.Net.Host(string(node)), dead: make(chan struct{}), ended: make(chan struct{}),
		intents: map[failover.Index]time.Time{},
	}
	r.tape = newTape(func(err error) { c.History.Note(string(node), "the recording of %s ends: %v", r, err) })
	peer := c.peer(node)
	c.Net.PowerOn(string(node))
	listener, err := r.net.Listen(peer.GRPC)
	if err != nil {
		c.t.Fatal(err)
	}
	hands := hands{run: r, world: c.World, net: c.Net}
	time := clock.Monotonic()
	n, err := arbiter.New(arbiter.Options{
		Node: node, Zone: peer.Zone, Peers: c.peers, Data: data, RaftListen: peer.Raft, GRPC: listener, Insecure: true,
		Timing: c.timing, Clock: time, Log: c.log, Drivers: hands.drivers(), Specs: fake.Specs{}, Release: "test", FencePathEvery: pathEvery, RoutesEvery: routesEvery,
		Record: r.tape.recorder, Network: r.net,
		Applied: func(i failover.Index, s *failover.State, events []failover.Event) { c.truth.applied(r, i, s, events) },
		OpenStorage: func() (*arbiter.Storage, error) {
			return arbiter.StorageOn("disk of "+r.String(), disk, raft.NewInmemSnapshotStore())
		},
		NewProber: fake.NewProber(lookEvery, time, r.dead, func() func(failover.MemberName) fake.Look { return hands.probe }),
	})
	if err != nil {
		c.t.Fatal(errors.Join(err, listener.Close()))
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	c.History.Note(string(node), "starts as %s", r)
	go c.live(ctx, r, n)
	return r
}

// live is a whole life. Whoever ends by itself is gone like any process.
func (c *Cluster) live(ctx context.Context, r *run, n *arbiter.Node) {
	defer close(r.ended)
	r.err = n.Run(ctx)
	c.History.Note(string(r.node), "%s has ended: %v", r, r.err)
	c.gone(r, false)
}

// gone ends all that a process has outside of itself, unless it is gone already. Its disk is left as it is once nothing reaches anybody any
// more: what it has told its peers that it wrote is there.
func (c *Cluster) gone(r *run, dark bool) {
	c.truth.mu.Lock()
	defer c.truth.mu.Unlock()
	if r.isDead() {
		return
	}
	r.net.Kill(dark)
	r.left = r.disk.Leave()
	close(r.dead)
	r.stop()
}

// pathEvery is how often fence paths are looked at, and routesEvery how often routes are.
const (
	pathEvery   = time.Second
	routesEvery = 10 * time.Second
)

// folder is where an arbiter keeps its mark.
func (c *Cluster) folder(name string) string {
	folder := filepath.Join(c.data, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		c.t.Fatal(err)
	}
	return folder
}
