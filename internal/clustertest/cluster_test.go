package clustertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/pki"
	"github.com/arbiter-ha/arbiter/internal/recording"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// patience is how long a condition may take on a busy machine.
const patience = time.Minute

// timing is the lan profile with much more time for elections: tests share their processors, a machine may rest for a second, and a leader that
// changes without being told to is tested elsewhere.
func timing() arbiter.Timing {
	return arbiter.Timing{
		Heartbeat: 1500 * time.Millisecond, Election: 1500 * time.Millisecond, Lease: 1400 * time.Millisecond,
		Commit: 12 * time.Millisecond, Idle: 30 * time.Millisecond,
	}
}

// cluster is three arbiters and their world.
type cluster struct {
	t         testing.TB
	world     *world
	authority *pki.Authority                     // nil: plaintext
	strangers map[failover.NodeID]*pki.Authority // whose arbiters have a certificate of another authority
	validFor  map[failover.NodeID]time.Duration  // of arbiters whose certificates last for another time than usual
	peers     []arbiter.Peer
	folder    string
	log       hclog.Logger
	lists     map[failover.NodeID][]arbiter.Peer       // of arbiters that are configured with another list of arbiters
	failpoint func(node failover.NodeID, where string) // set before start
	specs     arbiter.Specs                            // set before start; nil: fake.Specs
	records   map[failover.NodeID]*recording.Recorder  // set before start, of arbiters that record
	pathEvery time.Duration                            // set before start: how often fence paths are asked; 0: once a minute

	mu      sync.Mutex
	running map[failover.NodeID]*running
	calls   map[string]*grpc.ClientConn // by certificate and node
	number  int
}

// running is one arbiter that runs.
type running struct {
	stop   context.CancelFunc
	killed chan struct{}
	ended  chan error // gets one
}

// newCluster prepares a cluster; nothing runs yet.
func newCluster(t testing.TB, secure bool) *cluster {
	c := &cluster{
		t: t, world: newWorld(), folder: t.TempDir(), running: map[failover.NodeID]*running{}, calls: map[string]*grpc.ClientConn{},
		log: hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: t.Output()}),
	}
	if secure {
		authority, err := pki.NewAuthority("lab")
		if err != nil {
			t.Fatal(err)
		}
		c.authority = authority
	}
	for _, node := range []failover.NodeID{"az-a", "az-b", "az-c"} {
		c.peers = append(c.peers, arbiter.Peer{Node: node, Zone: string(node), Raft: freeport.Address(t), GRPC: freeport.Address(t)})
	}
	t.Cleanup(c.end)
	return c
}

// startCluster is a secure cluster that has a leader.
func startCluster(t testing.TB) *cluster {
	c := newCluster(t, true)
	c.startAll()
	c.leader()
	return c
}

// startProtecting is a cluster that has adopted the fake world as group pay, and sees all of it.
func startProtecting(t testing.TB) *cluster {
	c := startCluster(t)
	c.applyAndAdopt("pay")
	return c
}

func (c *cluster) startAll() {
	for _, p := range c.peers {
		c.start(p.Node)
	}
}

// start runs an arbiter, for the first time or again on its disk.
func (c *cluster) start(node failover.NodeID) {
	c.t.Helper()
	peer := c.peers[slices.IndexFunc(c.peers, func(p arbiter.Peer) bool { return p.Node == node })]
	listener, err := net.Listen("tcp", peer.GRPC)
	if err != nil {
		c.t.Fatal(err)
	}
	one := &running{killed: make(chan struct{}), ended: make(chan error, 1)}
	options := arbiter.Options{
		Node: node, Zone: peer.Zone, Peers: c.peers, Data: c.folder + "/" + string(node), RaftListen: peer.Raft, GRPC: listener,
		Insecure: c.authority == nil, Timing: timing(), Clock: clock.System(), Log: c.log, Drivers: hands{node: node, world: c.world}.drivers(),
		Specs: fake.Specs{}, Release: "test", FencePathEvery: cmp.Or(c.pathEvery, minute), Reach: c.world.reach(node),
		NewProber: fake.NewProber(lookEvery, clock.System(), one.killed, c.world.looks(node)),
	}
	if c.authority != nil {
		options.TLS = certificateOf(c.t, cmp.Or(c.strangers[node], c.authority), pki.Request{
			Role: pki.RoleArbiter, Name: string(node), ValidFor: c.validFor[node],
		})
	}
	if list, differs := c.lists[node]; differs {
		options.Peers = list
	}
	options.Record = c.records[node]
	if c.specs != nil {
		options.Specs = c.specs
	}
	if c.failpoint != nil {
		options.Failpoint = func(where string) bool {
			c.failpoint(node, where)
			return false
		}
	}
	n, err := arbiter.New(options)
	if err != nil {
		c.t.Fatal(errors.Join(err, listener.Close()))
	}
	ctx, stop := context.WithCancel(context.Background())
	one.stop = stop
	c.mu.Lock()
	c.running[node] = one
	c.mu.Unlock()
	go func() { one.ended <- n.Run(ctx) }()
}

