package failover

import (
	"fmt"
	"slices"
	"time"
)

// Durations are the few things that only the leader can know: how long things have lasted on its own boot-time clock.
type Durations struct {
	VerdictStood      time.Duration // since this process saw the operation confirmed
	Restarting        time.Duration // since this process saw that the primary says that it restarts; 0 if it doesn't
	InStage           time.Duration // since this process saw the present stage, or the newest hold
	SinceAttempt      time.Duration // since the newest try ended here; large if there was none
	SinceLastFailover time.Duration // by the wall clock if this process has not seen it; negative if there was none
	SinceReroute      time.Duration // by the wall clock; of a group that had none it says nothing
	LeaseLeft         time.Duration // of this arbiter's own lease; 0 if it holds none
	LeaseWait         time.Duration // until a lease of somebody else must have run out on any clock
	MachineWait       time.Duration // the same of the leases of groups that share the machine of a fence that is intended
	Running           bool          // an action of this group runs here
}

// StepKind is what kind of thing the leader does next.
type StepKind string

// The kinds.
const (
	StepNone    StepKind = "none"
	StepAcquire StepKind = "acquire-lease"
	StepRelease StepKind = "release-lease"
	StepIntend  StepKind = "intend"
	StepTry     StepKind = "try" // (again) the action whose intent is open
	StepCancel  StepKind = "cancel"
	StepHold    StepKind = "hold"
)

// ruleMachineWait is the rule of a decision that waits for the lease of another group, for no longer than one lasts.
const ruleMachineWait = "machine-wait"

// Guard is one condition of a decision.
type Guard struct {
	Name   string
	OK     bool
	Detail string
	Hold   HoldReason // the reason to hold for when it fails; empty: wait for the state to change
}

// said is a guard that failed, in a sentence without the list of the others. Those of automation say themselves what they are about.
func (g Guard) said() string {
	switch g.Name {
	case guardAdopted, guardPaused, guardAutomation:
		return g.Detail
	}
	return g.Name + ": " + g.Detail
}

// Decision is the one next thing to do for a group, or none and why.
type Decision struct {
	Group     GroupName
	Operation OperationID
	Step      StepKind
	Action    ActionKind
	Member    MemberName
	Reinstate bool
	Hold      HoldReason
	Detail    string        // in words: what is done, or what is waited for
	LookAgain Index         // ask all arbiters for looks that end after this request; 0: don't
	LookEvery time.Duration // ask for fresh looks so often, also those that have answered; 0: ask until enough have
	Rule      string        // which rule of the planner decided
	Guards    []Guard       // every condition that was weighed, in order
	Basis     []Index       // log indexes of the observations that it rests on
	Again     time.Duration // ask again after so long even if nothing changes; 0: only on a change
}

// FirstFailed returns the first guard that failed.
func (d Decision) FirstFailed() (Guard, bool) {
	for _, g := range d.Guards {
		if !g.OK {
			return g, true
		}
	}
	return Guard{}, false
}

// Plan says what is the one next thing to do for a group. It is pure and total: it has no memory, and a new leader gets the
// answer that the old one would have got. explain, the dry run and the leader ask the same function.
func Plan(s *State, name GroupName, d Durations) Decision {
	g := s.Group(name)
	if g == nil {
		return Decision{Group: name, Step: StepNone, Rule: "no-group", Detail: "there is no such group"}
	}
	if g.Operation == nil {
		return planIdle(s, g, d)
	}
	decision := planOperation(s, g, d)
	decision.Operation = g.Operation.ID
	if guard, waits := coldCandidate(s, g, d); waits {
		decision.Guards = append(decision.Guards, guard)
	}
	if g.Stage == Held && !decision.awaitsLooks() && decision.Rule != ruleMachineWait {
		return g.orRelease(decision, d) // what waits for long needs no lease, and whoever leads next need not wait it out
	}
	return decision
}

// awaitsLooks says that what is decided next depends on looks that were asked for and come soon: a lease is kept until then.
func (d Decision) awaitsLooks() bool {
	return d.Step == StepNone && d.LookAgain != 0 && d.LookEvery == 0
}

func planIdle(s *State, g *Group, d Durations) Decision {
	decision := g.orRelease(g.decide(StepNone, "steady", "nothing is in progress"), d)
	if decision.Step == StepRelease {
		decision.Rule = "release"
	}
	decision.Guards = failoverGuards(s, g, d)
	return decision
}

