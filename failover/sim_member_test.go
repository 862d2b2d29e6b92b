package failover

import (
	"time"
)

// simMember is one machine, as it truly is.
type simMember struct {
	group    GroupName
	name     MemberName
	alive    bool
	primary  bool
	rogue    bool // it came back by itself as a primary: two may write, and Arbiter must end it
	position LSN
	token    Epoch
}

func (m *simMember) writable() bool { return m.alive && m.primary }

func (m *simMember) seen() seen {
	switch {
	case !m.alive:
		return dead(ReasonRefused)
	case m.primary:
		return primaryAt(m.position)
	}
	return standbyAt(m.position)
}

func (m *simMember) crash(s *sim) {
	s.note("%s of %s dies", m.name, m.group)
	m.alive, m.rogue = false, false
}

// boot brings a machine back as it was: a former primary accepts writes.
func (m *simMember) boot(s *sim) {
	if m.alive {
		return
	}
	m.alive = true
	authority := s.state.Group(m.group).Member(m.name).Authority
	m.rogue = m.primary && authority != AuthorityWriter
	s.note("%s of %s is back (%s)", m.name, m.group, authority)
	if m.rogue {
		s.counts.rogues++
	}
}

// simAction is one action that runs.
type simAction struct {
	action     Action
	leaseUntil time.Duration
	cancelled  bool
}

// startAction checks all that must hold before an effect (S6), and runs it.
func (n *simNode) startAction(o Start) {
	s, a := n.sim, o.Action
	s.counts.starts++
	s.note("%s starts %s %s of %s, epoch %d", n.id, a.Kind, a.Member, a.Group, a.Epoch)
	intent, ok := Intend{}, false
	if a.Intent <= n.applied {
		intent, ok = s.log[a.Intent-1].Body.(Intend)
	}
	own := s.states[n.applied].Group(a.Group)
	switch {
	case !ok || intent.Action != a.Kind || intent.Member != a.Member || intent.Epoch != a.Epoch:
		s.fail("%s started %s of %s without a committed intent", n.id, a.Kind, a.Member)
	case own.Lease == nil || own.Lease.Holder != n.id || own.Lease.Epoch != a.Epoch:
		s.fail("%s started %s of %s without a lease", n.id, a.Kind, a.Member)
	case o.LeaseUntil <= n.clock() || o.Deadline <= n.clock():
		s.fail("%s started %s of %s after its lease", n.id, a.Kind, a.Member)
	case n.confirmedAt < n.appliedAt[a.Intent]:
		s.fail("%s started %s of %s without leadership confirmed after the intent", n.id, a.Kind, a.Member)
	case n.running[a.Group] != nil:
		s.fail("%s started %s of %s beside another action", n.id, a.Kind, a.Member)
	}
	for _, other := range n.running {
		if other.action.Kind == ActionIsolate && a.Kind == ActionIsolate && a.sharesMachine(other.action) {
			s.fail("S15: %s fences the machine of %s twice at once", n.id, a.Member)
		}
	}
	run := &simAction{action: a, leaseUntil: o.LeaseUntil}
	n.running[a.Group] = run
	n.deliver(20*time.Millisecond+s.upTo(1500*time.Millisecond), func() { n.finish(run) })
}

// finish does the effect if it is still permitted, and tells what came of it, or that nobody knows.
func (n *simNode) finish(run *simAction) {
	s, a := n.sim, run.action
	delete(n.running, a.Group)
	o := Outcome{Result: ResultUnknown, Detail: "no answer"}
	silent := s.chance(15) && !s.calm
	if run.leaseUntil > n.clock() && !run.cancelled && !(s.chance(10) && !s.calm) {
		if done := s.effect(a); !silent {
			o = done
		}
	}
	n.input(ActionEnded{Group: a.Group, Intent: a.Intent, Outcome: o})
}

// effect is what an action does to the machines. The target refuses an older epoch (S9).
func (s *sim) effect(a Action) Outcome {
	m := s.members[a.Group][a.Member]
	failed := Outcome{Result: ResultFailed, Detail: "it does not answer"}
	if m.token > a.Epoch && a.Kind != ActionIsolate {
		return failed
	}
	switch a.Kind {
	case ActionIsolate:
		m.alive, m.rogue = false, false
		return Outcome{Result: ResultDone, Proof: Proof{Grade: ProofConfirmedOff, By: "bmc"}}
	case ActionCatchUp:
		o := Outcome{Result: ResultDone}
		for _, name := range sortedKeys(s.members[a.Group]) {
			c := s.members[a.Group][name]
			if answers := c.alive && !c.primary && c.token <= a.Epoch; name != a.Former {
				if answers {
					c.token = a.Epoch
				}
				o.Positions = append(o.Positions, MemberPosition{Member: name, Answered: answers, SystemID: "sys1", Received: c.position})
			}
		}
		return o
	}
	if !m.alive {
		return failed
	}
	m.token = a.Epoch
	switch a.Kind {
	case ActionPromote:
		m.primary = true
	case ActionConfigure: // a fenced former primary is rebuilt as a standby
		for _, name := range sortedKeys(s.members[a.Group]) {
			if c := s.members[a.Group][name]; name != a.Member && !c.alive {
				c.primary = false
			}
		}
	}
	return Outcome{Result: ResultDone}
}