// stop ends an arbiter in an orderly way.
func (c *cluster) stop(node failover.NodeID) {
	c.t.Helper()
	one := c.take(node)
	one.stop()
	if err := <-one.ended; err != nil {
		c.t.Errorf("%s ended with %v", node, err)
	}
}

// kill ends an arbiter without any order: it hands nothing over and releases nothing.
func (c *cluster) kill(node failover.NodeID) {
	c.t.Helper()
	one := c.take(node)
	close(one.killed)
	if err := <-one.ended; !errors.Is(err, fake.ErrKilled) {
		c.t.Errorf("%s ended with %v, want %v", node, err, fake.ErrKilled)
	}
	one.stop()
}

func (c *cluster) take(node failover.NodeID) *running {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.running[node]
	if one == nil {
		c.t.Fatalf("%s does not run", node)
	}
	delete(c.running, node)
	return one
}

// ended waits for an arbiter that ends by itself.
func (c *cluster) ended(node failover.NodeID) error {
	c.t.Helper()
	one := c.take(node)
	defer one.stop()
	select {
	case err := <-one.ended:
		return err
	case <-time.After(patience):
		c.t.Fatalf("%s goes on", node)
		return nil
	}
}

// end ends every arbiter that still runs.
func (c *cluster) end() {
	for _, one := range c.running {
		one.stop()
	}
	for node, one := range c.running {
		select {
		case <-one.ended:
		case <-time.After(patience):
			c.t.Errorf("%s did not end", node)
		}
	}
}

// certificate issues one, and reads it.
func (c *cluster) certificate(r pki.Request) *pki.Reloader {
	c.t.Helper()
	return certificateOf(c.t, c.authority, r)
}

func certificateOf(t testing.TB, a *pki.Authority, r pki.Request) *pki.Reloader {
	t.Helper()
	files, err := a.IssueTo(t.TempDir(), r, false)
	if err != nil {
		t.Fatal(err)
	}
	reloader, err := pki.NewReloader(files)
	if err != nil {
		t.Fatal(err)
	}
	return reloader
}

// dial connects to an arbiter under a certificate; nil is plaintext.
func (c *cluster) dial(node failover.NodeID, certificate *pki.Reloader) *grpc.ClientConn {
	c.t.Helper()
	peer := c.peers[slices.IndexFunc(c.peers, func(p arbiter.Peer) bool { return p.Node == node })]
	security := insecure.NewCredentials()
	if certificate != nil {
		security = credentials.NewTLS(certificate.Client(pki.Peer{Roles: []pki.Role{pki.RoleArbiter}}))
	}
	connection, err := grpc.NewClient("passthrough:///"+peer.GRPC, grpc.WithTransportCredentials(security),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: patience}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// alice is an operator who may do everything.
var alice = pki.Request{Role: pki.RoleOperator, Name: "alice"}

// api is the API of an arbiter, for an operator who may do everything.
func (c *cluster) api(node failover.NodeID) arbiterv1.ArbiterServiceClient {
	return c.apiAs(node, alice)
}

// apiAs is the API of an arbiter, for the holder of a new certificate.
func (c *cluster) apiAs(node failover.NodeID, who pki.Request) arbiterv1.ArbiterServiceClient {
	c.t.Helper()
	return arbiterv1.NewArbiterServiceClient(c.connection(node, who))
}

func (c *cluster) connection(node failover.NodeID, who pki.Request) *grpc.ClientConn {
	c.t.Helper()
	key := fmt.Sprintf("%s %+v", node, who)
	c.mu.Lock()
	known := c.calls[key]
	c.mu.Unlock()
	if known != nil {
		return known
	}
	var certificate *pki.Reloader
	if c.authority != nil {
		certificate = c.certificate(who)
	}
	made := c.dial(node, certificate)
	c.mu.Lock()
	c.calls[key] = made
	c.mu.Unlock()
	return made
}

// led is the API of whoever leads, for tests to which it doesn't matter who does: on a machine that is busy for seconds another arbiter may come to
// lead in the middle of any of them.
func (c *cluster) led() arbiterv1.ArbiterServiceClient {
	return arbiterv1.NewArbiterServiceClient(toLeader{c})
}

// toLeader implements grpc.ClientConnInterface.
type toLeader struct{ cluster *cluster }

// Invoke asks again where one that doesn't lead was asked, which has done nothing then.
func (l toLeader) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	for {
		err := l.cluster.connection(l.cluster.leader(), alice).Invoke(ctx, method, args, reply, options...)
		refused := slices.ContainsFunc(status.Convert(err).Details(), func(detail any) bool { _, is := detail.(*arbiterv1.NotLeader); return is })
		if !refused {
			return err
		}
	}
}

