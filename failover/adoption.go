package failover

import (
	"fmt"
	"slices"
	"strings"
)

// adoption is the request to adopt a group that the rules would accept by what is seen now (S0). Members that nobody reaches are vouched for,
// whatever was once proven of them: a machine that was off may have been switched on since.
type adoption struct {
	group    GroupName
	seen     Index      // which the request names, if it vouches for members
	member   MemberName // empty if nobody can be the writer
	attest   []MemberName
	promotes bool     // nobody writes, and the member is promoted
	unseen   bool     // the arbiters have looked, and see nobody who accepts writes
	unasked  *unasked // what must be mended before: arbiters can't ask a member
}

// adoptionNow looks for the request, on the condition that one member, if any is named, is made a standby before.
func adoptionNow(s *State, g *Group, mended MemberName) adoption {
	writable := slices.DeleteFunc(g.seenWritable(s), func(m MemberName) bool { return m == mended })
	if len(writable) == 1 {
		attest := g.toVouchFor(s, writable[0], mended)
		now := adoption{group: g.Name, seen: g.sinceOf(attest), member: writable[0], attest: attest}
		now.unasked = g.unaskedBefore(s, now.member, mended)
		return now
	}
	for i := range g.Members {
		m := g.Members[i].Name
		others := g.toVouchFor(s, m, mended)
		spec, _ := g.Spec.Member(m)
		if promote, refusal := checkS0(s, g, m, others); refusal == nil && promote && spec.Priority > 0 { // no other one passes: this one answers
			return adoption{group: g.Name, seen: g.sinceOf(others), member: m, attest: others, promotes: true}
		}
	}
	if u, ok := g.anyUnasked(s); ok && len(writable) == 0 {
		return adoption{group: g.Name, unasked: &u}
	}
	untold := slices.ContainsFunc(g.Members, func(m Member) bool { return Tally(s, g, m.Name).Status == StatusUnknown })
	return adoption{group: g.Name, unseen: len(writable) == 0 && !untold}
}

// toVouchFor are the members beside the writer that can't be seen as its standbys, and that an operator may vouch for.
func (g *Group) toVouchFor(s *State, writer, mended MemberName) []MemberName {
	var names []MemberName
	for _, m := range g.Members {
		if m.Name != writer && m.Name != mended && checkS0Standby(s, g, writer, m.Name, nil) != nil && checkAttestable(s, g, m.Name) == nil {
			names = append(names, m.Name)
		}
	}
	return names
}

// unaskedBefore is what keeps arbiters from asking the writer, or a member that can neither be seen as a standby of it nor be vouched for.
func (g *Group) unaskedBefore(s *State, writer, mended MemberName) *unasked {
	for _, m := range g.Members {
		switch {
		case m.Name == mended, m.Name == writer && g.countFresh(s, writer, acceptsWrites) >= s.Majority(),
			checkS0Standby(s, g, writer, m.Name, nil) == nil, checkAttestable(s, g, m.Name) == nil:
			continue
		}
		if u, ok := g.unaskedOf(s, m.Name); ok {
			return &u
		}
	}
	return nil
}

// lines are the command, after what must be so for it.
func (a adoption) lines() []string {
	switch {
	case a.unasked != nil:
		return a.unasked.lines(a.group)
	case a.unseen:
		return []string{"nobody is seen accepting writes: start the primary; then:", a.command()}
	case a.promotes:
		return []string{"nobody is seen accepting writes: start the primary, and adopt the group then; or " + a.promotion(), a.command()}
	case len(a.attest) > 0:
		return []string{a.condition(), a.command()}
	}
	return []string{a.command()}
}

func (a adoption) condition() string {
	return fmt.Sprintf("no arbiter reaches %s: start it as a standby, and adopt the group then; or make sure that it will not write, and vouch for it, "+
		"also if it was fenced before:", joinMembers(a.attest))
}

func (a adoption) promotion() string {
	return fmt.Sprintf("make sure that %s will not write, and have %s promoted by vouching for that:", joinMembers(a.attest), a.member)
}

func (a adoption) command() string {
	if len(a.attest) == 0 {
		return "arbiterctl adopt " + string(a.group)
	}
	return attestingAdoption(a.group, a.member, a.attest, a.seen)
}

// vouchingFor is the command that adopts the group as it is, and vouches for members.
func (g *Group) vouchingFor(member MemberName, attest []MemberName) string {
	return attestingAdoption(g.Name, member, attest, g.sinceOf(attest))
}

// attestingAdoption is the command that adopts a group, and vouches for members.
func attestingAdoption(group GroupName, member MemberName, attest []MemberName, seen Index) string {
	names := make([]string, len(attest))
	for i, m := range attest {
		names[i] = string(m)
	}
	return fmt.Sprintf("arbiterctl adopt %s --member %s --attest %s --seen %d --reason \"...\"", group, member, strings.Join(names, ","), seen)
}

// adoptCommands are what an operator can do about a group that is not adopted.
func adoptCommands(s *State, g *Group) []string {
	st, now := g.Stranger, adoptionNow(s, g, "")
	if st == nil {
		return now.lines()
	}
	switch id := g.toldID(s, st.Member); {
	case id == st.Recorded:
		return append([]string{fmt.Sprintf("%s answers with %s again. If that is the database to protect:", st.Member, id)}, now.lines()...)
	case st.Member == g.Writer():
		return anotherDatabase(s, g, st.Member)
	case now.promotes: // the stranger has been stopped
		return now.lines()
	}
	return append([]string{fmt.Sprintf("rebuild %s from the primary, or take it out of the spec (arbiterctl apply); then:", st.Member)},
		adoptionNow(s, g, st.Member).lines()...)
}

// anotherDatabase is what an operator can do if the recorded writer is another database than it was.
func anotherDatabase(s *State, g *Group, writer MemberName) []string {
	return append([]string{
		fmt.Sprintf("%s, the recorded writer, is another database. Stop it and bring the old one back; or, if this is the one to protect, rebuild the others from it; then:", writer),
	}, adoptionNow(s, g, "").lines()...)
}

// adoptMended are the lines of one who makes a member that writes without authority a standby again, instead of having it fenced.
func adoptMended(s *State, g *Group, m MemberName) []string {
	lines := adoptionNow(s, g, m).lines()
	if len(lines) == 1 {
		return []string{"or make it a standby again: " + lines[0]}
	}
	return append([]string{"or make it a standby again; beside it, " + lines[0]}, lines[1:]...)
}

// adviceWithoutWriter is for an adoption that finds nobody accepting writes: right after `apply` the arbiters have not told yet what they see.
func adviceWithoutWriter(s *State, g *Group) string {
	now := adoptionNow(s, g, "")
	if now.unasked != nil {
		return now.unasked.advice(g.Name)
	}
	for _, m := range g.Members {
		if Tally(s, g, m.Name).Status == StatusUnknown {
			return fmt.Sprintf("too few arbiters have told what they see of %s: ask again in some seconds, or look at `arbiterctl explain %s`", m.Name, g.Name)
		}
	}
	if now.promotes {
		return "start the primary, and ask again; or " + now.promotion() + " " + now.command()
	}
	return fmt.Sprintf("start the primary, and ask again; see `arbiterctl explain %s` for what each arbiter sees", g.Name)
}
