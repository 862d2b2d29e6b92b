package failover

import (
	"fmt"
	"slices"
)

// Names of guards that the planner treats in a way of their own.
const (
	guardLookedAgain = "looked again"
	guardAdopted     = "adopted"
	guardVerdict     = "verdict"
	guardPaused      = "not paused"
	guardAutomation  = "automation"
	guardCandidate   = "candidate"
	guardFence       = "fence"
	guardCooldown    = "cool-down"
	guardMinimum     = "minimum unhealthy time"
	guardRestart     = "restart grace"
	guardCold        = "cold start grace"
	guardBrake       = "fleet brake"
	guardRouters     = "routers"

	guardPreconditions = "preconditions"
)

// beginGuards are all conditions for an operation to begin to act. Looking again comes after what can be known without it, and before
// what needs fresh positions.
func beginGuards(s *State, g *Group, d Durations) []Guard {
	guards := clockFreeGuards(s, g)
	if g.Operation.Automatic && g.Operation.Kind == KindFailover {
		at := slices.IndexFunc(guards, func(guard Guard) bool { return guard.Name == guardLookedAgain })
		guards = slices.Insert(guards, at, timeGuards(s, g, d)...)
	}
	return guards
}

// failoverGuards are the conditions for an automatic failover of a group that has no operation in progress.
func failoverGuards(s *State, g *Group, d Durations) []Guard {
	v := Tally(s, g, g.Writer())
	guards := append(automationGuards(g), Guard{Name: guardVerdict, OK: v.Status == StatusDown, Detail: v.Why()})
	guards = append(guards, candidateGuard(s, g), brakeGuard(s, g), fenceGuardOf(s, g, g.Writer()))
	return append(guards, timeGuards(s, g, d)...)
}

// clockFreeGuards are those conditions that Apply can check itself; S14 asks for them at the index of the first isolate.
func clockFreeGuards(s *State, g *Group) []Guard {
	op := g.Operation
	if !op.Automatic {
		if op.Kind == KindFailover {
			return []Guard{fenceGuard(s, g), lookedAgain(s, g), candidateGuard(s, g)}
		}
		return nil
	}
	guards := automationGuards(g)
	if op.Kind == KindRefence {
		return append(guards, refenceGuard(g))
	}
	v := Tally(s, g, op.From)
	guards = append(guards, Guard{Name: guardVerdict, OK: v.Status == StatusDown, Detail: v.Why()})
	again := TallySince(s, g, op.From, op.ConfirmedAt)
	return append(guards, brakeGuard(s, g), fenceGuard(s, g),
		Guard{Name: guardLookedAgain, OK: again.Status == StatusDown, Detail: "counting only looks after the confirmation: " + again.Why()},
		candidateGuard(s, g))
}

// lookedAgain asks, for a failover that an operator wants, that a majority has sent whole looks since: positions move all the time and
// are not committed otherwise, so that without this the loss would be judged by old ones.
func lookedAgain(s *State, g *Group) Guard {
	n := 0
	for _, node := range s.Voters {
		if g.answeredSince(s, node, g.Operation.ConfirmedAt) {
			n++
		}
	}
	return Guard{Name: guardLookedAgain, OK: n >= s.Majority(), Detail: fmt.Sprintf("%d of %d arbiters have looked again since, %d needed",
		n, len(s.Voters), s.Majority())}
}

func automationGuards(g *Group) []Guard {
	adopted := Guard{Name: guardAdopted, OK: g.Adopted, Detail: "the group's writer is known and recorded"}
	if !g.Adopted {
		adopted.Detail = "nothing automatic happens: " + g.whyUnadopted()
	}
	paused := Guard{Name: guardPaused, OK: g.Pause == nil, Detail: "automation is on"}
	if g.Pause != nil {
		since := g.Pause.Since.Time().UTC().Format("2006-01-02 15:04:05 UTC")
		paused.Detail = fmt.Sprintf("the group is paused (by %s)", Request{Actor: g.Pause.Actor + " since " + since, Reason: g.Pause.Reason}.by())
	}
	full := g.Spec.Policy.Automation == AutomationFull
	return []Guard{adopted, paused, {Name: guardAutomation, OK: full, Detail: "policy.automation is " + string(g.Spec.Policy.Automation)}}
}

