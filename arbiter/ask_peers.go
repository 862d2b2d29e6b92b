package arbiter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// describeLimit is how long another arbiter may take to say who it is: enough for a new connection between regions.
const describeLimit = time.Second

// describe is what this arbiter says of itself.
func (n *Node) describe() *arbiterv1.DescribeArbiterResponse {
	said := &arbiterv1.DescribeArbiterResponse{
		Node: string(n.options.Node), Zone: n.options.Zone, Release: n.options.Release, Readiness: n.readiness(),
		EntryVersion: uint32(failover.CurrentVersion), Certificates: n.certificates(),
	}
	if said.GetReadiness() == arbiterv1.Readiness_READINESS_READY || said.GetReadiness() == arbiterv1.Readiness_READINESS_NO_LEADER { // it has a Raft to ask
		said.ListDiffers = listDiffers(n.options.Peers, n.raft.Servers())
	}
	return said
}

// describePeer asks an arbiter for that, for a short time only.
func (n *Node) describePeer(ctx context.Context, p Peer) (*arbiterv1.DescribeArbiterResponse, error) {
	if p.Node == n.options.Node {
		return n.describe(), nil
	}
	client, err := n.peers.client(p.Node)
	if err != nil {
		return nil, err
	}
	ctx, cancel := clock.WithTimeout(ctx, n.options.Clock, describeLimit)
	defer cancel()
	return client.DescribeArbiter(ctx, &arbiterv1.DescribeArbiterRequest{})
}

// describeAll asks all arbiters at once; nil stands for one that did not answer.
func (n *Node) describeAll(ctx context.Context) map[failover.NodeID]*arbiterv1.DescribeArbiterResponse {
	answers := make([]*arbiterv1.DescribeArbiterResponse, len(n.options.Peers))
	n.eachPeer(func(i int, p Peer) {
		answer, err := n.describePeer(ctx, p)
		switch {
		case status.Code(err) == codes.Unimplemented:
			answers[i] = &arbiterv1.DescribeArbiterResponse{Node: string(p.Node)} // it is there, and older than this question
		case err == nil:
			answers[i] = answer
		}
	})
	known := map[failover.NodeID]*arbiterv1.DescribeArbiterResponse{}
	for i, p := range n.options.Peers {
		known[p.Node] = answers[i]
	}
	return known
}

// describeArbiters adds to the arbiters what each of them says of itself.
func (n *Node) describeArbiters(ctx context.Context, arbiters []*arbiterv1.ArbiterStatus) {
	described := n.describeAll(ctx)
	for _, a := range arbiters {
		addDescription(a, described[failover.NodeID(a.GetNode())])
	}
}

// eachPeer does something for all arbiters at the same time, and waits.
func (n *Node) eachPeer(do func(int, Peer)) {
	var wait sync.WaitGroup
	for i, p := range n.options.Peers {
		wait.Go(func() { do(i, p) })
	}
	wait.Wait()
}

// inspectPeer has one arbiter inspect a group. One that isn't there is found out soon, and never makes the others' answers late.
func (n *Node) inspectPeer(ctx context.Context, p Peer, effective *arbiterv1.GroupSpec) *arbiterv1.ArbiterCheck {
	check, err := func() (*arbiterv1.ArbiterCheck, error) {
		if p.Node == n.options.Node {
			return n.inspect(ctx, effective)
		}
		if _, err := n.describePeer(ctx, p); err != nil {
			return nil, err
		}
		client, err := n.peers.client(p.Node)
		if err != nil {
			return nil, err
		}
		answer, err := client.Inspect(ctx, &arbiterv1.InspectRequest{Spec: effective})
		return answer.GetCheck(), err
	}()
	if err != nil {
		return &arbiterv1.ArbiterCheck{Node: string(p.Node), Silent: silence(p, err)}
	}
	return check
}

// silence says in an operator's words why an arbiter has no answer.
func silence(p Peer, err error) string {
	switch status.Code(err) {
	case codes.Unimplemented:
		return "its release does not know this check: upgrade it"
	case codes.Unavailable:
		return fmt.Sprintf("it can't be reached at %s, or is still starting", p.GRPC)
	case codes.DeadlineExceeded, codes.Canceled:
		return fmt.Sprintf("no answer in time from %s", p.GRPC)
	}
	return status.Convert(err).Message()
}
