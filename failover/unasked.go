package failover

import (
	"cmp"
	"fmt"
)

// unasked says that arbiters have looked at a member and could not ask it: not for the state that it is in, but for how they log in to it or for
// what is missing on their own machines. Waiting helps nobody then, and a person's word on the member would be given blindly.
type unasked struct {
	member MemberName
	nodes  int // that could not ask
	voters int
	why    Evidence // of the first of them
}

// unaskedOf is what keeps voters whose views count from asking a member. It is false if none of them is kept from it.
func (g *Group) unaskedOf(s *State, member MemberName) (unasked, bool) {
	u := unasked{member: member, voters: len(s.Voters)}
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, member)
		if !ok {
			continue
		}
		if status, why := g.Spec.StatusOf(look.Observation); status == StatusUnknown && why.keptFromAsking() {
			if u.nodes++; u.nodes == 1 {
				u.why = why
			}
		}
	}
	return u, u.nodes > 0
}

// keptFromAsking says that a look has told nothing for a reason that doesn't pass by itself. What a check found that the spec doesn't have any more
// is none: the next one is begun already.
func (e Evidence) keptFromAsking() bool {
	return ClassOf(e.Reason) == EvidenceCannotTell && e.Reason != ReasonNotYetSeen
}

// CantBeAsked says that nothing is known of a member because arbiters can't ask it, and why; it is empty if that isn't so.
func CantBeAsked(s *State, g *Group, member MemberName) string {
	u, ok := g.unaskedOf(s, member)
	if !ok || Tally(s, g, member).Status != StatusUnknown {
		return ""
	}
	return u.String()
}

// anyUnasked is the first of the members that nothing is known of because arbiters can't ask it.
func (g *Group) anyUnasked(s *State) (unasked, bool) {
	for i := range g.Members {
		if name := g.Members[i].Name; Tally(s, g, name).Status == StatusUnknown {
			if u, ok := g.unaskedOf(s, name); ok {
				return u, true
			}
		}
	}
	return unasked{}, false
}

// String says who can't ask whom, and why.
func (u unasked) String() string {
	return fmt.Sprintf("%d of %d arbiters can't ask %s (%s: %s)", u.nodes, u.voters, u.member, u.why.Reason, cmp.Or(u.why.Detail, "no detail"))
}

// advice is what to do about it before anything else.
func (u unasked) advice(group GroupName) string {
	return fmt.Sprintf("%s: mend that first; `arbiterctl check %s` says on which arbiter, and how", u, group)
}

// lines are the same with the command on a line of its own.
func (u unasked) lines(group GroupName) []string {
	return []string{fmt.Sprintf("%s. Mend that first; on which arbiter, and how, says:", u), fmt.Sprintf("arbiterctl check %s", group)}
}
