package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

type runKey struct {
	group  failover.GroupName
	intent failover.Index
}

// actionRun is one action that runs on one arbiter: the runner and the executors of package arbiter.
type actionRun struct {
	node       *node
	action     failover.Action
	leaseUntil time.Duration
	leaseFrom  time.Duration // true time when the lease, or its last renewal, was applied for the first time
	started    time.Duration // true time
	cancelled  bool
	abandoned  bool // its process died
	finished   bool
}

func (r *actionRun) over() bool { return r.finished || r.abandoned }

// lease says by which time on the boot-time clock the effects must have been asked for.
func (r *actionRun) lease(until time.Duration) {
	r.leaseUntil = until
	if lease := r.node.state.Group(r.action.Group).Lease; lease != nil {
		r.leaseFrom = r.node.sim.ledger.at(lease.RenewedAt).first
	}
}

// stoodStill says that a hypervisor paused this machine while its lease ran, or while the lease was asked for: no clock that it can read
// knows how late it is.
func (r *actionRun) stoodStill() bool {
	return r.node.pausedAt > 0 && r.node.pausedAt >= r.leaseFrom-proposalBound
}

// permitted reads the lease on the boot-time clock, right before an effect.
func (r *actionRun) permitted() bool {
	return !r.over() && !r.cancelled && r.node.boot() < r.leaseUntil
}

// mayAct is permitted, asked right before something is done to the world.
func (r *actionRun) mayAct() bool {
	if !r.permitted() {
		return false
	}
	r.node.sim.checkEffect(r)
	return true
}

func (n *node) startAction(o failover.Start) {
	a := o.Action
	n.sim.note("%s starts %s %s of %s, epoch %d, intent %d, try %d", n.id, a.Kind, a.Member, a.Group, a.Epoch, a.Intent, a.Attempt)
	n.sim.counts.starts++
	run := &actionRun{node: n, action: a, started: n.sim.now}
	run.lease(o.LeaseUntil)
	n.sim.checkStart(run, o)
	n.actions[runKey{a.Group, a.Intent}] = run
	n.sim.busyFor(5 * time.Second)
	n.postAt(o.Deadline, func() { run.finish(unknown("time limit")) })
	n.sim.passes(n, "before-effect", string(a.Kind))
	if !n.alive {
		return
	}
	if a.ReadBack || a.Tried && a.Kind != failover.ActionIsolate { // who is only found off is told again
		run.check()
		return
	}
	run.do()
}

func unknown(why string) failover.Outcome {
	return failover.Outcome{Result: failover.ResultUnknown, Detail: why}
}

func failed(why string) failover.Outcome {
	return failover.Outcome{Result: failover.ResultFailed, Detail: why}
}

// cancel ends what runs, soon.
func (r *actionRun) cancel() {
	if r.cancelled {
		return
	}
	r.cancelled, r.leaseUntil = true, 0
	takes := r.node.dice.between(0, 100*time.Millisecond)
	if r.node.dice.chance(2) && !r.node.sim.healed {
		takes = 8 * time.Second // it hangs
	}
	r.node.post(takes, func() { r.finish(unknown("it was cancelled")) })
}

// finish tells the Controller, once.
func (r *actionRun) finish(o failover.Outcome) {
	if r.over() {
		return
	}
	r.finished = true
	n := r.node
	n.sim.passes(n, "after-effect", string(r.action.Kind))
	if !n.alive {
		return
	}
	o.Took = n.boot() - r.started
	n.sim.note("%s ends %s %s of %s: %s %s %s", n.id, r.action.Kind, r.action.Member, r.action.Group, o.Result, o.Proof.Grade, o.Detail)
	key := runKey{r.action.Group, r.action.Intent}
	delete(n.actions, key)
	n.ended[key] = n.sim.now
	n.sim.reported[key]++
	n.input(failover.ActionEnded{Group: r.action.Group, Intent: r.action.Intent, Outcome: o})
}

