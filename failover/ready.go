package failover

import (
	"fmt"
	"slices"
	"strings"
)

// Asked is what was asked, beside the log, when an operator asks for a failover. One of a primary that serves has the time to ask first for all that would
// leave it held half way: with the old primary fenced, or told to stop, and nobody to take its place. Nothing of it is committed, and no safety rule
// rests on it: whoever leads when something is done asks again, and holds the operation for what is missing then.
type Asked struct {
	Routers Routers
	Fence   FenceAnswer
	Members []MemberAnswer // of those that may be promoted
}

// FenceAnswer is what came of asking the devices of a primary that serves for their status.
type FenceAnswer struct {
	Member  MemberName // empty: they were not asked
	Unarmed string     // why they would prove nothing, or why that isn't known; empty: they would
	// NotAsked says that the arbiter didn't ask them, for the reason that is given: they may well be armed.
	NotAsked bool
	Ignored  bool // the operator says to try the fence all the same
}

// MemberAnswer is what was found at a member that may be promoted.
type MemberAnswer struct {
	Member  MemberName
	Unfit   Shortcoming // for which a failover to it would stop half way
	Wrong   Shortcoming // what else would not be as promised once it is the primary
	Ignored bool        // the operator says to promote it in spite of the latter
}

// Shortcoming is what is wrong, empty if nothing is, and what to do about it.
type Shortcoming struct{ What, Next string }

// And is both what is wrong already and something else. What is to be done comes first of the former.
func (s Shortcoming) And(what, next string) Shortcoming {
	return Shortcoming{What: joined(s.What, what), Next: joined(s.Next, next)}
}

// Planned says that a failover of a group would be of a primary that serves, as far as anybody can tell. It has the time to wait until all that it needs is
// there. One that is only read-only serves so far: its clients read, and some may write (too few connections or a full disk look like that, and pass), so
// that a fence without a successor takes something from them. So may one of which no quorum can tell: arbiters that are in trouble themselves, or have only
// just come to be led, say nothing of the primary. One that is down, or in recovery, is no primary any more, and nothing that it serves is lost: its failover
// waits for nothing.
func Planned(s *State, g *Group) bool {
	writer := g.Writer()
	return writer != "" && !seenGone(s, g, writer)
}

// seenGone says whether a quorum sees of a primary that it serves nobody who writes: it is down, or in recovery.
func seenGone(s *State, g *Group, member MemberName) bool {
	v := Tally(s, g, member)
	down := len(v.For)
	if len(v.Witnesses) > 0 {
		down = 0
	}
	return down+len(v.InRecovery) >= s.Majority()
}

// MayBePromoted are those of whom a failover chooses, by positions that are read after the fence: what promoting one of them would lose is settled then, and
// so is whether one answers that too few arbiters have looked at now.
func MayBePromoted(s *State, g *Group) []MemberName {
	var all []MemberName
	for _, c := range Candidates(g, PositionsToJudge(s, g)) {
		m, _ := g.Spec.Member(c.Member)
		if c.Eligible || c.Reason == HoldLossBound || barred(g, m) == "" && unseen(s, g, c.Member) {
			all = append(all, c.Member)
		}
	}
	slices.Sort(all)
	return all
}

// unseen says whether so few arbiters have looked at a member that it may well answer, whatever those few say: the others' views don't count now, or they
// were in trouble themselves.
func unseen(s *State, g *Group, member MemberName) bool {
	looked := 0
	for _, node := range s.Voters {
		look, ok := g.currentLook(s, node, member)
		if !ok {
			continue
		}
		if _, why := g.StatusOf(look.Observation); why.Reason != ReasonArbiterTrouble {
			looked++
		}
	}
	return looked < s.Majority()
}

// askedGuard is a condition that rests on what was asked, with what to do where it isn't met.
type askedGuard struct {
	Guard
	next string
}

