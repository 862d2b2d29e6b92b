package arbiter

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Failover starts a failover that an operator asks for, or says what it would do.
func (s *service) Failover(ctx context.Context, r *arbiterv1.FailoverRequest) (*arbiterv1.FailoverResponse, error) {
	if r.GetDryRun() {
		return s.dryRun(ctx, r)
	}
	if err := s.exists(r, r.GetCandidate()); err != nil {
		return nil, err
	}
	if err := s.askFirst(ctx, r); err != nil {
		return nil, err
	}
	body := started(ctx, r)
	body.Request.Reason = ignoring(body.Request.Reason, r)
	events, err := s.change(ctx, body)
	if err != nil {
		return nil, err
	}
	return startedBy(events), nil
}

// startedBy is the answer to a failover that has begun, of what came of the request: also of the end of an operation that gave way to it.
func startedBy(events []failover.Event) *arbiterv1.FailoverResponse {
	at := slices.IndexFunc(events, func(e failover.Event) bool { return e.Kind == failover.OperatorAsked })
	if at < 0 { // it was asked for before, and answers as it did then
		return &arbiterv1.FailoverResponse{Operation: operationIn(events), Plan: textOf(events)}
	}
	return &arbiterv1.FailoverResponse{Operation: string(events[at].Operation), Plan: events[at].Text}
}

// Abort ends an operation before the point of no return.
func (s *service) Abort(ctx context.Context, r *arbiterv1.AbortRequest) (*arbiterv1.AbortResponse, error) {
	if err := s.exists(r); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.Abort{Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup()), Operation: failover.OperationID(r.GetOperation())})
	if err != nil {
		return nil, err
	}
	return &arbiterv1.AbortResponse{Result: textOf(events)}, nil
}

// Reinstate gives the group back to its former writer.
func (s *service) Reinstate(ctx context.Context, r *arbiterv1.ReinstateRequest) (*arbiterv1.ReinstateResponse, error) {
	if err := s.exists(r); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.Reinstate{
		Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup()), Operation: failover.OperationID(r.GetOperation()), Seen: failover.Index(r.GetSeen()),
	})
	if err != nil {
		return nil, err
	}
	return &arbiterv1.ReinstateResponse{Result: textOf(events)}, nil
}

// Release lets a held operation go on.
func (s *service) Release(ctx context.Context, r *arbiterv1.ReleaseRequest) (*arbiterv1.ReleaseResponse, error) {
	if r.GetAcceptLoss() && !r.GetAcceptUnknownLoss() && r.GetAcceptLossBytes() == 0 {
		return nil, status.Error(codes.InvalidArgument, "accept_loss_bytes: 0 bytes are no loss; name the amount that explain says, or set accept_unknown_loss")
	}
	if err := s.exists(r, r.GetMember()); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.Release{
		Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup()), Operation: failover.OperationID(r.GetOperation()),
		AcceptLoss: r.GetAcceptLoss(), LossBytes: r.GetAcceptLossBytes(), LossUnknown: r.GetAcceptUnknownLoss(),
		Member: failover.MemberName(r.GetMember()),
		Seen:   failover.Index(r.GetSeen()),
	})
	if err != nil {
		return nil, err
	}
	return &arbiterv1.ReleaseResponse{Result: textOf(events)}, nil
}

// Attest takes the caller's word that a revoked member cannot write.
func (s *service) Attest(ctx context.Context, r *arbiterv1.AttestRequest) (*arbiterv1.AttestResponse, error) {
	if err := s.exists(r, r.GetMember()); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.Attest{
		Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup()), Operation: failover.OperationID(r.GetOperation()),
		Member: failover.MemberName(r.GetMember()), Seen: failover.Index(r.GetSeen()),
	})
	if err != nil {
		return nil, err
	}
	return &arbiterv1.AttestResponse{Result: textOf(events)}, nil
}

// Pause stops automation for a group.
func (s *service) Pause(ctx context.Context, r *arbiterv1.PauseRequest) (*arbiterv1.PauseResponse, error) {
	if err := s.exists(r); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.Pause{Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup())})
	if err != nil {
		return nil, err
	}
	return &arbiterv1.PauseResponse{Result: textOf(events)}, nil
}

// Resume starts automation again, or says what it would begin with.
func (s *service) Resume(ctx context.Context, r *arbiterv1.ResumeRequest) (*arbiterv1.ResumeResponse, error) {
	if r.GetDryRun() {
		return s.dryResume(ctx, r)
	}
	if err := s.exists(r); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.Resume{Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup())})
	if err != nil {
		return nil, err
	}
	return &arbiterv1.ResumeResponse{Result: textOf(events)}, nil
}

