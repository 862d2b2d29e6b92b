package failover

import (
	"fmt"
	"slices"
)

// Stranger is why a group is no longer adopted although nobody changed its spec: a member became another database (S0).
type Stranger struct {
	Member   MemberName
	SystemID string // that a majority saw
	Recorded string // the group's, when it was adopted
	Index    Index
	Wall     WallTime
}

// strangerSeen finds a member that a majority of the views sees answer with another system identifier than the adopted one.
func strangerSeen(s *State, g *Group) (Stranger, bool) {
	if g.SystemID == "" || !g.anyForeignLook() {
		return Stranger{}, false
	}
	for _, m := range g.Members {
		if g.isStranger(s, m.Name) {
			return Stranger{Member: m.Name, SystemID: g.toldID(s, m.Name), Recorded: g.SystemID}, true
		}
	}
	return Stranger{}, false
}

// isStranger says whether a majority of the views sees a member answer as another database than the adopted one.
func (g *Group) isStranger(s *State, member MemberName) bool {
	id := g.toldID(s, member)
	return g.SystemID != "" && id != "" && id != g.SystemID
}

// toldID is the system identifier that a member tells a majority of the views, empty if there is none. Only looks that see it well
// count: one that was told nothing, as by a server that starts, still has what was known before.
func (g *Group) toldID(s *State, member MemberName) string {
	told := make([]string, 0, len(s.Voters))
	for _, node := range s.Voters {
		if look, ok := g.currentLook(s, node, member); ok {
			if status, _ := g.Spec.StatusOf(look.Observation); status == StatusUp {
				told = append(told, look.Observation.Facts.SystemID)
			}
		}
	}
	slices.Sort(told)
	for i := 0; i+s.Majority() <= len(told); i++ {
		if told[i] == told[i+s.Majority()-1] {
			return told[i]
		}
	}
	return ""
}

// anyForeignLook spares the usual case the counting.
func (g *Group) anyForeignLook() bool {
	for i := range g.Looks {
		if id := g.Looks[i].Observation.Facts.SystemID; id != "" && id != g.SystemID {
			return true
		}
	}
	return false
}

// unadoptChanged implements S0 for a member that became another database under its name and address: what is known of the group is no
// longer what was adopted. Beside an operation nothing is changed, as with a change of the spec: there a stranger is no candidate.
func (c *change) unadoptChanged(g *Group) {
	if !g.Adopted || g.Operation != nil {
		return
	}
	stranger, ok := strangerSeen(&c.state, g)
	if !ok {
		return
	}
	stranger.Index, stranger.Wall = c.entry.Index, c.entry.Wall
	g.Adopted, g.Stage, g.Stranger = false, Steady, &stranger
	c.tell(g, GroupUnadopted, stranger.Member, "%s (S0)", g.whyUnadopted())
}

// whyUnadopted says in words why nothing automatic happens in a group that is not adopted.
func (g *Group) whyUnadopted() string {
	if st := g.Stranger; st != nil {
		return fmt.Sprintf("%s is no longer adopted: %s answers with system identifier %s, and the group was adopted with %s",
			g.Name, st.Member, st.SystemID, st.Recorded)
	}
	return fmt.Sprintf("%s is not adopted, its writer is not recorded", g.Name)
}
