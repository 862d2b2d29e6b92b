package screen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// History lists operations, the newest first.
func History(s Style, r *arbiterv1.ListOperationsResponse) string {
	p := s.page()
	operations := r.Operations
	if stale := staleLine(s, r.Freshness); stale != "" {
		p.line("%s", stale)
		p.labelled("", "next:", restartedAdvice(r.Freshness))
	}
	if len(operations) == 0 {
		if r.Freshness.GetLogOnDisk() == 0 {
			p.line("No operation yet.")
		}
		return p.String()
	}
	newest := operations[0]
	p.line("%s", s.strong("Last: "+operationAnswer(s, newest)))
	rows := make([][]string, len(operations))
	for i, op := range operations {
		rows[i] = []string{
			s.moment(op.Began), op.Group, kindText(op), moveText(op), epochText(op), resultCell(s, op), tookCell(s, op), lostCell(op), actorText(op), op.Id,
		}
	}
	p.table([]string{"BEGAN", "GROUP", "KIND", "MOVE", "EPOCH", "RESULT", "TOOK", "LOST", "WHO", "OPERATION"}, rows, nil)
	return p.String()
}

func kindText(op *arbiterv1.Operation) string {
	if op.Repeats > 0 {
		return fmt.Sprintf("%s, the %d last", op.Kind, op.Repeats+1)
	}
	return op.Kind
}

// moveText is whom an operation replaced by whom, or else whom it is about. A refence replaces nobody, whoever is the primary beside it.
func moveText(op *arbiterv1.Operation) string {
	switch {
	case op.Kind == "refence" && op.Result == "done":
		return op.From + " isolated"
	case op.Kind == "refence" || op.To == "" || op.To == op.From:
		return orDash(op.From)
	}
	return orDash(op.From) + " → " + op.To
}

func epochText(op *arbiterv1.Operation) string {
	if op.EpochAfter > op.EpochBefore {
		return fmt.Sprintf("%d → %d", op.EpochBefore, op.EpochAfter)
	}
	return fmt.Sprint(op.EpochBefore)
}

func resultCell(s Style, op *arbiterv1.Operation) string {
	switch op.Result {
	case "done":
		return s.good(op.Result)
	case "held":
		return s.bad("HELD " + op.HeldReason)
	case "running":
		return s.warn(op.Result)
	}
	return orDash(op.Result)
}

func tookCell(s Style, op *arbiterv1.Operation) string {
	if op.Result == "running" || op.Result == "held" {
		return s.since(op.Began)
	}
	return briefProto(took(op))
}

func lostCell(op *arbiterv1.Operation) string {
	switch {
	case op.Result != "done" || op.LossGrade == "":
		return "-"
	case op.LossGrade == "unknown":
		return "unknown"
	case op.LossGrade == "estimate":
		return "about " + config.FormatBytes(op.GetLossBytes())
	case op.GetLossBytes() == 0:
		return "nothing"
	}
	return "≤ " + config.FormatBytes(op.GetLossBytes())
}

// Arbiters draws the arbiters themselves.
func Arbiters(s Style, r *arbiterv1.ListArbitersResponse) string {
	p := s.page()
	p.line("%s", arbitersAnswer(s, r))
	p.labelled("", "next:", missingQuorum(r.Arbiters, r.Freshness))
	rows := make([][]string, len(r.Arbiters))
	for i, a := range r.Arbiters {
		contact := "-"
		if a.LastContact != nil && !a.Leader {
			contact = briefProto(a.LastContact) + " ago"
		}
		rows[i] = []string{
			a.Node, orDash(a.Zone), roleOf(a), readinessCell(s, a.Readiness), viewCell(s, r, a), contact,
			orDash(a.Release), entriesCell(a), s.day(a.Certificates.GetUntil()), orDash(a.RaftAddress), orDash(a.GrpcAddress),
		}
	}
	header := []string{"ARBITER", "ZONE", "ROLE", "STATE", "VIEW", "CONTACT", "RELEASE", "ENTRIES", "CERT UNTIL", "RAFT", "GRPC"}
	p.table(header, rows, func(i int) {
		a := r.Arbiters[i]
		if a.Doubt != "" {
			p.labelled("  ", "doubts its view:", []string{a.Doubt})
		}
		if concern := a.Certificates.GetConcern(); concern != "" {
			p.labelled("  ", s.warn("certificates:"), []string{concern})
		}
		p.labelled("  ", s.warn("list of arbiters:"), a.ListDiffers)
	})
	if mixed := releases(r.Arbiters); len(mixed) > 1 {
		p.labelled("", "note:", []string{fmt.Sprintf("%s run together; entries of the log are written so that all understand them.", strings.Join(mixed, " and "))})
	}
	return p.String()
}

