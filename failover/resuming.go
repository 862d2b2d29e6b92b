package failover

import (
	"fmt"
	"slices"
	"strings"
)

// Resumption is what becomes of a paused group once it is resumed.
type Resumption struct {
	Acts bool   // somebody is fenced, or a failover begins, without another word: that can't be undone
	What string // in words
}

// Resuming says what the automation begins with in a group that was just resumed. Like every plan it is a function of the state, here of a copy in which
// the group is resumed, and of what its routers say when they are asked.
func Resuming(s *State, name GroupName, d Durations, routers []RouterAnswer) Resumption {
	g := s.Group(name)
	switch {
	case g == nil:
		return Resumption{What: fmt.Sprintf("There is no group %s.", name)}
	case !g.Adopted:
		return Resumption{What: "Nothing is begun: " + g.whyUnadopted() + "."}
	case g.Operation == nil && g.Spec.Policy.Automation != AutomationFull:
		return Resumption{What: fmt.Sprintf("Nothing is begun by itself: policy.automation is %s.", g.Spec.Policy.Automation)}
	case g.Operation == nil && len(astray(routers)) > 0 && RoutesBelongTo(s, g) != "":
		return Resumption{What: resumingReroute(g, d, astray(routers))}
	case g.Operation == nil:
		return Resumption{What: "Nothing waits for it: what is wrong from now on is acted on."}
	case g.Operation.Aborted:
		return Resumption{What: fmt.Sprintf("The %s stays held: %s.", g.Operation.Kind, g.HeldFor())}
	}
	if rogue := g.rogueOnResume(); rogue != "" {
		return g.resumingBeside(rogue)
	}
	if op := g.Operation; op.Automatic && op.Kind == KindFailover && !pastIsolateIntent(g.EffectiveStage()) {
		return resumingFailover(s, g, d)
	}
	return Resumption{What: fmt.Sprintf("The %s %s goes on as it would in a paused group.", g.Operation.Kind, g.Operation.ID)}
}

// astray is what of the routes leads elsewhere than to the primary.
func astray(routers []RouterAnswer) (found []string) {
	for _, r := range routers {
		if r.Astray != "" {
			found = append(found, fmt.Sprintf("route %s, %s", r.Route, r.Astray))
		}
	}
	return found
}

// resumingReroute tells of routes that were led elsewhere while the group was paused. A reroute isolates nobody, and can be undone: it is not asked about.
func resumingReroute(g *Group, d Durations, found []string) string {
	what := fmt.Sprintf("Routes lead elsewhere than to %s (%s)", g.Writer(), strings.Join(found, "; "))
	if g.Reroutes.rest(d.SinceReroute) > 0 {
		return fmt.Sprintf("%s. They are not led back at once: %s.", what, g.Reroutes.leftAlone())
	}
	return what + ": they are led back at once, under a new epoch."
}

// rogueOnResume is a rogue that an operation waits with, or goes on beside, because of the pause or of the policy; empty if there is none.
func (g *Group) rogueOnResume() MemberName {
	if g.Stage == Held && g.heldRogue() != "" {
		return g.heldRogue()
	}
	stage := g.EffectiveStage()
	if g.Operation.Kind == KindRefence && !pastIsolateIntent(stage) {
		return g.Operation.From
	}
	if pastPromoteIntent(stage) && stage != Promoting {
		return rogueBeside(g, g.Operation.Candidate)
	}
	return ""
}

func (g *Group) resumingBeside(rogue MemberName) Resumption {
	byHand := g.roguesByHand()
	switch {
	case byHand != "":
		return Resumption{What: fmt.Sprintf("%s, and is not fenced by itself: %s.", g.unproven(rogue), byHand)}
	case g.misfenced(rogue):
		return Resumption{What: fmt.Sprintf("%s, and is not fenced: %s.", g.unproven(rogue), g.Member(rogue).contradiction())}
	}
	r := Resumption{Acts: true, What: fmt.Sprintf("%s, and is fenced at once: %s.", g.unproven(rogue), fenceText(g, rogue))}
	if op := g.Operation; op.Kind != KindRefence {
		r.What += fmt.Sprintf(" The %s %s goes on then.", op.Kind, op.ID)
	}
	return r
}

// resumingFailover tells of an automatic failover that has done nothing yet. What passes by itself does not keep it from being begun.
func resumingFailover(s *State, g *Group, d Durations) Resumption {
	from := g.Operation.From
	passes := []string{guardVerdict, guardCandidate, guardLookedAgain, guardMinimum, guardRestart, guardCooldown, guardBrake}
	var waits []string
	for _, guard := range beginGuards(s, g, d) {
		switch {
		case guard.OK:
		case !slices.Contains(passes, guard.Name):
			return Resumption{What: fmt.Sprintf("The failover of %s does not begin: %s.", from, guard.Detail)}
		case guard.Name != guardLookedAgain:
			waits = append(waits, fmt.Sprintf("%s (%s)", guard.Name, guard.Detail))
		}
	}
	left := strings.TrimPrefix(leftToDo(s, g), "if it goes on: ")
	if left == "" { // nobody can be promoted as things are
		left = fenceText(g, from) + ", then promote who can be promoted by then"
	}
	r := Resumption{Acts: true, What: fmt.Sprintf("A failover of %s begins at once: %s.", from, left)}
	if len(waits) > 0 {
		r.What = fmt.Sprintf("A failover of %s begins as soon as nothing of this holds it any more, %s: %s.", from, strings.Join(waits, ", "), left)
	}
	return r
}