// candidateGuard asks for somebody to promote: what cannot be replaced is never killed.
func candidateGuard(s *State, g *Group) Guard {
	ranked := Candidates(g, SeenPositions(s, g))
	if len(ranked) > 0 && ranked[0].Eligible {
		return Guard{Name: guardCandidate, OK: true, Detail: fmt.Sprintf("%s, by the arbiters' views at %s (%s: %s)", ranked[0].Member, ranked[0].Position,
			ranked[0].Loss.Grade, ranked[0].Loss.Why)}
	}
	reason, detail := noCandidate(ranked)
	return Guard{Name: guardCandidate, Hold: reason, Detail: detail}
}

// fenceGuard asks for a fence whose word can prove something: else nobody could be promoted, and some other machine might be switched off.
func fenceGuard(s *State, g *Group) Guard {
	guard := fenceGuardOf(s, g, g.Operation.From)
	guard.OK = guard.OK || g.Operation.released(HoldFenceUnproven)
	return guard
}

// fenceGuardOf passes a fence that isn't armed, and says so: a dead primary's is tried all the same.
func fenceGuardOf(s *State, g *Group, member MemberName) Guard {
	m := g.Member(member)
	if m == nil || m.FenceContradicted == "" || m.Authority == AuthorityNone {
		guard := Guard{Name: guardFence, OK: true, Detail: "nobody has seen its fence be wrong"}
		if unarmed := unarmedFence(s, g, member); unarmed != "" {
			guard.Detail += ", but " + unarmed
		}
		return guard
	}
	return Guard{Name: guardFence, Hold: HoldFenceUnproven, Detail: fmt.Sprintf("%s is not fenced: %s", member, m.contradiction())}
}

// unarmedFence says that the fence of a member that must still be proven unable to write isn't known to answer, and why; empty if it answers.
func unarmedFence(s *State, g *Group, member MemberName) string {
	m := g.Member(member)
	if m == nil || m.Authority == AuthorityNone {
		return ""
	}
	armed, why := MemberArmed(s, g, member)
	if armed {
		return ""
	}
	return fmt.Sprintf("the fence of %s is NOT ARMED (%s)", member, why)
}

func timeGuards(s *State, g *Group, d Durations) []Guard {
	health, policy := g.Spec.Health, g.Spec.Policy
	released := g.Operation != nil && g.Operation.released(HoldCooldown)
	cool := d.SinceLastFailover < 0 || d.SinceLastFailover >= policy.Cooldown || released
	last := "there was no automatic failover yet"
	if d.SinceLastFailover >= 0 {
		last = fmt.Sprintf("the last automatic failover was %s ago", d.SinceLastFailover.Truncate(1e9))
	}
	left := ""
	if !cool {
		left = fmt.Sprintf(", of which %s are left", g.cooldownLeft(d))
	}
	guards := []Guard{{
		Name: guardMinimum, OK: d.VerdictStood >= health.MinimumUnhealthy,
		Detail: fmt.Sprintf("the verdict has stood for %s of %s", d.VerdictStood.Truncate(1e6), health.MinimumUnhealthy),
	}}
	if health.RestartGrace > 0 {
		guards = append(guards, restartGuard(s, g, d))
	}
	if health.ColdStartGrace > 0 {
		guards = append(guards, coldGuard(s, g, d))
	}
	return append(guards, Guard{
		Name: guardCooldown, OK: cool, Hold: HoldCooldown,
		Detail: fmt.Sprintf("%s, cool-down %s%s", last, policy.Cooldown, left),
	})
}

// goesOnReleased says whether a held operation can go on if it is released, or which guard it would wait for.
func goesOnReleased(g *Group) (failed Guard, _ bool) {
	if !g.Operation.Automatic || pastIsolateIntent(g.EffectiveStage()) {
		return Guard{}, true
	}
	failed, waits := Decision{Guards: automationGuards(g)}.FirstFailed()
	return failed, !waits
}
