package failover

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is what the views together say of one member, with its reasons.
type Verdict struct {
	Member  MemberName
	Status  Status
	Voters  int      // how many there are
	Needed  int      // votes that "down" needs
	For     []NodeID // see it down
	Against []NodeID // see it up or degraded
	Up      int      // how many of Against see it up
	// InRecovery are those of Against that see the writer in recovery: it lives, and has not recovered.
	InRecovery []NodeID
	Silent     []NodeID // no view that counts: not current, doubting itself, or unable to tell
	// Witnesses are members whose received position grows: somebody writes, so "down" is contradicted.
	Witnesses []MemberName
	Basis     []Index // log indexes of the observations that the verdict rests on
}

// Tally weighs all current views of one member. It asks for a majority of all voters, or for more if the policy says so.
func Tally(s *State, g *Group, member MemberName) Verdict {
	return tally(s, g, member, func(NodeID) bool { return true })
}

// TallySince is Tally over those arbiters only that looked again after the entry at an index asked for it: two blips that
// never overlapped are not a failure.
func TallySince(s *State, g *Group, member MemberName, asked Index) Verdict {
	return tally(s, g, member, func(node NodeID) bool { return g.answeredSince(s, node, asked) })
}

func tally(s *State, g *Group, member MemberName, counts func(NodeID) bool) Verdict {
	v := Verdict{Member: member, Voters: len(s.Voters), Needed: max(s.Majority(), g.Spec.Policy.DownVotes)}
	degraded := 0
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, member)
		if !ok || !counts(node) {
			v.Silent = append(v.Silent, node)
			continue
		}
		status, _ := g.StatusOf(look.Observation)
		switch status {
		case StatusDown:
			v.For = append(v.For, node)
			v.Basis = append(v.Basis, look.Index)
		case StatusUp:
			v.Up++
			v.Against = append(v.Against, node)
		case StatusDegraded:
			degraded++
			v.Against = append(v.Against, node)
			if g.writerInRecovery(look.Observation) {
				v.InRecovery = append(v.InRecovery, node)
			}
		default:
			v.Silent = append(v.Silent, node)
		}
	}
	v.Witnesses = g.witnesses(s, member)
	slices.Sort(v.Basis)
	v.Basis = slices.Compact(v.Basis)
	v.Status = v.weigh(degraded, s.Majority())
	return v
}

func (v Verdict) weigh(degraded, majority int) Status {
	switch {
	case len(v.For) >= v.Needed && len(v.Witnesses) == 0:
		return StatusDown
	case v.Up >= majority:
		return StatusUp
	case v.Up+degraded >= majority:
		return StatusDegraded
	}
	return StatusUnknown
}

// recovered says that "down" can't be reached any more even if every silent arbiter joined, or that nobody says it while
// enough look.
func (v Verdict) recovered() bool { return len(v.For)+len(v.Silent) < v.Needed }

// Why is the verdict's reasons in words.
func (v Verdict) Why() string {
	if v.Member == "" {
		return "the group has no writer that could be seen down"
	}
	text := fmt.Sprintf("%d of %d arbiters see %s down, %d needed", len(v.For), v.Voters, v.Member, v.Needed)
	if len(v.Silent) > 0 {
		text += fmt.Sprintf("; no view that counts from %s", joinNodes(v.Silent))
	}
	if len(v.InRecovery) > 0 {
		text += fmt.Sprintf("; in recovery, where it accepts no writes, to %s", joinNodes(v.InRecovery))
	}
	if len(v.Witnesses) > 0 {
		names := make([]string, len(v.Witnesses))
		for i, w := range v.Witnesses {
			names[i] = string(w)
		}
		text += fmt.Sprintf("; contradicted by %s, whose received position grows", strings.Join(names, ", "))
	}
	return text
}

func joinNodes(nodes []NodeID) string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = string(n)
	}
	return strings.Join(names, ", ")
}

// witnesses are the other members that any counting view sees receiving ever more of somebody's log. A member that is proven unable to write
// is not that somebody: that others receive says nothing of it.
func (g *Group) witnesses(s *State, of MemberName) []MemberName {
	if m := g.Member(of); g.Adopted && m != nil && m.Authority == AuthorityNone {
		return nil
	}
	var names []MemberName
	for _, node := range s.Voters {
		for _, m := range g.Members {
			if m.Name == of || slices.Contains(names, m.Name) {
				continue
			}
			look, ok := g.currentLook(s, node, m.Name)
			if ok && look.Observation.Facts.Streaming && look.Observation.Facts.ReceivingGrows {
				names = append(names, m.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