// orRelease ends the lease of a group for which there is nothing to do, or nothing for long: an adoption waits for that (S0), and
// whoever leads next need not wait it out. The own one ends when nothing runs (S8), that of another when it must have run out on any clock.
func (g *Group) orRelease(decision Decision, d Durations) Decision {
	switch {
	case decision.Step != StepNone || g.Lease == nil || d.Running:
	case d.LeaseWait > 0:
		if decision.Again == 0 || d.LeaseWait < decision.Again {
			decision.Again = d.LeaseWait
		}
	default:
		decision.Step = StepRelease
	}
	return decision
}

func (g *Group) decide(step StepKind, rule, detail string, args ...any) Decision {
	return Decision{Group: g.Name, Step: step, Rule: rule, Detail: fmt.Sprintf(detail, args...)}
}

func (g *Group) wait(rule string, again time.Duration, detail string, args ...any) Decision {
	decision := g.decide(StepNone, rule, detail, args...)
	decision.Again = again
	return decision
}

// hold asks for the operation to be held, unless it is held for this reason already.
func (g *Group) hold(reason HoldReason, detail string) Decision {
	if g.Stage == Held && g.Hold.Reason == reason {
		return g.decide(StepNone, "held", "%s", g.HeldFor())
	}
	decision := g.decide(StepHold, "hold", "%s", detail)
	decision.Hold = reason
	return decision
}

func planOperation(s *State, g *Group, d Durations) Decision {
	op := g.Operation
	switch {
	case op.Aborted:
		return planAborted(g, d)
	case op.Reinstating && op.Candidate == "":
		return planReinstate(g, d)
	}
	switch g.EffectiveStage() {
	case Confirmed, Leased:
		return planBegin(s, g, d)
	}
	switch {
	case d.LeaseLeft > 0:
		return planStage(s, g, d)
	case d.Running:
		return g.decide(StepNone, "lease-lost", "what runs is ended, since the lease has run out")
	}
	if decision := planStage(s, g.asGranted(), d); decision.Step != StepIntend && decision.Step != StepTry {
		return decision // nothing that needs a lease
	}
	return planLease(g, d)
}

// asGranted is the group as the grant of a new lease would leave it: nothing is open (S4).
func (g *Group) asGranted() *Group {
	c, op := *g, *g.Operation
	op.Intent = nil
	c.Operation = &op
	return &c
}

// planStage goes on from the stage that the operation has come to.
func planStage(s *State, g *Group, d Durations) Decision {
	switch g.EffectiveStage() {
	case Isolating:
		return planIsolate(g, d)
	case Isolated, CatchingUp, CaughtUp:
		return planCandidate(s, g, d)
	case Promoting:
		return planPromote(s, g, d)
	}
	return planAfterPromotion(s, g, d)
}

// planAborted ends what runs. An aborted operation is held until an operator decides.
func planAborted(g *Group, d Durations) Decision {
	if d.Running {
		return g.decide(StepCancel, "aborted", "the operation was aborted")
	}
	return g.decide(StepNone, "aborted", "%s", g.Hold.Detail)
}

// planLease asks for a lease. After a change of leader it waits until the old one must have run out (S8).
func planLease(g *Group, d Durations) Decision {
	switch {
	case g.Stage == Held && !retriesWhileHeld(g, d) && !g.supplied():
		return g.wait("held", g.Spec.Policy.RetryInterval-min(d.InStage, d.SinceAttempt), "%s", g.HeldFor())
	case d.LeaseWait > 0:
		return g.wait("lease-wait", d.LeaseWait, "a lease of epoch %d may be outstanding for another %s", g.Epoch, d.LeaseWait)
	}
	return g.decide(StepAcquire, "lease", "needs a lease to go on")
}

// retriesWhileHeld says whether a held operation is due for another try on its own.
func retriesWhileHeld(g *Group, d Durations) bool {
	return min(d.InStage, d.SinceAttempt) >= g.Spec.Policy.RetryInterval
}

// supplied says whether the proof that an operation is held for has come from elsewhere than a try of its own: it need not wait for that.
func (g *Group) supplied() bool {
	beside := g.Operation.Candidate
	if g.Operation.Reinstating {
		beside = g.Operation.From
	}
	switch g.Hold.Reason {
	case HoldFenceUnproven, HoldRogue, HoldReinstate:
		return rogueBeside(g, beside) == ""
	}
	return false
}