func (l toLeader) NewStream(ctx context.Context, about *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.cluster.connection(l.cluster.leader(), alice).NewStream(ctx, about, method, options...)
}

// eventually waits until a condition holds.
func (c *cluster) eventually(what string, holds func(ctx context.Context) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, 10*time.Second)
		held := holds(attempt)
		done()
		if held {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			c.t.Fatalf("not so in time: %s; done so far:\n%s", what, strings.Join(c.world.effects(), "\n"))
		}
	}
}

// leader waits until one running arbiter answers linearizable reads, and names it.
func (c *cluster) leader() failover.NodeID {
	c.t.Helper()
	var found failover.NodeID
	c.eventually("an arbiter leads", func(ctx context.Context) bool {
		for _, p := range c.peers {
			c.mu.Lock()
			runs := c.running[p.Node] != nil
			c.mu.Unlock()
			if !runs {
				continue
			}
			if _, err := c.api(p.Node).ListArbiters(ctx, &arbiterv1.ListArbitersRequest{}); err == nil {
				found = p.Node
				return true
			}
		}
		return false
	})
	return found
}

// follower is an arbiter that runs and does not lead.
func (c *cluster) follower() failover.NodeID {
	c.t.Helper()
	leader := c.leader()
	for _, p := range c.peers {
		if p.Node != leader && c.running[p.Node] != nil {
			return p.Node
		}
	}
	c.t.Fatal("no follower runs")
	return ""
}

// change is a new request.
func (c *cluster) change(reason string) *arbiterv1.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	return &arbiterv1.Change{RequestId: fmt.Sprintf("request-%04d", c.number), Reason: reason}
}

// applyAndAdopt makes the fake world a protected group, and waits until every arbiter sees it and every fence path is armed.
func (c *cluster) applyAndAdopt(group string) { c.applySpecAndAdopt(writtenSpec(group)) }

func (c *cluster) applySpecAndAdopt(spec *arbiterv1.GroupSpec) {
	c.t.Helper()
	group := spec.GetGroup()
	apply := &arbiterv1.ApplyGroupRequest{Change: c.change("new"), Spec: spec}
	c.eventually(group+" is applied", func(ctx context.Context) bool {
		_, err := c.api(c.leader()).ApplyGroup(ctx, apply)
		return err == nil
	})
	c.eventually(group+" is adopted", func(ctx context.Context) bool {
		answer, err := c.api(c.leader()).Adopt(ctx, &arbiterv1.AdoptRequest{Change: c.change("begin"), Group: group})
		return err == nil && answer.GetMember() == "db1"
	})
	c.eventually(group+" is seen by all and armed", func(ctx context.Context) bool {
		g := c.status(ctx, group)
		return g.GetArmed() && g.GetPrimaryStatus() == "up" && g.GetCandidate() != "" && len(c.currentViews(ctx)) == 3
	})
}

// status is a linearizable look at a group at whoever leads; nil if nobody answers.
func (c *cluster) status(ctx context.Context, group string) *arbiterv1.GroupStatus {
	c.t.Helper()
	answer, err := c.api(c.leader()).GetStatus(ctx, &arbiterv1.GetStatusRequest{Group: group})
	if err != nil || len(answer.GetGroups()) != 1 {
		return nil
	}
	return answer.GetGroups()[0]
}

// currentViews names the arbiters whose views the leader has.
func (c *cluster) currentViews(ctx context.Context) []string {
	answer, err := c.api(c.leader()).ListArbiters(ctx, &arbiterv1.ListArbitersRequest{})
	if err != nil {
		return nil
	}
	var nodes []string
	for _, a := range answer.GetArbiters() {
		if a.GetViewCurrent() {
			nodes = append(nodes, a.GetNode())
		}
	}
	return nodes
}

// awaitFailover waits until the group is steady under another primary with its lease released, and returns the receipt.
func (c *cluster) awaitFailover(group string) (*arbiterv1.GroupStatus, *arbiterv1.Operation) {
	c.t.Helper()
	var g *arbiterv1.GroupStatus
	c.eventually(group+" has failed over", func(ctx context.Context) bool {
		g = c.status(ctx, group)
		return g.GetStage() == string(failover.Steady) && g.GetPrimary() != "db1" && g.GetPrimary() != "" && g.GetLease() == nil
	})
	answer, err := c.api(c.leader()).GetOperation(c.t.Context(), &arbiterv1.GetOperationRequest{Group: group})
	if err != nil {
		c.t.Fatal(err)
	}
	return g, answer.GetOperation()
}
