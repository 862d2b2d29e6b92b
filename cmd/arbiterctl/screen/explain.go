package screen

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// safetyRule matches the names of the safety rules; other rules of the planner have names that only its authors know.
var safetyRule = regexp.MustCompile(`^S[0-9]+$`)

// Explain draws why something was or wasn't done.
func Explain(s Style, r *arbiterv1.ExplainResponse) string {
	p := s.page()
	answer := orDash(spans.InWords(r.Summary))
	if safetyRule.MatchString(r.Rule) && !strings.Contains(answer, r.Rule) {
		answer += " (rule " + r.Rule + ")"
	}
	if stale := staleLine(s, r.Freshness); stale != "" {
		if r.Freshness.Leader == "" { // whatever is shown below: it has kept, and keeps, anything from being done
			p.line("%s", s.bad(noLeader+"."))
		}
		p.line("%s", stale)
		p.labelled("", "next:", restartedAdvice(r.Freshness))
	}
	p.line("%s", s.strong(answer))
	p.lines(seenLines(s, r), "  ")
	routeNotes(p, s, "", r.AstrayRoutes, r.UnreadRoutes)
	for _, c := range r.Checks {
		p.line("%s", checkRule(c, r))
		p.lines(checkLines(s, c, r), "  ")
	}
	if len(r.Guards) > 0 {
		p.line("Conditions:")
		p.lines(guardLines(s, r.Guards, answer), "  ")
	}
	if r.WouldDo != "" {
		p.line("%s", conditional(r))
		p.lines(oldPosition(r), "  ")
	}
	p.labelled("", "Next:", r.Next)
	return p.String()
}

// seenLines are what the arbiters see and what the members say of themselves, under each other.
func seenLines(s Style, r *arbiterv1.ExplainResponse) []string {
	width := 0
	for _, v := range r.Views {
		width = max(width, len(v.Node))
	}
	witnesses := make([][2]string, len(r.Witnesses))
	for i, w := range r.Witnesses {
		name, says, _ := strings.Cut(w, " ")
		witnesses[i] = [2]string{name, strings.TrimSpace(says)}
		width = max(width, len(name))
	}
	var lines []string
	for _, v := range r.Views {
		status := verdictCell(s, v.Status) + strings.Repeat(" ", max(0, len("degraded")-len(v.Status)))
		lines = append(lines, strings.TrimRight(pad(v.Node, width)+"   "+status+"  "+viewText(s, v), " "))
	}
	for _, w := range witnesses {
		lines = append(lines, pad(w[0], width)+"   "+w[1])
	}
	return lines
}

// checkRule is how members are watched by one check; with several, also how many looks, one for each member and arbiter, it finds good.
func checkRule(c *arbiterv1.CheckRule, r *arbiterv1.ExplainResponse) string {
	name, weight, bad, good := c.Name, "required", "down", "up"
	if c.Kind != c.Name {
		name += " (" + c.Kind + ")"
	}
	if !c.Required {
		weight, bad, good = "not required, never down", "degraded", "good"
	}
	within := ""
	if c.Window != nil {
		within = " within " + briefProto(c.Window)
	}
	parts := []string{
		fmt.Sprintf("check %s: %s", name, weight),
		fmt.Sprintf("every %s, time-out %s", briefProto(c.Interval), briefProto(c.Timeout)),
		fmt.Sprintf("%s after %s%s, %s again after %d", bad, plural(int(c.Failures), "failure", "failures in a row"), within, good, c.Successes),
	}
	if len(r.Checks) > 1 {
		parts = append(parts, goodLooks(c, len(r.Members)*len(r.Views)))
	}
	return strings.Join(parts, " · ")
}

func goodLooks(c *arbiterv1.CheckRule, all int) string {
	good := 0
	for _, v := range c.Views {
		if v.Status == "up" {
			good++
		}
	}
	words := fmt.Sprintf("good in %d of %d looks", good, all)
	if missing := all - len(c.Views); missing > 0 {
		words += fmt.Sprintf(", %d missing", missing)
	}
	return words
}

