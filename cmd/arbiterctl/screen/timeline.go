package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Operation draws the timeline of one operation, and what to do next about it.
func Operation(s Style, op *arbiterv1.Operation, next ...string) string {
	p := s.page()
	p.line("%s", s.strong(operationAnswer(s, op)))
	if op.Reason != "" {
		p.line("reason: %q", op.Reason)
	}
	p.lines(timelineLines(s, op), "")
	if op.MayWrite != "" {
		p.labelled("  ", s.bad("alarm:"), []string{op.MayWrite})
	}
	if op.HeldReason != "" || op.HeldDetail != "" {
		p.line("  held: %s", orDash(spans.InWords(op.HeldDetail)))
	}
	if positions := positionsText(op.Positions); positions != "" {
		p.line("  positions: %s", positions)
	}
	p.labelled("  ", "next:", next)
	return p.String()
}

// operationAnswer is the whole operation in one line: what was moved, what that cost, what it is waiting for, and why it began.
func operationAnswer(s Style, op *arbiterv1.Operation) string {
	parts := []string{op.Kind + " " + op.Group}
	if op.EpochAfter > op.EpochBefore {
		parts = append(parts, fmt.Sprintf("epoch %d → %d", op.EpochBefore, op.EpochAfter))
	} else {
		parts = append(parts, fmt.Sprintf("epoch %d", op.EpochBefore))
	}
	if op.From != "" || op.To != "" {
		parts = append(parts, moveText(op))
	}
	parts = append(parts, durationText(s, op))
	if loss := lossText(op); loss != "" {
		parts = append(parts, loss)
	}
	who := actorText(op)
	if op.Actor == "automatic" && op.Verdict != "" {
		who += ": " + op.Verdict
	}
	return strings.Join(append(parts, who), " · ")
}

// durationText says how long writes were interrupted, or where an unfinished operation stands.
func durationText(s Style, op *arbiterv1.Operation) string {
	switch op.Result {
	case "done":
		if op.WriteOutage != nil {
			return "write outage " + briefProto(op.WriteOutage)
		}
		return "took " + spans.Brief(endOf(op).Sub(beginningOf(op)))
	case "running", "held":
		since := beginningOf(op)
		if op.Result == "held" && op.HeldSince != nil {
			since = op.HeldSince.AsTime()
		}
		words := op.Result + " for " + spans.Long(max(0, s.Now.Sub(since)))
		if op.HeldReason != "" {
			return words + " (" + op.HeldReason + ")"
		}
		if op.Now != "" {
			words += ": " + spans.InWords(op.Now)
		}
		return words
	}
	return orDash(op.Result) + " after " + spans.Brief(endOf(op).Sub(beginningOf(op)))
}

func lossText(op *arbiterv1.Operation) string {
	if op.Result != "done" || op.To == "" || op.LossGrade == "" {
		return ""
	}
	words := "nothing lost (observed bound)"
	switch {
	case op.LossGrade == "unknown":
		words = "nobody knows what was lost"
	case op.LossGrade == "estimate":
		words = "about " + config.FormatBytes(op.GetLossBytes()) + " lost (estimate)"
	case op.GetLossBytes() > 0:
		words = "at most " + config.FormatBytes(op.GetLossBytes()) + " lost"
	}
	if op.AcceptedLoss {
		words += ", accepted by an operator"
	}
	return words
}

func actorText(op *arbiterv1.Operation) string {
	who := op.Actor
	if who != "automatic" && who != "" {
		who = "asked for by " + who
	}
	switch {
	case op.ReleasedBy == "":
	case op.ReleasedBy == op.Actor:
		who = "asked for and released by " + op.Actor
	default:
		who = strings.TrimPrefix(who+", released by "+op.ReleasedBy, ", ")
	}
	if op.Arbiter == "" {
		return orDash(who)
	}
	return "by " + op.Arbiter + ", " + orDash(who)
}

// beginningOf is the first moment of an operation: that of the fault, where it is a step.
func beginningOf(op *arbiterv1.Operation) time.Time {
	first := op.Began.AsTime()
	for _, step := range op.Steps {
		if at := step.Began.AsTime(); step.Began != nil && (op.Began == nil || at.Before(first)) {
			first = at
		}
	}
	return first
}

// endOf is the last moment that is known of an operation.
func endOf(op *arbiterv1.Operation) time.Time {
	if op.Ended != nil {
		return op.Ended.AsTime()
	}
	last := beginningOf(op)
	for _, step := range op.Steps {
		if end := step.Began.AsTime().Add(step.Took.AsDuration()); step.Began != nil && end.After(last) {
			last = end
		}
	}
	return last
}