// dryResume resumes the group in a copy of the state, with what this arbiter saw last, and asks the routers where they lead if they would be led back.
func (s *service) dryResume(ctx context.Context, r *arbiterv1.ResumeRequest) (*arbiterv1.ResumeResponse, error) {
	state, g, err := s.groupNow(ctx, r.GetGroup())
	if err != nil {
		return nil, err
	}
	limited, cancel := sooner(ctx)
	defer cancel()
	return rehearseResume(state, failover.Resume{Request: request(ctx, r.GetChange()), Group: g.Name}, func(resumed *failover.State) failover.Resumption {
		seen := s.node.freshened(resumed, g)
		var routers []failover.RouterAnswer
		if now := seen.Group(g.Name); failover.RoutesBelongTo(seen, now) != "" {
			routers = s.node.askRouters(limited, now)
		}
		return failover.Resuming(seen, g.Name, s.node.loop.durations(ctx, g.Name), routers)
	})
}

// rehearseResume resumes the group in a copy of the state, of which becomes what next says.
func rehearseResume(state *failover.State, request failover.Resume, next func(*failover.State) failover.Resumption) (*arbiterv1.ResumeResponse, error) {
	if _, again := state.Answered(request.Request.ID); again { // the answer is lost: it is asked for once more
		return &arbiterv1.ResumeResponse{Plan: "This request was carried out already."}, nil
	}
	resumed, refused := begunOn(state, request)
	if refused != nil {
		return nil, rejected(*refused)
	}
	what := next(resumed)
	return &arbiterv1.ResumeResponse{Plan: what.What, Acts: what.Acts}, nil
}

// Adopt records who the writer is.
func (s *service) Adopt(ctx context.Context, r *arbiterv1.AdoptRequest) (*arbiterv1.AdoptResponse, error) {
	if len(r.GetAttest()) > 0 && r.GetSeen() == 0 {
		var fields invalidFields
		fields.add("seen", "where the log stood when the caller looked is missing, and is needed to vouch for members: see freshness.applied_index in the answer of GetStatus")
		return nil, fields.refusal()
	}
	if err := s.exists(r, append([]string{r.GetMember()}, r.GetAttest()...)...); err != nil {
		return nil, err
	}
	attested := make([]failover.MemberName, len(r.GetAttest()))
	for i, m := range r.GetAttest() {
		attested[i] = failover.MemberName(m)
	}
	events, err := s.change(ctx, failover.Adopt{
		Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup()),
		Member: failover.MemberName(r.GetMember()), Attested: attested, Seen: failover.Index(r.GetSeen()),
	})
	if err != nil {
		return nil, err
	}
	return adoptedBy(events), nil
}

// adoptedBy is the answer to an adoption, of what came of it.
func adoptedBy(events []failover.Event) *arbiterv1.AdoptResponse {
	answer := &arbiterv1.AdoptResponse{}
	for _, e := range events {
		switch e.Kind {
		case failover.GroupAdopted, failover.Repeated: // which answers as it did the first time
			answer.Member, answer.Epoch = string(e.Member), uint64(e.Epoch)
		case failover.ArmedChanged:
			answer.Notes = append(answer.Notes, e.Text)
		}
	}
	return answer
}

// ApplyGroup creates or changes a group.
func (s *service) ApplyGroup(ctx context.Context, r *arbiterv1.ApplyGroupRequest) (*arbiterv1.ApplyGroupResponse, error) {
	if err := s.leads(); err != nil {
		return nil, err
	}
	effective, notes, wrong := s.effectiveHere(ctx, r.GetSpec())
	// Only now: agents take their time, in which another arbiter may have come to lead, and the group to change.
	before, _, err := s.read(ctx, arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE)
	if err != nil {
		return nil, err
	}
	name, asks := failover.GroupName(r.GetSpec().GetGroup()), request(ctx, r.GetChange())
	if r.GetDryRun() {
		asks.ID = "" // it repeats nothing
	}
	written, err := wire.Written(r.GetSpec())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	done, again := before.Answered(asks.ID)
	if again && done.RepeatedBy(failover.ApplySpec{Group: name, Written: written}) {
		return appliedBy(done, before), nil // even where the defaults of today would be refused
	}
	if wrong != nil {
		return nil, refusedSpec(wrong)
	}
	body, err := wire.NewApplySpec(asks, r.GetSpec(), effective, r.GetExpectedVersion())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if r.GetDryRun() {
		answer, err := s.rehearseApply(before, body)
		return noted(answer, notes), err
	}
	if _, err := s.change(ctx, body); err != nil {
		return nil, err
	}
	after := s.node.fsm.State()
	done, _ = after.Answered(asks.ID)
	return noted(appliedBy(done, after), notes), nil
}

