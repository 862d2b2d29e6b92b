package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Checked is the answer to a check of a group, or of a spec that need not be applied.
type Checked interface {
	GetFreshness() *arbiterv1.Freshness
	GetGroup() string
	GetArbiters() []*arbiterv1.ArbiterCheck
}

// findingRow is one finding, with all arbiters that have it.
type findingRow struct {
	nodes []string
	*arbiterv1.Finding
}

// Check draws what the arbiters have found. Its first line says whether a failover would work, or that the service is away already.
func Check(s Style, r Checked) string {
	p := s.page()
	rows := findingRows(r)
	answer := checkAnswer(s, r, rows)
	f := r.GetFreshness()
	stale := f != nil && !f.Linearizable
	if stale && f.Leader == "" {
		p.line("%s", s.bad(fmt.Sprintf("A failover of %s would not work: no arbiter leads.", r.GetGroup())))
		answer = "Apart from that: " + answer
	}
	for _, row := range rows {
		if isOutage(row) {
			p.line("%s", s.bad("OUTAGE of "+r.GetGroup()+": "+row.What+"."))
		}
	}
	p.line("%s", answer)
	if stale {
		p.line("%s", s.warn("The spec is what "+orDash(f.Node)+" knew last, and may be old."))
	}
	if len(rows) > 0 {
		cells := make([][]string, len(rows))
		for i, row := range rows {
			severity := "advice"
			switch {
			case isOutage(row):
				severity = s.bad("OUTAGE")
			case blocks(row):
				severity = s.bad("BLOCKS")
			}
			cells[i] = []string{nodesCell(r, row), orDash(row.Member), row.About, severity, row.What}
		}
		p.table([]string{"ARBITER", "MEMBER", "ABOUT", "", "FINDING"}, cells, func(i int) {
			row := rows[i]
			if row.Next != "" && (i+1 == len(rows) || rows[i+1].Next != row.Next) { // once for all that it would mend
				p.labelled("  ", "next:", []string{row.Next})
			}
		})
	}
	for _, c := range r.GetArbiters() {
		if c.Silent != "" {
			p.line("%s", s.bad(c.Node+" did not answer: "+c.Silent+"."))
		}
	}
	if group, ok := r.(*arbiterv1.CheckGroupResponse); ok && group.Possible {
		p.line("%s", conditional(group))
	}
	return p.String()
}

// CheckFails says whether somebody is needed: the service is away, something blocks a failover, or an arbiter did not say.
func CheckFails(r Checked) bool {
	rows := findingRows(r)
	return len(silentNodes(r)) > 0 || slices.ContainsFunc(rows, blocks) || slices.ContainsFunc(rows, isOutage)
}

func isOutage(f findingRow) bool { return f.Severity == arbiterv1.Severity_SEVERITY_OUTAGE }

// isDegraded says whether a finding is that the primary is alive, and failing.
func isDegraded(f findingRow) bool { return f.About == "primary" }

func blocks(f findingRow) bool { return f.Severity == arbiterv1.Severity_SEVERITY_BLOCKS }

// findingRows puts equal findings of several arbiters together, those that block first.
func findingRows(r Checked) []findingRow {
	var rows []findingRow
	if group, ok := r.(*arbiterv1.CheckGroupResponse); ok {
		for _, f := range group.Findings {
			rows = append(rows, findingRow{Finding: f})
		}
	}
	for _, c := range r.GetArbiters() {
		for _, f := range c.Findings {
			i := slices.IndexFunc(rows, func(row findingRow) bool {
				return row.nodes != nil && row.Severity == f.Severity && row.About == f.About && row.Member == f.Member && row.What == f.What
			})
			if i < 0 {
				rows = append(rows, findingRow{Finding: f})
				i = len(rows) - 1
			}
			rows[i].nodes = append(rows[i].nodes, c.Node)
		}
	}
	slices.SortStableFunc(rows, func(a, b findingRow) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), strings.Compare(a.Member, b.Member), strings.Compare(a.About, b.About))
	})
	return rows
}

// nodesCell names the arbiters that have a finding. What is known from the committed state is everybody's.
func nodesCell(r Checked, row findingRow) string {
	if row.nodes == nil || len(row.nodes) == len(r.GetArbiters()) {
		return "all"
	}
	return strings.Join(row.nodes, ", ")
}

func silentNodes(r Checked) []string {
	var nodes []string
	for _, c := range r.GetArbiters() {
		if c.Silent != "" {
			nodes = append(nodes, c.Node)
		}
	}
	return nodes
}

func checkAnswer(s Style, r Checked, rows []findingRow) string {
	silent := silentNodes(r)
	missing := ""
	if len(silent) > 0 {
		missing = fmt.Sprintf(" %s did not answer.", strings.Join(silent, ", "))
	}
	blocking := 0
	var from []string
	for _, row := range rows {
		if blocks(row) {
			blocking++
			from = append(from, nodesCell(r, row))
		}
	}
	if blocking > 0 {
		slices.Sort(from)
		where := " from " + strings.Join(slices.Compact(from), ", ")
		if slices.Contains(from, "all") {
			where = ""
		}
		return s.bad(fmt.Sprintf("A failover of %s would not work%s: %s.%s", r.GetGroup(), where, plural(blocking, "finding blocks it", "findings block it"), missing))
	}
	looked := lookedAt(r)
	if missing != "" {
		return s.warn(fmt.Sprintf("Nothing blocks a failover of %s for the %s that answered (%s).%s",
			r.GetGroup(), plural(len(r.GetArbiters())-len(silent), "arbiter", "arbiters"), looked, missing))
	}
	works := fmt.Sprintf(" failover of %s would work from each of %s (%s).", r.GetGroup(), plural(len(r.GetArbiters()), "arbiter", "arbiters"), looked)
	switch {
	case slices.ContainsFunc(rows, isOutage):
		return "A" + works
	case slices.ContainsFunc(rows, isDegraded):
		return s.warn("The primary of " + r.GetGroup() + " is degraded; a" + works)
	case len(rows) > 0:
		return s.good("all well, with advice: a" + works)
	}
	return s.good("all well: a" + works)
}

// reached says through how many routes the primary was reached, by the arbiter that reached it through the fewest.
func reached(r Checked) string {
	var least *arbiterv1.ArbiterCheck
	for _, c := range r.GetArbiters() {
		if c.Silent == "" && (least == nil || c.Reached < least.Reached) {
			least = c
		}
	}
	through := "it"
	switch {
	case least.GetReached() == 0:
		return ""
	case least.Reached < least.Routes:
		through = fmt.Sprintf("%d of them", least.Reached)
	case least.Routes > 1:
		through = "each of them"
	}
	return fmt.Sprintf("; through %s clients reach the primary under epoch %d", through, least.Epoch)
}

// lookedAt says what an arbiter looked at, so that "nothing found" can't be mistaken for "nothing looked at".
func lookedAt(r Checked) string {
	for _, c := range r.GetArbiters() {
		if c.Silent == "" {
			return fmt.Sprintf("%s, %s, %s%s", plural(int(c.Members), "member", "members"), plural(int(c.Devices), "fence device", "fence devices"),
				plural(int(c.Routes), "route", "routes"), reached(r))
		}
	}
	return "nothing was looked at"
}
