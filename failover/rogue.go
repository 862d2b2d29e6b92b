package failover

import "fmt"

// roguesByHand says why rogues are not fenced without an operator's word, empty if they are.
func (g *Group) roguesByHand() string {
	op := g.Operation
	refence := op.Kind == KindRefence
	switch {
	case op.released(HoldRogue) || op.released(HoldReinstate) || refence && pastIsolateIntent(g.EffectiveStage()): // which asked before it began
	case g.Pause != nil:
		return "the group is paused"
	case g.Spec.Policy.Automation != AutomationFull:
		return "policy.automation is " + string(g.Spec.Policy.Automation)
	case !g.Spec.Policy.RefenceRogues && !(refence && op.released(HoldRefenceByHand)):
		return "the policy fences rogues only by hand"
	}
	return ""
}

// leavesRogues says whether an operation goes on beside a rogue, whose turn comes when it has ended, which is soon: there is a new primary already, and
// the rogue waits for an operator.
func (g *Group) leavesRogues() bool {
	stage := g.EffectiveStage()
	return pastPromoteIntent(stage) && stage != Promoting && g.roguesByHand() != ""
}

// refenceGuard asks that the policy has a rogue fenced, or an operator.
func refenceGuard(g *Group) Guard {
	op := g.Operation
	guard := Guard{Name: "refence", OK: true, Detail: "policy.refence_rogues is on"}
	switch {
	case g.Spec.Policy.RefenceRogues:
	case op.released(HoldRefenceByHand):
		guard.Detail = fmt.Sprintf("the policy fences rogues only by hand, and an operator has let %s be fenced", op.From)
	default:
		guard.OK, guard.Hold = false, HoldRefenceByHand
		guard.Detail = g.unproven(op.From) + ", and the policy fences rogues only by hand"
	}
	return guard
}

// HeldFor is what a held operation waits for, in words. Whether a rogue waits for a person may have changed since it was held: the group was paused or
// resumed, or another spec applied.
func (g *Group) HeldFor() string {
	rogue := g.heldRogue()
	if rogue == "" {
		return g.Hold.Detail
	}
	switch byHand := g.roguesByHand(); {
	case byHand != "" && g.Hold.Reason == HoldReinstate:
		return fmt.Sprintf("%s must be proven unable to write before %s, and %s", rogue, g.Operation.bringsBack(), byHand)
	case byHand != "":
		return fmt.Sprintf("%s, and %s", g.unproven(rogue), byHand)
	case g.misfenced(rogue):
		return fmt.Sprintf("%s, and is not fenced: %s", g.unproven(rogue), g.Member(rogue).contradiction())
	}
	return fmt.Sprintf("%s; it is fenced by itself in a moment", g.unproven(rogue))
}

// heldRogue is the member that a hold is about which asks for a person's word on a rogue; empty if it is about something else, or the proof has come.
func (g *Group) heldRogue() MemberName {
	switch g.Hold.Reason {
	case HoldRogue:
		return rogueBeside(g, g.Operation.Candidate)
	case HoldReinstate:
		return rogueBeside(g, g.Operation.From) // who is brought back stays revoked until then
	case HoldRefenceByHand:
		return rogueBeside(g, "")
	}
	return ""
}

// refenceWaits says whether a refence has not begun to act, and does not without a person.
func (g *Group) refenceWaits() bool {
	return g.Operation.Kind == KindRefence && g.Stage != Held && !pastIsolateIntent(g.EffectiveStage()) && g.roguesByHand() != ""
}

// rogueCommands are what helps while a rogue is not fenced without a person's word. It can always be stopped and vouched for, or made a standby again.
func rogueCommands(s *State, g *Group, m MemberName) []string {
	seen := fmt.Sprintf("--seen %d", g.Turn())
	attest := fmt.Sprintf("arbiterctl attest %s %s %s --reason \"...\"", g.Name, m, seen)
	var next []string
	if g.misfenced(m) {
		next = append(next, fmt.Sprintf("switch %s off by hand, and vouch for it once no arbiter sees it answer any more: %s", m, attest))
		return append(append(next, adoptMended(s, g, m)...), "later, "+rightTheFence(g, m))
	}
	_, released := goesOnReleased(g)
	stop := "or stop it"
	switch {
	case g.roguesByHand() == "" && !g.Operation.Aborted:
		next = append(next, fmt.Sprintf("wait: %s is fenced by itself", m))
	case g.Stage == Held && released:
		next = append(next, fmt.Sprintf("let %s be fenced: arbiterctl release %s %s --reason \"...\"", m, g.Name, seen))
	case g.Pause != nil && g.resumed().roguesByHand() == "" && !g.Operation.Aborted:
		next = append(next, fmt.Sprintf("let %s be fenced: arbiterctl resume %s", m, g.Name))
	case g.Pause != nil && g.Spec.Policy.Automation == AutomationFull:
		next = append(next, fmt.Sprintf("resume the group, and let %s be fenced then: arbiterctl resume %s", m, g.Name))
	default:
		stop = fmt.Sprintf("nothing happens to %s by itself: stop it", m)
	}
	next = append(next, fmt.Sprintf("%s, and vouch for that: %s", stop, attest))
	return append(next, adoptMended(s, g, m)...)
}

// resumed is the group as it would be if it were not paused.
func (g *Group) resumed() *Group {
	c := *g
	c.Pause = nil
	return &c
}
