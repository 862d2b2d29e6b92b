package arbiter

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// judged is the state by which it is told what a failover of a group would do: with this arbiter's newest looks, since positions move all the time and are
// not committed. An operation in progress is decided on by the committed ones alone, and so it is told of.
func (n *Node) judged(s *failover.State, g *failover.Group) *failover.State {
	if g.Operation != nil {
		return s
	}
	return n.freshened(s, g)
}

// measured is the state by which distances and losses are told. A refence decides nothing by positions, so those seen last count beside it too.
func (n *Node) measured(s *failover.State, g *failover.Group) *failover.State {
	if g.Operation != nil && g.Operation.Kind == failover.KindRefence {
		return n.freshened(s, g)
	}
	return n.judged(s, g)
}

// groupToProto answers the questions of 3 a.m. for one group. What is decided comes from the committed state; what a failover would do and lose comes
// from this arbiter's own newest looks too: see judged.
func (n *Node) groupToProto(s *failover.State, g *failover.Group, e failover.Explanation) *arbiterv1.GroupStatus {
	armed, why := failover.Armed(s, g)
	status := &arbiterv1.GroupStatus{
		Group: string(g.Name), Stage: string(g.Stage), Adopted: g.Adopted, Primary: string(g.Primary()), BeingPromoted: string(g.BeingPromoted()),
		Epoch: uint64(g.Epoch), Armed: armed, Fence: why, Automation: string(g.Spec.Policy.Automation), SpecVersion: g.SpecVersion,
		Lease: leaseToProto(g), Next: e.Next, EpochGrade: epochGrade(s, g),
	}
	if armed {
		status.Fence = fenceMethods(g)
	}
	if row := g.History.Epochs; len(row) > 0 {
		status.EpochSince = timeToProto(row[len(row)-1].Wall)
	}
	if m, ok := g.Spec.Member(g.Primary()); ok {
		status.PrimaryZone = m.Zone
		status.PrimaryStatus = string(failover.Tally(s, g, m.Name).Status)
	}
	if g.Pause != nil {
		status.Pause = &arbiterv1.PauseStatus{Actor: g.Pause.Actor, Reason: g.Pause.Reason, Since: timeToProto(g.Pause.Since)}
	}
	if g.Operation != nil {
		status.Operation = runningToProto(g, e.Decision)
		status.Notes = append(status.Notes, e.Summary)
	} else if !g.Adopted {
		status.Notes = append(status.Notes, e.Summary)
	}
	for _, m := range g.Spec.Members {
		member := n.memberToProto(s, g, m)
		status.Members = append(status.Members, member)
		if m.Name == g.Writer() && status.GetPrimaryStatus() == string(failover.StatusDegraded) {
			status.Notes = append(status.Notes, degradedNote(member, len(s.Voters)))
		}
		if why := failover.CantBeAsked(s, g, m.Name); m.Name == g.Writer() && why != "" {
			status.Notes = append(status.Notes, why+", so a failure of it might not be seen")
		}
		if why := member.GetNotFollowing(); why != "" {
			status.Notes = append(status.Notes, fmt.Sprintf("%s is not ready: %s", m.Name, why))
		}
	}
	if status.CommitsWait = failover.CommitsWait(s, g); status.CommitsWait != "" {
		status.Notes = append(status.Notes, fmt.Sprintf("clients' commits wait: %s; bring one back, or see docs/operations.md, \"After a failover\"", status.CommitsWait))
	}
	n.addRoutes(s, g, status)
	now := n.measured(s, g)
	addEligible(status.GetMembers(), now, now.Group(g.Name))
	n.addLoss(now, now.Group(g.Name), status)
	return status
}

