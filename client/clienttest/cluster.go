// Package clienttest is a double of a cluster of arbiters, for tests of programs that talk to one: it speaks the real API
// over real gRPC, in memory or over TCP, elects whom the test says, answers what the test says, does each change once per
// request id as arbiters do, and fails where the test says.
//
// It keeps the rules of the wire, none of the rules of failover. A [Cluster] runs gRPC servers' goroutines until the test
// ends.
package clienttest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Answer is what a cluster says to a call. It is called on the arbiter that leads, or on any for a stale read; for a
// change once per request id.
type Answer func(node, method string, request proto.Message) (proto.Message, error)

// Fault decides what goes wrong with a call at one arbiter; nil for nothing.
type Fault func(method string) error

// Cluster is some arbiters that agree without effort.
type Cluster struct {
	Nodes  []*Node
	answer Answer

	mutex   sync.Mutex
	leader  string // empty: nobody leads
	changes map[string]done
	order   []string // methods of the changes that were done, in order
	events  []*arbiterv1.Event
	cutOff  string // who can't say who leads
	// forgotten is how many events are no longer kept.
	forgotten uint64
	changed   chan struct{} // closed and replaced at every change of the leader or the events
}

type done struct {
	reply proto.Message
	err   error
}

// Node is one arbiter.
type Node struct {
	ID      string
	Address string

	cluster *Cluster
	server  *grpc.Server
	pipe    *bufconn.Listener // nil over TCP

	mutex         sync.Mutex
	before, after Fault
	calls         int
	deaf          bool
}

// Options say what a cluster is made of.
type Options struct {
	Nodes []string
	// TCP listens on loopback instead of in memory.
	TCP bool
	// Credentials are those of a node; nil serves plaintext.
	Credentials func(node string) credentials.TransportCredentials
	Answer      Answer
}

// New starts a cluster that ends with the test. The first node leads.
func New(t testing.TB, options Options) *Cluster {
	t.Helper()
	c := &Cluster{answer: options.Answer, leader: options.Nodes[0], changes: map[string]done{}, changed: make(chan struct{})}
	for _, id := range options.Nodes {
		n := &Node{ID: id, Address: id + ":7401", cluster: c}
		var listener net.Listener
		if options.TCP {
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatalf("listen for arbiter %s: %v", id, err)
			}
			listener, n.Address = tcp, tcp.Addr().String()
		} else {
			n.pipe = bufconn.Listen(1 << 16)
			listener = n.pipe
		}
		c.Nodes = append(c.Nodes, n)
		n.serve(t, listener, options)
	}
	return c
}

func (n *Node) serve(t testing.TB, listener net.Listener, options Options) {
	settings := []grpc.ServerOption{grpc.UnaryInterceptor(n.unary)}
	if options.Credentials != nil {
		settings = append(settings, grpc.Creds(options.Credentials(n.ID)))
	}
	n.server = grpc.NewServer(settings...)
	arbiterv1.RegisterArbiterServiceServer(n.server, &service{node: n})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.server.Serve(listener) // ends with Stop
	}()
	t.Cleanup(func() {
		n.server.Stop()
		<-ended
	})
}

// Dial connects to a node in memory by its address. It is what client.Options.Dial wants.
func (c *Cluster) Dial(ctx context.Context, address string) (net.Conn, error) {
	i := slices.IndexFunc(c.Nodes, func(n *Node) bool { return n.Address == address })
	if i < 0 {
		return nil, fmt.Errorf("dial %s: no such host", address)
	}
	n := c.Nodes[i]
	n.mutex.Lock()
	deaf := n.deaf
	n.mutex.Unlock()
	if deaf {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return n.pipe.DialContext(ctx)
}

// Addresses are the addresses of all nodes.
func (c *Cluster) Addresses() []string {
	addresses := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addresses[i] = n.Address
	}
	return addresses
}

// Node returns a node by its id.
func (c *Cluster) Node(id string) *Node {
	return c.Nodes[slices.IndexFunc(c.Nodes, func(n *Node) bool { return n.ID == id })]
}

// Lead makes a node the leader; an empty id leaves the cluster without one. Streams of the former leader end.
func (c *Cluster) Lead(id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.leader = id
	c.tell()
}

// Happen adds events. Their sequence numbers are set.
func (c *Cluster) Happen(events ...*arbiterv1.Event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, e := range events {
		e.Sequence = uint64(len(c.events) + 1)
		c.events = append(c.events, e)
	}
	c.tell()
}

// CutOff cuts a node off from the others: it can't say who leads.
func (c *Cluster) CutOff(node string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.cutOff = node
}

// Forget no longer keeps the first events.
func (c *Cluster) Forget(first uint64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.forgotten = max(c.forgotten, first)
	c.tell()
}

// Changes are the methods of the changes that were done, in order; one that was repeated under its id is there once.
func (c *Cluster) Changes() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.order)
}

