package failover

import (
	"fmt"
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
	guard := Guard{Name: guardCold, OK: true}
	grace, m := g.Spec.Health.ColdStartGrace, g.inDoubt()
	if m == nil {
		guard.Detail = "there is no primary that could be still to come"
		return guard
	}
	down := Tally(s, g, m.Name).For
	left := grace - d.VerdictStood
	switch {
	case len(down) == 0:
		guard.Detail = fmt.Sprintf("no arbiter sees %s down", m.Name)
	case g.heardBy(s, down, m.Name):
		guard.Detail = fmt.Sprintf("%s was heard before by an arbiter that sees it down", m.Name)
	case left <= 0:
		guard.Detail = fmt.Sprintf("%s has been down for longer than %s, though no arbiter that sees it down has heard it since that arbiter started", m.Name, grace)
	default:
		guard.OK = false
		guard.Detail = fmt.Sprintf("no arbiter that sees %s down (%s) has heard it since that arbiter started, as after a start of everything: %s is given %s, of which %s are left",
			m.Name, joinNodes(down), m.Name, grace, roundUp(left))
	}
	return guard
}

// coldCommands are for a primary that is waited for and will not come.
func coldCommands(g *Group) []string {
	return []string{
		fmt.Sprintf("start %s: this ends by itself then; or, if it will not come back, don't wait:", g.inDoubt().Name),
		fmt.Sprintf("arbiterctl failover %s --reason \"...\"", g.Name),
	}
}