func (r *actionRun) member() *member {
	return r.node.sim.service(r.action.Group).member(r.action.Member)
}

// check looks whether the effect is already there, where looking tells anything.
func (r *actionRun) check() {
	switch r.action.Kind {
	case failover.ActionIsolate:
		r.fence(true, func(p failover.Proof) {
			if r.action.Spec.Policy.Accepts(p.Grade) {
				r.isolated(p)
				return
			}
			r.do()
		})
	case failover.ActionPromote:
		m := r.member()
		r.ask(m, func() any {
			switch {
			case m.primary && m.token == r.action.Epoch && m.refuses:
				return failover.Outcome{Result: failover.ResultDone, Timeline: m.head.branch.number, Position: m.head.at}
			}
			return nil
		}, func(answer any) {
			if o, ok := answer.(failover.Outcome); ok {
				r.finish(o)
				return
			}
			r.do()
		}, r.do)
	default:
		r.do()
	}
}

func (r *actionRun) do() {
	if !r.mayAct() {
		r.finish(unknown("the lease has run out"))
		return
	}
	switch r.action.Kind {
	case failover.ActionIsolate:
		r.isolate()
	case failover.ActionCatchUp:
		r.catchUp()
	case failover.ActionPromote:
		r.promote()
	case failover.ActionConfigure:
		r.configure()
	case failover.ActionRoute:
		r.route()
	case failover.ActionVerify:
		r.verify()
	default:
		r.finish(failed("there is no executor"))
	}
}

// ask sends a request to a server, which does something at once and answers. Nobody answers for one that is gone: then silent runs,
// at the end of the time that is waited for.
func (r *actionRun) ask(m *member, do func() any, answered func(any), silent func()) {
	n, s := r.node, r.node.sim
	if m == nil {
		silent()
		return
	}
	const wait = 1500 * time.Millisecond
	heard := false
	n.post(wait, func() {
		if !heard && !r.over() {
			heard = true
			silent()
		}
	})
	s.net.datagram(string(n.id), m.host.name, func() {
		switch {
		case !m.host.powered || m.host.frozen > 0:
			return
		case m.state != running:
			do = func() any { return errRefused }
		}
		answer := do()
		s.net.datagram(m.host.name, string(n.id), func() {
			n.enter(func() {
				if !heard && !r.over() {
					heard = true
					if answer == errRefused {
						silent()
						return
					}
					answered(answer)
				}
			})
		})
	})
}

var errRefused = fmt.Errorf("nobody listens")

// effect is ask for what changes something: the lease is read last, and the process may be stopped between that and the sending.
func (r *actionRun) effect(m *member, do func() any, answered func(any), silent func()) {
	if !r.mayAct() {
		silent()
		return
	}
	r.node.post(r.node.dice.between(0, 300*time.Microsecond), func() { r.ask(m, do, answered, silent) })
}

// isolate fences, while it closes the route, ends the sessions and raises the tokens of the others.
func (r *actionRun) isolate() {
	a, g := r.action, r.node.sim.service(r.action.Group)
	r.router(func(now failover.MemberName) failover.MemberName {
		if now == a.Member {
			return ""
		}
		return now
	}, func(bool) {})
	nothing := func(any) {}
	r.effect(r.member(), func() any {
		if m := r.member(); m.token <= a.Epoch {
			m.sessions = false
		}
		return nil
	}, nothing, func() {})
	for _, m := range g.members {
		if _, known := a.Spec.Member(m.name); known && m.name != a.Member && m.name != a.Former {
			r.effect(m, func() any { m.raise(a.Epoch); m.changed(); return nil }, nothing, func() {})
		}
	}
	r.fence(false, r.isolated)
}

func (r *actionRun) isolated(p failover.Proof) {
	o := failover.Outcome{Result: failover.ResultUnknown, Proof: p, Detail: p.Detail}
	if r.action.Spec.Policy.Accepts(p.Grade) {
		o.Result = failover.ResultDone
	}
	r.finish(o)
}

