package failover

import "slices"

// Rehearsal explains an operation that was begun on a copy of the state only, with what was asked beside it: no other arbiter can have looked again
// for it.
func Rehearsal(s *State, name GroupName, asked Asked) Explanation {
	e := Explain(s, name, Durations{SinceLastFailover: -1})
	g := s.Group(name)
	if g == nil {
		return e
	}
	unarmed := unarmedFence(s, g, formerWriter(g)) // also where it is held, or refused, for something else
	fenceAsked := asked.Fence.Member != "" && asked.Fence.Member == g.Writer() && !asked.Fence.NotAsked
	if fenceAsked {
		unarmed = unarmedNow(s, g, asked.Fence)
	}
	p := prospectOf(s, g)
	p.unarmed = unarmed
	why, next := Unready(s, g, asked)
	switch {
	case why != "":
		p = prospect{refused: why, next: next}
	case p.possible() && p.unarmed != "":
		p.unproven = true
	case p.possible() && asked.Routers.silent() != "":
		p.unrouted = asked.Routers.silent()
	}
	e = e.with(p)
	e.Next = nil
	if !p.possible() && p.refused == "" {
		e.Next = improvements(s, g)
	}
	e.Decision.Guards = slices.DeleteFunc(e.Decision.Guards, func(guard Guard) bool { return guard.Name == guardLookedAgain })
	e.Decision.Guards = armedGuards(e.Decision.Guards, unarmed, fenceAsked)
	return e.withAsked(s, g, asked)
}

// armedGuards are guards of which that of the fence fails while it isn't armed. Whoever asks beforehand is told what the failover would be held for; one
// that is begun tries the fence all the same, since it may answer by then.
func armedGuards(guards []Guard, unarmed string, asked bool) []Guard {
	for i := range guards {
		switch {
		case guards[i].Name != guardFence:
		case unarmed != "":
			guards[i] = Guard{Name: guardFence, Hold: HoldFenceUnproven, Detail: unarmed}
		case asked:
			guards[i].Detail = "it answered just now"
		}
	}
	return guards
}

// withAsked adds the conditions that rest on what was asked; that of the fence is among the others already.
func (e Explanation) withAsked(s *State, g *Group, asked Asked) Explanation {
	for _, guard := range askedGuards(s, g, asked) {
		about := guard.Name == guardPreconditions && len(asked.Members) > 0 || guard.Name == guardRouters && len(g.Spec.Routes) > 0
		if about {
			e.Decision.Guards = append(e.Decision.Guards, guard.Guard)
		}
	}
	return e
}
