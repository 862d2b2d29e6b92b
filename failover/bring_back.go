package failover

import (
	"fmt"
	"strings"
)

// BringBack says how a member that is down is made a standby again. One that has written since it was last a standby of the primary's has log that no
// other one has, and must not be merely started; one that has only been stopped, or was rebuilt before it was, needs nothing else.
func (g *Group) BringBack(s *State, member MemberName) string {
	const rebuild = `docs/operations.md, "Bringing a fenced machine back", has the steps`
	switch m := g.Member(member); {
	case m == nil:
		return ""
	case !g.Adopted || m.Authority == AuthorityUnset:
		return fmt.Sprintf("start %s as a standby; if it was the primary before, it is rebuilt first (%s)", member, rebuild)
	case g.beingIsolated(member):
		return fmt.Sprintf("leave %s as it is for now: it is being fenced, and may still be writing; once it is proven unable to, this says how it comes back", member)
	case m.onlyStopped():
		return fmt.Sprintf("start %s: it was a standby all along, and needs nothing else (if it does not follow then: docs/operations.md, \"A standby that does not follow\")", member)
	case g.rejoined(s, m):
		return fmt.Sprintf("start %s: it was a standby of %s again when it was last seen, on the same timeline, and needs nothing else (if it does not follow then: docs/operations.md, \"A standby that does not follow\")", member, g.Writer())
	}
	return fmt.Sprintf("bring %s back as a standby: it may have written what the primary lacks, and is not merely started (%s)", member, rebuild)
}

// beingIsolated says whether an operation in progress is about to prove a member unable to write: whoever starts it meanwhile works against the fence.
func (g *Group) beingIsolated(member MemberName) bool {
	m := g.Member(member)
	return m.Authority == AuthorityRevoked && g.Operation != nil && g.Stage != Held && g.EffectiveStage() == Isolating && g.toIsolate() == member
}

// onlyStopped says whether a member has been nothing but a standby since the group was adopted, where it was seen as one: whoever was fenced, promoted or
// seen accepting writes since, or was vouched for, has a proof or another authority.
func (m *Member) onlyStopped() bool {
	return m.Authority == AuthorityNone && m.Proof.Grade == "" && !m.Rogue && !m.Promoting
}

// rejoined says whether a member that has a proof has been a standby of the present primary since, as a majority of arbiters was told by it last: in recovery,
// of the group's system, and on the timeline that began with the primary's promotion. Nobody gets onto that who holds what the primary lacks. Of a
// proof from after that promotion, as that of a rogue, this says nothing: what was told may be from before.
func (g *Group) rejoined(s *State, m *Member) bool {
	writer := g.Member(g.Writer())
	if writer == nil || writer.Promoting || m.Authority != AuthorityNone || m.Rogue || m.NoneSince > writer.WriterSince {
		return false
	}
	n := 0
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, m.Name)
		if !ok {
			continue
		}
		f := look.Observation.Facts
		if f.Role == RoleStandby && f.SystemID == g.SystemID && f.Timeline != 0 && f.Timeline == g.LastPrimary.Timeline {
			n++
		}
	}
	return n >= s.Majority()
}

// downStandbys say how each member comes back that is down and could be promoted then.
func downStandbys(s *State, g *Group) string {
	var how []string
	for _, m := range g.Members {
		spec, _ := g.Spec.Member(m.Name)
		if m.Name != g.Writer() && spec.Priority > 0 && Tally(s, g, m.Name).Status == StatusDown {
			how = append(how, g.BringBack(s, m.Name))
		}
	}
	return strings.Join(how, "; or ")
}
