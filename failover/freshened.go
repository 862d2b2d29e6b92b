package failover

import "slices"

// Freshened is the state as it would be if what one arbiter saw last of a group were committed now, and nothing came of it: positions move all the time,
// and are committed with a change or an answer only. It is for telling what a failover would do, which looks anew before it does anything. Nothing is
// decided by it, and no entry is judged by it.
func Freshened(s *State, name GroupName, node NodeID, seen []Observation) *State {
	view, ok := s.View(node)
	i, known := s.groupAt(name)
	if !ok || !known {
		return s
	}
	fresh, g := s.clone(), s.Groups[i].clone()
	g.Looks, fresh.Groups[i] = slices.Clone(g.Looks), g
	for _, o := range seen {
		at, there := g.lookAt(node, o.Member)
		if !there || g.Looks[at].Generation != view.Generation || !g.sees(o.Member, o.AsOf) {
			continue // it may not even be told of this member as it is now
		}
		g.Looks[at].Observation = o
		g.notePrimary(&fresh, g.Looks[at])
	}
	return &fresh
}
