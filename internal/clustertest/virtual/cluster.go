package virtual

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Timing is a profile like that for one building, in which a leader gives up as late as is allowed: the longest time for two to lead.
func Timing() arbiter.Timing {
	return arbiter.Timing{
		Heartbeat: 200 * time.Millisecond, Election: 200 * time.Millisecond, Lease: 190 * time.Millisecond,
		Commit: 25 * time.Millisecond, Idle: 100 * time.Millisecond,
	}
}

// Cluster is some whole arbiters, their network, their disks, and the world that they protect. All of it ends with the test.
type Cluster struct {
	Net     *Network
	World   *World
	History *History

	t      *testing.T
	truth  *truth
	peers  []arbiter.Peer
	timing arbiter.Timing
	data   string
	log    hclog.Logger
	apis   map[failover.NodeID]arbiterv1.ArbiterServiceClient
	number int // of the latest request

	mu    sync.Mutex
	runs  map[failover.NodeID]*run // the newest of each arbiter, dead or alive
	moods map[failover.NodeID]Mood
	hangs []func() // ends what hangs, or would go on by itself
	lives []*run   // all that ever were
}

// New starts a cluster. It must be called in a bubble; the seed chooses what the network does by chance.
func New(t *testing.T, size int, seed uint64) *Cluster {
	t.Helper()
	h := newHistory()
	c := &Cluster{
		Net: NewNetwork(rand.New(rand.NewPCG(seed, 1))), World: newWorld(h), History: h, t: t, truth: newTruth(h), timing: Timing(),
		data: t.TempDir(), log: logOf(t), apis: map[failover.NodeID]arbiterv1.ArbiterServiceClient{},
		runs: map[failover.NodeID]*run{}, moods: map[failover.NodeID]Mood{},
	}
	for i := range size {
		node := fmt.Sprintf("az-%c", 'a'+i)
		c.peers = append(c.peers, arbiter.Peer{Node: failover.NodeID(node), Zone: node, Raft: node + ":7400", GRPC: node + ":7401"})
	}
	t.Cleanup(c.end)
	for _, p := range c.peers {
		c.dial(p)
		c.Start(p.Node)
	}
	return c
}

// logOf is the arbiters' own log, which is wanted seldom: LOG=1 shows it.
func logOf(t *testing.T) hclog.Logger {
	if os.Getenv("LOG") == "" {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: t.Output()})
}

func (c *Cluster) dial(p arbiter.Peer) {
	connection, err := grpc.NewClient("passthrough:///"+p.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(c.Net.Host("operator").DialContext),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = connection.Close() })
	c.apis[p.Node] = arbiterv1.NewArbiterServiceClient(connection)
}

// end ends everything, whatever state it is in.
func (c *Cluster) end() {
	c.Calm()
	for _, r := range c.lives { // also those that were killed while they looked for their cluster: they would look for ever
		r.stop()
	}
	for _, p := range c.peers {
		if r := c.runs[p.Node]; r != nil {
			<-r.ended
		}
	}
	time.Sleep(restTakes) // what was killed ends in its own time
	c.replay()
}

// restTakes is longer than anything that an arbiter leaves behind at its end.
const restTakes = time.Minute

// Calm ends all faults, but starts nobody.
func (c *Cluster) Calm() {
	c.mu.Lock()
	hangs := c.hangs
	c.hangs = nil
	clear(c.moods)
	c.mu.Unlock()
	for _, goOn := range hangs {
		goOn()
	}
	for _, p := range c.peers {
		if r := c.present(p.Node); r != nil {
			r.disk.Slow(0)
		}
	}
	c.Net.Heal()
}

// Nodes are all arbiters.
func (c *Cluster) Nodes() []failover.NodeID {
	var nodes []failover.NodeID
	for _, p := range c.peers {
		nodes = append(nodes, p.Node)
	}
	return nodes
}

func (c *Cluster) peer(node failover.NodeID) arbiter.Peer {
	i := slices.IndexFunc(c.peers, func(p arbiter.Peer) bool { return p.Node == node })
	if i < 0 {
		c.t.Fatalf("there is no arbiter %q", node)
	}
	return c.peers[i]
}

// present is the run of an arbiter that is alive; nil if there is none.
func (c *Cluster) present(node failover.NodeID) *run {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.runs[node]; r != nil && !r.isDead() {
		return r
	}
	return nil
}

// Lives says whether an arbiter runs.
func (c *Cluster) Lives(node failover.NodeID) bool { return c.present(node) != nil }

// Start starts an arbiter that does not run, for the first time or again on its disk.
func (c *Cluster) Start(node failover.NodeID) {
	c.t.Helper()
	c.mu.Lock()
	last := c.runs[node]
	c.mu.Unlock()
	disk, number := NewDisk(c.truth.stored), 1
	if last != nil {
		disk, number = cmp.Or(last.kept, last.left), last.number+1
	}
	c.begin(c.start(node, number, disk, c.folder(string(node))))
}

// StartUnmounted starts an arbiter that does not run without its disk, as where that was not mounted: on an empty one. It must not take
// part; Start gives it its own disk again.
func (c *Cluster) StartUnmounted(node failover.NodeID) {
	c.t.Helper()
	c.mu.Lock()
	last := c.runs[node]
	c.mu.Unlock()
	number := last.number + 1
	who := fmt.Sprintf("%s/%d", node, number)
	disk := NewDisk(func(log *raft.Log) {
		c.History.Violate("bootstrap", "%s, whose disk is empty where it had voted before, begins a log: index %d, term %d", who, log.Index, log.Term)
	})
	r := c.start(node, number, disk, c.folder(fmt.Sprintf("%s-empty-%d", node, number)))
	r.kept = cmp.Or(last.kept, last.left)
	c.begin(r)
}

