package failover

import (
	"fmt"
	"slices"
	"strings"
)

// RouterAnswer is what came of asking a router where its route leads.
type RouterAnswer struct {
	Route  string
	Silent string // why that isn't known; empty: it answered
}

// Routers are what is known of a group's routers when an operator asks for a failover.
type Routers struct {
	Asked   []RouterAnswer
	Ignored bool // the operator says that the failover need not wait for them
}

// Planned says that a failover of a group would be of a primary that serves. It has the time to wait until all that it needs is there.
func Planned(s *State, g *Group) bool {
	writer := g.Writer()
	return writer != "" && seenServing(s, g, writer)
}

// RoutersGuard asks, for a failover of a primary that serves, that every router answers: its clients would be kept away from the old one, which is
// fenced, and not get to the new one. No failover of a primary that doesn't serve waits for that.
func RoutersGuard(s *State, g *Group, routers Routers) Guard {
	guard := Guard{Name: guardRouters, OK: true, Detail: "every router answers"}
	switch silent := routers.silent(); {
	case len(g.Spec.Routes) == 0:
		guard.Detail = "the group has no routes"
	case silent == "" && len(routers.Asked) == 0:
		guard.Detail = "they were not asked"
	case silent == "":
	case !Planned(s, g):
		guard.Detail = silent + ", and nothing waits for it, since no primary is seen to serve"
	case routers.Ignored:
		guard.Detail = silent + ", and the operator says not to wait for it"
	default:
		guard.OK, guard.Detail = false, silent
	}
	return guard
}

// silent names the routers that gave no answer, and why; empty if all did.
func (r Routers) silent() string {
	var names []string
	for _, a := range r.Asked {
		if a.Silent != "" {
			names = append(names, fmt.Sprintf("route %s does not answer: %s", a.Route, a.Silent))
		}
	}
	return strings.Join(names, "; ")
}

// Rehearsal explains an operation that was begun on a copy of the state only, with what was asked beside it: no other arbiter can have looked again
// for it.
func Rehearsal(s *State, name GroupName, routers Routers) Explanation {
	e := Explain(s, name, Durations{SinceLastFailover: -1})
	g := s.Group(name)
	if g == nil {
		return e
	}
	guard := RoutersGuard(s, g, routers)
	p := prospectOf(s, g)
	switch {
	case !guard.OK:
		p = prospect{refused: guard.Detail}
	case p.possible() && p.unarmed != "":
		p.unproven = true
	case p.possible() && routers.silent() != "":
		p.unrouted = routers.silent()
	}
	e = e.with(p)
	e.Next = nil
	if !p.possible() && p.refused == "" {
		e.Next = improvements(s, g)
	}
	e.Decision.Guards = slices.DeleteFunc(e.Decision.Guards, func(guard Guard) bool { return guard.Name == guardLookedAgain })
	e.Decision.Guards = armedGuards(e.Decision.Guards, p.unarmed)
	if len(g.Spec.Routes) > 0 {
		e.Decision.Guards = append(e.Decision.Guards, guard)
	}
	return e
}

// armedGuards are guards of which that of the fence fails while it isn't armed. Whoever asks beforehand is told what the failover would be held for; one
// that is begun tries the fence all the same, since it may answer by then.
func armedGuards(guards []Guard, unarmed string) []Guard {
	for i := range guards {
		if guards[i].Name == guardFence && unarmed != "" {
			guards[i] = Guard{Name: guardFence, Hold: HoldFenceUnproven, Detail: unarmed}
		}
	}
	return guards
}