// addRoutes adds where the routes of a group that nothing is done to lead elsewhere, or that it isn't known, which only the leader looks at, and what becomes of that.
func (n *Node) addRoutes(s *failover.State, g *failover.Group, status *arbiterv1.GroupStatus) {
	status.AstrayRoutes, status.UnreadRoutes = n.routesToProto(s, g)
	if len(status.GetAstrayRoutes()) == 0 {
		return
	}
	if why := failover.RoutesLeftAlone(s, g, failover.WallTimeOf(n.options.Clock.Wall())); why != "" {
		status.Next = append(status.Next, fmt.Sprintf("mend the router by hand, since %s and nobody brings them back by itself; what is wrong says: arbiterctl check %s", why, g.Name))
	}
}

// routesToProto is what the leader's newest looks found of a group's routes: where they lead elsewhere than to the primary, and of which it isn't known.
func (n *Node) routesToProto(s *failover.State, g *failover.Group) (astray []*arbiterv1.AstrayRoute, unread []*arbiterv1.UnreadRoute) {
	for _, r := range n.routes.seen(s, g) {
		for _, f := range r.Astray {
			astray = append(astray, &arbiterv1.AstrayRoute{Route: r.name, Member: string(f.Member), What: f.What, Age: n.age(r.ended)})
		}
		if r.Unread != nil {
			unread = append(unread, &arbiterv1.UnreadRoute{
				Route: r.name, Silent: r.Unread.Unreachable, UnreadFor: n.age(r.since), Error: r.Unread.What, Next: r.Unread.Next, Age: n.age(r.ended),
			})
		}
	}
	return astray, unread
}

// explanationToProto adds to an explanation what the arbiters see and what the members say of themselves.
func (n *Node) explanationToProto(s *failover.State, g *failover.Group, e failover.Explanation) *arbiterv1.ExplainResponse {
	answer := &arbiterv1.ExplainResponse{
		Group: string(g.Name), Summary: e.Summary, WouldDo: e.WouldDo, Possible: e.Possible(), Next: e.Next,
		Stage: string(g.Stage), Rule: e.Decision.Rule, Guards: guardsToProto(e.Decision.Guards),
		Views: n.viewsToProto(s, g, e.Verdict.Member), Witnesses: n.witnesses(s, g),
	}
	for _, m := range g.Spec.Members {
		answer.Members = append(answer.Members, n.memberToProto(s, g, m))
	}
	now := n.measured(s, g)
	addEligible(answer.GetMembers(), now, now.Group(g.Name))
	if best, ok := failover.Outlook(now, now.Group(g.Name)); ok {
		answer.Nearest = string(best.Member)
	}
	answer.AstrayRoutes, answer.UnreadRoutes = n.routesToProto(s, g)
	answer.Checks, answer.Subject = checksToProto(g.Spec, answer.GetMembers()), string(e.Verdict.Member)
	for _, rule := range answer.GetChecks() {
		n.addCounts(g.Name, rule)
	}
	return answer
}

// addCounts adds to a check what this arbiter has counted towards its threshold.
func (n *Node) addCounts(group failover.GroupName, rule *arbiterv1.CheckRule) {
	for _, v := range rule.GetViews() {
		report, ok := n.view.look(group, failover.MemberName(v.GetMember()))
		if !ok || v.GetNode() != string(n.options.Node) {
			continue
		}
		for _, bad := range report.Towards {
			if bad.Check == rule.GetName() {
				v.Counted, v.CountedReason, v.CountedDetail = uint32(bad.Count), string(bad.Latest.Reason), bad.Latest.Detail
			}
		}
	}
}

// degradedNote says of a primary that is alive but failing what each check finds, and that this alone fails nobody over.
func degradedNote(m *arbiterv1.MemberStatus, voters int) string {
	seen, why := 0, ""
	for _, v := range m.GetViews() {
		if !v.GetCounts() || v.GetStatus() != string(failover.StatusDegraded) {
			continue
		}
		seen++
		for _, c := range v.GetChecks() {
			if why == "" && c.GetReason() == v.GetReason() {
				why = fmt.Sprintf("check %s: %s", c.GetName(), cmp.Or(c.GetDetail(), c.GetReason()))
			}
		}
		if why == "" { // no check says it alone: of a primary in recovery all are good
			why = cmp.Or(v.GetDetail(), v.GetReason())
		}
	}
	return fmt.Sprintf("%d of %d arbiters see %s alive but failing (%s), which by itself is no reason for a failover", seen, voters, m.GetMember(), why)
}

