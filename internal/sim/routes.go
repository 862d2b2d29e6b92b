package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// router sends clients to one member. It knows no epochs.
type router struct {
	service *service
	to      failover.MemberName   // empty: closed
	former  []failover.MemberName // where it sent them before, the first of all being what its file says
	broken  int                   // how many faults make it refuse
	blind   int                   // how many faults make it find dead, by a check of its own, whoever it sends clients to
	due     time.Duration         // when it must lead to the writer, if nothing else is wrong until then
	dueTo   failover.MemberName
	row     int           // reroutes in a row that came to an end of their own
	rowEnds time.Duration // when the newest of them did
}

func (r *router) target() *member { return r.service.member(r.to) }

func (r *router) name() string { return "router-" + string(r.service.name) }

// leads is where clients arrive: at nobody while the router finds dead whom it sends them to.
func (r *router) leads() failover.MemberName {
	if r.blind > 0 {
		return ""
	}
	return r.to
}

// lead sends clients to a member from now on, or to nobody.
func (r *router) lead(to failover.MemberName) {
	if to != r.to {
		r.former = append(r.former, r.to)
		r.service.sim.note("%s sends clients to %q, no longer to %q", r.name(), to, r.to)
	}
	r.to = to
}

// forget is a reload to a former state.
func (r *router) forget(which int) {
	if len(r.former) > 0 {
		r.lead(r.former[which%len(r.former)])
	}
}

const (
	routesEvery = 10 * time.Second
	routeWait   = 5 * time.Second // for a router's answer to a look
	// routesBound is how long clients may be sent elsewhere than to a writer that serves, when nothing goes wrong any more: a round, and the operation.
	routesBound = 20 * time.Second
)

// routeWatch is the leader's look at where routers lead, as arbiter/route_watch.go does it: rounds begin, one some time after the other, while
// this arbiter believes that it leads. No look lasts until the next round here.
type routeWatch struct {
	node *node
	goes bool // a round has begun, and the next one is due
}

func (w *routeWatch) leadingChanged() {
	if w.node.leading && !w.goes {
		w.goes = true
		w.round()
	}
}

// round begins a look at the routes of every group.
func (w *routeWatch) round() {
	if !w.node.leading {
		w.goes = false
		return
	}
	s := w.node.state
	for _, g := range s.Groups {
		if writer := failover.RoutesBelongTo(s, g); writer != "" && failover.RoutesLeftAlone(s, g, w.node.wall()) == "" {
			w.look(g, writer)
		}
	}
	w.node.post(routesEvery, w.round)
}

// look asks a router where it leads. One that does not answer is left alone, and so is one that sends clients to the writer and finds it dead, which
// no command mends.
func (w *routeWatch) look(g *failover.Group, writer failover.MemberName) {
	n, s, r := w.node, w.node.sim, w.node.sim.service(g.Name).router
	s.counts.routeLooks++
	heard := false
	answer := func(to failover.MemberName) {
		if !heard && to != writer {
			w.propose(g, fmt.Sprintf("clients are sent to %q, and the primary is %s", to, writer))
		}
		heard = true
	}
	n.post(routeWait, func() { heard = true })
	s.net.datagram(string(n.id), r.name(), func() {
		if r.broken > 0 {
			return
		}
		to := r.to
		s.net.datagram(r.name(), string(n.id), func() { n.enter(func() { answer(to) }) })
	})
}

// misreadEvery is how often an arbiter that is mistaken proposes a reroute.
const misreadEvery = 700 * time.Millisecond

// misread lets an arbiter believe for a time that the routes of a group lead astray and that its writer accepts writes, whatever is so, and propose
// reroutes by that: what must not be is for the state machine to refuse.
func (w *routeWatch) misread(group failover.GroupName, left time.Duration) {
	if g := w.node.state.Group(group); g != nil {
		w.propose(g, "an arbiter believes so")
	}
	if left > misreadEvery {
		w.node.post(misreadEvery, func() { w.misread(group, left-misreadEvery) })
	}
}