func (r *actionRun) fence(only bool, done func(failover.Proof)) {
	m := r.member()
	spec, ok := r.action.Spec.Member(r.action.Member)
	if m == nil || !ok || spec.Address != m.address {
		done(failover.Proof{Grade: failover.ProofUnknown, Detail: "there is no such machine"})
		return
	}
	f := &fencing{run: r, member: m, levels: len(spec.Fence), grade: failover.ProofConfirmedOff, only: only, done: done}
	r.node.post(r.node.dice.between(0, time.Millisecond), func() { f.level(0) })
}

// catchUp makes every standby that answers stop following, and reads how far it got.
func (r *actionRun) catchUp() {
	a, g := r.action, r.node.sim.service(r.action.Group)
	var positions []failover.MemberPosition
	open := 0
	end := func() {
		if open--; open > 0 {
			return
		}
		slices.SortFunc(positions, func(x, y failover.MemberPosition) int {
			return cmp.Compare(x.Member, y.Member)
		})
		o := failover.Outcome{Result: failover.ResultUnknown, Positions: positions, Detail: "no standby answered"}
		for _, p := range positions {
			if p.Answered {
				o.Result, o.Detail = failover.ResultDone, "positions read"
			}
		}
		r.finish(o)
	}
	for _, spec := range a.Spec.Members {
		if spec.Name != a.Former {
			open++
		}
	}
	for _, spec := range a.Spec.Members {
		if spec.Name == a.Former {
			continue
		}
		m := g.member(spec.Name)
		r.effect(m, func() any { return m.stopFollowing(a) }, func(answer any) {
			positions = append(positions, answer.(failover.MemberPosition))
			end()
		}, func() {
			positions = append(positions, failover.MemberPosition{Member: spec.Name, Detail: "it does not answer"})
			end()
		})
	}
	if open == 0 {
		open = 1
		end()
	}
}

// stopFollowing is what a standby does for a catch_up.
func (m *member) stopFollowing(a failover.Action) failover.MemberPosition {
	p := failover.MemberPosition{Member: m.name, SystemID: m.system}
	if m.primary || m.system != a.SystemID || !m.raise(a.Epoch) {
		p.Detail = "it is no standby of the group, or refuses the epoch"
		return p
	}
	m.follows = ""
	p.Answered, p.Timeline, p.Received, p.Replayed, p.Epoch = true, m.head.branch.number, m.head.at, m.head.at, a.Epoch
	m.changed()
	return p
}

// promote asks the candidate to leave recovery; how long it takes, nobody knows.
func (r *actionRun) promote() {
	a, m, s := r.action, r.member(), r.node.sim
	takes := s.worldDice.between(20*time.Millisecond, 200*time.Millisecond)
	if !s.healed && s.worldDice.chance(8) {
		takes = s.worldDice.between(time.Second, 15*time.Second)
	}
	if g := s.ledger.newest.Group(a.Group); rerouted(g) && g.Operation.ID == a.Operation && !a.EpochOnly {
		s.fail("S2", "a reroute of %s would promote %s, if that is in recovery", a.Group, a.Member)
	}
	r.effect(m, func() any {
		if m.system != a.SystemID || !m.raise(a.Epoch) {
			return failed("it refuses")
		}
		if m.primary {
			m.changed()
			return failover.Outcome{Result: failover.ResultDone, Timeline: m.head.branch.number, Position: m.head.at}
		}
		if a.EpochOnly {
			return failed("it is in recovery")
		}
		m.askToPromote(r, takes)
		return nil
	}, func(answer any) {
		if o, ok := answer.(failover.Outcome); ok {
			r.finish(o)
			return
		}
		r.awaitPromotion(m)
	}, func() { r.finish(unknown("it does not answer")) })
}

