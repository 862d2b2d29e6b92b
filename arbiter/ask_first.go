package arbiter

import (
	"context"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// started is the entry for a failover that an operator asks for.
func started(ctx context.Context, r *arbiterv1.FailoverRequest) failover.StartOperation {
	return failover.StartOperation{
		Request: request(ctx, r.GetChange()), Group: failover.GroupName(r.GetGroup()), Kind: failover.KindFailover,
		Candidate: failover.MemberName(r.GetCandidate()), Epoch: failover.Epoch(r.GetEpoch()),
	}
}

// begunOn is a copy of the state in which a request was carried out, and why it is refused if it is.
func begunOn(state *failover.State, body failover.Body) (*failover.State, *failover.Event) {
	begun, events := failover.Next(*state, failover.Entry{Index: state.Applied + 1, Term: state.Reign.Term, Proposer: state.Reign.Leader, Body: body})
	return &begun, rejectionIn(events)
}

// askFirst refuses a failover of a primary that serves for what would leave it held half way, unless the operator says to go on: its fence doesn't answer,
// a router doesn't, or somebody who may be promoted can't be. It asks beside the log: whoever leads when something is done asks again, and holds the
// operation for what is missing then. No failover of a primary that doesn't serve waits for an answer, nor that of one that ceases to while it is asked.
func (s *service) askFirst(ctx context.Context, r *arbiterv1.FailoverRequest) error {
	state, body := s.node.fsm.State(), started(ctx, r)
	if _, again := state.Answered(body.Request.ID); again {
		return nil
	}
	begun, refused := begunOn(state, body)
	if refused != nil || !planned(begun, body.Group) { // what refuses it is told by the log
		return nil
	}
	limited, cancel := sooner(ctx)
	defer cancel()
	s.node.group.Go("planned", func(context.Context) error {
		if s.node.await(limited, func(now *failover.State) bool { return !planned(now, body.Group) }) == nil {
			cancel()
		}
		return nil
	})
	asked := s.node.askAll(limited, begun, begun.Group(body.Group), r)
	if begun, refused = begunOn(s.node.fsm.State(), body); refused != nil || begun.Group(body.Group) == nil {
		return nil
	}
	if why, next := failover.Unready(begun, begun.Group(body.Group), asked); why != "" {
		return rejected(failover.Event{Text: why, Next: next})
	}
	return nil
}

func planned(s *failover.State, group failover.GroupName) bool {
	g := s.Group(group)
	return g != nil && failover.Planned(s, g)
}

// ignoring is the reason of a request with what the operator said not to wait for: it is kept with all else.
func ignoring(reason string, r *arbiterv1.FailoverRequest) string {
	for _, ignored := range []struct {
		is   bool
		said string
	}{
		{r.GetIgnoreRouters(), "not waiting for routers"},
		{r.GetIgnoreUnarmed(), "though the fence may not answer"},
		{r.GetIgnoreFindings(), "in spite of what is found at who may be promoted"},
	} {
		if ignored.is {
			reason = strings.TrimPrefix(reason+"; "+ignored.said, "; ")
		}
	}
	return reason
}

// askAll asks at once for all that a failover needs, in a state in which it was begun: the routers, and of a primary that serves the fence, and those that
// may be promoted.
func (n *Node) askAll(ctx context.Context, begun *failover.State, g *failover.Group, r *arbiterv1.FailoverRequest) failover.Asked {
	routers := make(chan []failover.RouterAnswer, 1)
	n.group.Go("routers", func(context.Context) error {
		routers <- n.askRouters(ctx, g)
		return nil
	})
	asked := failover.Asked{}
	if failover.Planned(begun, g) {
		asked.Fence, asked.Members = n.askMembers(ctx, g, failover.MayBePromoted(begun, g))
	}
	asked.Routers = failover.Routers{Asked: <-routers, Ignored: r.GetIgnoreRouters()}
	asked.Fence.Ignored = r.GetIgnoreUnarmed()
	for i := range asked.Members {
		asked.Members[i].Ignored = r.GetIgnoreFindings()
	}
	return asked
}

// askRouters asks every router of a group where its route leads, which changes nothing.
func (n *Node) askRouters(ctx context.Context, g *failover.Group) []failover.RouterAnswer {
	looks, mark := make([]look, len(g.Spec.Routes)), markOf(g.Spec)
	for i, r := range g.Spec.Routes {
		looks[i] = look{group: g.Name, spec: mark, about: aboutRoute, what: "it", name: r.Name, limit: askRoute, do: func(ctx context.Context) []Finding {
			at := n.options.Drivers.Inspect.Astray(ctx, r, g, g.Writer())
			switch {
			case at.Unread != nil:
				return []Finding{{Blocks: true, What: at.Unread.What}}
			case len(at.Astray) > 0:
				return []Finding{{What: astrayInWords(at.Astray)}}
			}
			return nil
		}}
	}
	answers := make([]failover.RouterAnswer, len(looks))
	for i, found := range n.lookAll(ctx, n.asking, looks) {
		answers[i].Route = g.Spec.Routes[i].Name
		switch {
		case len(found) == 0:
		case found[0].NotAsked:
			answers[i].Silent, answers[i].NotAsked = busy, true
		case found[0].Blocks:
			answers[i].Silent = found[0].What
		default:
			answers[i].Astray = found[0].What
		}
	}
	return answers
}

// askMembers asks the fence of the primary for its status, and looks at those that may be promoted in its place. Neither changes anything. They have
// places of their own: a fence device may take long, and keeps no router waiting.
func (n *Node) askMembers(ctx context.Context, g *failover.Group, may []failover.MemberName) (failover.FenceAnswer, []failover.MemberAnswer) {
	writer, _ := g.Spec.Member(g.Writer())
	mark := markOf(g.Spec)
	looks := []look{{group: g.Name, spec: mark, about: aboutFence, member: writer.Name, what: "it", limit: inspectLimit, do: func(ctx context.Context) []Finding {
		return unarmedBy(n.options.Drivers.Fencer.PathStatus(ctx, writer))
	}}}
	for _, name := range may {
		m, _ := g.Spec.Member(name)
		looks = append(looks, look{group: g.Name, spec: mark, about: aboutDatabase, member: name, what: "the database", limit: askDatabase, do: func(ctx context.Context) []Finding {
			return n.options.Drivers.Inspect.Member(ctx, m, g.Spec)
		}})
	}
	found := n.lookAll(ctx, n.askingMembers, looks)
	fence := fenceAnswer(writer.Name, found[0])
	members := make([]failover.MemberAnswer, len(may))
	for i, name := range may {
		members[i] = memberAnswer(name, found[i+1])
	}
	return fence, members
}

// fenceAnswer tells a fence that would prove nothing from one that was not asked.
func fenceAnswer(member failover.MemberName, found []Finding) failover.FenceAnswer {
	answer := failover.FenceAnswer{Member: member}
	switch {
	case len(found) == 0:
	case found[0].NotAsked:
		answer.Unarmed, answer.NotAsked = busy, true
	default:
		answer.Unarmed = found[0].What
	}
	return answer
}

// unarmedBy is the finding that the devices of a primary that serves would prove nothing.
func unarmedBy(path failover.FencePath) []Finding {
	switch {
	case !path.Armed:
		return []Finding{{Blocks: true, What: path.Detail}}
	case path.Off:
		return []Finding{{Blocks: true, What: "it says that the machine is off: " + path.Detail}}
	}
	return nil
}

// memberAnswer tells what stops a failover to a member from what is only wrong; advice is neither.
func memberAnswer(name failover.MemberName, found []Finding) failover.MemberAnswer {
	answer := failover.MemberAnswer{Member: name}
	for _, f := range found {
		switch {
		case f.Halts:
			answer.Unfit = answer.Unfit.And(f.What, f.Next)
		case f.Blocks:
			answer.Wrong = answer.Wrong.And(f.What, f.Next)
		}
	}
	return answer
}
