package failover

import (
	"fmt"
	"time"
)

// After a full stop machines come back in any order. Arbiters that are there first see a primary down that nobody has switched on yet. Nobody can
// tell that from a lost one but by memory: an arbiter that was there before has heard it. health.cold_start_grace gives a primary time of which
// none of those who see it down has such a memory.

// Hears says whether a look found the member alive: it serves, or says that it can't. That is what an arbiter remembers as long as its process
// runs. What counts as down is no sign of life here, whatever answered.
func (s *Spec) Hears(o Observation) bool {
	status, _ := s.StatusOf(o)
	return status == StatusUp || status == StatusDegraded
}

// heardBy says whether any of these arbiters has heard a member alive since its process began. Its memory goes with what it sees, so that it
// outlasts each change of leader.
func (g *Group) heardBy(s *State, nodes []NodeID, member MemberName) bool {
	for _, node := range nodes {
		if look, ok := g.currentLook(s, node, member); ok && look.Observation.Heard {
			return true
		}
	}
	return false
}

// coldGuard waits for a primary that none of the arbiters which see it down has heard since it started, as long as the policy wants since
// they agreed that it is down.
func coldGuard(s *State, g *Group, d Durations) Guard {
	if m := g.inDoubt(); m != nil {
		return g.coldGrace(s, m.Name, Tally(s, g, m.Name).For, d.VerdictStood)
	}
	return Guard{Name: guardCold, OK: true, Detail: "there is no primary that could be still to come"}
}

// coldGrace is the guard for a member, by the arbiters that see it down and how long that has stood.
func (g *Group) coldGrace(s *State, member MemberName, down []NodeID, stood time.Duration) Guard {
	guard := Guard{Name: guardCold, OK: true}
	grace := g.Spec.Health.ColdStartGrace
	switch left := grace - stood; {
	case len(down) == 0:
		guard.Detail = fmt.Sprintf("no arbiter sees %s down", member)
	case g.heardBy(s, down, member):
		guard.Detail = fmt.Sprintf("%s was heard before by an arbiter that sees it down", member)
	case left <= 0:
		guard.Detail = fmt.Sprintf("%s has been down for longer than %s, though no arbiter that sees it down has heard it since that arbiter started", member, grace)
	default:
		guard.OK = false
		guard.Detail = fmt.Sprintf("no arbiter that sees %s down (%s) has heard it since that arbiter started, as after a start of everything: %s is given %s, of which %s are left",
			member, joinNodes(down), member, grace, roundUp(left))
	}
	return guard
}

// coldCandidate is the guard that keeps a candidate which is down from being given up for another one. It is false if that isn't what keeps it.
func coldCandidate(s *State, g *Group, d Durations) (Guard, bool) {
	op := g.Operation
	if !pastPromoteIntent(g.EffectiveStage()) || op.Candidate == "" || g.misfenced(op.Candidate) && !op.GoAhead {
		return Guard{}, false
	}
	v := Tally(s, g, op.Candidate)
	guard := g.coldGrace(s, op.Candidate, v.For, d.InStage)
	if guard.OK || v.Status != StatusDown || g.otherCandidate(s) == "" {
		return Guard{}, false
	}
	guard.Detail += "; it is fenced, and another one promoted, only after that"
	return guard, true
}

// coldCommands are for a primary that is waited for and will not come.
func coldCommands(s *State, g *Group) []string {
	start := fmt.Sprintf("start %s: this ends by itself then", g.inDoubt().Name)
	if held := ifHeld(s, g, "a failover"); held != nil {
		return append([]string{start}, held...)
	}
	return []string{start + "; or, if it will not come back, don't wait:", g.failoverCommand()}
}
