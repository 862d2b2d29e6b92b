package screen

import (
	"strings"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Explain draws why something was or wasn't done.
func Explain(s Style, r *arbiterv1.ExplainResponse) string {
	var p page
	answer := orDash(r.Summary)
	if r.Rule != "" && !strings.Contains(answer, r.Rule) {
		answer += " (rule " + r.Rule + ")"
	}
	p.line("%s", s.strong(answer))
	if f := r.Freshness; f != nil && !f.Linearizable {
		p.line("%s", s.bad("This is what "+orDash(f.Node)+" knew last and may be old."))
	}
	rows := make([][]string, 0, len(r.Views)+len(r.Witnesses))
	for _, v := range r.Views {
		rows = append(rows, []string{v.Node, verdictCell(s, v.Status), viewText(s, v)})
	}
	if len(rows) > 0 {
		p.lines(columns(nil, rows), "  ")
	}
	for _, w := range r.Witnesses {
		p.line("  %s", w)
	}
	if len(r.Guards) > 0 {
		p.line("Conditions:")
		p.lines(guardLines(s, r.Guards), "  ")
	}
	if r.WouldDo != "" {
		p.line("%s", r.WouldDo)
	}
	p.labelled("", "Next:", r.Next)
	return p.String()
}

// viewText says what one arbiter saw, and why its view doesn't count.
func viewText(s Style, v *arbiterv1.View) string {
	words := v.Detail
	if words == "" {
		words = v.Reason
	}
	if words == "" && v.Since != nil {
		words = "since " + s.clock(v.Since)
	}
	if !v.Counts {
		why := v.WhyNot
		if why == "" {
			why = "its view doesn't count"
		}
		if words != "" {
			words += "; "
		}
		words += why
	}
	return words
}

// guardLines list conditions, each with a mark that can be read without colour.
func guardLines(s Style, guards []*arbiterv1.Guard) []string {
	rows := make([][]string, len(guards))
	for i, g := range guards {
		mark := s.good("yes")
		if !g.Ok {
			mark = s.bad("NO")
		}
		rows[i] = []string{mark, g.Name, g.Detail}
	}
	return columns(nil, rows)
}

// Plan draws what a failover would do, with its conditions where one of them isn't met.
func Plan(s Style, r *arbiterv1.FailoverResponse, dryRun bool) string {
	var p page
	p.line("%s", orDash(strings.TrimSpace(r.Plan)))
	for _, g := range r.Guards {
		if !g.Ok {
			p.line("Conditions:")
			p.lines(guardLines(s, r.Guards), "  ")
			break
		}
	}
	if dryRun && !strings.Contains(r.Plan, "Nothing was done") {
		p.line("Nothing was done.")
	}
	return p.String()
}
