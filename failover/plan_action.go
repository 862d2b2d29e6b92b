package failover

import (
	"fmt"
	"time"
)

// planIsolate isolates whoever may still write, one after the other.
func planIsolate(g *Group, d Durations) Decision {
	if intent := g.Operation.Intent; intent != nil {
		return planFence(g, d, intent.Member)
	}
	if decision, ok := planRogue(g, d); ok {
		return decision
	}
	if op := g.Operation; op.Candidate != "" { // a rogue was isolated during the promotion, which goes on
		return planPromotion(g)
	}
	return g.decide(StepNone, "isolate", "nobody is left to isolate")
}

func (g *Group) intend(action ActionKind, member MemberName) Decision {
	decision := g.decide(StepIntend, string(action), "%s %s", action, member)
	decision.Action, decision.Member = action, member
	return decision
}

// planTry tries the action whose intent is open, again and again with growing pauses; after MaxAttempts the operation is
// held, and tried again at long intervals, since what was missing may come back.
func planTry(g *Group, d Durations, reason HoldReason, missing string) Decision {
	op := g.Operation
	if d.Running {
		return g.decide(StepNone, "running", "%s is in progress%s", op.Intent.Action.of(op.Intent.Member), op.failedBefore())
	}
	if op.Attempts >= g.Spec.Policy.MaxAttempts && g.Stage != Held {
		return g.hold(reason, missing+" ("+op.lastDetail()+")")
	}
	pause := tryPause(g)
	if op.Attempts > 0 && d.SinceAttempt < pause {
		return g.wait("pause", pause-d.SinceAttempt, "%s failed %s (%s) and is tried again", op.Intent.Action.of(op.Intent.Member), times(op.Attempts), op.lastDetail())
	}
	if d.MachineWait > 0 {
		return g.wait(ruleMachineWait, d.MachineWait, "another arbiter may still fence the machine of %s for another group, for at most %s", op.Intent.Member, d.MachineWait)
	}
	decision := g.intend(op.Intent.Action, op.Intent.Member)
	decision.Step, decision.Reinstate = StepTry, op.Intent.Reinstate
	return decision
}

