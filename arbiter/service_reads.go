package arbiter

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// GetStatus says who is primary, whether it is safe, and what a failover would lose.
func (s *service) GetStatus(ctx context.Context, r *arbiterv1.GetStatusRequest) (*arbiterv1.GetStatusResponse, error) {
	if leading, _ := s.node.leading.get(); leading && r.GetConsistency() != arbiterv1.Consistency_CONSISTENCY_STALE {
		s.node.awaitViews(ctx)
	}
	state, freshness, err := s.read(ctx, r.GetConsistency())
	if err != nil {
		return nil, err
	}
	answer := &arbiterv1.GetStatusResponse{
		Freshness: freshness, ClusterId: s.node.clusterID(state), Insecure: s.node.options.TLS == nil,
		Arbiters: s.node.arbitersToProto(state),
	}
	groups, err := s.groups(state, r.GetGroup())
	if err != nil {
		return nil, err
	}
	if r.GetAskArbiters() {
		s.node.describeArbiters(ctx, answer.GetArbiters())
	}
	for _, g := range groups {
		e := failover.Explain(s.node.judged(state, g), g.Name, s.node.loop.durations(ctx, g.Name))
		answer.Groups = append(answer.Groups, s.node.groupToProto(state, g, e))
	}
	return answer, nil
}

// Explain says why Arbiter did or did not act, from the same decision that the leader acts on.
func (s *service) Explain(ctx context.Context, r *arbiterv1.ExplainRequest) (*arbiterv1.ExplainResponse, error) {
	state, g, freshness, err := s.readGroup(ctx, r)
	if err != nil {
		return nil, err
	}
	explanation := s.within(g, failover.Explain(s.node.judged(state, g), g.Name, s.node.loop.durations(ctx, g.Name)))
	answer := s.node.explanationToProto(state, g, explanation)
	answer.Freshness = freshness
	return answer, nil
}

// GetEpochs gives the lease and the history of epochs of a group.
func (s *service) GetEpochs(ctx context.Context, r *arbiterv1.GetEpochsRequest) (*arbiterv1.GetEpochsResponse, error) {
	_, g, freshness, err := s.readGroup(ctx, r)
	if err != nil {
		return nil, err
	}
	answer := epochsToProto(g)
	answer.Freshness = freshness
	return answer, nil
}

func epochsToProto(g *failover.Group) *arbiterv1.GetEpochsResponse {
	answer := &arbiterv1.GetEpochsResponse{Group: string(g.Name), Epoch: uint64(g.Epoch), Writer: string(g.Writer()), Lease: leaseToProto(g)}
	answer.BeingPromoted = string(g.BeingPromoted())
	if op := g.Operation; op != nil {
		answer.Operation, answer.Stage, answer.HeldReason = string(op.ID), string(g.Stage), string(g.Hold.Reason)
	}
	for _, row := range slices.Backward(g.History.Epochs) {
		answer.History = append(answer.History, epochToProto(row))
	}
	return answer
}

// ListOperations lists operations, the newest first.
func (s *service) ListOperations(ctx context.Context, r *arbiterv1.ListOperationsRequest) (*arbiterv1.ListOperationsResponse, error) {
	state, freshness, err := s.read(ctx, r.GetConsistency())
	if err != nil {
		return nil, err
	}
	answer := &arbiterv1.ListOperationsResponse{Freshness: freshness}
	groups, err := s.groups(state, r.GetGroup())
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		answer.Operations = append(answer.Operations, operationsToProto(g, s.next(ctx, state, g))...)
	}
	slices.SortStableFunc(answer.GetOperations(), func(a, b *arbiterv1.Operation) int {
		return b.GetBegan().AsTime().Compare(a.GetBegan().AsTime())
	})
	if limit := int(r.GetLimit()); limit > 0 && len(answer.GetOperations()) > limit {
		answer.Operations = answer.GetOperations()[:limit]
	}
	return answer, nil
}

// attestationsAnswered are so many as one answer has unless it is asked for another number.
const attestationsAnswered = 100

// ListAttestations lists people's words on members, the newest first. The group need not exist any more.
func (s *service) ListAttestations(ctx context.Context, r *arbiterv1.ListAttestationsRequest) (*arbiterv1.ListAttestationsResponse, error) {
	state, freshness, err := s.read(ctx, r.GetConsistency())
	if err != nil {
		return nil, err
	}
	answer := attestationsToProto(state, r)
	answer.Freshness = freshness
	return answer, nil
}

