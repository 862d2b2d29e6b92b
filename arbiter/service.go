package arbiter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/internal/clock"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// service is the API for operators and programs. Reads answer from the applied state and say how fresh it is; changes are
// entries in the log, and what the state machine refuses is an error with the rule in it.
type service struct {
	arbiterv1.UnimplementedArbiterServiceServer
	node *Node
}

// answerLimit bounds how long a call waits for the log or for a confirmation.
const answerLimit = 5 * time.Second

// read returns the state to answer from. A linearizable read asks the leader to confirm its leadership after the request
// came in; a stale one takes what is applied here.
func (s *service) read(ctx context.Context, want arbiterv1.Consistency) (*failover.State, *arbiterv1.Freshness, error) {
	linearizable := want != arbiterv1.Consistency_CONSISTENCY_STALE
	if linearizable {
		if err := s.leads(); err != nil {
			return nil, nil, err
		}
		// Entries that were committed before the request are applied here before leadership is confirmed: the index is read first.
		confirm, cancel := clock.WithTimeout(ctx, s.node.options.Clock, answerLimit)
		defer cancel()
		commit := s.node.raft.CommitIndex()
		if err := s.node.Confirm(confirm); err != nil { // in the term of the applied reign, too
			return nil, nil, s.notLeader(err.Error())
		}
		if err := s.node.awaitApplied(confirm, failover.Index(commit)); err != nil {
			return nil, nil, status.Error(codes.DeadlineExceeded, err.Error())
		}
	}
	state := s.node.fsm.State()
	leader, _ := s.node.raft.Leader()
	return state, &arbiterv1.Freshness{
		Node: string(s.node.options.Node), AppliedIndex: uint64(state.Applied), Term: uint64(state.Reign.Term),
		Leader: string(leader), Linearizable: linearizable, LogOnDisk: uint64(s.node.pending(state)),
	}, nil
}

// leads refuses unless this arbiter leads and its BeginReign is applied: before that it must not answer as the leader (S8).
func (s *service) leads() error {
	if leading, _ := s.node.leading.get(); leading {
		return nil
	}
	return s.notLeader(fmt.Sprintf("%s does not lead", s.node.options.Node))
}

// notLeader names the leader, so that the caller can go there.
func (s *service) notLeader(why string) error {
	detail := &arbiterv1.NotLeader{}
	leader, _ := s.node.raft.Leader()
	if peer, ok := s.node.peers.peer(failover.NodeID(leader)); ok && peer.Node != s.node.options.Node {
		detail.Leader, detail.LeaderGrpc = string(peer.Node), peer.GRPC
		why = fmt.Sprintf("%s; %s does, at %s", why, peer.Node, peer.GRPC)
	}
	failure, err := status.New(codes.FailedPrecondition, why).WithDetails(detail)
	if err != nil {
		return status.Error(codes.FailedPrecondition, why)
	}
	return failure.Err()
}

// change commits an entry and returns its events, or what refused it.
func (s *service) change(ctx context.Context, body failover.Body) ([]failover.Event, error) {
	if err := s.leads(); err != nil {
		return nil, err
	}
	response, err := s.node.commit(ctx, body)
	switch {
	case errors.Is(err, fsm.ErrCannotEncode): // which promises that
		return nil, status.Errorf(codes.InvalidArgument, "nothing was proposed and nothing changed: %v", err)
	case errors.Is(err, errNotUnderstood):
		return nil, status.Errorf(codes.FailedPrecondition, "nothing was proposed and nothing changed: %v", err)
	case err != nil:
		return nil, status.Errorf(codes.Unavailable, "%v; whether it was carried out is not known: ask again with the same request id, or look: arbiterctl status", err)
	}
	if response.Rejection != nil {
		return nil, rejected(*response.Rejection)
	}
	return response.Events, nil
}

// rejected turns a refusal of the state machine into an error.
func rejected(e failover.Event) error {
	text := e.Text
	if e.Rule != "" {
		text = e.Rule + ": " + text
	}
	if e.Next != "" {
		text += "; " + e.Next
	}
	failure, err := status.New(codes.FailedPrecondition, text).WithDetails(&arbiterv1.Rejection{Rule: e.Rule, Why: e.Text, Next: e.Next})
	if err != nil {
		return status.Error(codes.FailedPrecondition, text)
	}
	return failure.Err()
}

func request(ctx context.Context, c *arbiterv1.Change) failover.Request {
	return failover.Request{ID: c.GetRequestId(), Actor: actorOf(ctx), Reason: c.GetReason()}
}

func (s *service) group(state *failover.State, name string) (*failover.Group, error) {
	if g := state.Group(failover.GroupName(name)); g != nil {
		return g, nil
	}
	if s.node.pending(state) > 0 {
		return nil, s.node.notYetKnown(state, fmt.Sprintf("whether there is a group %q", name))
	}
	return nil, status.Errorf(codes.NotFound, "there is no group %q; see arbiterctl status", name)
}