// propose asks for a reroute under the epoch of the state by which the look began. Some of them arrive twice, the second time late.
func (w *routeWatch) propose(g *failover.Group, why string) {
	n, s := w.node, w.node.sim
	body := failover.StartOperation{Group: g.Name, Kind: failover.KindReroute, Epoch: g.Epoch, SpecSince: g.SpecSince, Request: failover.Request{Reason: why}}
	s.passes(n, "before-commit", bodyName(body))
	if !n.alive {
		return
	}
	n.enter(func() { // it may have been frozen there
		s.note("%s proposes a reroute of %s under epoch %d: %s", n.id, g.Name, g.Epoch, why)
		n.commit(body, func(*entry, error) { s.passes(n, "after-commit", bodyName(body)) })
		if !s.healed && s.netDice.chance(20) {
			n.post(s.netDice.between(0, 20*time.Second), func() { n.commit(body, func(*entry, error) {}) })
		}
	})
}

// checkReroute asks of every entry that a reroute begins by a leader's look under the present epoch and while a majority sees the writer accept
// writes, does nothing to anybody but the writer, isolates nobody, and ends as soon as something concerns who writes, or no majority sees it.
func (s *sim) checkReroute(e *entry, refused bool) {
	switch b := e.Body.(type) {
	case failover.StartOperation:
		was := e.before.Group(b.Group)
		if b.Kind != failover.KindReroute {
			break
		}
		seen := s.writerSeen(e.before, was)
		if refused {
			s.counts.rerouteUnseen(was, b, seen)
		} else {
			s.counts.reroutes++
			if !seen {
				s.fail("S14", "a reroute of %s begins, and no majority sees %q accept writes", b.Group, was.Writer())
			}
			if b.SpecSince != was.SpecSince {
				s.fail("S4", "a reroute of %s begins by a look under the spec of entry %d, and that of %d is the present one", b.Group, b.SpecSince, was.SpecSince)
			}
			if b.Epoch != was.Epoch || e.Proposer != e.before.Reign.Leader || e.Term != e.before.Reign.Term {
				s.fail("S4", "a reroute of %s begins by a look of %s in term %d under epoch %d, in epoch %d", b.Group, e.Proposer, e.Term, b.Epoch, was.Epoch)
			}
		}
	case failover.Intend:
		was := e.before.Group(b.Group)
		if !refused && rerouted(was) && (b.Action == failover.ActionIsolate || b.Member != was.Writer()) {
			s.fail("S14", "a reroute of %s means to %s %s, and %q is the writer", b.Group, b.Action, b.Member, was.Writer())
		}
	}
	s.countRow(e)
	for _, g := range e.after.Groups {
		if g == e.before.Group(g.Name) || !rerouted(g) {
			continue
		}
		writer := g.Writer()
		down := failover.Tally(e.after, g, writer).Status == failover.StatusDown
		if seen := s.writerSeen(e.after, g); writer != g.Operation.From || down || g.Pause != nil || !g.Adopted || !seen {
			s.fail("S14", "a reroute of %s to %s goes on: adopted %v, paused %v, writer %q, down %v, seen accepting writes by a majority %v",
				g.Name, g.Operation.From, g.Adopted, g.Pause != nil, writer, down, seen)
		}
	}
}

// countRow counts reroutes in a row by what ended each: the outcome of its last action, or its leader, which has tried often enough. What anything
// else ended does not count. Another operation that has changed the routes ends the row.
func (s *sim) countRow(e *entry) {
	for _, was := range e.before.Groups {
		is := e.after.Group(was.Name)
		if was.Operation == nil || is != nil && is.Operation != nil && is.Operation.ID == was.Operation.ID {
			continue
		}
		r := s.service(was.Name).router
		switch e.Body.(type) {
		case failover.Conclude, failover.HoldOperation:
			if rerouted(was) {
				r.row, r.rowEnds = r.row+1, s.now
			} else if was.Operation.Routed {
				r.row = 0
			}
		}
	}
}

