package arbiter

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// CheckGroup asks every arbiter whether a failover of a group would work from where it stands.
func (s *service) CheckGroup(ctx context.Context, r *arbiterv1.CheckGroupRequest) (*arbiterv1.CheckGroupResponse, error) {
	state, g, freshness, err := s.readGroup(ctx, r)
	if err != nil {
		return nil, err
	}
	_, effective, err := specsOf(g)
	if err != nil {
		return nil, err
	}
	durations := s.node.loop.durations(ctx, g.Name)
	now := s.node.judged(state, g)
	explanation := s.within(g, failover.Explain(now, g.Name, durations))
	answer := &arbiterv1.CheckGroupResponse{
		Freshness: freshness, Group: r.GetGroup(), Arbiters: s.checkEverywhere(ctx, effective),
		Findings: obstacles(now, g.Name, durations), WouldDo: explanation.WouldDo, Possible: explanation.Possible(),
	}
	excuse(state, g.Name, answer.GetArbiters())
	return answer, nil
}

// CheckSpec does the same for a spec that need not be applied. It is for operators only: arbiters log in where it says.
func (s *service) CheckSpec(ctx context.Context, r *arbiterv1.CheckSpecRequest) (*arbiterv1.CheckSpecResponse, error) {
	_, freshness, err := s.read(ctx, r.GetConsistency())
	if err != nil {
		return nil, err
	}
	effective, err := s.node.options.Specs.Effective(r.GetSpec())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &arbiterv1.CheckSpecResponse{Freshness: freshness, Group: r.GetSpec().GetGroup(), Arbiters: s.checkEverywhere(ctx, effective)}, nil
}

// checkEverywhere has all arbiters look at the same time. The spec goes with the question, so that all look at the same one.
func (s *service) checkEverywhere(ctx context.Context, effective *arbiterv1.GroupSpec) []*arbiterv1.ArbiterCheck {
	ctx, cancel := sooner(ctx)
	defer cancel()
	checks := make([]*arbiterv1.ArbiterCheck, len(s.node.options.Peers))
	s.node.eachPeer(func(i int, p Peer) { checks[i] = s.node.inspectPeer(ctx, p, effective) })
	return checks
}