// groups are those that a question is about: the named one, or all.
func (s *service) groups(state *failover.State, name string) ([]*failover.Group, error) {
	if name == "" {
		return state.Groups, nil
	}
	g, err := s.group(state, name)
	if err != nil {
		return nil, err
	}
	return []*failover.Group{g}, nil
}

// groupQuestion is a request to read about one group.
type groupQuestion interface {
	GetConsistency() arbiterv1.Consistency
	GetGroup() string
}

// readGroup finds the group that a question is about, in a state that is as fresh as it asks for.
func (s *service) readGroup(ctx context.Context, r groupQuestion) (*failover.State, *failover.Group, *arbiterv1.Freshness, error) {
	state, freshness, err := s.read(ctx, r.GetConsistency())
	if err != nil {
		return nil, nil, nil, err
	}
	g, err := s.group(state, r.GetGroup())
	return state, g, freshness, err
}

// specsOf reads the two forms of a group's spec.
func specsOf(g *failover.Group) (written, effective *arbiterv1.GroupSpec, err error) {
	written, effective, err = wire.ReadSource(g.SpecSource)
	if err != nil {
		return nil, nil, status.Error(codes.Internal, err.Error())
	}
	return written, effective, nil
}

// within adds to an explanation how long writes would stop at worst, where nothing was measured yet. That alone is told from the spec as
// it was sent, so where that can't be read, the rest of the explanation stands.
func (s *service) within(g *failover.Group, e failover.Explanation) failover.Explanation {
	if !e.Unmeasured() {
		return e
	}
	_, effective, err := specsOf(g)
	if err != nil {
		e.WouldDo += ". How long writes would stop at worst is not known: " + status.Convert(err).Message()
		return e
	}
	return e.Within(s.node.options.Specs.LongestOutage(effective))
}

// changing is a request to change a group.
type changing interface {
	GetChange() *arbiterv1.Change
	GetGroup() string
}

// exists refuses a change to a group that the leader does not know, or to members that it does not have, unless it was carried out already.
// A follower says first who leads.
func (s *service) exists(r changing, members ...string) error {
	if err := s.leads(); err != nil {
		return err
	}
	state := s.node.fsm.State()
	if _, again := state.Answered(r.GetChange().GetRequestId()); again {
		return nil
	}
	g, err := s.group(state, r.GetGroup())
	if err != nil {
		return err
	}
	return haveMembers(g, members...)
}

// haveMembers refuses names that no member of a group has. An empty one leaves the choice to the arbiters.
func haveMembers(g *failover.Group, names ...string) error {
	for _, name := range names {
		if name == "" || g.Member(failover.MemberName(name)) != nil {
			continue
		}
		known := make([]string, len(g.Members))
		for i, m := range g.Members {
			known[i] = string(m.Name)
		}
		return status.Errorf(codes.NotFound, "%s has no member %q; there are %s", g.Name, name, strings.Join(known, ", "))
	}
	return nil
}

func operationIn(events []failover.Event) string {
	for _, e := range events {
		if e.Operation != "" {
			return string(e.Operation)
		}
	}
	return ""
}

func textOf(events []failover.Event) string {
	for _, e := range events {
		if e.Kind != failover.MemberChanged && e.Text != "" {
			return e.Text
		}
	}
	return "done"
}

// commit proposes an entry and waits until it is applied here.
func (n *Node) commit(ctx context.Context, body failover.Body) (*fsm.Response, error) {
	data, err := encode(n.fsm.State(), body, failover.WallTimeOf(n.options.Clock.Wall()), n.options.Node)
	if err != nil {
		return nil, err
	}
	type result struct {
		response *fsm.Response
		err      error
	}
	done := make(chan result, 1)
	n.pass(fmt.Sprintf("before-request-%T", body))
	n.propose(data, func(r *fsm.Response, err error) {
		n.pass(fmt.Sprintf("after-request-%T", body))
		done <- result{r, err}
	})
	select {
	case r := <-done:
		return r.response, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// propose submits an entry and returns at once.
func (n *Node) propose(data []byte, done func(*fsm.Response, error)) {
	n.group.Go("proposal", func(ctx context.Context) error {
		end := bounded(ctx, n.options.Clock, n.halt)
		_, response, err := n.raft.Apply(data, applyLimit)
		end()
		if err != nil {
			done(nil, err)
			return nil
		}
		switch r := response.(type) {
		case *fsm.Response:
			done(r, nil)
		case error:
			done(nil, r)
		default:
			done(nil, errors.New("the state machine gave no answer"))
		}
		return nil
	})
}