// Unready says for which of the things that were asked a failover would be refused, and what to do about it; empty if for none.
func Unready(s *State, g *Group, asked Asked) (why, next string) {
	for _, guard := range askedGuards(s, g, asked) {
		if !guard.OK {
			return guard.Detail, guard.next
		}
	}
	return "", ""
}

// askedGuards are the conditions of a failover of a primary that serves; those that nobody may set aside come first. One of a primary that doesn't serve
// waits for nothing.
func askedGuards(s *State, g *Group, asked Asked) []askedGuard {
	return []askedGuard{membersGuard(s, g, asked.Members), armedGuard(s, g, asked.Fence), routersGuard(s, g, asked.Routers)}
}

// membersGuard asks that nothing is wrong with whoever may be promoted. Which of them it will be is settled after the fence only, when all hold the
// same: so it asks that of all of them, unless one is named.
func membersGuard(s *State, g *Group, answers []MemberAnswer) askedGuard {
	guard := askedGuard{Guard: Guard{Name: guardPreconditions, OK: true, Detail: "they were not asked"}}
	if !Planned(s, g) {
		guard.Detail = "none is asked for, since no primary is seen to serve"
		return guard
	}
	may := MayBePromoted(s, g)
	answers = slices.DeleteFunc(slices.Clone(answers), func(a MemberAnswer) bool { return !slices.Contains(may, a.Member) })
	unfit, first := shortcomings(answers, func(a MemberAnswer) Shortcoming { return a.Unfit })
	wrong, other := shortcomings(answers, func(a MemberAnswer) Shortcoming { return a.Wrong })
	named := nameOther(answers)
	switch {
	case unfit != "":
		guard.OK, guard.Detail, guard.next = false, "it would stop half way: "+unfit, joined(first.Next, named)
	case wrong == "" && len(answers) > 0:
		guard.Detail = memberNames(answers) + " could be promoted"
	case wrong != "" && slices.ContainsFunc(answers, func(a MemberAnswer) bool { return a.Ignored }):
		guard.Detail = wrong + ", and the operator says to go on all the same"
	case wrong != "":
		guard.OK, guard.Detail = false, wrong
		guard.next = joined(other.Next, named, "or, if it is to be promoted as it is: --ignore-findings")
	}
	return guard
}

// shortcomings names what is wrong with whom, the same once, and the first of it.
func shortcomings(answers []MemberAnswer, of func(MemberAnswer) Shortcoming) (text string, first Shortcoming) {
	var parts, seen []string
	for _, a := range answers {
		what := of(a).What
		if what == "" || slices.Contains(seen, what) {
			continue
		}
		if seen = append(seen, what); len(seen) == 1 {
			first = of(a)
		}
		same := slices.DeleteFunc(slices.Clone(answers), func(other MemberAnswer) bool { return of(other).What != what })
		parts = append(parts, memberNames(same)+": "+what)
	}
	return strings.Join(parts, "; "), first
}

func memberNames(answers []MemberAnswer) string {
	names := make([]string, len(answers))
	for i, a := range answers {
		names[i] = string(a.Member)
	}
	return strings.Join(names, ", ")
}

