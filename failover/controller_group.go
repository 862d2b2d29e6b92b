package failover

import (
	"cmp"
	"slices"
	"time"
)

// control is what a Controller keeps of one group: times seen on the own clock, and what is under way.
type control struct {
	// leaseSeen is when this process applied the newest grant or renewal of the lease that is in the state.
	leaseSeen  time.Duration
	leaseIndex Index
	own        ownLease

	operation    OperationID
	operationAt  time.Duration
	stage        stageKey
	stageAt      time.Duration
	restarting   restartKey
	restartAt    time.Duration
	attemptAt    time.Duration
	attemptEver  bool
	askedAgain   Index
	askedAgainAt time.Duration
	askedTimes   int

	failover     WallTime // the newest, as the state has it
	failoverAt   time.Duration
	failoverSeen bool // it ended then, while this process ran

	proposed    proposal      // one entry of this group at a time
	pausedUntil time.Duration // after a refusal
	confirm     proposal      // under way
	confirming  Index         // the intent that it is, or was, asked for
	confirmed   bool          // it has come
	confirmedAt time.Duration // and counts for this instant only; or when it ended without
	confirmFrom time.Duration // when the first of those was asked for that did not come in a row
	running     *running
	ended       *ActionEnded // waits for its confirmation and proposal
	told        *ActionEnded // whose outcome is proposed
}

type stageKey struct {
	stage Stage
	hold  Index
}

// restartKey names one restart: since is 0 while there is none.
type restartKey struct {
	member MemberName
	since  Index
}

// restarting is the restart that the primary speaks of, if the policy waits for one.
func (g *Group) restarting() restartKey {
	if g.Spec.Health.RestartGrace == 0 {
		return restartKey{}
	}
	m := g.inDoubt()
	if m == nil || m.RestartSince == 0 {
		return restartKey{}
	}
	return restartKey{m.Name, m.RestartSince}
}

func (gc *control) busy() bool { return gc.running != nil || gc.ended != nil || gc.proposed.id != 0 }

func (gc *control) forgetReign() {
	gc.own, gc.proposed, gc.ended, gc.told, gc.askedAgain = ownLease{}, proposal{}, nil, nil, 0
	gc.forgetConfirmation()
}

func (gc *control) forgetConfirmation() {
	gc.confirm, gc.confirming, gc.confirmed = proposal{}, 0, false
}

func (gc *control) observe(c *Controller, g *Group, now time.Duration) {
	if g.Lease != nil && g.Lease.RenewedAt != gc.leaseIndex {
		gc.leaseIndex, gc.leaseSeen = g.Lease.RenewedAt, now
		if c.term != 0 && g.Lease.Holder == c.self && g.Lease.Term == c.term && gc.own.proposed != 0 {
			length := time.Duration(g.Lease.Duration)
			gc.own = ownLease{epoch: g.Lease.Epoch, until: gc.own.proposed + length - c.margin(length), renewed: g.Lease.RenewedAt}
		}
	}
	if g.Lease == nil || g.Lease.Epoch != gc.own.epoch || g.Epoch != gc.own.epoch {
		gc.own.epoch, gc.own.until = 0, 0
	}
	if g.Operation == nil {
		gc.operation = ""
	} else if g.Operation.ID != gc.operation {
		gc.operation, gc.operationAt, gc.attemptEver = g.Operation.ID, now, false
	}
	if key := (stageKey{g.Stage, g.Hold.Index}); key != gc.stage {
		gc.stage, gc.stageAt = key, now
	}
	if key := g.restarting(); key != gc.restarting {
		gc.restarting, gc.restartAt = key, now
	}
}

// observeFailover notes when this process saw the last failover end. An entry that is applied only now may be an old one: as old as its
// wall time says, if that is from before this process began. Nothing else is taken from another arbiter's wall clock.
func (gc *control) observeFailover(c *Controller, g *Group, now time.Duration, wall WallTime) {
	if g.LastFailover == gc.failover {
		return
	}
	age := time.Duration(wall - g.LastFailover)
	gc.failover, gc.failoverAt, gc.failoverSeen = g.LastFailover, now, now > c.started && age < now-c.started
}

// driveGroup does the next thing for one group. It says whether anything of it is still under way.
func (s *step) driveGroup(g *Group, gc *control) (busy bool) {
	s.bound(gc.proposed)
	s.watchRunning(g, gc)
	s.offerStuck(g.Name, gc)
	if gc.ended != nil && !g.hasOpen(gc.ended.Intent) {
		gc.ended = nil // proof came from elsewhere, or a new grant closed the intent: it would count for nothing
	}
	switch {
	case gc.proposed.id != 0:
		return true
	case gc.ended != nil:
		s.concludeEnded(g, gc)
		return true
	case s.now < gc.pausedUntil:
		s.wakeAt(gc.pausedUntil)
		return true
	case s.draining.Why != "":
		return s.drainGroup(g, gc)
	case s.renewDue(g, gc):
		s.renew(g, gc)
		return true
	}
	s.act(g, gc)
	return true
}