// addLoss says who would be promoted, beside whoever is promoted already, and what that would lose. How far a primary has got since nobody can see it is not known.
func (n *Node) addLoss(s *failover.State, g *failover.Group, status *arbiterv1.GroupStatus) {
	status.WouldLose = "unknown"
	best, ok := failover.Successor(s, g)
	if !ok {
		return
	}
	status.Nearest = string(best.Member)
	status.LossGrade, status.LossBytes = string(best.Loss.Grade), lossBytes(best.Loss)
	status.LagBytes, status.LagAge = n.lag(g, best.Member), n.lagAge(g, best.Member)
	if best.Eligible {
		status.Candidate = string(best.Member)
	} else if g.Operation == nil { // an operation says itself what it waits for
		status.Notes = append(status.Notes, fmt.Sprintf("no member can be promoted now; the nearest is %s: %s", best.Member, best.Why))
	}
	unseen := status.GetPrimaryStatus() == string(failover.StatusUnknown) && g.Operation == nil
	switch {
	case best.Loss.Grade == failover.LossEstimate && unseen:
		status.LossGrade, status.LossBytes = string(failover.LossUnknown), nil
	case best.Loss.Grade == failover.LossObserved && best.Loss.Bytes == 0:
		status.WouldLose = "nothing"
	case best.Loss.Grade == failover.LossObserved || best.Loss.Grade == failover.LossEstimate:
		// Seen positions are as old as the last change, and the live distance may have grown; what was read after the fence may be more.
		status.LossBytes = new(max(best.Loss.Bytes, status.GetLagBytes()))
		status.WouldLose = "about " + failover.InBytes(status.GetLossBytes())
	}
}

func (n *Node) memberToProto(s *failover.State, g *failover.Group, m failover.MemberSpec) *arbiterv1.MemberStatus {
	state := g.Member(m.Name)
	status := &arbiterv1.MemberStatus{Member: string(m.Name), Zone: m.Zone, Address: m.Address, Authority: string(state.Authority), Status: string(state.Verdict)}
	status.Armed, status.Fence = failover.MemberArmed(s, g, m.Name)
	status.SeenAge = n.seenAge(g.Name, m.Name)
	status.FenceAge, status.Views = n.fenceAge(g.Name, m.Name), n.viewsToProto(s, g, m.Name)
	if state.Proof.Grade != "" {
		status.Proof, status.Proven = fmt.Sprintf("%s %s", state.Proof.Grade, state.Proof.By), timeToProto(g.ProvenAt(m.Name))
	}
	if look, ok := n.view.look(g.Name, m.Name); ok {
		f := look.Observation.Facts
		now, why := g.StatusOf(look.Observation)
		status.TokenEpoch = uint64(f.Epoch)
		if now != failover.StatusDown && now != failover.StatusUnknown { // of one that doesn't answer it is what it was
			status.Role = string(f.Role)
		}
		status.Reason = string(why.Reason)
	}
	// What this arbiter sees itself need not be why most see the member as they do.
	for _, v := range status.GetViews() {
		if v.GetCounts() && v.GetReason() != "" && v.GetStatus() == status.GetStatus() {
			status.Reason = v.GetReason()
			break
		}
	}
	status.Sync = confirms(g, m)
	if m.Name != g.Writer() {
		status.LagAge = n.lagAge(g, m.Name)
		status.LagBytes, status.NotFollowing = n.lag(g, m.Name), failover.NotFollowing(s, g, m.Name)
	}
	return status
}