// noted adds notes to an answer, if there is one.
func noted(answer *arbiterv1.ApplyGroupResponse, notes []string) *arbiterv1.ApplyGroupResponse {
	if answer != nil {
		answer.Notes = append(answer.Notes, notes...)
	}
	return answer
}

// rehearseApply applies a spec to a copy of the state, and says what became of it.
func (s *service) rehearseApply(before *failover.State, body failover.ApplySpec) (*arbiterv1.ApplyGroupResponse, error) {
	next, events := failover.Next(*before, failover.Entry{Index: before.Applied + 1, Term: before.Reign.Term, Proposer: s.node.options.Node, Body: body})
	if rejection := rejectionIn(events); rejection != nil {
		return nil, rejected(*rejection)
	}
	was, is := before.Group(body.Group), next.Group(body.Group)
	switch {
	case was == nil:
		return described(is, "created", is.SpecVersion), nil
	case string(was.SpecSource) == string(is.SpecSource):
		return described(is, "unchanged", was.SpecVersion), nil
	}
	return described(is, "changed", is.SpecVersion), nil
}

// askAgents bounds how long the fence agents may take to describe themselves.
const askAgents = 5 * time.Second

// effectiveHere leaves half of the caller's time for the rest of the call.
func (s *service) effectiveHere(ctx context.Context, written *arbiterv1.GroupSpec) (effective *arbiterv1.GroupSpec, notes []string, err error) {
	limit := askAgents
	if deadline, bounded := ctx.Deadline(); bounded {
		limit = min(limit, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.node.options.Specs.EffectiveHere(ctx, written)
}

func rejectionIn(events []failover.Event) *failover.Event {
	for i := range events {
		if events[i].Kind == failover.Rejected {
			return &events[i]
		}
	}
	return nil
}

// appliedBy is the answer to an apply that was carried out, now or before: the first version was created.
func appliedBy(done failover.AnsweredRequest, state *failover.State) *arbiterv1.ApplyGroupResponse {
	result := "changed"
	switch {
	case done.Unchanged:
		result = "unchanged"
	case done.SpecVersion == 1:
		result = "created"
	}
	return described(state.Group(done.Group), result, done.SpecVersion)
}

// described tells of a group what its operator should know; it may have been deleted since: then it is nil.
func described(is *failover.Group, result string, version uint64) *arbiterv1.ApplyGroupResponse {
	answer := &arbiterv1.ApplyGroupResponse{Result: result, Version: version}
	if is != nil && !is.Adopted {
		answer.Notes = append(answer.Notes, "nothing automatic happens before the group is adopted: arbiterctl adopt "+string(is.Name))
	}
	return answer
}

// DeleteGroup forgets a group; its epoch is kept.
func (s *service) DeleteGroup(ctx context.Context, r *arbiterv1.DeleteGroupRequest) (*arbiterv1.DeleteGroupResponse, error) {
	if err := s.exists(r); err != nil {
		return nil, err
	}
	events, err := s.change(ctx, failover.DeleteGroup{Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup())})
	if err != nil {
		return nil, err
	}
	answer := &arbiterv1.DeleteGroupResponse{}
	for _, e := range events {
		if e.Kind == failover.GroupDeleted || e.Kind == failover.Repeated {
			answer.Epoch = uint64(e.Epoch)
		}
	}
	return answer, nil
}

// TransferLeadership hands Raft leadership on, after the Controller has ended its actions and released its leases.
func (s *service) TransferLeadership(ctx context.Context, r *arbiterv1.TransferLeadershipRequest) (*arbiterv1.TransferLeadershipResponse, error) {
	if err := s.leads(); err != nil {
		return nil, err
	}
	if _, ok := s.node.peers.peer(failover.NodeID(r.GetTo())); r.GetTo() != "" && !ok {
		return nil, status.Errorf(codes.NotFound, "there is no arbiter %q; see arbiterctl arbiters", r.GetTo())
	}
	if r.GetTo() == string(s.node.options.Node) {
		return &arbiterv1.TransferLeadershipResponse{Leader: r.GetTo()}, nil // it leads already
	}
	why := "asked for by " + actorOf(ctx) + ": " + r.GetChange().GetReason()
	if err := s.node.giveUpLead(ctx, failover.Drain{Why: why, To: failover.NodeID(r.GetTo())}); errors.Is(err, errKeptLead) && ctx.Err() == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%v; %s leads on: see `arbiterctl arbiters` for who could", err, s.node.options.Node)
	} else if err != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	leader, _ := s.node.raft.Leader()
	return &arbiterv1.TransferLeadershipResponse{Leader: string(leader)}, nil
}