func (m *member) askToPromote(r *actionRun, takes time.Duration) {
	start, s := m.starts, m.sim
	if !m.refuses && !s.openIntent(r.action) {
		m.excused("a late effect at a target that checks no epochs")
	}
	s.checkPromotion(m, r.action)
	if m.leaving {
		return
	}
	m.leaving = true
	s.after(takes, func() {
		if m.leaving && m.starts == start && !m.primary && m.host.powered {
			m.becomePrimary(fmt.Sprintf("%s epoch %d", r.node.id, r.action.Epoch))
		}
	})
}

// awaitPromotion polls until the server has left recovery, and writes the epoch row.
func (r *actionRun) awaitPromotion(m *member) {
	r.node.post(20*time.Millisecond, func() {
		if r.over() {
			return
		}
		r.ask(m, func() any { return m.primary && (!m.refuses || m.token == r.action.Epoch) }, func(answer any) {
			if answer.(bool) {
				if !r.permitted() {
					r.finish(unknown("the lease has run out"))
					return
				}
				r.finish(failover.Outcome{Result: failover.ResultDone, Timeline: m.head.branch.number, Position: m.head.at})
				return
			}
			r.awaitPromotion(m)
		}, func() { r.finish(unknown("it does not answer any more")) })
	})
}

// configure points the other standbys at the new primary.
func (r *actionRun) configure() {
	a, g := r.action, r.node.sim.service(r.action.Group)
	open := 1
	end := func() {
		if open--; open == 0 {
			r.finish(failover.Outcome{Result: failover.ResultDone, Detail: "pointed"})
		}
	}
	for _, spec := range a.Spec.Members {
		m := g.member(spec.Name)
		if spec.Name == a.Member || spec.Name == a.Former || m == nil {
			continue
		}
		open++
		r.effect(m, func() any {
			if !m.primary && m.system == a.SystemID && m.raise(a.Epoch) {
				m.follows = a.Member
				m.changed()
			}
			return nil
		}, func(any) { end() }, end)
	}
	end()
}

func (r *actionRun) route() {
	to := r.action.Member
	r.router(func(failover.MemberName) failover.MemberName { return to }, func(ok bool) {
		if !ok {
			r.finish(failed("the router does not answer"))
			return
		}
		r.finish(failover.Outcome{Result: failover.ResultDone, Detail: "clients are sent there"})
	})
}

// router changes where clients are sent.
func (r *actionRun) router(change func(failover.MemberName) failover.MemberName, then func(ok bool)) {
	n, s, g := r.node, r.node.sim, r.node.sim.service(r.action.Group)
	if len(r.action.Spec.Routes) == 0 {
		then(true)
		return
	}
	if !r.mayAct() {
		then(false)
		return
	}
	heard := false
	answer := func(ok bool) func() {
		return func() {
			if !heard && !r.over() {
				heard = true
				then(ok)
			}
		}
	}
	n.post(time.Second, answer(false))
	s.net.datagram(string(n.id), g.router.name(), func() {
		if g.router.broken > 0 {
			return
		}
		to := change(g.router.to)
		s.checkRoute(r, to)
		g.router.lead(to)
		s.net.datagram(g.router.name(), string(n.id), func() { n.enter(answer(true)) })
	})
}

// verify proves the route by a write under the epoch.
func (r *actionRun) verify() {
	a, g := r.action, r.node.sim.service(r.action.Group)
	if len(a.Spec.Routes) > 0 && g.router.leads() != a.Member {
		r.node.post(50*time.Millisecond, func() { r.finish(failed("clients don't arrive there")) })
		return
	}
	m := r.member()
	r.effect(m, func() any {
		if !m.primary || !m.writes() || !m.raise(a.Epoch) {
			return failed("it does not accept the write")
		}
		m.head.at += 8
		m.replicate()
		return failover.Outcome{Result: failover.ResultDone, Detail: "written"}
	}, func(answer any) { r.finish(answer.(failover.Outcome)) }, func() { r.finish(unknown("it does not answer")) })
}
