package screen

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Status draws the state of all groups. Its first line says whether somebody is needed.
func Status(s Style, r *arbiterv1.GetStatusResponse) string {
	p := s.page()
	p.line("%s", statusAnswer(s, r))
	p.line("%s", ArbitersLine(s, r))
	arbiterNotes(p, r)
	if len(r.Groups) == 0 {
		p.line("%s", noGroups(r.Freshness))
	}
	p.labelled("", "next:", leaderlessAdvice(r))
	if len(r.Groups) == 0 {
		return p.String()
	}
	rows := make([][]string, len(r.Groups))
	for i, g := range r.Groups {
		rows[i] = statusRow(s, g)
	}
	header := []string{"GROUP", "STATE", "PRIMARY", "EPOCH", "SINCE", "STANDBY", "LAG", "WOULD LOSE", "FENCE", "MODE"}
	p.table(header, rows, func(i int) { statusNotes(p, s, r.Groups[i], provenHere(s, r.Groups[i])...) })
	return p.String()
}

// arbiterNotes says of the arbiters what their line has no room for.
func arbiterNotes(p *page, r *arbiterv1.GetStatusResponse) {
	for _, a := range r.Arbiters {
		if a.Doubt != "" {
			p.line("  %s %s: its view counts as unknown.", a.Node, spans.InWords(a.Doubt))
		}
		if concern := a.Certificates.GetConcern(); concern != "" {
			p.line("  %s: %s.", a.Node, concern)
		}
	}
}

// provenHere are the proofs that the operation in progress has brought: whoever is woken by it need not ask further whether the former primary is off.
func provenHere(s Style, g *arbiterv1.GroupStatus) (lines []string) {
	for _, m := range g.Members {
		if proof := provenText(s, m); proof != nil && g.Operation != nil && m.Authority == "NONE" && !m.Proven.AsTime().Before(g.Operation.Began.AsTime()) {
			lines = append(lines, m.Member+" "+proof[0])
		}
	}
	return lines
}

// noGroups stands where the groups would. Only an arbiter that leads knows that there are none.
func noGroups(f *arbiterv1.Freshness) string {
	switch {
	case f.GetLogOnDisk() > 0:
		return "which groups are protected it can't tell before that; none of them is lost."
	case f != nil && !f.Linearizable:
		return orDash(f.Node) + " knows of no group."
	}
	return "no groups yet; write a spec and run: arbiterctl apply -f group.yaml"
}

// NeedsAttention says why a group isn't as safe as it can be; empty if it is.
func NeedsAttention(g *arbiterv1.GroupStatus) string {
	_, why := concern(g)
	switch {
	case g.Pause == nil:
		return why
	case why == "":
		return "is paused"
	}
	return "is paused, and " + why
}

// concern is the gravest thing that is wrong with a group, apart from a pause, and how grave that is: 0 is the worst. Two that may write
// come before nobody who may, and that before what only a failover would suffer from.
func concern(g *arbiterv1.GroupStatus) (gravity int, why string) {
	for gravity, c := range []struct {
		is  bool
		why string
	}{
		{len(rogues(g)) > 0 && g.Stage == "held", heldText(g) + " with a member that may be writing without authority"},
		{len(rogues(g)) > 0, "has a member that may be writing without authority"},
		{g.Stage == "held" && g.Operation.GetMayWrite() != "", heldText(g) + " with a former primary that may still be writing"},
		{g.Stage == "held" && g.Adopted, heldText(g)},
		{g.Adopted && (g.Stage == "suspected" || g.Stage == "confirmed") && g.PrimaryStatus == "down", "has a primary that is down (" + g.Stage + ")"},
		{g.Adopted && g.Stage != "steady" && g.Stage != "", "is " + spaced(g.Stage)},
		{g.Adopted && g.Primary == "", "has no primary"},
		{!g.Adopted && g.PrimaryStatus == "down", "is not adopted"}, // the sentence goes on with the primary, and nothing will be done about it
		{g.PrimaryStatus == "down", "has a primary that is down"},
		{g.PrimaryStatus == "unknown", "has a primary of which nothing is known" + seenBy(member(g, g.Primary), "unknown")},
		{!g.Adopted, "is not adopted"},
		{g.PrimaryStatus == "degraded", "has a primary that is degraded" + degradedBy(member(g, g.Primary))},
		{len(g.AstrayRoutes) > 0, "has a route that leads clients astray"},
		{len(unreadRoutes(g, true)) > 0, "has a router that does not answer (" + strings.Join(unreadRoutes(g, true), ", ") + ")"},
		{len(g.UnreadRoutes) > 0, "has a route of which nobody knows where it leads (" + strings.Join(unreadRoutes(g, false), ", ") + ")"},
		{g.CommitsWait != "", "has a primary on which clients' commits wait"},
		{g.Candidate == "", "has no standby that could take over"},
		{!g.Armed, "is not armed"},
		{slices.ContainsFunc(g.Members, notFollowing), "has a standby that does not follow its primary"},
		{len(downMembers(g)) > 0, "has a member that is down (" + strings.Join(downMembers(g), ", ") + ")"},
	} {
		if c.is {
			return gravity, c.why
		}
	}
	return math.MaxInt, ""
}

