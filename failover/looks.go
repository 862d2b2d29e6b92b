package failover

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// currentLook returns what an arbiter sees of a member, if its view counts: current, and not doubted by the arbiter. It must not be changed.
func (g *Group) currentLook(s *State, node NodeID, member MemberName) (*Look, bool) {
	view, counts := s.viewThatCounts(node)
	if !counts {
		return nil, false
	}
	look, ok := g.look(node, member)
	return look, ok && look.Generation == view.Generation
}

// look returns what an arbiter saw of a member last, whatever became of its view. It must not be changed.
func (g *Group) look(node NodeID, member MemberName) (*Look, bool) {
	i, ok := g.lookAt(node, member)
	if !ok {
		return nil, false
	}
	return &g.Looks[i], true
}

// lookAt finds the place of a look by binary search, without copying looks.
func (g *Group) lookAt(node NodeID, member MemberName) (int, bool) {
	i := sort.Search(len(g.Looks), func(i int) bool {
		at := &g.Looks[i]
		return at.Node > node || at.Node == node && at.Observation.Member >= member
	})
	return i, i < len(g.Looks) && g.Looks[i].Node == node && g.Looks[i].Observation.Member == member
}

// answered is the newest request to look again that an arbiter answered in its current view.
func (g *Group) answered(s *State, node NodeID) Index {
	view, _ := s.View(node)
	for _, a := range g.Answers {
		if a.Node == node && a.Generation == view.Generation {
			return a.Asked
		}
	}
	return 0
}

// askedAnew is the entry since which arbiters must have looked again, of a request that was made at another one: an answer from before the
// present spec rests on looks by an older one, at another port or with less patience (S14).
func (g *Group) askedAnew(asked Index) Index { return max(asked, g.SpecSince) }

// answeredSince says whether an arbiter has looked again, in its current view and by the present spec, since the entry at an index asked for it.
func (g *Group) answeredSince(s *State, node NodeID, asked Index) bool {
	return g.answered(s, node) >= g.askedAnew(asked)
}

// anyLook finds an arbiter whose view is not void and that saw this of a member, even if it doubts itself: a sight of danger
// needs no majority.
func (g *Group) anyLook(s *State, member MemberName, match func(Observation) bool) (NodeID, bool) {
	for _, look := range g.Looks {
		view, ok := s.View(look.Node)
		if ok && look.Generation == view.Generation && look.Observation.Member == member && match(look.Observation) {
			return look.Node, true
		}
	}
	return "", false
}

// sentAnew counts the voters of which nothing that they saw of a member is void, waiting to be sent whole again.
func (g *Group) sentAnew(s *State, member MemberName) int {
	n := 0
	for _, node := range s.Voters {
		view, _ := s.View(node)
		if look, ok := g.look(node, member); !ok || look.Generation == view.Generation {
			n++
		}
	}
	return n
}

// seenWritable are the members that anybody sees accepting writes.
func (g *Group) seenWritable(s *State) []MemberName {
	var names []MemberName
	for _, m := range g.Members {
		if _, ok := g.anyLook(s, m.Name, func(o Observation) bool { return o.Facts.AcceptsWrites }); ok {
			names = append(names, m.Name)
		}
	}
	return names
}

// countLooks counts the voters whose view counts and that see a member answering and matching.
func (g *Group) countLooks(s *State, member MemberName, match func(Facts) bool) int {
	n := 0
	for _, node := range s.Voters {
		if look, ok := g.currentLook(s, node, member); ok && match(look.Observation.Facts) && g.seenUp(look) {
			n++
		}
	}
	return n
}

// countFresh is countLooks without what an earlier look was told, and without what was seen of the present writer before its promotion
// ended: it was a standby then.
func (g *Group) countFresh(s *State, member MemberName, match func(Facts) bool) int {
	n, m := 0, g.Member(member)
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, member)
		old := ok && m.Authority == AuthorityWriter && look.Observation.AsOf < m.WriterSince
		if ok && !old && !look.Observation.Facts.Stale && match(look.Observation.Facts) && g.seenUp(look) {
			n++
		}
	}
	return n
}

func (g *Group) seenUp(l *Look) bool { return g.Spec.Hears(l.Observation) }

// systemID is the system identifier that a majority of views reports of a member, empty if there is none.
func (g *Group) systemID(s *State, member MemberName) string {
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, member)
		if !ok || look.Observation.Facts.SystemID == "" {
			continue
		}
		id := look.Observation.Facts.SystemID
		if g.countLooks(s, member, func(f Facts) bool { return f.SystemID == id }) >= s.Majority() {
			return id
		}
	}
	return ""
}

// sightsOf says in words what each voter saw of a member, and why that does not count if it doesn't.
func (g *Group) sightsOf(s *State, m *Member) string {
	sights := make([]string, 0, len(s.Voters))
	for _, node := range s.Voters {
		sights = append(sights, string(node)+": "+g.sightOf(s, node, m))
	}
	return strings.Join(sights, "; ")
}

