package failover

import (
	"cmp"
	"fmt"
	"strings"
)

// Obstacle is something that the committed state has against a failover.
type Obstacle struct {
	// Outage says that the service is away now, whatever a failover would do.
	Outage bool
	// Blocks says that an operator's failover would be held too; otherwise it only keeps one from happening by itself.
	Blocks bool
	// Degraded says that it is about a primary that is alive, and failing.
	Degraded bool
	Why      string
	Next     string // what to do; may be empty
}

// Obstacles lists what a failover of a group would meet if its primary were seen down now: the guards of Plan that aren't
// about the primary's own health.
func Obstacles(s *State, name GroupName, d Durations) []Obstacle {
	g := s.Group(name)
	if g == nil {
		return nil
	}
	var found []Obstacle
	if writer := g.Writer(); writer != "" && Tally(s, g, writer).Status == StatusDown {
		what := "the primary"
		if writer == g.BeingPromoted() {
			what = "which is being promoted"
		}
		found = append(found, Obstacle{
			Outage: true, Why: fmt.Sprintf("%s, %s, is down: nobody may be writing", writer, what),
			Next: fmt.Sprintf("arbiterctl explain %s", name),
		})
	} else if writer == "" && g.Adopted {
		found = append(found, Obstacle{Outage: true, Why: "nobody is the primary: nobody may be writing", Next: fmt.Sprintf("arbiterctl explain %s", name)})
	} else if why := degradedWhy(s, g, writer); why != "" && InRecovery(s, g) == "" { // of which more is said below
		found = append(found, Obstacle{
			Degraded: true, Why: fmt.Sprintf("%s, the primary, is degraded: %s; that alone is no reason for a failover by itself", writer, why),
			Next: fmt.Sprintf("mend %s, or move the primary: arbiterctl failover %s --reason \"...\"", writer, name),
		})
	}
	for _, m := range g.Members {
		if m.Rogue && m.Authority == AuthorityRevoked { // S2: nobody is promoted beside it
			found = append(found, Obstacle{
				Blocks: true, Why: fmt.Sprintf("%s, and nobody is promoted beside it", g.unproven(m.Name)),
				Next: fmt.Sprintf("arbiterctl explain %s says how it is stopped", name),
			})
		}
	}
	found = append(found, inRecoveryObstacle(s, g)...)
	if g.Operation != nil {
		found = append(found, Obstacle{
			Why:  fmt.Sprintf("%s %s is in progress, at %s", g.Operation.Kind, g.Operation.ID, g.Stage),
			Next: fmt.Sprintf("arbiterctl show %s", name),
		})
	}
	if r := g.Reroutes; r.count() > 1 && d.SinceReroute < rerouteForgotten {
		found = append(found, Obstacle{
			Why:  r.advice(d.SinceReroute),
			Next: fmt.Sprintf("arbiterctl show %s says what was found; pause the group while somebody else moves clients on purpose", name),
		})
	}
	for _, guard := range automationGuards(g) {
		if !guard.OK {
			found = append(found, Obstacle{Blocks: guard.Name == guardAdopted, Why: guard.Detail, Next: remedy(s, g, guard)})
		}
	}
	if guard := candidateGuard(s, g); !guard.OK && g.Adopted {
		found = append(found, Obstacle{Blocks: true, Why: guard.Detail, Next: candidateRemedy(s, g, guard)})
	}
	for _, m := range g.Members {
		if g.misfenced(m.Name) {
			found = append(found, Obstacle{Blocks: m.Name == g.Writer(), Why: fmt.Sprintf("%s is not fenced: %s", m.Name, m.contradiction()), Next: rightTheFence(g, m.Name)})
		}
	}
	for _, guard := range append(timeGuards(s, g, d), brakeGuard(s, g)) {
		if !guard.OK && guard.Name != guardMinimum {
			found = append(found, Obstacle{Why: guard.Detail, Next: "wait, or ask for it: an operator's failover does not wait for this"})
		}
	}
	return found
}

// degradedWhy is what the first arbiter says that sees a degraded member so; empty if the member isn't degraded.
func degradedWhy(s *State, g *Group, member MemberName) string {
	if Tally(s, g, member).Status != StatusDegraded {
		return ""
	}
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, member)
		if !ok {
			continue
		}
		if status, why := g.StatusOf(look.Observation); status == StatusDegraded {
			return cmp.Or(why.Detail, string(why.Reason))
		}
	}
	return "arbiters differ about it"
}

// remedy is what would make a guard of automation hold again.
func remedy(s *State, g *Group, guard Guard) string {
	switch guard.Name {
	case guardAdopted:
		if now := adoptionNow(s, g, ""); now.unasked != nil { // who reads this is told by the same answer what each arbiter lacks
			return fmt.Sprintf("%s: mend that first, as the findings of the arbiters say, and then: arbiterctl adopt %s", now.unasked, g.Name)
		}
		return strings.Join(adoptCommands(s, g), " ")
	case guardPaused:
		return inOneLine(pausedCommands(s, g))
	}
	return ""
}

// candidateRemedy is what would make somebody be promoted again. It sends nobody elsewhere to find out why: that is said here.
func candidateRemedy(s *State, g *Group, guard Guard) string {
	if u, ok := g.anyUnasked(s); ok {
		return fmt.Sprintf("mend what keeps arbiters from asking %s (%s): their own findings say where, and how", u.member, u.why.Reason)
	}
	if guard.Hold == HoldLossBound {
		if !seenServing(s, g, g.Writer()) {
			return "bring the primary back, or a standby that holds more: nobody catches up before"
		}
		return "let it catch up, bring a synchronous standby back, or name one as that (docs/postgres.md has the settings)"
	}
	if how := downStandbys(s, g); how != "" {
		return how
	}
	return "mend what is said here of one of them"
}

// SeenDown says whether a quorum of arbiters sees a member down at the moment.
func SeenDown(s *State, name GroupName, member MemberName) bool {
	g := s.Group(name)
	return g != nil && Tally(s, g, member).Status == StatusDown
}