// planBegin decides whether an operation may begin to act: a lease first, then the isolation.
func planBegin(s *State, g *Group, d Durations) Decision {
	guards := beginGuards(s, g, d)
	decision := Decision{Group: g.Name, Step: StepNone, Rule: "begin", Guards: guards}
	failed, waits := decision.FirstFailed()
	if g.Operation.Automatic && g.Operation.Kind == KindFailover {
		decision.Basis = TallySince(s, g, g.Operation.From, g.Operation.ConfirmedAt).Basis
	}
	// Where it is only observed too, once: what it would have done is told by the same looks.
	observed := failed.Name == guardAutomation && failing(guards, guardLookedAgain)
	if waits && (observed || slices.Contains([]string{guardLookedAgain, guardMinimum, guardCandidate}, failed.Name)) {
		decision.LookAgain = g.askedAnew(g.Operation.ConfirmedAt)
	}
	if waits && failed.Name == guardCandidate { // positions move all the time, and are committed with an answer only
		decision.LookEvery = g.Spec.Policy.RetryInterval
	}
	if waits && failed.Name != guardLookedAgain {
		return g.waitFor(decision, failed, d)
	}
	confirmed := g.EffectiveStage() == Confirmed && !failing(guards, guardCandidate) // which needs a grant of its own, taken while the arbiters look again
	if confirmed || d.LeaseLeft <= 0 && !waits {
		lease := planLease(g, d)
		lease.Guards, lease.LookAgain, lease.Basis = decision.Guards, decision.LookAgain, decision.Basis
		return lease
	}
	if waits {
		decision.Detail = failed.Detail
		return decision
	}
	return g.firstAction(decision)
}

func failing(guards []Guard, name string) bool {
	return slices.ContainsFunc(guards, func(g Guard) bool { return g.Name == name && !g.OK })
}

// waitFor holds for a guard that names a reason, and otherwise waits.
func (g *Group) waitFor(decision Decision, failed Guard, d Durations) Decision {
	decision.Detail = failed.said()
	decision.Again = max(g.Spec.Health.MinimumUnhealthy-d.VerdictStood, 0)
	switch failed.Name {
	case guardRestart:
		decision.Again = g.Spec.Health.RestartGrace - d.Restarting
	case guardCold:
		decision.Again = g.Spec.Health.ColdStartGrace - d.VerdictStood
	case guardCooldown:
		decision.Again = g.Spec.Policy.Cooldown - d.SinceLastFailover
	}
	if failed.Hold != "" {
		hold := g.hold(failed.Hold, g.heldBy(failed))
		decision.Step, decision.Hold = hold.Step, hold.Hold
		if hold.Step == StepHold {
			decision.Detail = hold.Detail
		}
	}
	if decision.awaitsLooks() {
		return decision
	}
	return g.orRelease(decision, d)
}

// heldBy is what is kept of a guard that an operation is held for. It is read again later, and so has no age in it, which only the guard itself knows then.
func (g *Group) heldBy(failed Guard) string {
	if failed.Name != guardCooldown || g.LastFailover == 0 {
		return failed.Detail
	}
	return fmt.Sprintf("the last automatic failover ended at %s, and the cool-down after it is %s", g.LastFailover.Time().UTC().Format("2006-01-02 15:04:05 UTC"), g.Spec.Policy.Cooldown)
}

func (g *Group) firstAction(decision Decision) Decision {
	decision.Step = StepIntend
	if member := g.toIsolate(); member != "" {
		decision.Action, decision.Member = ActionIsolate, member
	} else {
		decision.Action, decision.Member = ActionCatchUp, catchUpSubject(g)
	}
	decision.Detail = fmt.Sprintf("%s %s", decision.Action, decision.Member)
	return decision
}

// toIsolate is the next member whose right to write must end with proof: the former writer first, then rogues.
func (g *Group) toIsolate() MemberName {
	op := g.Operation
	if m := g.Member(op.From); m != nil && (m.Authority == AuthorityRevoked || m.Authority == AuthorityWriter && op.Kind == KindFailover) {
		return op.From
	}
	for _, m := range g.Members {
		if m.Authority == AuthorityRevoked {
			return m.Name
		}
	}
	return ""
}