// checkLines are the looks that a check does not find good, or is about not to. What the only check says of the subject stands in the
// arbiters' lines already.
func checkLines(s Style, c *arbiterv1.CheckRule, r *arbiterv1.ExplainResponse) []string {
	var rows [][]string
	for i := 0; i < len(c.Views); {
		v, nodes, since := c.Views[i], []string{}, c.Views[i].Since
		for ; i < len(c.Views) && sayTheSame(v, c.Views[i]); i++ {
			nodes = append(nodes, c.Views[i].Node)
			if c.Views[i].Since.AsTime().After(since.AsTime()) {
				since = c.Views[i].Since
			}
		}
		line := []string{v.Member, strings.Join(nodes, ", "), verdictCell(s, v.Status)}
		if v.Status != "up" && (len(r.Checks) > 1 || v.Member != r.Subject) {
			rows = append(rows, append(slices.Clone(line), checkText(s, v, since)))
		}
		if v.Counted > 0 {
			rows = append(rows, append(line, countedText(c, v)))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return columns(max(0, s.Width-2), rows)
}

// sayTheSame says whether one line tells of two looks.
func sayTheSame(a, b *arbiterv1.CheckView) bool {
	return a.Member == b.Member && a.Status == b.Status && a.Reason == b.Reason && a.Detail == b.Detail && a.Counts == b.Counts && a.Counted == b.Counted
}

// countedText is how far an arbiter has counted. It can be told of the one that answers only, and the line says so: that no other one has
// counted anything must not be read from it.
func countedText(c *arbiterv1.CheckRule, v *arbiterv1.CheckView) string {
	words := fmt.Sprintf("%d of %d failures so far by its own count, the last one %s", v.Counted, c.Failures, v.CountedReason)
	if v.CountedDetail != "" {
		words += ": " + v.CountedDetail
	}
	return words + "; what others have counted is not known here"
}

func checkText(s Style, v *arbiterv1.CheckView, since *timestamppb.Timestamp) string {
	words := v.Reason
	if v.Detail != "" {
		words += ": " + v.Detail
	}
	if since != nil {
		words += ", since " + s.clock(since) + " or before"
	}
	if !v.Counts {
		words += "; not counted"
	}
	return words
}

// conditional makes a sentence of a plan: a bare list of actions is what would be done, anything else says itself what it is.
func conditional(of interface {
	GetWouldDo() string
	GetPossible() bool
},
) string {
	plan := spans.InWords(of.GetWouldDo())
	if of.GetPossible() {
		plan = "if the arbiters saw the primary down: " + plan
	}
	return strings.ToUpper(plan[:1]) + strings.TrimSuffix(plan[1:], ".") + "."
}

// oldPosition says on which position an answer about a failover rests, where that isn't of just now.
func oldPosition(r *arbiterv1.ExplainResponse) []string {
	i := slices.IndexFunc(r.Members, func(m *arbiterv1.MemberStatus) bool { return m.Member == r.Nearest })
	switch {
	case i < 0 || r.Subject == "" || r.Members[i].Authority == "WRITER": // nobody is behind anybody, and the writer not behind itself
		return nil
	case r.Members[i].LagBytes == nil:
		return []string{fmt.Sprintf("How far %s is behind isn't known: it does not say now where it is.", r.Nearest)}
	case isOld(r.Members[i].LagAge):
		return []string{fmt.Sprintf("%s was %s behind as seen %s ago, and nobody has said more since.", r.Nearest, amountBehind(r.Members[i].LagBytes), briefProto(r.Members[i].LagAge))}
	}
	return nil
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
	if v.Age != nil && (v.Status == "up" || v.Status == "degraded") {
		if words == "answered" {
			words = ""
		} else if words != "" {
			words += "; "
		}
		words += "last answer " + briefProto(v.Age) + " ago"
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

// guardLines list conditions, each with a mark that can be read without colour. What the answer of the page has said already is not repeated.
func guardLines(s Style, guards []*arbiterv1.Guard, answer string) []string {
	rows := make([][]string, len(guards))
	for i, g := range guards {
		mark := s.good("yes")
		if !g.Ok {
			mark = s.bad("NO")
		}
		detail := spans.InWords(g.Detail)
		if !g.Ok && detail != "" && strings.Contains(answer, detail) {
			detail = "as said above"
		}
		rows[i] = []string{mark, g.Name, detail}
	}
	return columns(max(0, s.Width-2), rows)
}