// releases lists the releases that run, each once.
func releases(arbiters []*arbiterv1.ArbiterStatus) []string {
	var list []string
	for _, a := range arbiters {
		if a.Release != "" && !slices.Contains(list, a.Release) {
			list = append(list, a.Release)
		}
	}
	return list
}

func entriesCell(a *arbiterv1.ArbiterStatus) string {
	if a.EntryVersion == 0 {
		return "-"
	}
	return fmt.Sprintf("to v%d", a.EntryVersion)
}

func arbitersAnswer(s Style, r *arbiterv1.ListArbitersResponse) string {
	leader, voters, present := "", 0, 0
	for _, a := range r.Arbiters {
		if a.Leader {
			leader = a.Node
		}
		if a.Voter {
			voters++
			if a.Leader || a.ViewCurrent {
				present++
			}
		}
	}
	transport := "mTLS"
	if r.Insecure {
		transport = "INSECURE PLAINTEXT"
	}
	if leader == "" {
		return s.bad(noLeader + "; a healthy primary goes on.")
	}
	words := fmt.Sprintf("%s leads in term %d, %d of %d present; cluster %s, %s.", leader, r.GetFreshness().GetTerm(), present, voters, orDash(r.ClusterId), transport)
	if f := r.Freshness; f != nil && !f.Linearizable {
		return s.bad("As " + orDash(f.Node) + " knew last, maybe old: " + words)
	}
	spare := present - voters/2 - 1
	switch {
	case spare < 0:
		return s.bad(words + " There is no quorum.")
	case present == voters:
		return s.good(words)
	case spare == 0:
		return s.warn(words + " No further one may be lost.")
	}
	return s.warn(words)
}

func roleOf(a *arbiterv1.ArbiterStatus) string {
	switch {
	case a.Leader:
		return "leader"
	case a.Voter:
		return "follower"
	}
	return "no voter"
}

// missingQuorum says what to do where too few arbiters answer for one of them to lead. Where one does lead, a majority is there, whoever it
// could not ask for its description just now.
func missingQuorum(arbiters []*arbiterv1.ArbiterStatus, f *arbiterv1.Freshness) []string {
	if f.GetLinearizable() {
		return nil
	}
	voters := 0
	var silent []string
	known := slices.ContainsFunc(arbiters, func(a *arbiterv1.ArbiterStatus) bool { return a.Voter })
	for _, a := range arbiters {
		if known && !a.Voter { // where nobody knows who votes, all that are configured count
			continue
		}
		voters++
		if a.Readiness == arbiterv1.Readiness_READINESS_SILENT {
			silent = append(silent, a.Node)
		}
	}
	answering := voters - len(silent)
	if needed := voters/2 + 1; answering < needed {
		return []string{fmt.Sprintf("%d of %d answer, %d are needed: start arbiterd on %s, with the disk that it had", answering, voters, needed, strings.Join(silent, " or "))}
	}
	return nil
}

func viewCell(s Style, r *arbiterv1.ListArbitersResponse, a *arbiterv1.ArbiterStatus) string {
	switch {
	case !r.GetFreshness().GetLinearizable():
		return "-" // views are with the one that leads
	case a.Doubt != "":
		return s.warn("in doubt")
	case a.ViewCurrent:
		return "current"
	}
	return s.bad("none")
}

func readinessCell(s Style, r arbiterv1.Readiness) string {
	words := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(r.String(), "READINESS_"), "_", " "))
	switch r {
	case arbiterv1.Readiness_READINESS_READY:
		return words
	case arbiterv1.Readiness_READINESS_UNSPECIFIED:
		return "-"
	case arbiterv1.Readiness_READINESS_SILENT:
		return s.bad("no answer")
	}
	return s.warn(words)
}

