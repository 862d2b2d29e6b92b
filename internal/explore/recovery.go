package explore

import (
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
)

// This file is about a writer that is in recovery: it answers, and nobody can write.

// askedNow is how long nothing has gone on when an operator asks for obstacles.
var askedNow = failover.Durations{SinceLastFailover: -1}

// checkWriterInRecovery asks of a writer that a majority sees in recovery that nobody counts it as one that serves, that no failover which has done nothing
// waits beside it, and that an operator is told: as what stands against a failover, and, where nothing else is wrong, as the next thing to do.
func checkWriterInRecovery(s *failover.State, g *failover.Group) *broken {
	writer := g.Member(g.Writer())
	if writer == nil || writer.Promoting || recovering(s, g, writer)*2 <= len(nodes) {
		return nil
	}
	if v := failover.Tally(s, g, writer.Name); v.Status == failover.StatusUp || failover.Planned(s, g) {
		return breaks("recovery", "%s is the writer and in recovery, and counts as %s (planned: %v)", writer.Name, v.Status, failover.Planned(s, g))
	}
	if op := g.Operation; op != nil && op.Automatic && op.Kind == failover.KindFailover && rank(g.EffectiveStage()) < rank(failover.Isolating) {
		return breaks("recovery", "%s is the writer and in recovery, and a failover that has done nothing waits beside it, %s", writer.Name, g.Stage)
	}
	if !slices.ContainsFunc(failover.Obstacles(s, group, askedNow), func(o failover.Obstacle) bool { return strings.Contains(o.Why, "is in recovery") }) {
		return breaks("recovery", "%s is the writer and in recovery, and nobody is told", writer.Name)
	}
	alone := g.Operation == nil && seeing(s, g, writer.Name, stranger) == 0
	for i := range g.Members {
		m := &g.Members[i]
		alone = alone && (m.Name == writer.Name || m.Authority == failover.AuthorityNone && !writesTo(s, g, m.Name))
	}
	if alone && !slices.ContainsFunc(failover.Explain(s, group, askedNow).Next, func(line string) bool { return strings.Contains(line, "is in recovery") }) {
		return breaks("recovery", "%s is the writer and in recovery, nothing is done about it, and no command is named", writer.Name)
	}
	return nil
}

// writesTo says whether any arbiter sees a member accept writes.
func writesTo(s *failover.State, g *failover.Group, m failover.MemberName) bool {
	return slices.ContainsFunc(nodes, func(node failover.NodeID) bool { _, seen := lookOf(s, g, node, m); return seen == primary })
}

// checkRecovered asks of an operation that is over since its member has recovered that most do not see that one in recovery.
func checkRecovered(after *failover.State, was, is *failover.Group) *broken {
	op := was.Operation
	last := len(is.History.Receipts) - 1
	if op == nil || last < 0 || is.History.Receipts[last].Operation.ID != op.ID || is.History.Receipts[last].Result != failover.OperationRecovered {
		return nil
	}
	if n := recovering(after, is, is.Member(op.From)); n*2 > len(nodes) {
		return breaks("recovery", "%s is over since %s has recovered, and %d of %d see it in recovery", op.ID, op.From, n, len(nodes))
	}
	return nil
}
