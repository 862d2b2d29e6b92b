package ownview

import "github.com/arbiter-ha/arbiter/failover"

// Specs remembers which specs were seen.
type Specs map[failover.GroupName]specVersion

// specVersion tells a spec from all others of a group of its name. The numbers begin anew with a group that was deleted and created again,
// but then its members are newer than any of the deleted one.
type specVersion struct {
	number uint64
	since  failover.Index // of the newest member
}

func specVersionOf(g *failover.Group) specVersion {
	v := specVersion{number: g.SpecVersion}
	for _, m := range g.Members {
		v.since = max(v.since, m.Since)
	}
	return v
}

// Has says whether the spec of a group is the one that was seen.
func (s Specs) Has(g *failover.Group) bool {
	seen, ok := s[g.Name]
	return ok && seen == specVersionOf(g)
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
			s[g.Name] = specVersionOf(g)
		}
	}
	return changed
}
