package explore

import (
	"fmt"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// ender asks whether an operation can still end. It remembers the states from which one does.
type ender struct{ ends seenSet }

// longest is how many entries a world that works needs at most to end an operation.
const longest = 80

// check lets the world work again in a state with an operation in progress (every view is sent whole, everything that is tried succeeds,
// an operator says go on whenever that is asked for) and follows the real planner until the operation has ended.
func (x *ender) check(s failover.State) *broken {
	g := s.Group(group)
	if g == nil || g.Operation == nil {
		return nil
	}
	w := working{state: s, id: g.Operation.ID}
	var path []key
	for range longest {
		w.see()
		if w.ended() {
			break
		}
		k := keyOf(&w.state)
		if x.ends.has(k) {
			break
		}
		path = append(path, k)
		if why := w.step(); why != "" {
			return breaks("ends", "%s", why)
		}
		if w.ended() {
			break
		}
		if len(path) == longest {
			return breaks("ends", "the operation goes on and on: %s", strings.Join(w.trace[max(0, len(w.trace)-10):], "; "))
		}
	}
	for _, k := range path {
		x.ends.add(k, origin{})
	}
	return nil
}

// patience is how often an operator lets a held operation go on.
const patience = 12

// working is a world in which nothing fails any more.
type working struct {
	state failover.State
	id    failover.OperationID
	holds int      // so often it was held
	trace []string // what was applied
}

func (w *working) ended() bool {
	g := w.state.Group(group)
	return g == nil || g.Operation == nil || g.Operation.ID != w.id
}

func (w *working) apply(body failover.Body) (refusal string) {
	e := move{body: body, term: w.state.Reign.Term, proposer: w.state.Reign.Leader}.entry(&w.state)
	after, events := failover.Next(w.state, e)
	if refused(events) {
		return events[0].Rule + ": " + events[0].Text
	}
	w.state = slim(after)
	if _, looks := body.(failover.Observe); !looks {
		w.trace = append(w.trace, fmt.Sprintf("%T -> %s", body, describe(&w.state)))
	}
	return ""
}

// see is every arbiter sending its whole view: the writer serves, unless it has yet to be promoted; who was told to stop has stopped; the
// others are in recovery.
func (w *working) see() {
	g := w.state.Group(group)
	var all failover.Observe
	for _, node := range nodes {
		view, _ := w.state.View(node)
		b := failover.Batch{
			Node: node, Incarnation: max(view.Incarnation, 1), Sequence: view.Sequence + 1, Whole: true, Version: failover.CurrentVersion,
			Answers: []failover.Answer{{Group: group, Index: w.state.Applied}},
		}
		for _, m := range g.Members {
			show := standby
			switch {
			case m.Authority == failover.AuthorityWriter && !m.Promoting:
				show = primary
			case m.Authority == failover.AuthorityRevoked:
				show = down
			}
			b.Observations = append(b.Observations, show.observation(m.Name, w.state.Applied))
		}
		all.Batches = append(all.Batches, b)
	}
	w.apply(all)
}

// step does the one next thing: what the planner wants, or what an operator would do about why it wants nothing.
func (w *working) step() (stuck string) {
	g := w.state.Group(group)
	const long = time.Hour
	d := failover.Durations{VerdictStood: long, Restarting: long, InStage: long, SinceAttempt: long, SinceLastFailover: long}
	if l := g.Lease; l != nil && l.Holder == w.state.Reign.Leader && l.Term == w.state.Reign.Term && l.Epoch == g.Epoch {
		d.LeaseLeft = time.Second
	}
	decision := failover.Plan(&w.state, group, d)
	if g.Stage == failover.Held {
		w.holds++
	}
	if decision.Step == failover.StepNone || g.Stage == failover.Held && w.holds%2 == 0 { // what is tried again by itself is left alone once
		return w.operator(decision)
	}
	body := proposal(&w.state, g, decision)
	if decision.Step == failover.StepTry {
		body = w.outcome(g, decision.Action)
	}
	if refusal := w.apply(body); refusal != "" {
		return fmt.Sprintf("the planner wants to %s %s %s (%s) in %s, which is refused: %s", decision.Step, decision.Action, decision.Member,
			decision.Rule, describe(&w.state), refusal)
	}
	return ""
}

// outcome is that of an action that succeeds.
func (w *working) outcome(g *failover.Group, action failover.ActionKind) failover.Body {
	op := g.Operation
	o := failover.Outcome{Result: failover.ResultDone}
	switch action {
	case failover.ActionIsolate:
		o.Proof = failover.Proof{Grade: failover.ProofConfirmedOff, By: "device"}
	case failover.ActionCatchUp:
		answering := 0
		for i, m := range g.Members {
			if m.Name != op.From {
				answering |= 1 << i
			}
		}
		o.Positions = (&moves{g: g}).positions(answering)
	}
	return failover.Conclude{Group: group, Epoch: op.Intent.Epoch, Operation: op.ID, Intent: op.Intent.Index, Outcome: o}
}

// operator does what the state of an operation that waits asks for: resumes a paused group, lets automation act, vouches for whom no device can, releases what is held.
// Where all that is done already, the group is adopted as it is.
func (w *working) operator(d failover.Decision) (stuck string) {
	g := w.state.Group(group)
	op := g.Operation.ID
	var tried string
	try := func(body failover.Body) bool {
		refusal := w.apply(body)
		if refusal != "" {
			tried += fmt.Sprintf("; %T: %s", body, refusal)
		}
		return refusal == ""
	}
	switch {
	case g.Pause != nil:
		w.apply(failover.Resume{Group: group})
		return ""
	case g.Spec.Policy.Automation != failover.AutomationFull:
		if try(failover.ApplySpec{Group: group, Spec: variants[0].spec}) {
			return ""
		}
	}
	for i := range g.Members {
		if m := &g.Members[i]; misfenced(m) && m.Authority == failover.AuthorityRevoked && try(failover.Attest{Group: group, Operation: op, Seen: w.state.Applied, Member: m.Name}) {
			return ""
		}
	}
	if g.Stage == failover.Held && w.holds < patience { // after that the operator gives it up
		for _, m := range members {
			if try(failover.Release{Group: group, Operation: op, Seen: w.state.Applied, AcceptLoss: true, LossUnknown: true, Member: m}) {
				return ""
			}
		}
		if try(failover.Release{Group: group, Operation: op, Seen: w.state.Applied}) {
			return ""
		}
	}
	if try(failover.Abort{Group: group, Operation: op}) {
		return ""
	}
	if try(failover.Adopt{Group: group, Member: g.Writer()}) {
		return ""
	}
	return fmt.Sprintf("nothing leads on from %s: %s (%s)%s", describe(&w.state), d.Rule, d.Detail, tried)
}
