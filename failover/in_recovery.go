package failover

import (
	"fmt"
	"slices"
)

// StatusOf is Spec.StatusOf, and knows besides who must accept writes: a writer that is in recovery answers, and accepts none.
func (g *Group) StatusOf(o Observation) (Status, Evidence) {
	status, why := g.Spec.StatusOf(o)
	if !g.writerInRecovery(o) {
		return status, why
	}
	if failing := g.Spec.readOnly(); severity(failing) > severity(status) {
		return failing, Evidence{Reason: ReasonReadOnly, Detail: "it is in recovery, and accepts no writes"}
	}
	return status, why
}

// writerInRecovery says that a look shows the writer in recovery, since it became that: who is being promoted may be so, and what was seen before the
// promotion ended was seen of a standby.
func (g *Group) writerInRecovery(o Observation) bool {
	m := g.Member(o.Member)
	return m != nil && m.Authority == AuthorityWriter && !m.Promoting && isStandby(o.Facts) && !o.Facts.Stale && o.AsOf >= m.NotBefore(o)
}

// readOnly is the status of a member that has to accept writes and says that it doesn't: that of the gravest check that is told so.
func (s *Spec) readOnly() Status {
	status := StatusUp
	for _, c := range s.Health.Checks {
		if !c.Kind.TellsFacts() {
			continue
		}
		if next := s.CheckStatus(CheckState{Name: c.Name, Evidence: Evidence{Reason: ReasonReadOnly}}); severity(next) > severity(status) {
			status = next
		}
	}
	return status
}

// InRecovery is the writer if a majority of arbiters sees that it is in recovery, so that nobody accepts writes; empty if not.
func InRecovery(s *State, g *Group) MemberName {
	if writer := g.Writer(); writer != "" && len(Tally(s, g, writer).InRecovery) >= s.Majority() {
		return writer
	}
	return ""
}

// endRecovery are the two ways to a primary that accepts writes again, while nothing was done to the one that is in recovery. There are none where another
// member writes, was told to stop, or may be another's primary: a second writer would be made.
func endRecovery(s *State, g *Group) []string {
	writer := InRecovery(s, g)
	if writer == "" || g.isStranger(s, writer) || slices.ContainsFunc(g.Members, func(m Member) bool {
		_, writes := g.anyLook(s, m.Name, func(o Observation) bool { return o.Facts.AcceptsWrites })
		return m.Name != writer && (writes || m.Authority != AuthorityNone)
	}) {
		return nil
	}
	if _, follows := g.anyLook(s, writer, func(o Observation) bool { return o.Facts.Streaming }); follows {
		return []string{fmt.Sprintf("%s is in recovery and follows another server: find out who made it follow, and which server writes, before anything is started as a primary", writer)}
	}
	how := "bring it out of that"
	if g.Spec.Engine == EnginePostgres {
		how = "remove its standby.signal and restart it"
	}
	return []string{
		fmt.Sprintf("%s is in recovery, and nobody else may write: %s; or let another one take over:", writer, how),
		fmt.Sprintf("arbiterctl failover %s --reason \"...\"", g.Name),
	}
}

// inRecoveryObstacle is what an operator has to know of a primary that is in recovery, before anything fails.
func inRecoveryObstacle(s *State, g *Group) []Obstacle {
	writer := InRecovery(s, g)
	if writer == "" {
		return nil
	}
	why := fmt.Sprintf("the primary, %s, is in recovery: it answers, accepts no writes, and no failover begins by that", writer)
	if !slices.Contains(g.Spec.Policy.AlsoDown, ReasonReadOnly) {
		why += " (policy.also_down does not name " + string(ReasonReadOnly) + ")"
	}
	return []Obstacle{{Outage: true, Why: why, Next: inOneLine(endRecovery(s, g))}}
}