func heldText(g *arbiterv1.GroupStatus) string {
	if reason := g.Operation.GetHeldReason(); reason != "" {
		return "is held (" + reason + ")"
	}
	return "is held"
}

// downMembers are those beside the primary that are seen down: nothing is lost by it yet, but the next failover has fewer to choose from.
func downMembers(g *arbiterv1.GroupStatus) (names []string) {
	for _, m := range g.Members {
		if m.Status == "down" && m.Member != g.Primary && m.Member != g.BeingPromoted && g.Adopted {
			names = append(names, m.Member)
		}
	}
	return names
}

// rogues are the members without authority that must be assumed to be writing, apart from the primary that a failover is about to fence.
func rogues(g *arbiterv1.GroupStatus) []string {
	var names []string
	for _, m := range g.Members {
		if m.Authority == "REVOKED" && (m.Member != g.Operation.GetFrom() || g.Operation.GetKind() != "failover") {
			names = append(names, m.Member)
		}
	}
	return names
}

// unreadRoutes are those whose router does not answer, or of which it isn't known for another reason where they lead.
func unreadRoutes(g *arbiterv1.GroupStatus, silent bool) (names []string) {
	for _, r := range g.UnreadRoutes {
		if r.Silent == silent {
			names = append(names, r.Route)
		}
	}
	return names
}

// degradedBy says which check finds a member alive but failing: " (postgres: read-only)".
func degradedBy(m *arbiterv1.MemberStatus) string {
	by := seenBy(m, "degraded")
	if reason := m.GetReason(); by == "" && reason != "" {
		by = " (" + reason + ")"
	}
	return by
}

// seenBy says by which check a member has a status, as the first arbiter sees it whose view counts; empty if none says why.
func seenBy(m *arbiterv1.MemberStatus, status string) string {
	for _, v := range m.GetViews() {
		if !v.Counts || v.Status != status {
			continue
		}
		for _, c := range v.Checks {
			if c.Reason == v.Reason {
				return fmt.Sprintf(" (%s: %s)", c.Name, c.Reason)
			}
		}
		if v.Detail != "" { // no check says it alone: of a primary in recovery all are good
			return fmt.Sprintf(" (%s: %s)", v.Reason, v.Detail)
		}
	}
	return ""
}

func statusAnswer(s Style, r *arbiterv1.GetStatusResponse) string {
	if stale := staleLine(s, r.Freshness); stale != "" {
		return stale + leaderless(s, r.Freshness)
	}
	troubled := Troubles(r)
	switch {
	case len(r.Groups) == 0 && len(troubled) == 0:
		return "Nothing is protected yet."
	case len(troubled) == 0 && len(r.Groups) == 1:
		return s.good(wellSentence(r.Groups[0]))
	case len(troubled) == 0:
		return s.good(fmt.Sprintf("All %d groups are well.", len(r.Groups)))
	}
	const named = 3
	more := ""
	if len(r.Groups) == 1 && cmp.Or(r.Groups[0].Primary, r.Groups[0].BeingPromoted) != "" {
		more = "; " + primarySentence(r.Groups[0])
	}
	if len(troubled) > named {
		more = fmt.Sprintf(", and %d more", len(troubled)-named)
		troubled = troubled[:named]
	}
	return s.bad(strings.Join(troubled, ", ") + more + ".")
}

