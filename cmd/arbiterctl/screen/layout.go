package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// barCells is the width of the drawn part of a timeline.
const barCells = 14

// drawn are the steps that take time and are drawn to scale; the others are moments.
var drawn = []string{"isolate", "catch_up", "promote", "configure", "route", "scale", "verify"}

// row is one line of a timeline before it is laid out.
type row struct {
	at, name, bar, proof, log string
	details                   []string // wrapped; what is after the first stands on lines of its own
	colour                    func(string) string
}

// scale maps moments to cells: from the first drawn step to the end of the last one.
type scale struct {
	from time.Time
	cell time.Duration
}

func scaleOf(op *arbiterv1.Operation) scale {
	var from, to time.Time
	for _, step := range op.Steps {
		if !slices.Contains(drawn, step.Name) {
			continue
		}
		begin, end := step.Began.AsTime(), step.Began.AsTime().Add(step.Took.AsDuration())
		if from.IsZero() || begin.Before(from) {
			from = begin
		}
		if end.After(to) {
			to = end
		}
	}
	return scale{from: from, cell: max(time.Microsecond, to.Sub(from)/barCells)}
}

// bar draws a step as full cells among empty ones. However short, it has one full cell.
func (c scale) bar(step *arbiterv1.Step) string {
	first := min(barCells-1, int(step.Began.AsTime().Sub(c.from)/c.cell))
	end := step.Began.AsTime().Add(step.Took.AsDuration()).Sub(c.from)
	last := min(barCells, max(first+1, int((end+c.cell/2)/c.cell)))
	return strings.Repeat("░", first) + strings.Repeat("█", last-first) + strings.Repeat("░", barCells-last)
}

// offset writes how long after the beginning: "  34 ms", "12.4 s".
func offset(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return spans.Long(d)
}

// layout aligns the rows. What has no bar may use its place for a longer name; what follows the details is aligned too, or where a line has
// no room for it, stands among them.
func layout(s Style, rows []row) []string {
	at, name := 7, 8
	for _, r := range rows {
		at = max(at, utf8.RuneCountInString(r.at))
		if r.bar != "" {
			name = max(name, utf8.RuneCountInString(r.name))
		}
	}
	lead := at + 2 + name + 2 + barCells + 2
	wide := placed(s, wrapped(rows, readable, false), at, name, lead)
	if s.Width <= 0 || !slices.ContainsFunc(wide, func(line string) bool { return visible(line) > s.Width }) {
		return wide
	}
	for i, r := range rows {
		for _, more := range []string{r.proof, r.log} {
			if more != "" {
				rows[i].details = append(slices.Clone(rows[i].details), more)
			}
		}
		rows[i].proof, rows[i].log = "", ""
	}
	return placed(s, wrapped(rows, max(narrowest, s.Width-lead), true), at, name, lead)
}

// wrapped are rows with their details in lines of a length.
func wrapped(rows []row, width int, narrow bool) []row {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].details = wrap(rows[i].details, width, narrow)
	}
	return rows
}

// placed writes rows whose details begin after lead cells.
func placed(s Style, rows []row, at, name, lead int) []string {
	detail := 0
	for _, r := range rows {
		if length := utf8.RuneCountInString(r.firstDetail()); r.proof+r.log != "" && length <= readable {
			detail = max(detail, length)
		}
	}
	var lines []string
	for _, r := range rows {
		head := r.name
		if r.bar != "" {
			head = pad(r.name, name) + "  " + r.bar
		}
		line := fmt.Sprintf("%*s  %s  %s", at, r.at, pad(head, name+2+barCells), r.firstDetail())
		if r.colour != nil {
			line = r.colour(line)
		}
		if r.proof+r.log != "" {
			gap := max(0, detail-utf8.RuneCountInString(r.firstDetail())) + 3
			line += strings.Repeat(" ", gap) + proofText(s, r) + s.dim(r.log)
		}
		lines = append(lines, strings.TrimRight(line, " "))
		for _, more := range r.details[min(1, len(r.details)):] {
			lines = append(lines, strings.Repeat(" ", lead)+more)
		}
	}
	return lines
}

func (r row) firstDetail() string {
	if len(r.details) == 0 {
		return ""
	}
	return r.details[0]
}

func proofText(s Style, r row) string {
	switch {
	case r.proof == "":
		return ""
	case r.log == "":
		return s.good(r.proof)
	}
	return s.good(r.proof) + "  "
}

func pad(words string, width int) string {
	return words + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(words)))
}