// addEligible adds who could be promoted, and why the others can't be.
func addEligible(members []*arbiterv1.MemberStatus, s *failover.State, g *failover.Group) {
	ranked := failover.Candidates(g, failover.PositionsToJudge(s, g))
	for _, m := range members {
		for _, c := range ranked {
			if string(c.Member) == m.GetMember() && c.Member != g.Writer() {
				m.Eligible, m.WhyNotEligible = c.Eligible, c.Why
			}
		}
	}
}

// confirms says whether the primary, when it was last seen, waited for this member at each commit.
func confirms(g *failover.Group, m failover.MemberSpec) bool {
	return slices.ContainsFunc(g.LastPrimary.Replicas, func(r failover.Replica) bool { return r.Name == m.ApplicationName && r.Sync })
}

// viewsToProto lists what each arbiter sees of a member, and whether that counts.
func (n *Node) viewsToProto(s *failover.State, g *failover.Group, member failover.MemberName) []*arbiterv1.View {
	var views []*arbiterv1.View
	for _, node := range s.Voters {
		v := &arbiterv1.View{Node: string(node), Status: string(failover.StatusUnknown)}
		known, ok := s.View(node)
		switch {
		case !ok || !known.Current:
			v.WhyNot = "the leader has no current view from it"
		case known.Doubt != "":
			v.WhyNot = fmt.Sprintf("%s also %s, so its view counts as unknown", node, known.Doubt)
		default:
			v.Counts = true
		}
		for _, l := range g.Looks {
			if l.Node == node && l.Observation.Member == member && ok && l.Generation == known.Generation {
				addLook(v, g, l.Observation)
			}
		}
		if node == n.options.Node {
			v.Age = n.lookAge(g.Name, member)
		}
		views = append(views, v)
	}
	return views
}

// checksToProto lists the rules of a group's checks, each with what it says in the views of these members.
func checksToProto(spec *failover.Spec, members []*arbiterv1.MemberStatus) []*arbiterv1.CheckRule {
	rules := make([]*arbiterv1.CheckRule, len(spec.Health.Checks))
	for i, c := range spec.Health.Checks {
		rules[i] = &arbiterv1.CheckRule{
			Name: c.Name, Kind: string(c.Kind), Required: c.Required, Interval: durationpb.New(c.Interval), Timeout: durationpb.New(c.Timeout),
			Failures: uint32(c.Failures), Successes: uint32(c.Successes),
		}
		if c.Window > 0 {
			rules[i].Window = durationpb.New(c.Window)
		}
		for _, m := range members {
			for _, v := range m.GetViews() {
				if seen := checkView(spec, c.Name, v); seen != nil {
					seen.Member = m.GetMember()
					rules[i].Views = append(rules[i].Views, seen)
				}
			}
		}
	}
	return rules
}

// checkView is what one check says in an arbiter's view of a member; nil if nothing of it is committed.
func checkView(spec *failover.Spec, check string, v *arbiterv1.View) *arbiterv1.CheckView {
	for _, c := range v.GetChecks() {
		if c.GetName() == check {
			state := failover.CheckState{Name: check, Evidence: failover.Evidence{Reason: failover.Reason(c.GetReason())}}
			return &arbiterv1.CheckView{
				Node: v.GetNode(), Status: string(spec.CheckStatus(state)), Reason: c.GetReason(), Detail: c.GetDetail(),
				Since: v.GetSince(), Counts: v.GetCounts(),
			}
		}
	}
	return nil
}

func addLook(v *arbiterv1.View, g *failover.Group, o failover.Observation) {
	status, why := g.StatusOf(o)
	v.Status, v.Reason, v.Detail, v.Since = string(status), string(why.Reason), why.Detail, timeToProto(o.Since)
	for _, c := range o.Checks {
		e := c.Evidence
		v.Checks = append(v.Checks, &arbiterv1.CheckState{
			Name: c.Name, Reason: string(e.Reason), Detail: e.Detail, Accepted: e.Accepted, AcceptedAt: timeToProto(e.AcceptedAt),
		})
	}
}

