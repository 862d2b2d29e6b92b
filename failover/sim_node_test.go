package failover

import (
	"time"
)

// simNode is one arbiter process.
type simNode struct {
	sim         *sim
	id          NodeID
	rate        float64       // of its clock
	offset      time.Duration // of its clock
	controller  *Controller
	life        int // counts restarts
	term        Term
	applied     Index
	appliedAt   []time.Duration // true time at which it applied each index
	lag         time.Duration
	frozenUntil time.Duration
	blind       bool // its network is gone: it sees nothing and doubts itself
	confirmedAt time.Duration
	running     map[GroupName]*simAction
	wakes       int
	steps       int // at one moment
	stepsAt     time.Duration
	incarnation uint64
	sequence    uint64
	sent        map[simKey]seen
	sentDoubt   bool
	asked       map[GroupName]Index
}

type simKey struct {
	group  GroupName
	member MemberName
}

func (n *simNode) clock() time.Duration {
	return n.offset + time.Duration(float64(n.sim.now)*n.rate)
}

// start begins a life of the process: what is applied comes from its disk at once.
func (n *simNode) start() {
	n.life++
	n.term, n.running, n.asked, n.incarnation, n.sequence, n.confirmedAt = 0, map[GroupName]*simAction{}, map[GroupName]Index{}, uint64(n.life), 0, 0
	n.applied = n.sim.state.Applied
	n.appliedAt = nil
	for range n.applied + 1 {
		n.appliedAt = append(n.appliedAt, n.sim.now)
	}
	n.controller = NewController(n.id, DefaultSettings("c1"), n.sim.states[n.applied], n.clock())
	life := n.life
	n.sim.after(n.sim.upTo(200*time.Millisecond), func() { n.look(life) })
}

func (n *simNode) restart() {
	n.sim.note("%s restarts", n.id)
	n.sim.counts.restarts++
	n.running = map[GroupName]*simAction{}
	n.start()
	if n.sim.leader == n.id {
		n.sim.elect(n.sim.nodes[n.sim.dice.IntN(3)])
	}
}

func (n *simNode) freeze(d time.Duration) {
	n.sim.note("%s is frozen for %s", n.id, d)
	n.frozenUntil = n.sim.now + d
}

// deliver runs something in the process, when it is not frozen, unless it has died.
func (n *simNode) deliver(d time.Duration, run func()) {
	life := n.life
	n.sim.after(d, func() {
		switch {
		case n.life != life:
		case n.frozenUntil > n.sim.now:
			n.deliver(n.frozenUntil-n.sim.now, run)
		default:
			run()
		}
	})
}

// catchUp applies the log up to an index.
func (n *simNode) catchUp(index Index) func() {
	return func() {
		for n.applied < index {
			n.applied++
			n.appliedAt = append(n.appliedAt, n.sim.now)
		}
		n.input(Applied{State: n.sim.states[n.applied]})
	}
}

func (n *simNode) input(what any) {
	s := n.sim
	if n.stepsAt != s.now {
		n.steps, n.stepsAt = 0, s.now
	}
	if n.steps++; n.steps > 200 {
		s.fail("%s steps for ever", n.id)
		return
	}
	for _, output := range n.controller.Step(Input{Now: n.clock(), Wall: WallTime(s.now), What: what}) {
		switch o := output.(type) {
		case Propose:
			n.propose(o)
		case Confirm:
			n.confirm(o)
		case Start:
			n.startAction(o)
		case Extend:
			if a := n.running[o.Group]; a != nil && a.action.Intent == o.Intent {
				a.leaseUntil = o.LeaseUntil
			}
		case Cancel:
			if a := n.running[o.Group]; a != nil && a.action.Intent == o.Intent {
				a.cancelled = true
			}
		case AskAgain:
			for _, other := range s.nodes {
				other.deliver(s.upTo(10*time.Millisecond), func() { other.asked[o.Group] = max(other.asked[o.Group], o.Index) })
			}
		case WakeAt:
			n.wakeAt(o.At)
		case HandOver:
			if s.chance(80) {
				s.elect(s.nodes[s.dice.IntN(3)])
			}
		case Halt:
			n.restart()
			return
		}
	}
}

func (n *simNode) wakeAt(at time.Duration) {
	if at <= n.clock() {
		n.sim.fail("%s wants to be woken in the past", n.id)
	}
	n.wakes++
	wake := n.wakes
	n.deliver(time.Duration(float64(at-n.clock())/n.rate)+time.Microsecond, func() {
		if wake == n.wakes {
			n.input(Tick{})
		}
	})
}

// mayAct says whether the process, by its own clock, believes that it may act on a group: it holds a lease and is not giving it
// back.
func (n *simNode) mayAct(group GroupName) bool {
	gc := n.controller.groups[group]
	if a := n.running[group]; a != nil && a.leaseUntil > n.clock() && !a.cancelled {
		return true
	}
	return gc != nil && gc.own.until > n.clock() && gc.proposed.id == 0 && n.controller.term != 0
}

// look sees all members and sends what has changed, through whoever leads.
func (n *simNode) look(life int) {
	if n.life != life {
		return
	}
	n.sim.after(100*time.Millisecond+n.sim.upTo(50*time.Millisecond), func() { n.look(life) })
	s := n.sim
	if n.frozenUntil > s.now || s.chance(5) {
		return
	}
	known := s.states[n.applied]
	view, _ := known.View(n.id)
	b := Batch{
		Node: n.id, Incarnation: n.incarnation, Version: CurrentVersion,
		Whole: view.Incarnation != n.incarnation || !view.Current,
	}
	if n.blind {
		b.Doubt = "blind"
	}
	for _, g := range known.Groups {
		for _, m := range g.Members {
			what, key := s.members[g.Name][m.Name].seen(), simKey{g.Name, m.Name}
			if n.blind {
				what = dead(ReasonTimeout)
			}
			if b.Whole || n.sent[key] != what || m.Authority == AuthorityNone && what.writes {
				n.sent[key] = what
				b.Observations = append(b.Observations, what.observation(g.Name, m.Name, SyncRule{}, n.applied, 0))
			}
		}
		if asked := n.asked[g.Name]; asked != 0 {
			b.Answers = append(b.Answers, Answer{Group: g.Name, Index: asked})
			delete(n.asked, g.Name)
		}
	}
	if !b.Whole && len(b.Observations)+len(b.Answers) == 0 && n.sentDoubt == n.blind {
		return
	}
	n.sentDoubt = n.blind
	n.sequence++
	b.Sequence = n.sequence
	s.after(s.upTo(20*time.Millisecond), func() {
		if !s.chance(1) || s.calm { // a lost batch leaves a gap
			s.commit(Entry{Term: s.term, Proposer: s.leader, Body: Observe{Batches: []Batch{b}}})
		}
	})
}
