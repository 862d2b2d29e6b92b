package sim

import (
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// node is one arbiter: the real Controller over the modelled Raft, with the shell around it. What the shell of package arbiter does
// is done here in the same order, without goroutines.
type node struct {
	process
	id         failover.NodeID
	dice       dice
	clock      bootClock
	wallOffset time.Duration
	lag        time.Duration // of its state machine
	disk       disk
	pausedAt   time.Duration // when a hypervisor last let it go on
	gone       bool          // its disk was wiped: it never comes back under its id
	spare      bool          // it is not yet part of the cluster
	raft       *raft

	// In memory.
	state      *failover.State // newest applied
	seen       *failover.State // newest that the Controller was given
	controller *failover.Controller
	leading    bool
	inbox      []any
	stepping   bool
	wakes      int
	stepsAt    time.Duration
	steps      int
	actions    map[runKey]*actionRun
	confirmed  time.Duration                    // true time at which it led for certain
	intended   map[failover.Index]time.Duration // true time at which it applied each intent
	ended      map[runKey]time.Duration         // true time at which its newest try of each ended
	intake     *intake
	routes     *routeWatch
	view       *view
	sender     *sender
	prober     *prober
	heard      map[memberKey]bool          // who answered in this life of the process
	sawDead    map[memberKey]time.Duration // true time at which a look at a member last ended that found it dead, and not only because this arbiter was late
}

func newNode(s *sim, id failover.NodeID) *node {
	n := &node{process: process{sim: s}, id: id, dice: newDice(s.plan.Seed, "node "+string(id))}
	n.disk = disk{node: n}
	n.sawDead = map[memberKey]time.Duration{}
	n.raft = &raft{node: n}
	return n
}

func (n *node) boot() time.Duration { return n.clock.read(n.sim.now) }

func (n *node) wall() failover.WallTime {
	return wallStart + failover.WallTime(n.sim.now) + failover.WallTime(n.wallOffset)
}

// start begins a life of the process, with what is on its disk.
func (n *node) start() {
	if n.alive || n.gone {
		return
	}
	n.born()
	n.disk.forget()
	n.state = n.raft.reload()
	n.sim.note("%s starts with state %d, log up to %d", n.id, n.state.Applied, n.raft.last())
	n.seen, n.leading, n.inbox, n.stepping = n.state, false, nil, false
	n.controller = failover.NewController(n.id, failover.DefaultSettings("sim"), n.state, n.boot())
	n.actions = map[runKey]*actionRun{}
	n.confirmed, n.intended, n.ended = 0, map[failover.Index]time.Duration{}, map[runKey]time.Duration{}
	n.intake = newIntake(n)
	n.routes = &routeWatch{node: n}
	n.view, n.heard = newView(n), map[memberKey]bool{}
	n.sender = &sender{node: n}
	n.prober = newProber(n)
	n.prober.pokeAll()
	n.sim.disturb()
}

// kill ends the process at once.
func (n *node) kill(why string) {
	if !n.alive {
		return
	}
	n.sim.note("%s ends: %s", n.id, why)
	n.die()
	n.disk.forget()
	for _, run := range n.actions {
		run.abandoned = true
	}
	n.actions, n.leading = nil, false
	n.sim.streamsBroken(n)
	n.sim.disturb()
}

// halt is a process that ends itself. Whoever watches it starts it again.
func (n *node) halt(why string) {
	if !n.alive {
		return
	}
	n.kill(why)
	n.sim.counts.halts++
	n.sim.after(n.dice.between(100*time.Millisecond, 2*time.Second), n.start)
}

// wipe loses the disk. The node doesn't start Raft again under its old id: it would have forgotten what it voted for.
func (n *node) wipe() {
	n.kill("its disk is wiped")
	n.gone = true
	n.raft.snapshot, n.raft.log, n.raft.base = snapshot{}, nil, 0
}

// postAt runs something when the own boot-time clock shows a time.
func (n *node) postAt(boot time.Duration, run func()) {
	n.post(n.clock.until(boot, n.sim.now), func() {
		if n.boot() < boot { // the clock stood still
			n.postAt(boot, run)
			return
		}
		run()
	})
}

// tellLeadership tells the loop, in order, of what Raft says.
func (n *node) tellLeadership(leads bool) {
	if leads {
		n.input(failover.Elected{Term: n.raft.term})
		n.post(n.dice.between(0, 400*time.Millisecond), func() { n.sim.read(n) })
	} else {
		n.input(failover.Deposed{})
	}
	n.leaderChanged()
}

func (n *node) leaderChanged() { n.sender.leaderChanged() }

// input gives the loop something to do. It takes one after the other.
func (n *node) input(what any) {
	n.inbox = append(n.inbox, what)
	n.stepSoon()
}

// noteApplied says that the state has moved.
func (n *node) noteApplied() { n.stepSoon() }

func (n *node) stepSoon() {
	if n.stepping {
		return
	}
	n.stepping = true
	n.post(n.dice.between(5*time.Microsecond, 200*time.Microsecond), func() {
		n.stepping = false
		inbox := n.inbox
		n.inbox = nil
		n.giveState()
		for _, what := range inbox {
			n.giveState()
			n.give(what)
		}
	})
}

// giveState gives the newest state before anything else: the end of a proposal must never be seen before its effect.
func (n *node) giveState() {
	if n.alive && n.state != n.seen {
		n.seen = n.state
		n.give(failover.Applied{State: n.state})
	}
}

// give makes one step of the Controller.
func (n *node) give(what any) {
	if !n.alive {
		return
	}
	if n.stepsAt != n.sim.now {
		n.stepsAt, n.steps = n.sim.now, 0
	}
	if n.steps++; n.steps > 200 {
		n.sim.fail("endless", "%s steps for ever", n.id)
		return
	}
	n.sim.counts.steps++
	outputs := n.controller.Step(failover.Input{Now: n.boot(), Wall: n.wall(), What: what})
	if leading := n.controller.Leading(); leading != n.leading {
		n.leading = leading
		n.intake.leadingChanged()
		n.routes.leadingChanged()
	}
	n.wakes++
	for _, o := range outputs {
		n.carryOut(o)
	}
}

func (n *node) carryOut(output failover.Output) {
	if !n.alive {
		return
	}
	switch o := output.(type) {
	case failover.WakeAt:
		n.wakeAt(o.At)
	case failover.Propose:
		n.propose(o)
	case failover.Confirm:
		n.confirm(o)
	case failover.Start:
		n.startAction(o)
	case failover.Extend:
		if run := n.actions[runKey{o.Group, o.Intent}]; run != nil {
			run.lease(o.LeaseUntil)
			n.sim.checkLease(run)
		}
	case failover.Cancel:
		if run := n.actions[runKey{o.Group, o.Intent}]; run != nil {
			n.sim.note("%s cancels %s of %s: %s", n.id, run.action.Kind, o.Group, o.Why)
			run.cancel()
		}
	case failover.AskAgain:
		n.intake.lookAgain(o)
	case failover.HandOver:
		n.sim.note("%s hands over to %q: %s", n.id, o.To, o.Why)
		n.raft.transfer(o.To, func() { n.input(failover.HandOverFailed{ID: o.ID}) })
	case failover.Halt:
		n.halt(o.Why)
	case failover.Decided:
		d := o.Decision
		n.sim.note("%s decides for %s: %s %s %s (%s): %s", n.id, d.Group, d.Step, d.Action, d.Member, d.Rule, d.Detail)
	}
}

func (n *node) wakeAt(at time.Duration) {
	if at <= n.boot() {
		n.sim.fail("endless", "%s wants to be woken in the past", n.id)
		return
	}
	wake := n.wakes
	n.postAt(at, func() {
		if n.wakes == wake {
			n.giveState()
			n.give(failover.Tick{})
		}
	})
}

func (n *node) propose(p failover.Propose) {
	name := bodyName(p.Body)
	n.sim.checkConclusion(n, p.Body)
	n.sim.passes(n, "before-commit", name)
	if !n.alive {
		return
	}
	n.commit(p.Body, func(e *entry, err error) {
		n.sim.passes(n, "after-commit", name)
		if !n.alive {
			return
		}
		ended := failover.ProposalEnded{ID: p.ID, Unknown: err != nil}
		if err == nil {
			ended.Refused = rejection(e.events) != nil
		} else {
			n.sim.counts.unknown++
			n.sim.note("%s does not know what became of its %s", n.id, name)
		}
		n.post(n.dice.between(0, 500*time.Microsecond), func() { n.input(ended) })
	})
}

// proposalBound is how long an entry may take until this process ends itself, counted while it runs.
const proposalBound = 5 * time.Second

// commit proposes an entry, for whomever.
func (n *node) commit(body failover.Body, done func(*entry, error)) {
	ended := false
	n.bounded(proposalBound, &ended)
	n.raft.propose(n.sim.throughCodec(n, body), nil, func(e *entry, err error) {
		ended = true
		if err == nil {
			n.sim.ledger.answered = max(n.sim.ledger.answered, e.Index)
		}
		done(e, err)
	})
}

// bounded ends the process when something hasn't ended in time. It is counted in steps, so that time in which the process is frozen doesn't
// count.
func (n *node) bounded(left time.Duration, ended *bool) {
	const step = 500 * time.Millisecond
	n.post(step, func() {
		switch {
		case *ended:
		case left <= step:
			n.halt("an own entry was not applied in time")
		default:
			n.bounded(left-step, ended)
		}
	})
}

func (n *node) confirm(c failover.Confirm) {
	n.sim.counts.confirms++
	asked := n.sim.now
	n.raft.confirm(func(ok bool) {
		if ok {
			n.confirmed = max(n.confirmed, asked)
		}
		n.input(failover.ConfirmEnded{ID: c.ID, OK: ok})
	})
}

// applyEntry is the state machine: it moves the state by one committed entry.
func (n *node) applyEntry(e *entry) {
	if e.Body == nil {
		n.sim.ledger.note(n, e)
		return
	}
	before := n.state
	n.state = n.sim.ledger.apply(n, e)
	if _, ok := e.Body.(failover.Intend); ok {
		n.intended[e.Index] = n.sim.now
	}
	n.prober.stateMoved(before)
	n.noteApplied()
}

// restore replaces the state by that of a snapshot.
func (n *node) restore(data []byte) {
	state, err := failover.StateFromBytes(data)
	if err != nil {
		n.sim.fail("encoding", "%s can't read a snapshot: %v", n.id, err)
		return
	}
	before := n.state
	n.state = &state
	n.sim.note("%s takes a snapshot at %d", n.id, state.Applied)
	n.prober.stateMoved(before)
	n.noteApplied()
}

func bodyName(b failover.Body) string {
	switch b := b.(type) {
	case failover.Intend:
		return "intend-" + string(b.Action)
	case failover.Conclude:
		return "conclude"
	case failover.AcquireLease:
		return "acquire-lease"
	case failover.ReleaseLease:
		return "release-lease"
	case failover.BeginReign:
		return "begin-reign"
	}
	return fmt.Sprintf("%T", b)[len("failover."):]
}

func rejection(events []failover.Event) *failover.Event {
	for i := range events {
		if events[i].Kind == failover.Rejected {
			return &events[i]
		}
	}
	return nil
}
