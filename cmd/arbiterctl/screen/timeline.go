package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/config"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Operation draws the timeline of one operation, and what to do next about it.
func Operation(s Style, op *arbiterv1.Operation, next ...string) string {
	var p page
	p.line("%s", s.strong(operationAnswer(s, op)))
	if op.Reason != "" {
		p.line("reason: %q", op.Reason)
	}
	p.lines(timelineLines(s, op), "")
	if op.HeldReason != "" || op.HeldDetail != "" {
		p.line("  held: %s", orDash(op.HeldDetail))
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
	switch {
	case op.To != "" && op.To != op.From:
		parts = append(parts, orDash(op.From)+" → "+op.To)
	case op.From != "":
		parts = append(parts, op.From)
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
		return "took " + Brief(endOf(op).Sub(beginningOf(op)))
	case "running", "held":
		words := op.Result + " for " + Span(max(0, s.Now.Sub(beginningOf(op))))
		if op.HeldReason != "" {
			return words + " (" + op.HeldReason + ")"
		}
		if op.Now != "" {
			words += ": " + op.Now
		}
		return words
	}
	return orDash(op.Result) + " after " + Brief(endOf(op).Sub(beginningOf(op)))
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
		words = "about " + config.FormatBytes(op.LossBytes) + " lost (estimate)"
	case op.LossBytes > 0:
		words = "at most " + config.FormatBytes(op.LossBytes) + " lost"
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
	for _, step := range op.Steps {
		rows = append(rows, stepRow(s, op, step, begin, scale))
	}
	if slices.Contains(ended, op.Result) {
		rows = append(rows, row{at: offset(endOf(op).Sub(begin)), name: op.Result, details: []string{receiptText(op)}})
	}
	return layout(s, rows)
}

func stepRow(s Style, op *arbiterv1.Operation, step *arbiterv1.Step, begin time.Time, c scale) row {
	r := row{at: offset(step.Began.AsTime().Sub(begin)), name: step.Name, details: wrap(stepDetails(op, step)), proof: proofOf(step), log: logText(step)}
	if step.Name == "verdict" {
		r.name, r.log = "verdict down", cmp.Or(basisText(op.Basis), r.log)
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
func stepDetails(op *arbiterv1.Operation, step *arbiterv1.Step) []string {
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
		parts = append(parts, partText(part, failed))
	}
	if grade := proofOf(step); step.Detail != "" && !saidByPart(step) && (failed || grade == "" || !strings.Contains(step.Detail, grade)) {
		parts = append(parts, step.Detail)
	}
	if len(parts) == 0 && step.Member != "" {
		parts = append(parts, step.Member)
	}
	if basis := basisText(step.Basis); basis != "" && step.Attempt <= 1 { // later tries are of the same decision
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
func partText(part *arbiterv1.StepTime, failed bool) string {
	const brief = 20
	words := part.Name
	if part.Undone {
		words = "not done: " + words
	}
	if part.Length.AsDuration() > 0 {
		words += " " + briefProto(part.Length)
	}
	if part.Detail != "" && (failed || part.Undone || len(part.Detail) <= brief) {
		words += " (" + part.Detail + ")"
	}
	return words
}

// wrap joins parts into lines of a readable length.
func wrap(parts []string) []string {
	const width = 66
	var lines []string
	for _, part := range parts {
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last])+3+utf8.RuneCountInString(part) <= width {
			lines[last] += " · " + part
		} else {
			lines = append(lines, part)
		}
	}
	return lines
}

func logText(step *arbiterv1.Step) string {
	switch {
	case step.IntentIndex != 0 && step.OutcomeIndex != 0:
		return fmt.Sprintf("log %d-%d", step.IntentIndex, step.OutcomeIndex)
	case step.IntentIndex+step.OutcomeIndex != 0:
		return fmt.Sprintf("log %d", step.IntentIndex+step.OutcomeIndex)
	}
	return ""
}

// basisText names the entries that a decision rests on; empty if nothing is known of them.
func basisText(basis []uint64) string {
	if len(basis) == 0 {
		return ""
	}
	lowest, highest := slices.Min(basis), slices.Max(basis)
	if lowest == highest {
		return fmt.Sprintf("log %d", lowest)
	}
	return fmt.Sprintf("log %d-%d", lowest, highest)
}

func receiptText(op *arbiterv1.Operation) string {
	words := "receipt " + op.Id
	switch {
	case op.LossGrade == "" || op.To == "":
	default:
		words += " · before: " + lossBound(op.LossGrade, op.LossBytes)
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