// attestationsToProto never parts what one entry brought, so that the next question can begin before it.
func attestationsToProto(state *failover.State, r *arbiterv1.ListAttestationsRequest) *arbiterv1.ListAttestationsResponse {
	answer, most := &arbiterv1.ListAttestationsResponse{}, int(cmp.Or(r.GetLimit(), attestationsAnswered))
	last := uint64(0)
	for _, a := range slices.Backward(state.Attestations) {
		index := uint64(a.Index)
		switch {
		case r.GetGroup() != "" && r.GetGroup() != string(a.Group), r.GetBefore() != 0 && index >= r.GetBefore():
			continue
		case len(answer.GetAttestations()) >= most && index != last:
			answer.More = true
			return answer
		}
		last = index
		answer.Attestations = append(answer.Attestations, &arbiterv1.Attestation{
			Index: index, Time: timeToProto(a.Wall), Actor: a.Actor, Reason: a.Reason, Group: string(a.Group), Member: string(a.Member),
			Operation: string(a.Operation), Revoked: uint64(a.Revoked), Epoch: uint64(a.Epoch), Saw: a.Saw,
		})
	}
	return answer
}

// GetOperation gives one operation with its timeline; without an id the newest one of the group.
func (s *service) GetOperation(ctx context.Context, r *arbiterv1.GetOperationRequest) (*arbiterv1.GetOperationResponse, error) {
	state, g, freshness, err := s.readGroup(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, op := range operationsToProto(g, s.next(ctx, state, g)) {
		if r.GetOperation() == "" || r.GetOperation() == op.GetId() {
			return &arbiterv1.GetOperationResponse{Freshness: freshness, Operation: op}, nil
		}
	}
	if s.node.pending(state) > 0 {
		return nil, s.node.notYetKnown(state, "what was done on "+r.GetGroup())
	}
	if r.GetOperation() == "" {
		return nil, status.Errorf(codes.NotFound, "%s has had no operation", r.GetGroup())
	}
	return nil, status.Errorf(codes.NotFound, "%s has no operation %s, or it is no longer kept; see arbiterctl history %s", r.GetGroup(), r.GetOperation(), r.GetGroup())
}

// next is the decision on a group's operation in progress, as the leader takes it; nothing if there is none.
func (s *service) next(ctx context.Context, state *failover.State, g *failover.Group) failover.Decision {
	if g.Operation == nil {
		return failover.Decision{}
	}
	return failover.Plan(state, g.Name, s.node.loop.durations(ctx, g.Name))
}

// ListArbiters tells about the arbiters themselves.
func (s *service) ListArbiters(ctx context.Context, r *arbiterv1.ListArbitersRequest) (*arbiterv1.ListArbitersResponse, error) {
	state, freshness, err := s.read(ctx, r.GetConsistency())
	if err != nil {
		return nil, err
	}
	arbiters := s.node.arbitersToProto(state)
	s.node.describeArbiters(ctx, arbiters)
	return &arbiterv1.ListArbitersResponse{
		Freshness: freshness, Arbiters: arbiters, ClusterId: s.node.clusterID(state), Insecure: s.node.options.TLS == nil,
	}, nil
}

// addDescription adds what an arbiter says of itself, which nobody commits.
func addDescription(a *arbiterv1.ArbiterStatus, said *arbiterv1.DescribeArbiterResponse) {
	if said == nil {
		a.Readiness = arbiterv1.Readiness_READINESS_SILENT
		return
	}
	a.Release, a.Readiness, a.ListDiffers, a.Certificates = said.GetRelease(), said.GetReadiness(), said.GetListDiffers(), said.GetCertificates()
	a.Zone, a.EntryVersion = cmp.Or(a.GetZone(), said.GetZone()), cmp.Or(said.GetEntryVersion(), a.GetEntryVersion())
}

// GetGroup returns a group's spec, as written or with every default.
func (s *service) GetGroup(ctx context.Context, r *arbiterv1.GetGroupRequest) (*arbiterv1.GetGroupResponse, error) {
	_, g, freshness, err := s.readGroup(ctx, r)
	if err != nil {
		return nil, err
	}
	written, effective, err := specsOf(g)
	if err != nil {
		return nil, err
	}
	spec := written
	if r.GetDefaults() {
		spec = effective
	}
	return &arbiterv1.GetGroupResponse{Freshness: freshness, Spec: spec, Version: g.SpecVersion}, nil
}

// DiffGroup says what applying a spec would change.
func (s *service) DiffGroup(ctx context.Context, r *arbiterv1.DiffGroupRequest) (*arbiterv1.DiffGroupResponse, error) {
	state, freshness, err := s.read(ctx, arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE)
	if err != nil {
		return nil, err
	}
	effective, err := s.node.options.Specs.Effective(r.GetSpec())
	if err != nil {
		return nil, refusedSpec(err)
	}
	present, answer := &arbiterv1.GroupSpec{}, &arbiterv1.DiffGroupResponse{Freshness: freshness}
	if g := state.Group(failover.GroupName(r.GetSpec().GetGroup())); g != nil {
		answer.Version = g.SpecVersion
		if _, present, err = specsOf(g); err != nil {
			return nil, err
		}
	}
	answer.Differences = s.node.options.Specs.Differences(present, effective)
	return answer, nil
}