// witnesses puts into words what the standbys say of their primary.
func (n *Node) witnesses(s *failover.State, g *failover.Group) []string {
	var lines []string
	for _, m := range g.Members {
		look, ok := n.view.look(g.Name, m.Name)
		if !ok || look.Observation.Facts.Role != failover.RoleStandby {
			continue
		}
		f := look.Observation.Facts
		where := fmt.Sprintf("at %s by the newest look of %s", f.Position(), n.options.Node) // the arbiters' views may be of before it
		switch status, _ := g.Spec.StatusOf(look.Observation); {
		case status == failover.StatusDown || status == failover.StatusUnknown:
			lines = append(lines, n.lastWords(g.Name, m.Name, status, f))
		case f.ReceivingGrows:
			lines = append(lines, fmt.Sprintf("%s receives ever more: somebody writes (%s)", m.Name, where))
		case f.Streaming:
			lines = append(lines, fmt.Sprintf("%s is connected to its primary, %s", m.Name, where))
		default:
			lines = append(lines, fmt.Sprintf("%s receives from nobody, %s", m.Name, where))
		}
	}
	return lines
}

// lastWords are what a standby told that does not answer any more.
func (n *Node) lastWords(group failover.GroupName, member failover.MemberName, status failover.Status, f failover.Facts) string {
	when := ""
	if age := n.seenAge(group, member); age != nil {
		when = fmt.Sprintf(" %s ago", spans.Long(age.AsDuration()))
	}
	return fmt.Sprintf("%s is %s to %s, which last saw it%s, at %s", member, status, n.options.Node, when, f.Position())
}

// epochGrade says whether the targets of the next promotion would refuse a late actor (S9): every standby that is seen must
// hold a token, and none may be seen without one.
func epochGrade(s *failover.State, g *failover.Group) string {
	if g.Epoch == 0 { // never adopted: there is no epoch that a target could refuse
		return "unknown"
	}
	seen := false
	for _, p := range failover.SeenPositions(s, g) {
		if p.Member == g.Writer() || !p.Answered {
			continue
		}
		if seen = true; p.Epoch < g.Epoch {
			return "weak"
		}
	}
	if !seen {
		return "weak"
	}
	return "strong"
}

func fenceMethods(g *failover.Group) string {
	var names []string
	for _, m := range g.Spec.Members {
		for _, level := range m.Fence {
			for _, d := range level.Devices {
				if !slices.Contains(names, d.Method) {
					names = append(names, d.Method)
				}
			}
		}
	}
	text := ""
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

func (n *Node) arbitersToProto(s *failover.State) []*arbiterv1.ArbiterStatus {
	leader, _ := n.raft.Leader()
	voters := s.Voters
	if len(voters) == 0 { // nothing is applied yet: who votes is shown, and only shown, as the log on disk has it
		voters = n.raft.voters()
	}
	servers := n.raft.Servers()
	var list []*arbiterv1.ArbiterStatus
	for _, p := range n.options.Peers {
		known, _ := s.View(p.Node)
		a := &arbiterv1.ArbiterStatus{
			Node: string(p.Node), Zone: p.Zone, RaftAddress: raftAddress(p, servers), GrpcAddress: p.GRPC, Leader: string(leader) == string(p.Node),
			Voter: slices.Contains(voters, p.Node), ViewCurrent: known.Current, Doubt: known.Doubt, EntryVersion: uint32(known.Version),
		}
		if p.Node == n.options.Node {
			a.Readiness, a.Release, a.Certificates = n.readiness(), n.options.Release, n.certificates()
			a.Doubt = n.view.doubts() // what it thinks itself is newer than what was committed, if that could be
		} else if sent, ok := n.answeredBy(p.Node); ok {
			a.LastContact = durationpb.New((n.options.Clock.Boot() - sent).Truncate(time.Microsecond))
		}
		list = append(list, a)
	}
	return list
}