func (c *Cluster) begin(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[r.node] = r
	c.lives = append(c.lives, r)
}

// Kill ends an arbiter without any order: it hands nothing over, and nothing that it does from now on reaches anybody. With its whole
// machine, its peers don't even hear that it is gone.
func (c *Cluster) Kill(node failover.NodeID, machine bool) {
	if r := c.present(node); r != nil {
		c.History.Note("fault", "%s is killed, with its machine: %v", r, machine)
		c.gone(r, machine)
	}
}

// Stop ends an arbiter in an orderly way.
func (c *Cluster) Stop(node failover.NodeID) {
	c.t.Helper()
	if r := c.present(node); r != nil {
		c.History.Note("fault", "%s is stopped", r)
		r.stop()
		<-r.ended
	}
}

// Partition cuts the nodes off from all other arbiters, both ways.
func (c *Cluster) Partition(nodes ...failover.NodeID) {
	for _, p := range c.peers {
		for _, n := range nodes {
			if !slices.Contains(nodes, p.Node) {
				c.Net.Cut(string(p.Node), string(n))
				c.Net.Cut(string(n), string(p.Node))
			}
		}
	}
}

// Leader waits until an arbiter answers as the leader, and names it.
func (c *Cluster) Leader() failover.NodeID {
	c.t.Helper()
	var leader failover.NodeID
	c.Eventually("an arbiter leads", func(ctx context.Context) bool {
		leader = c.leads(ctx)
		return leader != ""
	})
	return leader
}

// leads asks all arbiters who leads.
func (c *Cluster) leads(ctx context.Context) failover.NodeID {
	for _, p := range c.peers {
		if c.present(p.Node) == nil {
			continue
		}
		if _, err := c.apis[p.Node].GetStatus(ctx, &arbiterv1.GetStatusRequest{}); err == nil {
			return p.Node
		}
	}
	return ""
}

const (
	// Patience is how long a condition may take, in virtual time.
	Patience = 2 * time.Minute
	lookPace = 50 * time.Millisecond
	askLimit = 2 * time.Second
)

// Eventually waits until a condition holds, and ends the test if it doesn't.
func (c *Cluster) Eventually(what string, holds func(ctx context.Context) bool) {
	c.t.Helper()
	if !c.Within(Patience, holds) {
		c.t.Fatalf("not so in time: %s\n%s", what, c.History)
	}
}

// Within waits until a condition holds, for at most so long, and says whether it did.
func (c *Cluster) Within(limit time.Duration, holds func(ctx context.Context) bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(lookPace) {
		ctx, done := context.WithTimeout(context.Background(), askLimit)
		held := holds(ctx)
		done()
		if held {
			return true
		}
	}
	return false
}

// Status is a look at the group at whoever leads; nil if nobody answers.
func (c *Cluster) Status(ctx context.Context) *arbiterv1.GroupStatus {
	for _, p := range c.peers {
		if c.present(p.Node) == nil {
			continue
		}
		answer, err := c.apis[p.Node].GetStatus(ctx, &arbiterv1.GetStatusRequest{Group: Group})
		if err == nil && len(answer.GetGroups()) == 1 {
			return answer.GetGroups()[0]
		}
	}
	return nil
}

// Applied is the index up to which whoever leads has applied the log; 0 if nobody answers.
func (c *Cluster) Applied(ctx context.Context) uint64 {
	leader := c.Leader()
	if c.present(leader) == nil {
		return 0
	}
	answer, err := c.apis[leader].ListArbiters(ctx, &arbiterv1.ListArbitersRequest{})
	if err != nil {
		return 0
	}
	return answer.GetFreshness().GetAppliedIndex()
}

// Change is a new request.
func (c *Cluster) Change(reason string) *arbiterv1.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	return &arbiterv1.Change{RequestId: fmt.Sprintf("request-%04d", c.number), Reason: reason}
}

// Protect makes the world a protected group, and waits until it is well.
func (c *Cluster) Protect() {
	c.t.Helper()
	apply := &arbiterv1.ApplyGroupRequest{Change: c.Change("new"), Spec: Spec()}
	c.Eventually("the group is applied", func(ctx context.Context) bool {
		_, err := c.apis[c.Leader()].ApplyGroup(ctx, apply)
		return err == nil
	})
	c.Eventually("the group is adopted", func(ctx context.Context) bool {
		answer, err := c.apis[c.Leader()].Adopt(ctx, &arbiterv1.AdoptRequest{Change: c.Change("begin"), Group: Group})
		return err == nil && answer.GetMember() == "db1"
	})
	c.Eventually("the group is well", c.Well)
}

// Served says whether the group is well and its clients are sent to the primary.
func (c *Cluster) Served(ctx context.Context) bool {
	return c.Well(ctx) && c.World.Front() == c.World.Writer()
}

// Well says whether the group has a primary, in the world too, a standby that could take over, and nothing to do.
func (c *Cluster) Well(ctx context.Context) bool {
	g := c.Status(ctx)
	return g.GetArmed() && g.GetStage() == string(failover.Steady) && g.GetPrimaryStatus() == "up" && g.GetCandidate() != "" &&
		g.GetPrimary() == string(c.World.Writer()) && g.GetLease() == nil
}