func (g *Group) sightOf(s *State, node NodeID, m *Member) string {
	view, _ := s.View(node)
	look, ok := g.look(node, m.Name)
	switch {
	case !view.Current:
		return "its view is void"
	case view.Doubt != "":
		return "it doubts itself"
	case !ok || look.Generation != view.Generation:
		return "it has not looked"
	}
	_, why := g.Spec.StatusOf(look.Observation)
	if look.Observation.AsOf < m.NotBefore(look.Observation) {
		return string(why.Reason) + ", too long ago"
	}
	return string(why.Reason)
}

// attested is a person's word on a member as a proof, given at a time, with what the arbiters saw of the member then.
func (g *Group) attested(s *State, m *Member, by Request, at WallTime) Proof {
	return Proof{Grade: ProofAttested, By: by.Actor, Detail: strings.TrimPrefix(by.Reason+"; "+g.lastSights(s, m, at), "; ")}
}

// lastSights is what the arbiters see of a member that doesn't answer, and what that says of its machine: a name that nobody finds, as with DNS that
// answers otherwise in another network, says less than silence; one that refuses is no machine that is off, and one that accepts connections may hold
// a frozen service. That it did so before says only that it ran then: a person may have cut its power since.
func (g *Group) lastSights(s *State, m *Member, at WallTime) string {
	sees := func(match func(Observation) bool) bool {
		return slices.ContainsFunc(s.Voters, func(node NodeID) bool { return g.seesNow(s, node, m, match) })
	}
	if !sees(askedInVain) {
		return "no arbiter has reached its address: its name is not found (" + g.sightsOf(s, m) + ")"
	}
	seen := "looked at (" + g.sightsOf(s, m) + ")"
	const frozen = "a frozen service writes again when it goes on, so the machine must be without power"
	switch last := g.lastAccepted(s, m); {
	case sees(accepts):
		return seen + "; its machine accepts connections, so it runs: " + frozen
	case last != 0:
		seen += fmt.Sprintf("; its machine accepted a connection %s before, so it ran then: %s", max(0, time.Duration(at-last)).Truncate(time.Second), frozen)
	}
	if sees(refuses) {
		seen += "; its machine refuses connections, so it runs: nothing of the service may be left on it"
	}
	return seen
}

// lastAccepted is when an arbiter whose view counts last had a connection to a silent member's machine accepted; 0 if none had.
func (g *Group) lastAccepted(s *State, m *Member) (last WallTime) {
	for _, node := range s.Voters {
		if look, ok := g.lookNow(s, node, m); ok {
			for _, c := range look.Observation.Checks {
				last = max(last, c.Evidence.AcceptedAt)
			}
		}
	}
	return last
}

// lookNow returns what an arbiter sees of a member as it is now, if its view counts. It must not be changed.
func (g *Group) lookNow(s *State, node NodeID, m *Member) (*Look, bool) {
	look, ok := g.currentLook(s, node, m.Name)
	return look, ok && look.Observation.AsOf >= m.NotBefore(look.Observation)
}

// seesNow says whether an arbiter's view counts and saw this of a member as it is now.
func (g *Group) seesNow(s *State, node NodeID, m *Member, match func(Observation) bool) bool {
	look, ok := g.lookNow(s, node, m)
	return ok && match(look.Observation)
}

func isStandby(f Facts) bool { return f.Role == RoleStandby }

// answers says whether a service answered in a look, well or badly: it runs. Who refuses a password answers.
func answers(o Observation) bool {
	return slices.ContainsFunc(o.Checks, func(c CheckState) bool {
		class, reason := ClassOf(c.Evidence.Reason), c.Evidence.Reason
		return class == EvidenceGood || class == EvidenceFailing || reason == ReasonWriteStalled || reason == ReasonBadCredentials
	})
}

// silent says that a look got no answer of a service: it asked in vain, or nobody is found by the name. That is no proof that a machine is
// gone, but a person may vouch for what nobody can reach, and is told which of the two it was. Any other look that can't tell has not asked.
func silent(o Observation) bool {
	return !answers(o) && (askedInVain(o) || slices.ContainsFunc(o.Checks, func(c CheckState) bool { return c.Evidence.Reason == ReasonNameNotFound }))
}

// askedInVain says that a look asked a service, and got no answer.
func askedInVain(o Observation) bool {
	return slices.ContainsFunc(o.Checks, func(c CheckState) bool { return ClassOf(c.Evidence.Reason) == EvidenceDead })
}

// refuses says that a look was turned away by the kernel of the service's machine: that one runs, whatever became of the service.
func refuses(o Observation) bool {
	return slices.ContainsFunc(o.Checks, func(c CheckState) bool {
		return c.Evidence.Reason == ReasonRefused || c.Evidence.Reason == ReasonReset
	})
}

// accepts says that the kernel of a service's machine accepted a connection in the newest look, though no answer came: that one runs, and the service may
// be only frozen.
func accepts(o Observation) bool {
	return slices.ContainsFunc(o.Checks, func(c CheckState) bool { return c.Evidence.Accepted })
}