// ended are the results of an operation that goes on no more.
var ended = []string{"done", "recovered", "aborted", "stopped", "failed", "reinstated"}

func timelineLines(s Style, op *arbiterv1.Operation) []string {
	begin := beginningOf(op)
	scale := scaleOf(op)
	rows := make([]row, 0, len(op.Steps)+1)
	said := telling{answer: operationAnswer(s, op), held: op.HeldDetail, parts: map[string]bool{}, intents: map[uint64]bool{}}
	for _, step := range op.Steps {
		rows = append(rows, stepRow(s, op, step, begin, scale, &said))
	}
	if slices.Contains(ended, op.Result) {
		rows = append(rows, row{at: offset(endOf(op).Sub(begin)), name: op.Result, details: []string{receiptText(op)}})
	}
	return layout(s, rows)
}

// telling is what a page says of an operation before or below a step, which need not say it again.
type telling struct {
	answer  string          // the first line
	held    string          // why it is held, in a line of its own
	parts   map[string]bool // what went wrong in parts of earlier steps
	intents map[uint64]bool // the entries that earlier tries began with
}

// whole says whether the page says elsewhere all that a step has to say: what it is held for, or the verdict.
func (t *telling) whole(step *arbiterv1.Step) bool {
	return step.Name == "held" && step.Detail == t.held || step.Name == "verdict" && strings.Contains(t.answer, step.Detail)
}

// part is what there is to say of what went wrong in a part of a step.
func (t *telling) part(detail string) string {
	switch {
	case t.held != "" && strings.Contains(t.held, detail):
		return "see held"
	case t.parts[detail]:
		return "as before"
	}
	t.parts[detail] = true
	return detail
}

func stepRow(s Style, op *arbiterv1.Operation, step *arbiterv1.Step, begin time.Time, c scale, said *telling) row {
	r := row{
		at: offset(step.Began.AsTime().Sub(begin)), name: spaced(step.Name), details: stepDetails(step, said), proof: proofOf(step), log: said.log(step),
	}
	if step.Name == "verdict" {
		r.name, r.log = "verdict down", cmp.Or(entriesText(op.Basis), r.log)
	}
	if slices.Contains(drawn, step.Name) {
		r.bar = c.bar(step)
	}
	switch step.Result {
	case "failed":
		r.colour = s.bad
	case "unknown", "cut-short":
		r.colour = s.warn
	}
	return r
}

// proofOf is the grade of a step's proof, if it gave one; by whom it was given is among the step's parts, if it has any.
func proofOf(step *arbiterv1.Step) string {
	grade, _, _ := strings.Cut(step.Proof, " ")
	switch {
	case grade == "UNKNOWN":
		return ""
	case len(step.Parts) > 0:
		return grade
	}
	return step.Proof
}

// stepDetails say what a step did: its measured parts, then its own words. A try that didn't succeed says so first, and
// says all; of one that did, what only repeats the proof is left out.
func stepDetails(step *arbiterv1.Step, said *telling) []string {
	var parts []string
	failed := slices.Contains([]string{"failed", "unknown", "cut-short"}, step.Result)
	if failed && step.Name != "held" { // which says it by its name
		parts = append(parts, step.Result)
	}
	switch {
	case step.Result == "cut-short": // the next one has the same number
		parts = append(parts, "not counted")
	case step.Attempt > 1:
		parts = append(parts, fmt.Sprintf("try %d", step.Attempt))
	}
	for _, part := range step.Parts {
		parts = append(parts, partText(part, failed, said))
	}
	if grade := proofOf(step); step.Detail != "" && !saidByPart(step) && !said.whole(step) && (failed || grade == "" || !strings.Contains(step.Detail, grade)) {
		parts = append(parts, spans.InWords(step.Detail))
	}
	if len(parts) == 0 && step.Member != "" {
		parts = append(parts, step.Member)
	}
	if basis := entriesText(step.Basis); basis != "" && step.Attempt <= 1 { // later tries are of the same decision
		parts = append(parts, fmt.Sprintf("decided on %s (rule %s)", basis, orDash(step.Rule)))
	}
	return parts
}

// saidByPart says whether a failed step's own words only repeat those of one of its parts.
func saidByPart(step *arbiterv1.Step) bool {
	_, words, levelled := strings.Cut(step.Detail, "level 1: ")
	return levelled && slices.ContainsFunc(step.Parts, func(p *arbiterv1.StepTime) bool { return p.Detail != "" && p.Detail == words })
}

