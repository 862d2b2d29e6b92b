package failover

import (
	"slices"
	"strings"
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
	attemptAt    time.Duration
	attemptEver  bool
	askedAgain   Index
	askedAgainAt time.Duration

	proposed    proposal      // one entry of this group at a time
	pausedUntil time.Duration // after a refusal
	confirm     proposal
	confirmed   bool // the confirmation that was asked for has come
	starting    Index
	running     *running
	ended       *ActionEnded // waits for its confirmation and proposal
}

// ownLease is the lease of this process, counted from just before its entry was proposed.
type ownLease struct {
	epoch    Epoch
	until    time.Duration
	proposed time.Duration // when the acquire or renewal under way was proposed
	renewed  Index
}

type stageKey struct {
	stage Stage
	hold  Index
}

type running struct {
	action      Action
	deadline    time.Duration
	leaseUntil  time.Duration
	cancelled   bool
	fenceTarget string
}

func (gc *control) busy() bool { return gc.running != nil || gc.ended != nil || gc.proposed.id != 0 }

func (gc *control) forgetReign() {
	gc.own, gc.proposed, gc.confirm, gc.confirmed, gc.starting, gc.ended = ownLease{}, proposal{}, proposal{}, false, 0, nil
}

func (gc *control) observe(c *Controller, g *Group, now time.Duration) {
	if g.Lease != nil && g.Lease.RenewedAt != gc.leaseIndex {
		gc.leaseIndex, gc.leaseSeen = g.Lease.RenewedAt, now
		if c.term != 0 && g.Lease.Holder == c.self && g.Lease.Term == c.term && gc.own.proposed != 0 {
			length := time.Duration(g.Lease.Duration)
			gc.own = ownLease{epoch: g.Lease.Epoch, until: gc.own.proposed + length - c.margin(length), renewed: g.Lease.RenewedAt}
		}
	}
	if g.Lease == nil || g.Lease.Epoch != gc.own.epoch {
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
}

func (c *Controller) durations(g *Group, gc *control, now time.Duration, wall WallTime) Durations {
	d := Durations{InStage: now - gc.stageAt, SinceAttempt: time.Hour, SinceLastFailover: -1, Running: gc.running != nil}
	if g.Operation != nil {
		d.VerdictStood = now - gc.operationAt
	}
	if gc.attemptEver {
		d.SinceAttempt = now - gc.attemptAt
	}
	if g.LastFailover != 0 {
		d.SinceLastFailover = max(time.Duration(wall-g.LastFailover), 0)
	}
	d.LeaseLeft = max(gc.own.until-now, 0)
	d.LeaseWait = c.leaseWait(g, gc, now)
	return d
}

// leaseWait is how long until a lease of somebody else must have run out on any clock: its full length, counted from when this
// process applied it, started, or was elected, whichever is latest (S8).
func (c *Controller) leaseWait(g *Group, gc *control, now time.Duration) time.Duration {
	if g.Lease == nil || g.Lease.Holder == c.self && g.Lease.Term == c.term {
		return 0
	}
	length := time.Duration(g.Lease.Duration)
	from := max(gc.leaseSeen, c.started, c.elected)
	return max(from+length+c.margin(length)-now, 0)
}

// driveGroup does the next thing for one group. It says whether anything of it is still under way.
func (s *step) driveGroup(g *Group, gc *control) (busy bool) {
	s.bound(gc.proposed)
	s.watchRunning(g, gc)
	switch {
	case gc.proposed.id != 0:
		return true
	case gc.ended != nil:
		s.concludeEnded(g, gc)
		return true
	case s.now < gc.pausedUntil:
		s.wakeAt(gc.pausedUntil)
		return true
	case s.draining != "":
		return s.drainGroup(g, gc)
	case s.renewDue(g, gc):
		s.renew(g, gc)
		return true
	}
	s.act(g, gc)
	return true
}

// watchRunning cancels an action whose lease or time is over. Effects ask for themselves too (Start.LeaseUntil): this is
// what ends the rest.
func (s *step) watchRunning(g *Group, gc *control) {
	r := gc.running
	if r == nil || r.cancelled {
		return
	}
	switch {
	case gc.own.until <= s.now:
		s.cancel(g, gc, "the lease has run out")
	case r.deadline <= s.now:
		s.cancel(g, gc, "it took longer than "+r.action.Timeout().String())
	default:
		if r.leaseUntil != gc.own.until {
			r.leaseUntil = gc.own.until
			s.emit(Extend{Group: g.Name, Intent: r.action.Intent, LeaseUntil: r.leaseUntil})
		}
		s.wakeAt(min(gc.own.until, r.deadline))
	}
}

func (s *step) cancel(g *Group, gc *control, why string) {
	if gc.running == nil || gc.running.cancelled {
		return
	}
	gc.running.cancelled = true
	s.emit(Cancel{Group: g.Name, Intent: gc.running.action.Intent, Why: why})
}

func (s *step) drainGroup(g *Group, gc *control) (busy bool) {
	if gc.running != nil {
		s.cancel(g, gc, s.draining)
		return true
	}
	if g.Lease != nil && gc.own.epoch == g.Lease.Epoch {
		gc.proposed = s.propose(ReleaseLease{Group: g.Name, Holder: s.self, Epoch: g.Lease.Epoch})
		return true
	}
	return false
}

// renewDue says whether half of the lease is gone while there is work that needs it.
func (s *step) renewDue(g *Group, gc *control) bool {
	if g.Operation == nil || g.Lease == nil || gc.own.until <= s.now || gc.own.epoch != g.Epoch {
		return false
	}
	if g.Operation.Intent == nil && gc.running == nil {
		return false // the next step is taken at once, or the lease is released
	}
	due := gc.own.until - time.Duration(g.Lease.Duration)/2
	if s.now < due {
		s.wakeAt(due)
	}
	return s.now >= due
}

func (s *step) renew(g *Group, gc *control) {
	gc.own.proposed = s.now
	gc.proposed = s.propose(RenewLease{Group: g.Name, Holder: s.self, Epoch: g.Epoch})
}

// act asks the planner and carries out its answer.
func (s *step) act(g *Group, gc *control) {
	decision := Plan(s.state, g.Name, s.durations(g, gc, s.now, s.wall))
	if decision.Step != StepNone && decision.Step != StepTry {
		s.emit(Decided{decision})
	}
	if decision.Again > 0 {
		s.wakeAt(s.now + decision.Again)
	}
	s.askAgain(g, gc, decision.LookAgain)
	switch decision.Step {
	case StepAcquire:
		gc.own.proposed = s.now
		gc.proposed = s.propose(AcquireLease{Group: g.Name, Holder: s.self, Term: s.term, AfterEpoch: g.Epoch, Duration: g.LeaseDuration()})
	case StepRelease:
		gc.proposed = s.propose(ReleaseLease{Group: g.Name, Holder: s.self, Epoch: g.Epoch})
	case StepIntend:
		gc.proposed = s.propose(Intend{Group: g.Name, Epoch: g.Epoch, Operation: g.Operation.ID, Action: decision.Action,
			Member: decision.Member, Reinstate: decision.Reinstate, Basis: decision.Basis, Rule: decision.Rule})
	case StepTry:
		s.try(g, gc)
	case StepCancel:
		s.cancel(g, gc, decision.Detail)
	case StepHold:
		s.hold(g, gc, decision)
	}
}

// hold stops an operation. Before it does so for want of a fence, it looks whether another arbiter has a way to it.
func (s *step) hold(g *Group, gc *control, d Decision) {
	if d.Hold == HoldFenceUnproven && g.Operation.Intent != nil {
		if other, ok := s.betterPath(g, g.Operation.Intent.Member); ok {
			s.draining = string(other) + " has a way to the fence of " + string(g.Operation.Intent.Member) + " and this arbiter has none"
			return
		}
	}
	gc.proposed = s.propose(HoldOperation{Group: g.Name, Operation: g.Operation.ID, Reason: d.Hold, Detail: d.Detail})
}

func (s *step) betterPath(g *Group, member MemberName) (NodeID, bool) {
	var other NodeID
	for _, p := range g.Paths {
		view, ok := s.state.View(p.Node)
		if p.Path.Member != member || !ok || !view.Current || view.Generation != p.Generation || view.Doubt != "" {
			continue
		}
		if p.Node == s.self && p.Path.Armed {
			return "", false
		}
		if p.Node != s.self && p.Path.Armed && slices.Contains(s.state.Voters, p.Node) {
			other = p.Node
		}
	}
	return other, other != ""
}

func (s *step) askAgain(g *Group, gc *control, index Index) {
	if index == 0 {
		return
	}
	if gc.askedAgain != index || s.now-gc.askedAgainAt >= s.settings.LookAgainEvery {
		gc.askedAgain, gc.askedAgainAt = index, s.now
		s.emit(AskAgain{Group: g.Name, Index: index})
	}
	s.wakeAt(gc.askedAgainAt + s.settings.LookAgainEvery)
}

// try starts the action whose intent is open, once leadership is confirmed after the intent was applied (S6).
func (s *step) try(g *Group, gc *control) {
	intent := g.Operation.Intent
	action := s.action(g)
	if action.Kind == ActionIsolate && s.fenceBusy(g.Name, FenceTarget(action)) {
		s.wakeAt(s.now + 50*time.Millisecond)
		return
	}
	if gc.starting != intent.Index || !gc.confirmed {
		s.confirmFor(gc, intent.Index)
		return
	}
	gc.confirmed, gc.starting = false, 0
	if gc.own.until <= s.now || gc.own.epoch != g.Epoch || intent.Epoch != g.Epoch {
		return // the lease is read last
	}
	gc.running = &running{action: action, deadline: s.now + action.Timeout(), leaseUntil: gc.own.until}
	if action.Kind == ActionIsolate {
		gc.running.fenceTarget = FenceTarget(action)
	}
	s.emit(Start{Action: action, Deadline: gc.running.deadline, LeaseUntil: gc.own.until})
	s.wakeAt(min(gc.own.until-time.Duration(g.Lease.Duration)/2, gc.running.deadline))
}

func (s *step) action(g *Group) Action {
	op, intent := g.Operation, g.Operation.Intent
	a := Action{Group: g.Name, Operation: op.ID, Kind: intent.Action, Member: intent.Member, Epoch: intent.Epoch, Intent: intent.Index,
		Attempt: op.Attempts + 1, Reinstate: intent.Reinstate, SystemID: g.SystemID, Spec: g.Spec}
	if op.From != intent.Member || intent.Action == ActionCatchUp {
		a.Former = op.From
	}
	return a
}

// confirmFor asks for a confirmation, once, for the intent at an index.
func (s *step) confirmFor(gc *control, intent Index) {
	if gc.confirm.id != 0 && gc.starting == intent {
		s.bound(gc.confirm)
		return
	}
	gc.starting, gc.confirmed = intent, false
	gc.confirm = proposal{id: s.nextID(), at: s.now}
	s.emit(Confirm{ID: gc.confirm.id})
}

func (s *step) confirmEnded(e ConfirmEnded) {
	for _, g := range s.state.Groups {
		gc := s.groups[g.Name]
		if gc.confirm.id != e.ID {
			continue
		}
		gc.confirm = proposal{}
		gc.confirmed = e.OK
		if !e.OK {
			gc.starting = 0 // asked again as long as this arbiter thinks that it leads
			s.wakeAt(s.now + 10*time.Millisecond)
		}
	}
}

func (s *step) actionEnded(e ActionEnded) {
	gc, ok := s.groups[e.Group]
	if !ok || gc.running == nil || gc.running.action.Intent != e.Intent {
		return
	}
	gc.running, gc.attemptAt, gc.attemptEver = nil, s.now, true
	if s.reigning {
		gc.ended = &e
		gc.confirmed, gc.starting = false, 0
	}
}

// concludeEnded commits an outcome, once leadership is confirmed after the action ended.
func (s *step) concludeEnded(g *Group, gc *control) {
	op := g.Operation
	if op == nil || op.Intent == nil || op.Intent.Index != gc.ended.Intent {
		gc.ended = nil // proof came from elsewhere, or a new grant closed the intent: it would count for nothing
		s.wakeAt(s.now + time.Millisecond)
		return
	}
	if !gc.confirmed || gc.starting != gc.ended.Intent {
		s.confirmFor(gc, gc.ended.Intent)
		return
	}
	gc.confirmed, gc.starting = false, 0
	gc.proposed = s.propose(Conclude{Group: g.Name, Epoch: op.Intent.Epoch, Operation: op.ID, Intent: gc.ended.Intent, Outcome: gc.ended.Outcome})
	gc.ended = nil
}

// FenceTarget names the machine that an isolate acts on: the same devices with the same settings are the same machine,
// whichever group's member it is (S15).
func FenceTarget(a Action) string {
	m, _ := a.Spec.Member(a.Member)
	var b strings.Builder
	for _, level := range m.Fence {
		for _, d := range level.Devices {
			b.WriteString(d.Method)
			for _, s := range d.Settings {
				b.WriteString("|" + s.Key + "=" + s.Value + s.File + s.Env)
			}
			b.WriteString(";")
		}
	}
	return b.String()
}
