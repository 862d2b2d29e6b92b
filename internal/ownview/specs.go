package ownview

import "github.com/arbiter-ha/arbiter/failover"

// Specs remembers which specs were seen, by the entries that brought them.
type Specs map[failover.GroupName]failover.Index

// Has says whether the spec of a group is the one that was seen.
func (s Specs) Has(g *failover.Group) bool {
	seen, ok := s[g.Name]
	return ok && seen == g.SpecSince
}

// Follow says whether the groups or their specs differ from those seen before, and remembers them.
func (s Specs) Follow(state *failover.State) (changed bool) {
	changed = len(s) != len(state.Groups)
	for _, g := range state.Groups {
		changed = changed || !s.Has(g)
	}
	if changed {
		clear(s)
		for _, g := range state.Groups {
			s[g.Name] = g.SpecSince
		}
	}
	return changed
}
