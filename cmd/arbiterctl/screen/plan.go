package screen

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// knownOfPlan is what a plan rests on, and how old that is.
func knownOfPlan(r *arbiterv1.FailoverResponse) []string {
	var lines []string
	if r.Possible && r.Candidate != "" {
		confirms := "asynchronous"
		if r.Sync {
			confirms = "synchronous"
		}
		behind := "how far it is behind isn't known to the arbiter that answers"
		if r.LagBytes != nil && r.LagAge != nil {
			behind = fmt.Sprintf("%s behind as seen %s ago", amountBehind(r.LagBytes), briefProto(r.LagAge))
		}
		lines = append(lines, fmt.Sprintf("%s is %s, %s; %s.", r.Candidate, confirms, behind, lossBound(r.LossGrade, r.GetLossBytes())))
	}
	lines = append(lines, looksOfPlan(r.Looks)...)
	if r.Possible && r.FenceAge != nil && r.Fence == nil {
		lines = append(lines, fmt.Sprintf("The fence of %s last answered %s ago.", r.Fenced, briefProto(r.FenceAge)))
	}
	lines = append(lines, askedOfPlan(r)...)
	return append(lines, routersOfPlan(r)...)
}

// askedOfPlan says what the fence of the primary answered just now, and who could be promoted by what was found there; what is wrong with it stands in the
// plan, or in its conditions.
func askedOfPlan(r *arbiterv1.FailoverResponse) (lines []string) {
	if r.Fence != nil && r.Fence.Armed {
		lines = append(lines, fmt.Sprintf("The fence of %s answered just now.", r.Fence.Member))
	}
	var sound []string
	for _, m := range r.Members {
		switch {
		case m.Unfit == "" && m.Wrong == "":
			sound = append(sound, m.Member)
		case !strings.Contains(r.Plan, m.Unfit+m.Wrong):
			lines = append(lines, fmt.Sprintf("%s: %s.", m.Member, strings.Join(slices.DeleteFunc([]string{m.Unfit, m.Wrong}, func(w string) bool { return w == "" }), "; ")))
		}
	}
	if len(sound) > 0 {
		lines = append(lines, "Nothing is found to be missing at: "+strings.Join(sound, ", ")+".")
	}
	return lines
}

// looksOfPlan says who was looked at for a plan, and what is known of those that told nothing.
func looksOfPlan(looks []*arbiterv1.PlanLook) (lines []string) {
	var fresh []string
	for _, l := range looks {
		switch {
		case l.Fresh:
			fresh = append(fresh, l.Member)
		case l.Age == nil:
			lines = append(lines, fmt.Sprintf("%s did not say where it is (%s), and never has to the arbiter that answers.", l.Member, l.Reason))
		default:
			lines = append(lines, fmt.Sprintf("%s did not say where it is (%s): what is known of it is %s old.", l.Member, l.Reason, briefProto(l.Age)))
		}
	}
	if len(fresh) > 0 {
		lines = append([]string{"Looked at for this plan: " + strings.Join(fresh, ", ") + "."}, lines...)
	}
	return lines
}

// routersOfPlan says which routers answer, and which don't where the plan doesn't say it.
func routersOfPlan(r *arbiterv1.FailoverResponse) (lines []string) {
	var answering []string
	for _, a := range r.Routers {
		if a.Answers {
			answering = append(answering, a.Route)
		} else if !strings.Contains(r.Plan, a.Detail) {
			missing := "does not answer"
			if a.NotAsked {
				missing = "was not asked"
			}
			lines = append(lines, fmt.Sprintf("Route %s %s: %s.", a.Route, missing, strings.TrimSuffix(a.Detail, ".")))
		}
	}
	if len(answering) > 0 {
		lines = append([]string{"Routers that answer: " + strings.Join(answering, ", ") + "."}, lines...)
	}
	return lines
}

// lossBound is what a promotion may lose, with how good that is.
func lossBound(grade string, bytes uint64) string {
	if grade == "unknown" {
		return "loss bound unknown"
	}
	return fmt.Sprintf("loss bound %s (%s)", config.FormatBytes(bytes), grade)
}

// amountBehind is how far somebody is behind; "-" where that isn't known.
func amountBehind(bytes *uint64) string {
	if bytes == nil {
		return "-"
	}
	return config.FormatBytes(*bytes)
}

// isOld says that what was told so long ago isn't what is so now: members are looked at every second or so.
func isOld(age *durationpb.Duration) bool { return age.AsDuration() > oldLag }

// Plan draws what a failover would do, with its conditions where one of them isn't met.
func Plan(s Style, r *arbiterv1.FailoverResponse, dryRun bool) string {
	p := s.page()
	plan := spans.InWords(strings.TrimSpace(r.Plan))
	if r.Possible {
		plan = "Would " + plan
	}
	if plan != "" {
		plan = strings.TrimSuffix(plan, ".") + "."
	}
	p.line("%s", orDash(plan))
	p.lines(knownOfPlan(r), "  ")
	for _, g := range r.Guards {
		if !g.Ok {
			p.line("Conditions:")
			p.lines(guardLines(s, r.Guards, plan), "  ")
			break
		}
	}
	if dryRun && !strings.Contains(r.Plan, "Nothing was done") {
		p.line("Nothing was done.")
	}
	if dryRun { // who is about to confirm it is told by the refusal
		p.labelled("", "next:", r.Next)
	}
	return p.String()
}