// Troubles says of everything that needs somebody what it is: what makes a failover impossible everywhere, then the groups,
// the gravest first: a line that has room for three must not leave out the one that somebody has to get up for. Last comes what is not lost yet.
func Troubles(r *arbiterv1.GetStatusResponse) []string {
	var troubles []string
	counting, voters := countingViews(r)
	enough := 2*counting > voters
	if r.Freshness != nil && !enough && len(r.Groups) > 0 {
		troubles = append(troubles, fmt.Sprintf("only %d of %d arbiters have a view that counts, so nothing is failed over", counting, voters))
	}
	groups := slices.Clone(r.Groups)
	slices.SortStableFunc(groups, func(a, b *arbiterv1.GroupStatus) int {
		gravityOfA, _ := concern(a)
		gravityOfB, _ := concern(b)
		return cmp.Compare(gravityOfA, gravityOfB)
	})
	for _, g := range groups {
		if why := NeedsAttention(g); why != "" {
			troubles = append(troubles, g.Group+" "+why)
		}
	}
	if silent := silentVoters(r); len(silent) > 0 && enough {
		troubles = append(troubles, fmt.Sprintf("nothing is heard from %s: %d of %d arbiters are left to decide", strings.Join(silent, " and "), counting, voters))
	}
	if ending := endingCertificates(r); len(ending) > 0 {
		troubles = append(troubles, "the certificates of "+strings.Join(ending, " and ")+" must be renewed")
	}
	return troubles
}

// silentVoters are the voters that the one that leads hears nothing from: a failover still works without them, and the next loss may stop it.
// Only the one that leads knows whose views it has.
func silentVoters(r *arbiterv1.GetStatusResponse) []string {
	var nodes []string
	for _, a := range r.Arbiters {
		if a.Voter && !a.ViewCurrent && r.GetFreshness().GetLinearizable() {
			nodes = append(nodes, a.Node)
		}
	}
	return nodes
}

// endingCertificates are the arbiters whose certificates have ended or soon will. Those that were not asked say nothing.
func endingCertificates(r *arbiterv1.GetStatusResponse) []string {
	var nodes []string
	for _, a := range r.Arbiters {
		if a.Certificates.GetConcern() != "" {
			nodes = append(nodes, a.Node)
		}
	}
	return nodes
}

// countingViews counts the voters whose views count at the moment: those that the leader has and that don't doubt themselves.
func countingViews(r *arbiterv1.GetStatusResponse) (counting, voters int) {
	for _, a := range r.Arbiters {
		if !a.Voter {
			continue
		}
		voters++
		if a.ViewCurrent && a.Doubt == "" {
			counting++
		}
	}
	return counting, voters
}

func leaderless(s Style, f *arbiterv1.Freshness) string {
	if f.Leader == "" {
		return s.bad(" " + noLeader + ".")
	}
	return ""
}

// leaderlessAdvice is what to do where no arbiter leads, as far as it is known who answers.
func leaderlessAdvice(r *arbiterv1.GetStatusResponse) []string {
	if advice := missingQuorum(r.Arbiters, r.Freshness); len(advice) > 0 {
		return advice
	}
	return restartedAdvice(r.Freshness)
}

func wellSentence(g *arbiterv1.GroupStatus) string {
	return fmt.Sprintf("%s is well: %s is primary, %s could take over, a failover would lose %s, each member can be fenced.",
		g.Group, g.Primary, g.Candidate, orDash(g.WouldLose))
}

// primarySentence says of a group that isn't well who serves all the same, or is about to.
func primarySentence(g *arbiterv1.GroupStatus) string {
	if to := g.BeingPromoted; to != "" {
		return fmt.Sprintf("%s is being promoted, and is %s", to, cmp.Or(member(g, to).GetStatus(), "unknown"))
	}
	switch g.PrimaryStatus {
	case "":
		return g.Primary + " is primary"
	case "unknown":
		return g.Primary + " is recorded as primary"
	}
	return fmt.Sprintf("%s is primary and %s", g.Primary, g.PrimaryStatus)
}

