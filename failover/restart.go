package failover

import (
	"fmt"
	"slices"
	"time"
)

// A service that is restarted says so: it is shutting down, starting up, in crash recovery. In between nobody listens, and its machine
// refuses. That is what health.restart_grace waits for, and nothing else: a refusal without such a word before it is a crash, and a
// machine that does not answer restarts nothing.

// restartSign is what one look says of a restart.
type restartSign int

const (
	restartUntold restartSign = iota // it refuses, or the arbiter can't tell: what was said before still counts
	restartSaid                      // it says that it restarts
	restartOver                      // it serves, or its machine does not answer: what was said before counts no more
)

// restartSign reads the required checks of one look. One that gets no answer outweighs all others. What the spec doesn't have any more says
// nothing, and a look that has nothing else leaves open what the service does.
func (s *Spec) restartSign(o Observation) restartSign {
	if !slices.ContainsFunc(o.Checks, func(c CheckState) bool { return s.requires(c.Name) }) {
		return restartUntold
	}
	sign := restartOver
	for _, c := range o.Checks {
		if !s.requires(c.Name) {
			continue
		}
		switch reason := c.Evidence.Reason; {
		case reason == ReasonTimeout || reason == ReasonNoRoute || reason == ReasonWriteStalled:
			return restartOver
		case SaysRestarting(reason):
			sign = restartSaid
		case ClassOf(reason) == EvidenceDead || ClassOf(reason) == EvidenceCannotTell:
			if sign != restartSaid {
				sign = restartUntold
			}
		}
	}
	return sign
}

// SaysRestarting says whether a reason is a service's own word that it is restarted, or stopped.
func SaysRestarting(r Reason) bool {
	return r == ReasonStartingUp || r == ReasonCrashRecovery || r == ReasonShuttingDown
}

// restartSince is the entry since which an arbiter knows that a member restarts, 0 if it doesn't. A look of a view that was voided
// since is carried over too: a new leader must not forget it.
func (g *Group) restartSince(l Look) Index {
	known := Index(0)
	if before, ok := g.look(l.Node, l.Observation.Member); ok {
		known = before.RestartSince
	}
	switch sign := g.Spec.restartSign(l.Observation); {
	case sign == restartOver:
		return 0
	case sign == restartSaid && known == 0:
		return l.Index
	}
	return known
}

// noteRestarts remembers since when a majority has known that a member restarts, until a majority sees it serve. A service that begins
// to start again and again is one that restarts since the first time: its grace ends.
func (c *change) noteRestarts(g *Group) {
	for i := range g.Members {
		m := &g.Members[i]
		switch {
		case m.RestartSince == 0 && g.knowRestart(&c.state, m.Name) >= c.state.Majority():
			m.RestartSince = c.entry.Index
			c.tell(g, MemberRestarts, m.Name, "%s says that it restarts", m.Name)
		case m.RestartSince != 0 && g.seeServing(&c.state, m.Name) >= c.state.Majority():
			m.RestartSince = 0
		}
	}
}

// knowRestart counts the voters whose view counts and whom a member told that it restarts.
func (g *Group) knowRestart(s *State, member MemberName) int {
	n := 0
	for _, node := range s.Voters {
		if look, ok := g.currentLook(s, node, member); ok && look.RestartSince != 0 {
			n++
		}
	}
	return n
}

// seeServing counts the voters whose view counts and that see a member answer, and not with word of a restart.
func (g *Group) seeServing(s *State, member MemberName) int {
	n := 0
	for _, node := range s.Voters {
		if look, ok := g.currentLook(s, node, member); ok && look.RestartSince == 0 && g.seenUp(look) {
			n++
		}
	}
	return n
}

// inDoubt is the member that a failover is, or would be, away from.
func (g *Group) inDoubt() *Member {
	if g.Operation != nil {
		return g.Member(g.Operation.From)
	}
	return g.Member(g.Writer())
}

// restartGuard waits for a primary that says that it restarts, as long as the policy wants since it first said so.
func restartGuard(s *State, g *Group, d Durations) Guard {
	guard := Guard{Name: guardRestart, OK: true}
	grace, m := g.Spec.Health.RestartGrace, g.inDoubt()
	if m == nil {
		guard.Detail = "there is no primary that could restart"
		return guard
	}
	know := g.knowRestart(s, m.Name)
	left := grace - d.Restarting
	switch {
	case know < s.Majority() || m.RestartSince == 0:
		guard.Detail = fmt.Sprintf("%d of %d arbiters were told by %s that it restarts; nothing is waited for below %d", know, len(s.Voters), m.Name, s.Majority())
	case left <= 0:
		guard.Detail = fmt.Sprintf("%s has said for longer than %s that it restarts", m.Name, grace)
	default:
		guard.OK = false
		guard.Detail = fmt.Sprintf("%s says that it restarts: it is given %s, of which %s are left", m.Name, grace, roundUp(left))
	}
	return guard
}

// roundUp keeps a wait readable without ever showing that nothing is left of it.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