// nameOther advises to name one that lacks nothing, if there is one: then only that one is asked for.
func nameOther(answers []MemberAnswer) string {
	sound := slices.IndexFunc(answers, func(a MemberAnswer) bool { return a.Unfit.What == "" && a.Wrong.What == "" })
	if sound < 0 || len(answers) < 2 {
		return ""
	}
	return fmt.Sprintf("or name one that lacks nothing: --to %s", answers[sound].Member)
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

// armedGuard asks that the fence of a primary that serves answers now: without its proof nobody is promoted, and nobody writes.
func armedGuard(s *State, g *Group, fence FenceAnswer) askedGuard {
	unarmed := unarmedNow(s, g, fence)
	guard := askedGuard{Guard: Guard{Name: guardFence, Hold: HoldFenceUnproven, OK: true, Detail: "the fence of " + string(g.Writer()) + " answers"}}
	switch {
	case unarmed == "":
	case !Planned(s, g):
		guard.Detail = unarmed + ", and is tried all the same, since no primary is seen to serve"
	case fence.Ignored:
		guard.Detail = unarmed + ", and the operator says to try it all the same"
	default:
		guard.OK, guard.Detail, guard.next = false, unarmed, armFirst(s, g, fence)
	}
	return guard
}

// unarmedNow says why the fence of the writer would prove nothing, by what its devices said when they were asked; empty if it would. What was seen to be
// wrong about the writer is not believed, whatever it says now.
func unarmedNow(s *State, g *Group, fence FenceAnswer) string {
	writer := g.Writer()
	if fence.Member == "" || fence.Member != writer {
		return unarmedFence(s, g, writer)
	}
	why, wrong := fenceContradicted(s, g, writer)
	if !wrong {
		why = fence.Unarmed
	}
	switch {
	case why == "":
		return ""
	case fence.NotAsked && !wrong:
		return fmt.Sprintf("the fence of %s was not asked: %s", writer, why)
	}
	return fmt.Sprintf("the fence of %s is NOT ARMED (%s)", writer, why)
}

// armFirst is what to do about a fence that doesn't answer, before a primary that serves is failed over.
func armFirst(s *State, g *Group, fence FenceAnswer) string {
	writer := g.Writer()
	anyway := fmt.Sprintf("or, if %s must go: --ignore-unarmed, and nobody writes until its fence gives a proof, or you vouch for it (arbiterctl attest)", writer)
	if _, wrong := fenceContradicted(s, g, writer); wrong {
		return joined(rightTheFence(g, writer), anyway)
	}
	if fence.NotAsked {
		return joined("ask again", anyway)
	}
	for _, node := range s.Voters {
		if node != s.Reign.Leader && g.armedPath(s, node, writer) && fence.Member == writer {
			return joined(fmt.Sprintf("make it answer %s, which leads (arbiterctl check %s says how)", s.Reign.Leader, g.Name),
				fmt.Sprintf("or let %s lead, which it has answered: arbiterctl transfer-leadership %s", node, node), anyway)
		}
	}
	return joined(fmt.Sprintf("make it answer first (arbiterctl check %s says how)", g.Name), anyway)
}

// Routers are what is known of a group's routers when an operator asks for a failover.
type Routers struct {
	Asked   []RouterAnswer
	Ignored bool // the operator says that the failover need not wait for them
}

// RouterAnswer is what came of asking a router where its route leads.
type RouterAnswer struct {
	Route    string
	Silent   string // why that isn't known; empty: it answered
	NotAsked bool   // since the arbiter didn't ask it
	Astray   string // where it leads instead of to the primary alone; empty: it leads there, or that isn't known
}

// routersGuard asks that every router answers: the clients would be kept away from the old primary, which is fenced, and not get to the new one.
func routersGuard(s *State, g *Group, routers Routers) askedGuard {
	guard := askedGuard{Guard: Guard{Name: guardRouters, OK: true, Detail: "every router answers"}}
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
		guard.next = fmt.Sprintf("make it answer first (arbiterctl check %s says how)", g.Name)
		if !slices.ContainsFunc(routers.Asked, func(a RouterAnswer) bool { return a.Silent != "" && !a.NotAsked }) {
			guard.next = "ask again"
		}
		guard.next += "; or, if its clients need not get to the new primary at once: --ignore-routers"
	}
	return guard
}

// silent names the routers that gave no answer, and why; empty if all did.
func (r Routers) silent() string {
	var names []string
	for _, a := range r.Asked {
		if a.NotAsked {
			names = append(names, fmt.Sprintf("route %s was not asked: %s", a.Route, a.Silent))
		} else if a.Silent != "" {
			names = append(names, fmt.Sprintf("route %s does not answer: %s", a.Route, a.Silent))
		}
	}
	return strings.Join(names, "; ")
}