// ArbitersLine is one line about the arbiters themselves.
func ArbitersLine(s Style, r *arbiterv1.GetStatusResponse) string {
	names := make([]string, 0, len(r.Arbiters))
	voters, present, silent := 0, 0, silentVoters(r)
	for _, a := range r.Arbiters {
		name := a.Node
		switch {
		case a.Leader && a.Doubt != "":
			name = s.warn(name + " leader in doubt")
		case a.Leader:
			name += " leader"
		case slices.Contains(silent, a.Node):
			name = s.warn(name + " away")
		case a.Readiness == arbiterv1.Readiness_READINESS_SILENT && !r.GetFreshness().GetLinearizable():
			name = s.bad(name + " no answer")
		case a.Doubt != "":
			name = s.warn(name + " in doubt")
		}
		names = append(names, name)
		if a.Voter {
			voters++
			if a.Leader || a.ViewCurrent {
				present++
			}
		}
	}
	transport := "mTLS"
	if r.Insecure {
		transport = s.bad("INSECURE PLAINTEXT")
	}
	quorum := fmt.Sprintf("quorum %d/%d", present, voters)
	switch f := r.GetFreshness(); {
	case f != nil && !f.Linearizable && f.Leader == "":
		quorum = s.bad("no leader")
	case 2*present <= voters:
		quorum = s.bad(quorum)
	}
	who, how := "arbiters   "+strings.Join(names, " · "), fmt.Sprintf("term %d · %s · %s", r.GetFreshness().GetTerm(), quorum, transport)
	gap := 21
	if s.Width > 0 {
		gap = max(columnGap, min(gap, s.Width-visible(who)-visible(how)))
	}
	return who + strings.Repeat(" ", gap) + how
}

func statusRow(s Style, g *arbiterv1.GroupStatus) []string {
	return []string{
		g.Group, stateCell(s, g), primaryCell(s, g), fmt.Sprint(g.Epoch), s.since(sinceWhen(g)), standbyCell(s, g),
		agedLag(amountBehind(g.LagBytes), g.LagAge), loseCell(s, g), fenceCell(s, g.Armed, g.Fence), modeCell(s, g),
	}
}

// sinceWhen is since when a group is what its row says: held, over all tries, or else under this epoch.
func sinceWhen(g *arbiterv1.GroupStatus) *timestamppb.Timestamp {
	if held := g.Operation.GetHeldSince(); held != nil {
		return held
	}
	return g.EpochSince
}

func stateCell(s Style, g *arbiterv1.GroupStatus) string {
	switch {
	case !g.Adopted:
		return s.warn("not adopted")
	case g.Stage == "held":
		return s.bad("HELD")
	case g.Stage == "steady":
		return s.good("steady")
	}
	return s.warn(orDash(spaced(g.Stage)))
}

// primaryCell names the primary, or who is to be it: that this one is it already is not known before its promotion is proven.
func primaryCell(s Style, g *arbiterv1.GroupStatus) string {
	name, zone, status, promoted := g.Primary, g.PrimaryZone, g.PrimaryStatus, ""
	if g.BeingPromoted != "" {
		m := member(g, g.BeingPromoted)
		name, zone, status, promoted = g.BeingPromoted, m.GetZone(), m.GetStatus(), s.warn(" being promoted")
	}
	if name == "" {
		return s.bad("none")
	}
	if zone != "" {
		name += " (" + zone + ")"
	}
	name += promoted
	switch status {
	case "down", "unknown":
		return name + " " + s.bad(status)
	case "degraded":
		return name + " " + s.warn(status)
	}
	return name
}

// standbyCell names the standby that would be promoted, or else the one that comes nearest to it, which lag and loss are about too, and that
// it isn't ready.
func standbyCell(s Style, g *arbiterv1.GroupStatus) string {
	if g.Candidate != "" {
		ready, m := g.Candidate+" ready", member(g, g.Candidate)
		switch {
		case notFollowing(m):
			return g.Candidate + " " + s.bad("not following")
		case m.GetSync():
			ready += " (sync)"
		}
		return ready
	}
	others := slices.DeleteFunc(slices.Clone(g.Members), func(m *arbiterv1.MemberStatus) bool {
		return m.Member == g.Primary || m.Member == g.BeingPromoted || m.Role == "primary"
	})
	if len(others) == 0 {
		return s.bad("none")
	}
	nearest := g.Nearest
	if !slices.ContainsFunc(others, func(m *arbiterv1.MemberStatus) bool { return m.Member == nearest }) { // before the adoption the primary is no candidate, and no standby either
		nearest = others[max(0, slices.IndexFunc(others, func(m *arbiterv1.MemberStatus) bool { return m.Status == "up" }))].Member
	}
	return nearest + " " + s.bad("not ready")
}

// notFollowing says that a member runs as a standby of somebody else than the present primary, or of nobody.
func notFollowing(m *arbiterv1.MemberStatus) bool { return m.GetNotFollowing() != "" }

func member(g *arbiterv1.GroupStatus, name string) *arbiterv1.MemberStatus {
	i := slices.IndexFunc(g.Members, func(m *arbiterv1.MemberStatus) bool { return m.Member == name })
	if i < 0 {
		return nil
	}
	return g.Members[i]
}

