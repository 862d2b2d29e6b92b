package failover

import "fmt"

// lossCommands are what helps where the promotion of the best candidate may lose more than the policy allows: what could spare the loss, and how
// it is accepted once.
func lossCommands(s *State, g *Group, seen string) []string {
	best, ok := tooMuchLost(s, g)
	if !ok { // since it was held: whoever holds too little does not even answer now
		return []string{g.sparesLoss(s, "a standby")}
	}
	return []string{
		g.sparesLoss(s, best.Member),
		fmt.Sprintf("or, if that can't be, %s:", best.Loss.acceptedAs(g.LastPrimary.Member)),
		fmt.Sprintf("arbiterctl release %s %s %s --reason \"...\"", g.Name, seen, acceptanceOf(best)),
	}
}

// sparesLoss is what could spare the loss. Nobody catches up with a primary that is gone.
func (g *Group) sparesLoss(s *State, member MemberName) string {
	from, begun := g.Operation.From, pastIsolateIntent(g.EffectiveStage())
	switch {
	case g.LastPrimary.Old:
		return fmt.Sprintf("if %s is up, mend what keeps arbiters from asking it (arbiterctl check %s says what); if it is gone, nothing will tell any more", g.LastPrimary.Member, g.Name)
	case from == "" || begun:
		return "bring back a standby that holds more: it goes on by itself"
	case seenServing(s, g, from):
		return fmt.Sprintf("wait for %s to catch up with %s: it goes on by itself", member, from)
	case g.Operation.Automatic:
		return fmt.Sprintf("bring back %s, on which nothing was done, and this ends by itself; or a standby that holds more, and it goes on by itself", from)
	}
	return fmt.Sprintf("bring back %s, on which nothing was done, so that %s can catch up, or a standby that holds more: it goes on by itself", from, member)
}

// seenServing says whether a quorum sees a member answer, well or badly. A primary in recovery serves nobody who writes.
func seenServing(s *State, g *Group, member MemberName) bool {
	v := Tally(s, g, member)
	return (v.Status == StatusUp || v.Status == StatusDegraded) && len(v.InRecovery) < s.Majority()
}

// acceptedAs says what is accepted. What the primary wrote after it was last seen is in no estimate.
func (l LossBound) acceptedAs(primary MemberName) string {
	const once = "accept the loss once"
	switch {
	case l.Grade != LossEstimate:
		return once
	case l.Bytes == 0:
		return fmt.Sprintf("%s. Nobody knows how large it is: nothing is seen that would be lost, but what %s wrote after it was last seen is lost too", once, primary)
	}
	return fmt.Sprintf("%s. Its amount is an estimate: what %s wrote after it was last seen is lost too", once, primary)
}

// acceptanceOf is how an operator accepts what a candidate that is only too far behind would lose. An estimate of nothing is no amount: whoever accepted
// that would have accepted no loss.
func acceptanceOf(c Candidate) string {
	if c.Loss.Grade == LossUnknown || c.Loss.Bytes == 0 {
		return fmt.Sprintf("--accept-loss unknown --member %s", c.Member)
	}
	return fmt.Sprintf("--accept-loss %d", c.Loss.Bytes)
}