func (c *Cluster) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Fail sets what goes wrong at a node: before a call does anything, and after it was done (the answer is lost then).
func (n *Node) Fail(before, after Fault) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.before, n.after = before, after
}

// Deafen makes new connections to a node hang, as a black hole does.
func (n *Node) Deafen() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.deaf = true
}

// Stop ends a node's server: connections break and new ones are refused.
func (n *Node) Stop() { n.server.Stop() }

// Calls counts the calls that reached a node.
func (n *Node) Calls() int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.calls
}

// unary answers every call that isn't a stream.
func (n *Node) unary(_ context.Context, request any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	n.mutex.Lock()
	before, after := n.before, n.after
	n.calls++
	n.mutex.Unlock()
	if before != nil {
		if err := before(info.FullMethod); err != nil {
			return nil, err
		}
	}
	message, ok := request.(proto.Message)
	if !ok {
		return nil, status.Error(codes.Internal, "the request is no message")
	}
	reply, err := n.cluster.call(n, info.FullMethod, message)
	if after != nil {
		if lost := after(info.FullMethod); lost != nil {
			return nil, lost
		}
	}
	return reply, err
}

// call answers a call at a node.
func (c *Cluster) call(n *Node, method string, request proto.Message) (proto.Message, error) {
	if read, ok := request.(interface {
		GetConsistency() arbiterv1.Consistency
	}); ok && read.GetConsistency() == arbiterv1.Consistency_CONSISTENCY_STALE {
		return c.answer(n.ID, method, request)
	}
	if err := c.mustLead(n); err != nil {
		return nil, err
	}
	changing, ok := request.(interface{ GetChange() *arbiterv1.Change })
	if !ok {
		return c.answer(n.ID, method, request)
	}
	id := changing.GetChange().GetRequestId()
	if len(id) < 8 {
		return nil, status.Error(codes.InvalidArgument, "change.request_id: must have 8 characters or more")
	}
	if dry, ok := request.(interface{ GetDryRun() bool }); ok && dry.GetDryRun() { // it is no change, also under the id of one
		return c.answer(n.ID, method, request)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if earlier, seen := c.changes[id]; seen {
		return earlier.reply, earlier.err
	}
	reply, err := c.answer(n.ID, method, request)
	c.changes[id] = done{reply, err}
	c.order = append(c.order, method)
	return reply, err
}

// mustLead is the error of a follower.
func (c *Cluster) mustLead(n *Node) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.leader == n.ID {
		return nil
	}
	detail := &arbiterv1.NotLeader{}
	if c.leader != "" && c.cutOff != n.ID {
		detail.Leader = c.leader
		detail.LeaderGrpc = c.Node(c.leader).Address
	}
	refusal, err := status.New(codes.FailedPrecondition, n.ID+" does not lead").WithDetails(detail)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return refusal.Err()
}

// Reject is the error of a change that a rule refused.
func Reject(rule, why, next string) error {
	s, err := status.New(codes.FailedPrecondition, why).WithDetails(&arbiterv1.Rejection{Rule: rule, Why: why, Next: next})
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return s.Err()
}

// service is the streaming half of the API; unary calls are answered before they get here.
type service struct {
	arbiterv1.UnimplementedArbiterServiceServer
	node *Node
}

// WatchEvents sends the kept events, says so, and goes on until the node no longer leads; a stale stream goes on at any node.
func (s *service) WatchEvents(request *arbiterv1.WatchEventsRequest, stream grpc.ServerStreamingServer[arbiterv1.WatchEventsResponse]) error {
	c, begun, caughtUp := s.node.cluster, false, false
	linearizable := request.Consistency != arbiterv1.Consistency_CONSISTENCY_STALE
	next := request.After
	for {
		if err := c.mustLead(s.node); err != nil && linearizable {
			return err
		}
		c.mutex.Lock()
		events, forgotten, leader, changed := c.events, c.forgotten, c.leader, c.changed
		c.mutex.Unlock()
		if request.FromNow && !caughtUp {
			next = uint64(len(events))
		}
		if linearizable && next > uint64(len(events)) {
			return status.Errorf(codes.OutOfRange, "there is no event %d yet", next)
		}
		if !begun || next < forgotten {
			first := &arbiterv1.WatchEventsResponse{Oldest: forgotten + 1}
			if !begun {
				first.Freshness = &arbiterv1.Freshness{Node: s.node.ID, Leader: leader, Linearizable: linearizable}
			}
			if err := stream.Send(first); err != nil {
				return err
			}
			begun, next = true, max(next, forgotten)
		}
		for ; next < uint64(len(events)); next++ {
			if e := events[next]; request.Group == "" || request.Group == e.Group {
				if err := stream.Send(&arbiterv1.WatchEventsResponse{Event: e}); err != nil {
					return err
				}
			}
		}
		if !caughtUp {
			caughtUp = true
			if err := stream.Send(&arbiterv1.WatchEventsResponse{CaughtUp: &next}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
