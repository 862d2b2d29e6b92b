package arbiter

import (
	"context"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// dryRun applies the request to a copy of the state, with what this arbiter sees now, and asks what would be planned: the log is not touched.
func (s *service) dryRun(ctx context.Context, r *arbiterv1.FailoverRequest) (*arbiterv1.FailoverResponse, error) {
	if err := s.leads(); err != nil {
		return nil, err
	}
	asked, err := s.askAnew(ctx, r)
	if err != nil {
		return nil, err
	}
	// Only now: looks take their time, in which another arbiter may have come to lead, and the group to change.
	state, g, err := s.groupNow(ctx, r.GetGroup())
	if err != nil {
		return nil, err
	}
	within := func(e failover.Explanation) failover.Explanation { return s.within(g, e) }
	return s.node.rehearse(state, g, within, rehearsed(ctx, r), asked)
}

// rehearsed is the entry for a failover that is only tried out: it repeats nothing.
func rehearsed(ctx context.Context, r *arbiterv1.FailoverRequest) failover.StartOperation {
	body := started(ctx, r)
	body.Request = failover.Request{Actor: actorOf(ctx)}
	return body
}

// groupNow reads the state, linearizably, and a group in it.
func (s *service) groupNow(ctx context.Context, name string) (*failover.State, *failover.Group, error) {
	state, _, err := s.read(ctx, arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE)
	if err != nil {
		return nil, nil, err
	}
	g, err := s.group(state, name)
	return state, g, err
}

// askedAnew is what was asked for one plan.
type askedAnew struct {
	since time.Duration // by the boot clock: looks that began later were made for it
	failover.Asked
}

// askAnew looks at the members of a group as a failover does before it does anything, and asks meanwhile for all that the failover needs. Who doesn't
// answer in time is not waited for.
func (s *service) askAnew(ctx context.Context, r *arbiterv1.FailoverRequest) (askedAnew, error) {
	n := s.node
	state := n.fsm.State()
	g, err := s.group(state, r.GetGroup())
	if err == nil {
		err = haveMembers(g, r.GetCandidate())
	}
	if err != nil {
		return askedAnew{}, err
	}
	asked := askedAnew{since: n.options.Clock.Boot()}
	limited, cancel := sooner(ctx)
	defer cancel()
	begun, refused := begunOn(state, rehearsed(ctx, r))
	if refused != nil {
		return asked, nil // by the state; by the newest one it is told
	}
	answers := make(chan failover.Asked, 1)
	n.group.Go("questions", func(context.Context) error {
		answers <- n.askAll(limited, begun, begun.Group(g.Name), r)
		return nil
	})
	n.prober.LookAgain(g.Name)
	n.awaitLooks(limited, g, asked.since)
	asked.Asked = <-answers
	return asked, nil
}

// lookMargin is how much longer than its time-out a look is waited for.
const lookMargin = 250 * time.Millisecond

// awaitLooks waits until every member of a group was looked at since a moment of the boot clock, or had as long as a look may take.
func (n *Node) awaitLooks(ctx context.Context, g *failover.Group, since time.Duration) {
	limit := time.Duration(0)
	for _, c := range g.Spec.Health.Checks {
		limit = max(limit, c.Timeout)
	}
	ctx, cancel := clock.WithTimeout(ctx, n.options.Clock, min(limit, askDatabase)+lookMargin)
	defer cancel()
	for {
		next := n.view.nextLook() // before looking, so that none falls in between
		if n.lookedSince(g, since) {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) lookedSince(g *failover.Group, since time.Duration) bool {
	for _, m := range g.Members {
		if _, made := n.lookSince(g, m.Name, since); !made {
			return false
		}
	}
	return true
}

// lookSince is the newest look at a member, and whether it was made since a moment of the boot clock. One that was under way then is of before.
func (n *Node) lookSince(g *failover.Group, m failover.MemberName, since time.Duration) (look Report, made bool) {
	look, ok := n.view.look(g.Name, m)
	return look, ok && look.Began >= since && look.SpecSince >= g.SpecSince
}

// rehearse asks the core what would become of a failover, on a copy of the state; within adds how long writes stop at worst.
func (n *Node) rehearse(state *failover.State, g *failover.Group, within func(failover.Explanation) failover.Explanation, request failover.StartOperation, asked askedAnew,
) (*arbiterv1.FailoverResponse, error) {
	begun, refused := begunOn(state, request)
	if refused != nil {
		return nil, rejected(*refused)
	}
	seen := n.freshened(begun, g)
	explanation := within(failover.Rehearsal(seen, g.Name, asked.Asked))
	answer := &arbiterv1.FailoverResponse{
		Plan: explanation.WouldDo, Possible: explanation.Possible(), Refused: explanation.Refused(), Next: explanation.Next,
		Guards: guardsToProto(explanation.Decision.Guards), Epoch: uint64(g.Epoch), Looks: n.looksToProto(g, asked.since),
	}
	if answer.GetRefused() != "" {
		answer.Next = []string{explanation.AfterRefusal()}
	}
	addAsked(answer, asked.Asked)
	if answer.GetPossible() {
		n.addDistance(answer, seen, seen.Group(g.Name))
	}
	return answer, nil
}

// addAsked adds to a plan what was asked for it beside the looks.
func addAsked(answer *arbiterv1.FailoverResponse, asked failover.Asked) {
	for _, a := range asked.Routers.Asked {
		answer.Routers = append(answer.Routers, &arbiterv1.PlanRouter{Route: a.Route, Answers: a.Silent == "", Detail: a.Silent, NotAsked: a.NotAsked})
	}
	if f := asked.Fence; f.Member != "" {
		answer.Fence = &arbiterv1.PlanFence{Member: string(f.Member), Armed: f.Unarmed == "", Detail: f.Unarmed}
		if f.NotAsked {
			answer.Fence.Detail = "it was not asked: " + f.Unarmed
		}
	}
	for _, m := range asked.Members {
		answer.Members = append(answer.Members, &arbiterv1.PlanMember{Member: string(m.Member), Unfit: m.Unfit.What, Wrong: m.Wrong.What})
	}
}

// freshened is a state with what this arbiter saw last of a group.
func (n *Node) freshened(s *failover.State, g *failover.Group) *failover.State {
	var seen []failover.Observation
	for _, m := range g.Members {
		if look, ok := n.view.look(g.Name, m.Name); ok && look.SpecSince >= g.SpecSince {
			seen = append(seen, look.Observation)
		}
	}
	return failover.Freshened(s, g.Name, n.options.Node, seen)
}

// looksToProto says of each member whether it told where it is since a moment of the boot clock, and how old what is known is otherwise.
func (n *Node) looksToProto(g *failover.Group, since time.Duration) []*arbiterv1.PlanLook {
	var list []*arbiterv1.PlanLook
	for _, m := range g.Members {
		l := &arbiterv1.PlanLook{Member: string(m.Name), Age: n.seenAge(g.Name, m.Name)}
		look, made := n.lookSince(g, m.Name, since)
		told, heard := n.view.heard(g.Name, m.Name)
		if l.Fresh = made && heard && told.Began >= since; !l.GetFresh() {
			l.Reason = string(failover.ReasonNotYetSeen)
			if _, why := g.Spec.StatusOf(look.Observation); made {
				l.Reason = string(why.Reason)
			} else if look.Ended != 0 {
				l.Reason = "no answer in time"
			}
		}
		list = append(list, l)
	}
	return list
}

// addDistance adds to a plan how far whom it promotes is behind, what that may lose, and how old what is known of it all is.
func (n *Node) addDistance(answer *arbiterv1.FailoverResponse, s *failover.State, g *failover.Group) {
	if best, ok := failover.Outlook(s, g); ok {
		spec, _ := g.Spec.Member(best.Member)
		answer.Candidate, answer.Sync = string(best.Member), confirms(g, spec)
		answer.LagBytes, answer.LagAge = n.lag(g, best.Member), n.lagAge(g, best.Member)
		answer.LossGrade, answer.LossBytes = string(best.Loss.Grade), lossBytes(best.Loss)
	}
	if writer := g.Writer(); writer != "" {
		answer.Fenced, answer.FenceAge = string(writer), n.fenceAge(g.Name, writer)
	}
}