func (s *step) drainGroup(g *Group, gc *control) (busy bool) {
	if gc.running != nil {
		if !gc.running.cancelled {
			gc.running.cutShort = s.draining.Why
		}
		s.cancel(gc, s.draining.Why)
		return !s.stuck(gc)
	}
	if g.Lease != nil && gc.own.epoch == g.Lease.Epoch {
		gc.proposed = s.propose(ReleaseLease{Group: g.Name, Holder: s.self, Epoch: g.Lease.Epoch})
		return true
	}
	return false
}

// act asks the planner and carries out its answer.
func (s *step) act(g *Group, gc *control) {
	decision := Plan(s.state, g.Name, s.durations(g, gc, s.now, s.wall))
	idle := decision.Step == StepCancel && (gc.running == nil || gc.running.cancelled)
	if decision.Step != StepNone && decision.Step != StepTry && !idle {
		s.emit(Decided{decision})
	}
	if decision.Again > 0 {
		s.wakeAt(s.now + decision.Again)
	}
	s.askAgain(g, gc, decision)
	switch decision.Step {
	case StepNone:
		if decision.awaitsLooks() && s.halfGone(g, gc) { // a new lease would ask for new looks: slow ones would never be in time
			s.renew(g, gc)
		}
	case StepAcquire:
		s.acquire(g, gc)
	case StepRelease:
		gc.proposed = s.propose(ReleaseLease{Group: g.Name, Holder: s.self, Epoch: g.Lease.Epoch})
	case StepIntend:
		gc.proposed = s.propose(Intend{
			Group: g.Name, Epoch: g.Epoch, Operation: g.Operation.ID, Action: decision.Action,
			Member: decision.Member, Reinstate: decision.Reinstate, Basis: decision.Basis, Rule: decision.Rule,
		})
	case StepTry:
		if !s.offerBetterPath(g) {
			s.try(g, gc)
		}
	case StepCancel:
		s.cancel(gc, decision.Detail)
	case StepHold:
		s.hold(g, gc, decision)
	}
}

// hold stops an operation. Before it does so for want of a fence, it looks whether another arbiter has a way to it.
func (s *step) hold(g *Group, gc *control, d Decision) {
	if d.Hold != HoldFenceUnproven || !s.offerBetterPath(g) {
		gc.proposed = s.propose(HoldOperation{Group: g.Name, Operation: g.Operation.ID, Reason: d.Hold, Detail: d.Detail})
	}
}

// offerBetterPath hands leadership on where this arbiter has tried an isolation as often as it may, to one that has a way to the fence. The
// own path may answer whoever asks for its status and yet not fence, so it says nothing any more. Then only one that has not tried yet is a
// better one: otherwise leadership would go round and round.
func (s *step) offerBetterPath(g *Group) bool {
	intent := g.Operation.Intent
	if intent == nil || intent.Action != ActionIsolate || g.misfenced(intent.Member) || g.Operation.Attempts < g.Spec.Policy.MaxAttempts {
		return false
	}
	own := g.armedPath(s.state, s.self, intent.Member)
	better := slices.DeleteFunc(slices.Clone(s.state.Voters), func(node NodeID) bool {
		return !g.armedPath(s.state, node, intent.Member) || own && g.triedBy(node, *intent)
	})
	return s.offerTo(better, "it could not isolate "+string(intent.Member)+", and the other one has a way to its fence")
}

// armedPath says whether an arbiter reaches the fence of a member, as far as is known of its newest view.
func (g *Group) armedPath(s *State, node NodeID, member MemberName) bool {
	view, _ := s.View(node)
	return slices.ContainsFunc(g.Paths, func(p PathLook) bool {
		return p.Node == node && p.Path.Member == member && p.Path.Armed && view.Current && p.Generation == view.Generation
	})
}

// triedBy says whether an arbiter has tried the same in this operation already.
func (g *Group) triedBy(node NodeID, intent OpenIntent) bool {
	return slices.ContainsFunc(g.Operation.Steps, func(step Step) bool {
		return step.Intent != 0 && step.Name == string(intent.Action) && step.Member == intent.Member && g.History.holderOf(step.Epoch) == node
	})
}

func (s *step) askAgain(g *Group, gc *control, d Decision) {
	if d.LookAgain == 0 {
		return
	}
	if gc.askedAgain != d.LookAgain {
		gc.askedAgain, gc.askedTimes = d.LookAgain, 0
	}
	const slower = 2 // times that the pause doubles: an arbiter that reconnects must hear of the request soon
	pause := func() time.Duration {
		return cmp.Or(d.LookEvery, s.settings.LookAgainEvery<<min(max(gc.askedTimes-1, 0), slower))
	}
	if gc.askedTimes == 0 || s.now-gc.askedAgainAt >= pause() {
		gc.askedAgainAt, gc.askedTimes = s.now, gc.askedTimes+1
		s.emit(AskAgain{Group: g.Name, Member: g.Operation.inQuestion(), Index: d.LookAgain})
	}
	s.wakeAt(gc.askedAgainAt + pause())
}