// writerSeen says by a plain reading of the views whether a majority of the voters sees the writer of a group accept writes: in views that count, by
// looks that were told it themselves, since it became the writer.
func (s *sim) writerSeen(state *failover.State, g *failover.Group) bool {
	if g == nil || g.Writer() == "" {
		return false
	}
	writer, votes := g.Member(g.Writer()), map[failover.NodeID]bool{}
	for _, look := range g.Looks {
		view, ok := state.View(look.Node)
		counts := ok && view.Current && view.Doubt == "" && view.Generation == look.Generation && slices.Contains(state.Voters, look.Node)
		o := look.Observation
		if counts && o.Member == writer.Name && o.AsOf >= writer.WriterSince && o.Facts.Role == failover.RolePrimary && o.Facts.AcceptsWrites && !o.Facts.Stale {
			votes[look.Node] = true
		}
	}
	return len(votes) >= state.Majority()
}

// rerouteUnseen counts a reroute that was refused and would not have been if nobody had asked who sees the writer.
func (c *counts) rerouteUnseen(g *failover.Group, b failover.StartOperation, seen bool) {
	settled := g != nil && g.Adopted && g.Pause == nil && g.Operation == nil && g.Stage == failover.Steady && len(g.Spec.Routes) > 0
	if settled && b.Epoch == g.Epoch && b.SpecSince == g.SpecSince && g.Writer() != "" && !seen {
		c.unseenReroutes++
	}
}

// rerouted says whether the operation in progress is a reroute.
func rerouted(g *failover.Group) bool {
	return g != nil && g.Operation != nil && g.Operation.Kind == failover.KindReroute
}

// checkRoute is asked when a router does what it is told for an action: clients are sent to nobody but the committed writer. What arrives after
// its intent has ended is a late effect, at a target that checks no epochs.
func (s *sim) checkRoute(r *actionRun, to failover.MemberName) {
	a := r.action
	if a.Kind != failover.ActionRoute {
		return
	}
	if !s.openIntent(a) {
		s.counts.lateRoutes++
		s.note("a late effect at %s", s.service(a.Group).router.name())
		return
	}
	if w := s.ledger.newest.Group(a.Group).Writer(); w != to {
		s.fail("route-to-another", "clients of %s are sent to %q under epoch %d, and %q is the writer", a.Group, to, a.Epoch, w)
	}
}

// astray says whether clients of a group are sent elsewhere than to its writer.
func (r *router) astray(g *failover.Group) bool { return len(g.Spec.Routes) > 0 && r.to != g.Writer() }

// checkRoutesBack is asked now and then when nothing goes wrong any more: clients are sent to a writer that serves within a bounded time,
// whatever reroutes that takes, counted from the end of the pause after reroutes in a row.
func (s *sim) checkRoutesBack() {
	for _, service := range s.services {
		r, g := service.router, s.ledger.newest.Group(service.name)
		free := g != nil && g.Adopted && g.Pause == nil && (g.Operation == nil || rerouted(g))
		if !free || !serves(g, service.writers()) || !r.astray(g) {
			r.due = 0
			continue
		}
		if rest := r.rest(); r.due == 0 || r.dueTo != g.Writer() || rest > 0 {
			r.due, r.dueTo = s.now+rest+routesBound, g.Writer()
		}
		if s.now > r.due {
			s.fail("route-astray", "clients of %s have been sent to %q for more than %s, and %s serves as the writer", g.Name, r.to, routesBound, g.Writer())
		}
	}
}

// rest is how long the routes may still be left alone after reroutes in a row: a minute after the second one, twice as long after each further one,
// an hour at most; and for as long as wall clocks are apart.
func (r *router) rest() time.Duration {
	if r.row < 2 {
		return 0
	}
	s, pause := r.service.sim, min(time.Minute<<min(r.row-2, 6), time.Hour)
	return max(r.rowEnds+pause+s.wallSteps-s.now, 0)
}

// routesAwaited says whether a run goes on until the routes of a group lead to its writer: unless they are left alone for longer than it lasts.
func (s *sim) routesAwaited(service *service, g *failover.Group) bool {
	return service.router.astray(g) && s.now+service.router.rest()+2*routesBound < s.plan.Length+settleBound
}
