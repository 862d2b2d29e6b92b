package failover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// prospect is what a failover would do now. The zero value is that there is nobody but the writer.
type prospect struct {
	held     string        // why it would be held instead; empty: it could be done
	refused  string        // why the request for it would be refused,
	next     string        // and what to do about that
	unrouted string        // which router would keep clients from getting to the new primary
	steps    []string      // what would be done, in order, and what that would lose
	fences   MemberName    // who is proven unable to write first; empty: nobody wrote
	unarmed  string        // that its fence isn't known to answer, and why; empty: it answers
	unproven bool          // and that the failover would be held for that
	measured bool          // a failover of this group was done before,
	last     time.Duration // in which writes stopped for so long
	longest  time.Duration // writes stop for at most so long by the group's spec; 0: not known
	waits    string        // why none would begin by itself now; empty: it would
}

// possible says that a failover would be carried out, at least begun.
func (p prospect) possible() bool { return len(p.steps) > 0 && !p.unproven }

func prospectOf(s *State, g *Group) prospect {
	best, ok := Outlook(s, g)
	switch {
	case !ok:
		return prospect{}
	case !best.Eligible:
		_, detail := noCandidate(Candidates(g, PositionsToJudge(s, g)))
		return prospect{held: detail}
	}
	if fence := fenceGuardOf(s, g, formerWriter(g)); !fence.OK {
		return prospect{held: fence.Detail}
	}
	p := prospect{fences: formerWriter(g)}
	if p.fences != "" {
		p.steps = append(p.steps, fenceText(g, p.fences))
	}
	p.steps = append(p.steps, fmt.Sprintf("promote %s at %s", best.Member, best.Position))
	if routes := routeNames(g); routes != "" {
		p.steps = append(p.steps, "route by "+routes)
	}
	if best.losesNothing() {
		p.steps = append(p.steps, "nothing would be lost")
	} else {
		p.steps = append(p.steps, fmt.Sprintf("and may lose %s", best.Loss))
	}
	p.unarmed = unarmedFence(s, g, p.fences)
	p.last, p.measured = lastOutage(g)
	return p
}

// String is the prospect in words; empty if nobody could be promoted.
func (p prospect) String() string {
	switch {
	case p.refused != "":
		return "A failover would be refused: " + p.refused
	case p.held != "":
		return "A failover would be held: " + p.held
	}
	text := strings.Join(p.steps, ", ")
	if p.unproven {
		return fmt.Sprintf("A failover would be held: %s, and without its proof nobody is promoted, and nobody writes. If it gives one all the same: %s", p.unarmed, text)
	}
	switch {
	case p.measured:
		text += fmt.Sprintf("; the last time writes stopped for %s", p.last.Truncate(time.Millisecond))
	case p.longest > 0:
		text += fmt.Sprintf("; writes would stop for at most %s if the arbiters keep their leader and no step needs a second try "+
			"(no failover of this group was measured yet)", p.longest)
	}
	if p.unarmed != "" {
		text += fmt.Sprintf(". %s%s: without its proof nobody is promoted, and nobody writes", strings.ToUpper(p.unarmed[:1]), p.unarmed[1:])
	}
	if p.unrouted != "" {
		text += ". Clients would not be sent to the new primary at first: " + p.unrouted
	}
	if p.waits != "" {
		text += ". " + p.waits
	}
	return text
}

// waitsFor says why no failover would be begun by itself, or be held at first, though one could be done.
func (g *Group) waitsFor(d Durations) string {
	switch {
	case g.Pause != nil:
		return "None begins by itself: the group is paused"
	case g.Spec.Policy.Automation != AutomationFull:
		return "None begins by itself: policy.automation is " + string(g.Spec.Policy.Automation)
	case d.SinceLastFailover >= 0 && d.SinceLastFailover < g.Spec.Policy.Cooldown:
		return fmt.Sprintf("By itself it would be held for the cool-down, which ends in %s", g.cooldownLeft(d))
	}
	return ""
}

// cooldownLeft is how long the cool-down still lasts, in whole seconds.
func (g *Group) cooldownLeft(d Durations) time.Duration {
	left := g.Spec.Policy.Cooldown - d.SinceLastFailover
	return (left + time.Second - 1).Truncate(time.Second)
}

// leftToDo is what a failover in progress will still do, unless it waits for an operator to say which way it goes on.
func leftToDo(s *State, g *Group) string {
	op := g.Operation
	best, ok := Outlook(s, g)
	if !ok || !best.Eligible || op.Kind != KindFailover || op.Aborted || op.Reinstating {
		return ""
	}
	var parts []string
	rogue := ""
	if member := g.toIsolate(); member != "" && !g.leavesRogues() {
		parts = append(parts, fenceText(g, member))
	} else if member != "" {
		rogue = fmt.Sprintf("; %s is not fenced by it, since %s", member, g.roguesByHand())
	}
	loss := ""
	if op.Candidate == "" || g.Member(op.Candidate).Promoting {
		parts = append(parts, fmt.Sprintf("promote %s at %s", best.Member, best.Position))
		if loss = "; it may lose " + best.Loss.String(); best.losesNothing() {
			loss = "; nothing is lost by it"
		}
	}
	if routes := routeNames(g); routes != "" && !op.Routed {
		parts = append(parts, "route by "+routes)
	}
	switch {
	case len(parts) == 0:
		return ""
	case g.nothingDone():
		return "if it goes on: " + strings.Join(parts, ", ") + loss
	}
	return "left to do: " + strings.Join(parts, ", ") + loss + rogue
}

func (c Candidate) losesNothing() bool { return c.Loss.Bytes == 0 && c.Loss.Grade == LossObserved }

// lastOutage is how long writes stopped in the newest failover that was done.
func lastOutage(g *Group) (time.Duration, bool) {
	for _, r := range slices.Backward(g.History.Receipts) {
		if r.Operation.Kind != KindFailover || r.Result != OperationDone {
			continue
		}
		if outage, proven := WriteOutage(&r.Operation); proven {
			return outage, true
		}
	}
	return 0, false
}

// routeNames lists all routes: each is changed.
func routeNames(g *Group) string {
	names := make([]string, len(g.Spec.Routes))
	for i, r := range g.Spec.Routes {
		names[i] = r.Name
	}
	return strings.Join(names, " and ")
}

// fenceText names all devices: those of a level act together, and any level may give the proof.
func fenceText(g *Group, member MemberName) string {
	if g.misfenced(member) {
		return fmt.Sprintf("take a person's word that %s is off", member)
	}
	text := fmt.Sprintf("fence %s", member)
	m, _ := g.Spec.Member(member)
	for i, level := range m.Fence {
		word := " by "
		if i > 0 {
			word = " or by "
		}
		text += word + deviceNames(level)
	}
	return text
}

// deviceNames lists the devices of a level, those of one kind together: a machine with two power supplies has two of them.
func deviceNames(level FenceLevel) string {
	var names []string
	count := map[string]int{}
	for _, d := range level.Devices {
		if count[d.Method]++; count[d.Method] == 1 {
			names = append(names, d.Method)
		}
	}
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%d x %s", n, name)
		}
	}
	return strings.Join(names, " and ")
}