// failedBefore says of an action that runs how often it failed before, and how the last time; empty if it didn't.
func (o *Operation) failedBefore() string {
	if o.Attempts == 0 {
		return ""
	}
	return fmt.Sprintf("; it failed %s before (%s)", times(o.Attempts), o.lastDetail())
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func tryPause(g *Group) time.Duration {
	if g.Stage == Held {
		return g.Spec.Policy.RetryInterval
	}
	const first = 100 * time.Millisecond
	return min(g.Spec.Policy.RetryInterval, first<<min(g.Operation.Attempts, 10))
}

func (o *Operation) lastDetail() string {
	if last, ok := o.lastTry(); ok {
		return last.Detail
	}
	return "it was not tried"
}

// planRogue isolates a rogue beside the operation's own subjects, since no promotion passes beside it (S2, S12), or holds for an
// operator if the policy does not fence rogues or the group is paused.
func planRogue(g *Group, d Durations) (Decision, bool) {
	op := g.Operation
	rogue := rogueBeside(g, op.Candidate)
	switch {
	case rogue == "" || op.Intent != nil && op.Intent.Action == ActionIsolate:
		return Decision{}, false
	case d.Running:
		return g.decide(StepCancel, "rogue", "what runs is ended first, since %s", g.unproven(rogue)), true
	}
	if byHand := g.roguesByHand(); byHand != "" && g.Member(rogue).Rogue {
		return g.hold(HoldRogue, g.unproven(rogue)+", and "+byHand), true
	}
	return planFence(g, d, rogue), true
}

// planFence isolates a member: by the intent, and then by trying. Where its devices were seen to be wrong about it they are not asked: a person
// must end what the operation waits for.
func planFence(g *Group, d Durations, member MemberName) Decision {
	intent := g.Operation.Intent
	switch {
	case g.misfenced(member) && !d.Running:
		return g.hold(HoldFenceUnproven, fmt.Sprintf("%s is not fenced: %s", member, g.Member(member).contradiction()))
	case intent != nil && intent.Action == ActionIsolate:
		return planTry(g, d, HoldFenceUnproven, fmt.Sprintf("no fence of %s gave a proof that the policy accepts", intent.Member))
	}
	return g.intend(ActionIsolate, member)
}

// unproven says why a member must be isolated.
func (g *Group) unproven(member MemberName) string {
	if g.Member(member).Rogue {
		return fmt.Sprintf("%s accepts writes without authority", member)
	}
	return fmt.Sprintf("%s is not proven to have stopped", member)
}

// rogueBeside is a member other than one that must be assumed to be writing: the former writer first.
func rogueBeside(g *Group, beside MemberName) MemberName {
	if member := g.toIsolate(); member != "" && member != beside && g.Member(member).Authority == AuthorityRevoked {
		return member
	}
	for _, m := range g.Members {
		if m.Name != beside && m.Authority == AuthorityRevoked {
			return m.Name
		}
	}
	return ""
}

// planCandidate goes from a proven isolation to the intent to promote.
func planCandidate(s *State, g *Group, d Durations) Decision {
	op := g.Operation
	if decision, ok := planRogue(g, d); ok {
		return decision
	}
	if op.Intent != nil {
		return planTry(g, d, HoldCatchUp, fmt.Sprintf("no standby answered while catching up after %s", op.Intent.Member))
	}
	if g.EffectiveStage() != CaughtUp {
		return g.intend(ActionCatchUp, catchUpSubject(g))
	}
	best := Candidates(g, op.Positions)
	if len(best) == 0 || !best[0].Eligible {
		if g.Stage == Held && retriesWhileHeld(g, d) {
			return g.intend(ActionCatchUp, catchUpSubject(g))
		}
		return planNoCandidate(g, d, best)
	}
	if member := g.staleProof(best[0].Member); member != "" {
		return g.readBack(member)
	}
	return g.intend(ActionPromote, best[0].Member)
}

// readBack isolates a member whose proof is old: its executor asks first whether that still holds.
func (g *Group) readBack(member MemberName) Decision {
	decision := g.intend(ActionIsolate, member)
	decision.Rule = "read-back"
	decision.Detail = fmt.Sprintf("read back that %s is still isolated, and isolate it again only if it isn't", member)
	if m := g.Member(member); g.isVoid(m) {
		decision.Detail = fmt.Sprintf("isolate %s anew: its proof is void, since %s", member, m.contradiction())
	}
	return decision
}

// catchUpSubject is whom a catch_up is about: the member that the standbys followed.
func catchUpSubject(g *Group) MemberName {
	op := g.Operation
	switch {
	case op.From != "":
		return op.From
	case op.Wanted != "":
		return op.Wanted
	}
	return g.Members[0].Name // a group that has had no writer since it was adopted
}

// planNoCandidate holds until positions are read again, which is due a while after the newest hold and the newest try.
func planNoCandidate(g *Group, d Durations, ranked []Candidate) Decision {
	reason, detail := noCandidate(ranked)
	decision := g.hold(reason, detail)
	decision.Again = g.Spec.Policy.RetryInterval
	if g.Stage == Held {
		decision.Again -= min(d.InStage, d.SinceAttempt)
	}
	return decision
}

// noCandidate says why nobody may be promoted; a loss that an operator could accept is named before all else, as it ranks.
func noCandidate(ranked []Candidate) (HoldReason, string) {
	if len(ranked) > 0 && ranked[0].Reason == HoldLossBound {
		return HoldLossBound, fmt.Sprintf("the best candidate is %s: %s", ranked[0].Member, ranked[0].Why)
	}
	detail := ""
	for _, c := range ranked {
		if detail != "" {
			detail += "; "
		}
		detail += fmt.Sprintf("%s: %s", c.Member, c.Why)
	}
	return HoldNoCandidate, "no member can be promoted: " + detail
}

// planPromote repeats the promotion until it is proven. Only a fence with proof leads to another candidate (S7).
func planPromote(s *State, g *Group, d Durations) Decision {
	if decision, ok := planRogue(g, d); ok {
		return decision
	}
	if g.Operation.Intent == nil {
		return planPromotion(g)
	}
	giveUp := planGiveUp(s, g, d)
	if giveUp.Step == StepIntend {
		return giveUp
	}
	candidate := g.Member(g.Operation.Candidate)
	missing := fmt.Sprintf("the promotion of %s did not succeed", candidate.Name)
	if g.Operation.Kind == KindReroute {
		missing = fmt.Sprintf("%s did not take the epoch under which its routes are changed", candidate.Name)
	} else if g.misfenced(candidate.Name) {
		missing += ", nor is it given up by itself, since " + candidate.contradiction()
	}
	return planTry(g, d, HoldPromote, missing).asking(giveUp)
}

// asking is a decision that also asks for the looks that another one waits for.
func (d Decision) asking(other Decision) Decision {
	d.LookAgain, d.LookEvery = other.LookAgain, other.LookEvery
	return d
}

func planPromotion(g *Group) Decision {
	decision := g.intend(ActionPromote, g.Operation.Candidate)
	decision.Reinstate = g.Operation.Reinstating
	return decision
}

// planGiveUp fences a candidate that is down and goes back to Isolating, if somebody else could be promoted (S7). As before every
// isolation, the arbiters that count must have looked again since the intent, or since the newest try: while they have not, the decision asks
// them to. It goes on asking, now and then, while the only other one is too far behind: it may have caught up since, and positions are
// committed with an answer only. A candidate that is up and can't be promoted, or whose fence was seen to be wrong, so that it could not be fenced,
// is given up only when an operator released the operation and it failed again.
func planGiveUp(s *State, g *Group, d Durations) Decision {
	op, waiting := g.Operation, Decision{}
	v := Tally(s, g, op.Candidate)
	if g.otherCandidate(s) == "" {
		if behind, ok := tooMuchLost(s, g); ok && behind.Loss.Grade != LossUnknown && v.Status == StatusDown {
			waiting.LookAgain, waiting.LookEvery = g.askedAnew(op.askedSince()), g.Spec.Policy.RetryInterval
		}
		return waiting
	}
	if v.Status == StatusDown {
		asked := g.askedAnew(op.askedSince())
		if v = TallySince(s, g, op.Candidate, asked); v.Status != StatusDown {
			waiting.LookAgain = asked
		}
	}
	if d.Running || op.Intent != nil && op.Attempts < g.Spec.Policy.MaxAttempts || g.misfenced(op.Candidate) && !op.GoAhead {
		return waiting
	}
	down := v.Status == StatusDown && d.InStage >= g.Spec.Health.MinimumUnhealthy &&
		g.coldGrace(s, op.Candidate, v.For, d.InStage).OK
	if !down && !(op.released(HoldPromote) && op.Intent != nil && op.Intent.Action == ActionPromote) {
		return waiting
	}
	decision := g.intend(ActionIsolate, op.Candidate)
	decision.Rule, decision.Basis = "give-up-candidate", v.Basis
	return decision
}

// askedSince is the entry that looks at the candidate must be newer than before it is given up.
func (o *Operation) askedSince() Index {
	if o.Intent != nil {
		return o.Intent.Index
	}
	if last, ok := o.lastTry(); ok {
		return last.Outcome
	}
	return o.ConfirmedAt
}

// otherCandidate is who could be promoted in place of the candidate, "" if nobody could.
func (g *Group) otherCandidate(s *State) MemberName {
	for _, c := range Candidates(g, SeenPositions(s, g)) {
		if c.Member != g.Operation.Candidate && c.Eligible {
			return c.Member
		}
	}
	return ""
}

// planAfterPromotion does what the spec asks for after the promotion, in order.
func planAfterPromotion(s *State, g *Group, d Durations) Decision {
	if !g.leavesRogues() {
		if decision, ok := planRogue(g, d); ok {
			return decision
		}
	}
	giveUp := planGiveUp(s, g, d)
	if giveUp.Step == StepIntend {
		return giveUp
	}
	return planRest(g, d).asking(giveUp)
}

func planRest(g *Group, d Durations) Decision {
	op := g.Operation
	if op.Intent == nil {
		if next := nextAfterPromotion(g); next != "" {
			return g.intend(next, op.Candidate)
		}
		return g.decide(StepNone, "done", "nothing is left to do")
	}
	reason := map[ActionKind]HoldReason{ActionRoute: HoldRoute}[op.Intent.Action]
	if reason == "" {
		reason = HoldVerify
	}
	return planTry(g, d, reason, fmt.Sprintf("%s of %s did not succeed", op.Intent.Action, op.Intent.Member))
}

// bringsBack says what a reinstatement does, or a reroute, which is one.
func (o *Operation) bringsBack() string {
	if o.Kind == KindReroute {
		return "routes are brought back to " + string(o.From)
	}
	return string(o.From) + " is reinstated"
}

// planReinstate brings the former writer back: whatever runs is ended first, then a newer epoch, then its promotion (S2).
func planReinstate(g *Group, d Durations) Decision {
	op := g.Operation
	rogue := rogueBeside(g, op.From)
	switch {
	case d.Running && (op.Intent == nil || op.Intent.Epoch <= op.ReinstatedAt):
		return g.decide(StepCancel, "reinstate", "what runs is ended before %s", op.bringsBack())
	case rogue != "" && g.roguesByHand() != "":
		return g.hold(HoldReinstate, fmt.Sprintf("%s must be proven unable to write before %s, and %s", rogue, op.bringsBack(), g.roguesByHand()))
	case rogue != "" && g.misfenced(rogue) && !d.Running: // before a lease, which would be released for nothing, again and again
		return planFence(g, d, rogue)
	case d.LeaseLeft <= 0:
		return planLease(g, d)
	case g.Epoch <= op.ReinstatedAt:
		return g.decide(StepAcquire, "reinstate", "%s under a newer epoch", op.bringsBack())
	case op.Intent != nil && op.Intent.Action == ActionIsolate: // of a rogue
		return planFence(g, d, op.Intent.Member)
	case op.Intent != nil: // what was intended under this epoch before is ended first
		return planTry(g, d, HoldCatchUp, fmt.Sprintf("%s of %s did not succeed", op.Intent.Action, op.Intent.Member))
	case rogue != "":
		return planFence(g, d, rogue)
	}
	if stale := g.staleProof(op.From); stale != "" && op.Candidate != op.From {
		return g.readBack(stale)
	}
	decision := g.intend(ActionPromote, op.From)
	decision.Reinstate = true
	return decision
}