func loseCell(s Style, g *arbiterv1.GroupStatus) string {
	words := orDash(g.WouldLose)
	if g.LossGrade == "estimate" {
		words += " (estimate)"
	}
	if g.WouldLose != "nothing" {
		return s.warn(words)
	}
	return words
}

// fenceCell says whether a fence path answers, and by which devices. Longer words go under the row: see fenceNote.
func fenceCell(s Style, armed bool, by string) string {
	words := "armed"
	if !armed {
		words = "NOT ARMED"
	}
	if by != "" && len(by) <= longestCell {
		words += " (" + by + ")"
	}
	if !armed {
		return s.bad(words)
	}
	return words
}

// longestCell is how much a cell says of a reason; longer ones go under the row.
const longestCell = 24

// fenceNote is why a fence path doesn't answer, where that is too long for its cell.
func fenceNote(armed bool, why string) []string {
	if armed || len(why) <= longestCell {
		return nil
	}
	return []string{why}
}

func modeCell(s Style, g *arbiterv1.GroupStatus) string {
	if g.Pause != nil {
		return orDash(g.Automation) + ", " + s.warn("paused")
	}
	return orDash(g.Automation)
}

// statusNotes are the lines under a group: what is alarming, what holds it, who is proven unable to write where no table of its members follows, what to
// know, what to do.
func statusNotes(p *page, s Style, g *arbiterv1.GroupStatus, proven ...string) {
	notes := slices.Clone(g.Notes)
	if may := g.Operation.GetMayWrite(); may != "" {
		p.labelled("  ", s.bad("alarm:"), []string{may})
		for i := range notes {
			notes[i] = strings.TrimSuffix(strings.TrimSuffix(notes[i], may+"."), " ")
		}
	}
	if held := g.Operation.GetHeldDetail(); g.Stage == "held" && held != "" {
		p.labelled("  ", "held:", []string{held})
		notes = slices.DeleteFunc(notes, func(n string) bool { return strings.Contains(n, held) })
	} else if g.Stage == "held" && len(notes) > 0 {
		p.labelled("  ", "held:", notes)
		notes = nil
	}
	routeNotes(p, s, "  ", g.AstrayRoutes, g.UnreadRoutes)
	for _, name := range rogues(g) {
		if g.Operation.GetMayWriteMember() == name { // said above, and graver
			continue
		}
		p.labelled("  ", s.bad("alarm:"), []string{name + " has no authority and may be accepting writes"})
	}
	p.labelled("  ", "proof:", proven)
	p.labelled("  ", "fence:", fenceNote(g.Armed, g.Fence))
	if g.Pause != nil {
		p.labelled("  ", "paused:", []string{pauseSentence(s, g.Pause)})
	}
	p.labelled("  ", "note:", notes)
	p.labelled("  ", "next:", g.Next)
}

// routeNotes say what keeps clients from the primary, or may.
func routeNotes(p *page, s Style, indent string, astray []*arbiterv1.AstrayRoute, unread []*arbiterv1.UnreadRoute) {
	for _, r := range astray {
		p.labelled(indent, s.bad("astray:"), []string{r.Member + ": " + r.What + " (as the leading arbiter saw it last)"})
	}
	for _, r := range unread {
		label := "unread:"
		if r.Silent {
			label = "silent:"
		}
		p.labelled(indent, s.bad(label), []string{unreadSentence(r)})
	}
}

// unreadSentence says since when it isn't known where a route leads, why, and what to do.
func unreadSentence(r *arbiterv1.UnreadRoute) string {
	what := fmt.Sprintf("router %s has not answered for %s", r.Route, briefProto(r.UnreadFor))
	if !r.Silent {
		what = fmt.Sprintf("where route %s leads has not been known for %s", r.Route, briefProto(r.UnreadFor))
	}
	return fmt.Sprintf("%s, so clients may not get to the primary: %s; %s (as the leading arbiter sees it)", what, r.Error, r.Next)
}

func pauseSentence(s Style, pause *arbiterv1.PauseStatus) string {
	words := "by " + orDash(pause.Actor)
	if pause.Since != nil {
		words += fmt.Sprintf(", since %s (%s)", s.moment(pause.Since), s.since(pause.Since))
	}
	if pause.Reason != "" {
		words += fmt.Sprintf(": %q", pause.Reason)
	}
	return words
}