// Event writes one event as one line.
func Event(s Style, e *arbiterv1.Event) string {
	text := strings.ReplaceAll(spans.InWords(InUnits(e.Text)), "catch_up", "catch up")
	words := text
	if e.StageFrom != e.StageTo && e.StageTo != "" {
		words = orDash(spaced(e.StageFrom)) + " → " + spaced(e.StageTo)
		if e.Text != "" {
			words += ": " + text
		}
	}
	if e.Rule != "" {
		words += " (rule " + e.Rule + ")"
	}
	kind := e.Kind
	switch kind {
	case "rejected", "operation-held", "rogue-seen":
		kind = s.bad(pad(kind, 20))
	default:
		kind = pad(kind, 20)
	}
	where := e.Group
	if e.Member != "" {
		where += "/" + e.Member
	}
	const moment = len("2006-01-02 15:04:05.000")
	when := fmt.Sprintf("%s  %6d  ", pad(s.moment(e.Wall)+fraction(s, e), moment), e.Sequence)
	head := when + pad(orDash(where), 20) + "  " + kind + "  "
	if s.Width <= 0 || visible(head)+visible(words) <= s.Width {
		return strings.TrimRight(head+words, " ")
	}
	under := strings.Repeat(" ", visible(when)) // what is no line of its own has little room beside all that
	return strings.TrimRight(head, " ") + "\n" + strings.Join(fold(under+words, s.Width, visible(when)), "\n")
}

func fraction(s Style, e *arbiterv1.Event) string {
	clock := s.clock(e.Wall)
	if i := strings.LastIndexByte(clock, '.'); i >= 0 {
		return clock[i:]
	}
	return ""
}

// Differences lists what applying a spec would change.
func Differences(s Style, group string, differences []*arbiterv1.Difference) string {
	p := s.page()
	if len(differences) == 0 {
		p.line("%s: no difference.", group)
		return p.String()
	}
	p.line("%s: %s.", group, plural(len(differences), "difference", "differences"))
	for _, d := range differences {
		switch {
		case d.Before == "":
			p.line("%s", s.good(fmt.Sprintf("+ %s: %s", d.Path, d.After)))
		case d.After == "":
			p.line("%s", s.bad(fmt.Sprintf("- %s: %s", d.Path, d.Before)))
		default:
			p.line("%s", s.warn(fmt.Sprintf("~ %s: %s → %s", d.Path, d.Before, d.After)))
		}
	}
	return p.String()
}

// Meaning draws what a spec means.
func Meaning(s Style, group string, report config.Report) string {
	p := s.page()
	worst := report.Worst()
	answer := fmt.Sprintf("%s is valid; longest outage %s (%s)", group, spans.Brief(worst.Outage), worst.Name)
	if report.Promised > 0 {
		answer += ", promised " + spans.Brief(report.Promised)
	}
	draw := s.good
	for _, f := range report.Faults {
		if f.Undetected {
			answer, draw = answer+fmt.Sprintf("; a %s is never noticed", f.Name), s.warn
		}
	}
	p.line("%s", draw(answer+"."))
	rows := make([][]string, 0, len(report.Faults))
	for _, f := range report.Faults {
		row := []string{f.Name, spans.Brief(f.Detection), spans.Brief(f.Outage)}
		if f.Undetected {
			row = []string{f.Name, s.bad("never"), s.bad("by hand")}
		}
		rows = append(rows, row)
	}
	p.table([]string{"AT WORST", "DETECTED", "WRITES AGAIN"}, rows, nil)
	for _, f := range report.Faults {
		p.line("  %s: %s", f.Name, f.OutageSum)
		if f.AfterStart {
			p.line("  That one is for a primary that no arbiter which sees it down has heard since that arbiter started; no promise is about it, and an operator need not wait for it.")
		}
	}
	for _, z := range report.Zones {
		left := "nothing is left that could be primary"
		if len(z.Left) > 0 {
			left = strings.Join(z.Left, ", ") + " can be primary"
		}
		p.line("  Losing zone %s takes %s: %s.", z.Zone, strings.Join(z.Members, ", "), left)
	}
	p.line("  Counted is one try of every action, under one arbiter that leads throughout. Each further try may take as long again.")
	p.line("  If the arbiter that leads is lost too, add an election. Nine of ten take no more than %s with timing lan, %s with wan; a split vote takes longer.",
		spans.Brief(report.Election["lan"]), spans.Brief(report.Election["wan"]))
	return p.String()
}

// Unchecked lists what could not be checked without an arbiter, below words that say who does.
func Unchecked(words string, things []string) string {
	p := &page{}
	p.line("  %s", words)
	for _, thing := range things {
		p.line("    %s", thing)
	}
	return p.String()
}