// LeftUndone says whether some part of an operation's step did not succeed although the step did: of a configure, a standby that was not
// pointed at the new primary.
func LeftUndone(op *arbiterv1.Operation, step string) bool {
	return slices.ContainsFunc(op.Steps, func(s *arbiterv1.Step) bool {
		return s.Name == step && s.Result == "done" &&
			slices.ContainsFunc(s.Parts, func(p *arbiterv1.StepTime) bool { return p.Undone })
	})
}

// partText is one measured part; long words about it are shown only where something went wrong.
func partText(part *arbiterv1.StepTime, failed bool, said *telling) string {
	const brief = 20
	words := part.Name
	if part.Undone && !strings.Contains(words, " not ") { // a route says it itself
		words = "not done: " + words
	}
	if part.Length.AsDuration() > 0 {
		words += between(part) + briefProto(part.Length)
	}
	switch {
	case part.Detail == "":
	case len(part.Detail) <= brief:
		words += " (" + part.Detail + ")"
	case failed || part.Undone:
		words += " (" + spans.InWords(said.part(part.Detail)) + ")"
	}
	return words
}

// between keeps a name that ends with a number, as those of many members and all epochs do, apart from how long it took.
func between(part *arbiterv1.StepTime) string {
	last, _ := utf8.DecodeLastRuneInString(part.Name)
	switch {
	case !unicode.IsDigit(last):
		return " "
	case part.Undone:
		return " after "
	}
	return " in "
}

// readable is the length of a line of details.
const readable = 66

// wrap joins parts into lines of a length; only narrow ones break a part that is longer.
func wrap(parts []string, width int, narrow bool) []string {
	var lines []string
	for _, part := range parts {
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last])+3+utf8.RuneCountInString(part) <= width {
			lines[last] += " · " + part
		} else if narrow {
			lines = append(lines, fold(part, width, 2)...)
		} else {
			lines = append(lines, part)
		}
	}
	return lines
}

// log names the entries of a step: its intent, unless an earlier try has named it, and its outcome. Entries in between are of others.
func (t *telling) log(step *arbiterv1.Step) string {
	var entries []uint64
	if step.IntentIndex != 0 && !t.intents[step.IntentIndex] {
		entries = append(entries, step.IntentIndex)
		t.intents[step.IntentIndex] = true
	}
	if step.OutcomeIndex != 0 {
		entries = append(entries, step.OutcomeIndex)
	}
	return entriesText(entries)
}

// entriesText names entries of the log, those that follow each other as one range: "log 8812-8814, 8816". It is empty for none.
func entriesText(entries []uint64) string {
	if len(entries) == 0 {
		return ""
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(entries)))
	var runs []string
	for i := 0; i < len(sorted); {
		first := i
		for i++; i < len(sorted) && sorted[i] == sorted[i-1]+1; i++ {
		}
		if run := fmt.Sprint(sorted[first]); i == first+1 {
			runs = append(runs, run)
		} else {
			runs = append(runs, fmt.Sprintf("%s-%d", run, sorted[i-1]))
		}
	}
	return "log " + strings.Join(runs, ", ")
}

func receiptText(op *arbiterv1.Operation) string {
	words := "receipt " + op.Id
	switch {
	case op.LossGrade == "" || op.To == "":
	default:
		words += " · before: " + lossBound(op.LossGrade, op.GetLossBytes())
	}
	return words
}

// positionsText lists how far each standby had got, the most advanced first.
func positionsText(positions []*arbiterv1.MemberPosition) string {
	sorted := slices.Clone(positions)
	slices.SortStableFunc(sorted, func(a, b *arbiterv1.MemberPosition) int {
		return compare(max(b.Received, b.Replayed), max(a.Received, a.Replayed))
	})
	parts := make([]string, len(sorted))
	for i, m := range sorted {
		if !m.Answered {
			parts[i] = m.Member + " did not answer"
			if m.Detail != "" {
				parts[i] += " (" + m.Detail + ")"
			}
			continue
		}
		parts[i] = fmt.Sprintf("%s at %s", m.Member, lsn(max(m.Received, m.Replayed)))
	}
	return strings.Join(parts, " · ")
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// lsn writes a log position as PostgreSQL does.
func lsn(position uint64) string { return fmt.Sprintf("%X/%X", position>>32, position&0xffffffff) }

// took is how long an operation took from beginning to end, for lists.
func took(op *arbiterv1.Operation) *durationpb.Duration {
	return durationpb.New(endOf(op).Sub(beginningOf(op)))
}
