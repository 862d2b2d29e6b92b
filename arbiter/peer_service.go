package arbiter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// peerService is spoken between arbiters.
type peerService struct {
	arbiterv1.UnimplementedArbiterPeerServiceServer
	node *Node
}

// openWhileStarting are the services that answer before the node has joined its cluster: without the bootstrap calls it never would.
func openWhileStarting(method string) bool {
	return strings.HasSuffix(method, "/GetBootstrapStatus") || strings.HasSuffix(method, "/DescribeArbiter") || strings.HasPrefix(method, "/grpc.")
}

func (s *apiServer) mayServe(method string) error {
	if openWhileStarting(method) {
		return nil
	}
	select {
	case <-s.serving:
		return nil
	default:
		return s.node.notJoined()
	}
}

// notJoined is the answer of an arbiter that is on its way into its cluster, with what keeps it.
func (n *Node) notJoined() error {
	waits := "it reads its disk"
	if b := n.bootstrapping(); b != nil {
		waits = b.waiting()
	}
	why := fmt.Sprintf("%s has not joined its cluster yet: %s", n.options.Node, waits)
	failure, err := status.New(codes.Unavailable, why).WithDetails(&arbiterv1.NotLeader{WaitsFor: waits})
	if err != nil {
		return status.Error(codes.Unavailable, why)
	}
	return failure.Err()
}

// StreamViews takes the view of another arbiter, or of this one. A sender that ends its stream in order has done nothing wrong.
func (p *peerService) StreamViews(stream grpc.BidiStreamingServer[arbiterv1.StreamViewsRequest, arbiterv1.StreamViewsResponse]) error {
	err := p.takeViews(stream)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (p *peerService) takeViews(stream grpc.BidiStreamingServer[arbiterv1.StreamViewsRequest, arbiterv1.StreamViewsResponse]) error {
	node := failover.NodeID(identityOf(stream.Context()).Name)
	if p.node.options.TLS != nil {
		return p.node.intake.serve(stream.Context(), node, stream)
	}
	// Without certificates the first message says who speaks.
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	return p.node.intake.serve(stream.Context(), failover.NodeID(first.GetBatch().GetNode()), &replayed{BidiStreamingServer: stream, first: first})
}

// replayed gives the first message of a stream once more.
type replayed struct {
	grpc.BidiStreamingServer[arbiterv1.StreamViewsRequest, arbiterv1.StreamViewsResponse]
	first *arbiterv1.StreamViewsRequest
}

func (r *replayed) Recv() (*arbiterv1.StreamViewsRequest, error) {
	if first := r.first; first != nil {
		r.first = nil
		return first, nil
	}
	return r.BidiStreamingServer.Recv()
}

// GetBootstrapStatus says whether this arbiter has, or is about to have, a cluster.
func (p *peerService) GetBootstrapStatus(ctx context.Context, r *arbiterv1.GetBootstrapStatusRequest) (*arbiterv1.GetBootstrapStatusResponse, error) {
	b := p.node.bootstrapping()
	if b == nil {
		return nil, status.Error(codes.Unavailable, "this arbiter is still reading its data directory")
	}
	self := b.answer(failover.NodeID(cmp.Or(identityOf(ctx).Name, r.GetNode())))
	return &arbiterv1.GetBootstrapStatusResponse{
		Node: string(self.Node), ClusterId: self.ClusterID, State: string(self.State),
		ListHash: self.ListHash, List: self.List,
	}, nil
}

// DescribeArbiter says what this arbiter is, and how far it has come.
func (p *peerService) DescribeArbiter(context.Context, *arbiterv1.DescribeArbiterRequest) (*arbiterv1.DescribeArbiterResponse, error) {
	return p.node.describe(), nil
}

// Inspect looks, from here, for what would keep a failover from working.
func (p *peerService) Inspect(ctx context.Context, r *arbiterv1.InspectRequest) (*arbiterv1.InspectResponse, error) {
	check, err := p.node.inspect(ctx, r.GetSpec())
	if err != nil {
		return nil, err
	}
	return &arbiterv1.InspectResponse{Check: check}, nil
}

// BootstrapStatus asks another arbiter how far it has come.
func (p *peers) BootstrapStatus(ctx context.Context, node failover.NodeID) (BootstrapStatus, error) {
	client, err := p.client(node)
	if err != nil {
		return BootstrapStatus{}, err
	}
	answer, err := client.GetBootstrapStatus(ctx, &arbiterv1.GetBootstrapStatusRequest{Node: string(p.self)})
	if err != nil {
		return BootstrapStatus{}, p.trust(node, err)
	}
	return BootstrapStatus{
		Node: failover.NodeID(answer.GetNode()), ClusterID: answer.GetClusterId(), State: BootstrapState(answer.GetState()),
		ListHash: answer.GetListHash(), List: answer.GetList(),
	}, nil
}
