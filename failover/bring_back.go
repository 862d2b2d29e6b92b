package failover

import (
	"fmt"
	"strings"
)

// BringBack says how a member that is down is made a standby again. One that has written since it was last a standby of the primary's has log that no
// other one has, and must not be merely started; one that has only been stopped needs nothing else.
func (g *Group) BringBack(member MemberName) string {
	const rebuild = `docs/operations.md, "A rogue", has the steps`
	switch m := g.Member(member); {
	case m == nil:
		return ""
	case !g.Adopted || m.Authority == AuthorityUnset:
		return fmt.Sprintf("start %s as a standby; if it was the primary before, it is rebuilt first (%s)", member, rebuild)
	case m.onlyStopped():
		return fmt.Sprintf("start %s: it was a standby all along, and needs nothing else (if it does not follow then: docs/operations.md, \"A standby that does not follow\")", member)
	}
	return fmt.Sprintf("bring %s back as a standby: it may have written what the primary lacks, and is not merely started (%s)", member, rebuild)
}

// onlyStopped says whether a member has been nothing but a standby since the group was adopted, where it was seen as one: whoever was fenced, promoted or
// seen accepting writes since, or was vouched for, has a proof or another authority.
func (m *Member) onlyStopped() bool {
	return m.Authority == AuthorityNone && m.Proof.Grade == "" && !m.Rogue && !m.Promoting
}

// downStandbys say how each member comes back that is down and could be promoted then.
func downStandbys(s *State, g *Group) string {
	var how []string
	for _, m := range g.Members {
		spec, _ := g.Spec.Member(m.Name)
		if m.Name != g.Writer() && spec.Priority > 0 && Tally(s, g, m.Name).Status == StatusDown {
			how = append(how, g.BringBack(m.Name))
		}
	}
	return strings.Join(how, "; or ")
}
