package failover

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Candidate is one member as a possible next primary, with the reason if it may not be one.
type Candidate struct {
	Member   MemberName
	Eligible bool
	Reason   HoldReason // why not, as a reason to hold
	Why      string
	Position LSN
	Loss     LossBound
}

// Candidates ranks the members other than the former writer, the best first: eligible, then those whose loss an operator could accept, with a known
// loss, most advanced, then priority, then the preferred zone, then name. All that names somebody who would be promoted, or comes nearest to it, takes
// the first. positions are either live (after a catch_up) or seen: see PositionsToJudge.
func Candidates(g *Group, positions []MemberPosition) []Candidate {
	var all []Candidate
	for _, m := range g.Spec.Members {
		if m.Name == formerWriter(g) {
			continue
		}
		all = append(all, judge(g, m, positions))
	}
	sort.SliceStable(all, func(i, j int) bool { return better(g, all[i], all[j]) })
	return all
}

func better(g *Group, a, b Candidate) bool {
	x, _ := g.Spec.Member(a.Member)
	y, _ := g.Spec.Member(b.Member)
	preferred := func(m MemberSpec) bool {
		return m.Zone == g.Spec.Policy.PreferredZone && m.Zone != ""
	}
	switch {
	case a.Eligible != b.Eligible:
		return a.Eligible
	case (a.Reason == HoldLossBound) != (b.Reason == HoldLossBound):
		return a.Reason == HoldLossBound
	case (a.Loss.Grade == LossUnknown) != (b.Loss.Grade == LossUnknown):
		return b.Loss.Grade == LossUnknown
	case a.Position != b.Position:
		return a.Position > b.Position
	case x.Priority != y.Priority:
		return x.Priority > y.Priority
	case preferred(x) != preferred(y):
		return preferred(x)
	}
	return a.Member < b.Member
}

// formerWriter is the member that is, or was when the operation began, the writer.
func formerWriter(g *Group) MemberName {
	if g.Operation != nil && g.Operation.From != "" && g.Operation.Kind == KindFailover {
		return g.Operation.From
	}
	return g.Writer()
}

func judge(g *Group, m MemberSpec, positions []MemberPosition) Candidate {
	c := Candidate{Member: m.Name, Reason: HoldNoCandidate}
	p, ok := positionOf(positions, m.Name)
	c.Position = p.Position()
	c.Loss = LossOf(g, m.Name, positions)
	switch state := g.Member(m.Name); {
	case barred(g, m) != "":
		c.Why = barred(g, m)
	case !ok || !p.Answered:
		c.Why = "it does not answer as a standby"
		if p.Detail != "" {
			c.Why += ": " + p.Detail
		}
	case p.SystemID != g.SystemID && g.SystemID == "":
		c.Why = "the group is not adopted, so it is not known whose standby it should be"
	case p.SystemID != g.SystemID:
		c.Why = fmt.Sprintf("its system identifier %s is not the group's, %s", p.SystemID, g.SystemID)
	case state.Rogue:
		c.Why = "it accepts writes without authority"
	case state.Authority == AuthorityRevoked:
		c.Why = "it is not proven unable to write"
	case !policyAllows(g, c.Loss) && !lossTaken(g, c, positions):
		c.Reason, c.Why = HoldLossBound, lossText(g, c.Loss)
	default:
		c.Eligible, c.Reason = true, ""
	}
	return c
}

// barred says why a member isn't promoted, whatever is seen of it: by the spec, or since an operator named another one. It is empty if it may be.
func barred(g *Group, m MemberSpec) string {
	op := g.Operation
	switch {
	case m.Priority == 0:
		return "its priority is 0"
	case op != nil && op.Wanted != "" && op.Wanted != m.Name:
		return fmt.Sprintf("%s was asked for", op.Wanted)
	}
	return ""
}

// policyAllows says whether a loss may be taken without asking anybody.
func policyAllows(g *Group, loss LossBound) bool {
	allowed := g.Spec.Policy.MaxLossBytes
	switch {
	case loss.Grade == LossUnknown:
		return false
	case allowed == 0:
		return loss.Bytes == 0 && loss.Grade == LossObserved
	}
	return loss.Bytes <= allowed
}

// lossTaken says whether an operator accepted what the promotion of a candidate may lose: of the one that was the best then, or of one
// of the same history that holds at least as much as that one now.
func lossTaken(g *Group, c Candidate, positions []MemberPosition) bool {
	if g.Operation == nil || g.Operation.LossTaken == nil {
		return false
	}
	taken := g.Operation.LossTaken
	if c.Member != taken.Member {
		p, _ := positionOf(positions, c.Member)
		named, _ := positionOf(positions, taken.Member)
		if !named.Answered || p.Timeline != named.Timeline || p.Position() < named.Position() {
			return false
		}
	}
	return taken.Unknown || c.Loss.Grade != LossUnknown && c.Loss.Bytes <= taken.Bytes
}

// tooMuchLost is the best member whose promotion would lose more than is allowed, if there is one: what an acceptance is about.
func tooMuchLost(s *State, g *Group) (Candidate, bool) {
	for _, c := range Candidates(g, PositionsToJudge(s, g)) {
		if c.Reason == HoldLossBound && c.Member != g.Operation.Candidate {
			return c, true
		}
	}
	return Candidate{}, false
}

func lossText(g *Group, loss LossBound) string {
	if loss.Grade == LossEstimate && loss.Bytes == 0 {
		return fmt.Sprintf("nothing is seen that would be lost by promoting it, but that is an estimate (%s), and the policy allows no loss", loss.Why)
	}
	allowed := "none"
	if n := g.Spec.Policy.MaxLossBytes; n > 0 {
		allowed = InBytes(n)
	}
	return fmt.Sprintf("promoting it may lose %s and the policy allows %s", loss, allowed)
}

func positionOf(positions []MemberPosition, member MemberName) (MemberPosition, bool) {
	for _, p := range positions {
		if p.Member == member {
			return p, true
		}
	}
	return MemberPosition{}, false
}

// PositionsToJudge are those by which whoever could be promoted is judged now: what was read after the fence, if it was, else what the
// arbiters saw last. What was read before a promotion says nothing of who could follow on it.
func PositionsToJudge(s *State, g *Group) []MemberPosition {
	if op := g.Operation; op != nil && len(op.Positions) > 0 && op.Candidate == "" {
		return op.Positions
	}
	return SeenPositions(s, g)
}

// Outlook is who would be promoted, or is being promoted, with what that may lose. It is false if there is nobody but the former writer.
func Outlook(s *State, g *Group) (Candidate, bool) {
	if op := g.Operation; op != nil && op.Candidate != "" && !op.Reinstating {
		p, _ := positionOf(op.Positions, op.Candidate)
		return Candidate{Member: op.Candidate, Eligible: true, Position: p.Position(), Loss: op.Loss}, true
	}
	ranked := Candidates(g, PositionsToJudge(s, g))
	if len(ranked) == 0 {
		return Candidate{}, false
	}
	return ranked[0], true
}

// Successor is who would be promoted, and while somebody is being promoted, or was, who would be in its place. It is false if there is nobody.
func Successor(s *State, g *Group) (Candidate, bool) {
	for _, c := range Candidates(g, PositionsToJudge(s, g)) {
		if g.Operation == nil || c.Member != g.Operation.Candidate {
			return c, true
		}
	}
	return Candidate{}, false
}

// SeenPositions is how far each member had got when the arbiters last looked: a member counts as answering when a majority
// sees it up and in recovery. It is what can be known before the former primary is isolated.
func SeenPositions(s *State, g *Group) []MemberPosition {
	positions := make([]MemberPosition, 0, len(g.Members))
	for _, m := range g.Members {
		p := MemberPosition{Member: m.Name, SystemID: g.systemID(s, m.Name)}
		for _, node := range s.Voters {
			if look, ok := g.currentLook(s, node, m.Name); ok && isStandby(look.Observation.Facts) {
				f := look.Observation.Facts
				p.Received, p.Replayed = max(p.Received, f.Received), max(p.Replayed, f.Replayed)
				p.Epoch = max(p.Epoch, f.Epoch)
				p.Timeline = max(p.Timeline, f.Timeline)
			}
		}
		if p.Timeline < g.LastPrimary.Timeline {
			p.Timeline = 0 // a standby that is not connected says what it had at its last checkpoint
		}
		seen := g.countLooks(s, m.Name, isStandby)
		p.Answered = seen >= s.Majority()
		if !p.Answered {
			p.Detail = fmt.Sprintf("%d of %d arbiters see it up and in recovery (%s)", seen, len(s.Voters), g.seenInstead(s, m.Name))
		}
		positions = append(positions, p)
	}
	return positions
}

// seenInstead says what those arbiters see of a member that don't see it up and in recovery, the same once.
func (g *Group) seenInstead(s *State, member MemberName) string {
	var sights []string
	for _, node := range s.Voters {
		sight := "no view that counts"
		if _, counts := s.viewThatCounts(node); counts {
			sight = string(ReasonNotYetSeen)
		}
		if look, ok := g.currentLook(s, node, member); ok {
			facts := look.Observation.Facts
			_, why := g.Spec.StatusOf(look.Observation)
			switch up := g.seenUp(look); {
			case up && isStandby(facts):
				continue
			case up && facts.Role == RolePrimary:
				sight = "not in recovery"
			default:
				sight = string(why.Reason)
			}
		}
		if !slices.Contains(sights, sight) {
			sights = append(sights, sight)
		}
	}
	return strings.Join(sights, ", ")
}

// LossOf bounds the acknowledged bytes that promoting a member would lose. If of the n standbys that the primary's last known
// rule named, of which k had to confirm each commit, n-k+1 answer, then one of them holds every acknowledged commit, and no more
// can be lost than the distance to the most advanced of them. Otherwise it is the distance to the primary's last known
// position: an estimate, since the primary went on after that. Nobody knows by which rule a primary that was never seen confirmed, nor what
// a member lacks whose position nobody has seen.
func LossOf(g *Group, member MemberName, positions []MemberPosition) LossBound {
	p, _ := positionOf(positions, member)
	last := g.LastPrimary
	rule := g.standbyRule(last)
	switch {
	case !p.Answered && p.Position() == 0:
		return LossBound{Grade: LossUnknown, Why: fmt.Sprintf("the position of %s is not known", member)}
	case p.Timeline != 0 && p.Timeline < last.Timeline: // positions of different histories can't be compared
		return LossBound{Grade: LossUnknown, Why: fmt.Sprintf("it is on timeline %d and the primary was on %d: all that was written since may be lost",
			p.Timeline, last.Timeline)}
	case last.Timeline != 0 && p.Timeline > last.Timeline: // a promotion that nobody saw, or somebody else's server
		return LossBound{Grade: LossUnknown, Why: fmt.Sprintf("it is on timeline %d and the primary was on %d: that is another history; rebuild it unless that is the one to keep",
			p.Timeline, last.Timeline)}
	case last.Old:
		return LossBound{Grade: LossUnknown, Why: "no arbiter could ask the primary for long before: what it has written since, and by which rule it confirmed, is not known"}
	case last.Index == 0 && last.Written == 0:
		return LossBound{Grade: LossUnknown, Why: "the primary was never seen"}
	case last.Index == 0:
		return estimate(last, p, "the primary's rule of synchronous replication was never seen")
	case rule.Need == 0:
		return estimate(last, p, "replication is asynchronous")
	case slices.Contains(rule.Names, "*"):
		return estimate(last, p, "the rule of synchronous replication names nobody in particular (*)")
	}
	answering, furthest := answeringSync(g, rule, positions)
	needed := len(rule.Names) - rule.Need + 1
	why := fmt.Sprintf("%d of %d synchronous standbys answer, %d needed", answering, len(rule.Names), needed)
	switch {
	case answering < needed:
		return estimate(last, p, why)
	case p.Position() < furthest:
		return LossBound{Grade: LossObserved, Bytes: uint64(furthest - p.Position()), Why: why + ", and one of them holds more"}
	}
	return LossBound{Grade: LossObserved, Why: why}
}

// standbyRule is the primary's last known rule without its own name: the same list is often set on all members, and a server never
// confirms to itself. Names are compared as PostgreSQL does, without regard to case.
func (g *Group) standbyRule(last PrimaryFacts) SyncRule {
	own, _ := g.Spec.Member(last.Member)
	rule := SyncRule{Need: last.SyncRule.Need}
	for _, name := range last.SyncRule.Names {
		if !strings.EqualFold(name, own.ApplicationName) {
			rule.Names = append(rule.Names, strings.ToLower(name))
		}
	}
	if len(rule.Names) == 0 {
		rule.Need = 0
	}
	return rule
}

func answeringSync(g *Group, rule SyncRule, positions []MemberPosition) (answering int, furthest LSN) {
	for _, m := range g.Spec.Members {
		p, ok := positionOf(positions, m.Name)
		if !ok || !p.Answered || p.SystemID != g.SystemID || ofAnotherHistory(p, g.LastPrimary) || !slices.Contains(rule.Names, strings.ToLower(m.ApplicationName)) {
			continue
		}
		answering++
		furthest = max(furthest, p.Position())
	}
	return answering, furthest
}

// ofAnotherHistory says that a member is on another timeline than the primary was: what it holds says nothing about what the primary
// acknowledged, though it may have confirmed all of that before.
func ofAnotherHistory(p MemberPosition, last PrimaryFacts) bool {
	return p.Timeline != 0 && last.Timeline != 0 && p.Timeline != last.Timeline
}

func estimate(last PrimaryFacts, p MemberPosition, why string) LossBound {
	switch {
	case last.Written == 0:
		return LossBound{Grade: LossUnknown, Why: why + "; the primary's position was never seen"}
	case p.Position() >= last.Written:
		return LossBound{Grade: LossEstimate, Why: why}
	}
	return LossBound{Grade: LossEstimate, Bytes: uint64(last.Written - p.Position()), Why: why}
}

// PrimaryFacts are the last known facts of the writer. They outlive its looks: an arbiter that restarts after the primary died
// has never seen it.
type PrimaryFacts struct {
	Member   MemberName
	Index    Index // of the entry that brought the newest look that saw it accepting writes, and its rule; 0: there was none
	Written  LSN
	Timeline uint32
	SyncRule SyncRule
	Replicas []Replica
	Old      bool `json:",omitempty"` // all arbiters that tell of it have been unable to ask it for long
}

// beginPrimary forgets the primary before: its position, history and rule say nothing of what the next one confirms. What the
// arbiters see of the next one at this entry counts, since they send nothing as long as it stays so.
func (g *Group) beginPrimary(s *State, known PrimaryFacts) {
	g.LastPrimary = known
	for _, l := range g.Looks {
		if view, ok := s.View(l.Node); ok && view.Generation == l.Generation {
			g.notePrimary(s, l)
		}
	}
}

// notePrimary keeps what a look says of the present writer.
func (g *Group) notePrimary(s *State, l Look) {
	f := l.Observation.Facts
	if f.Role != RolePrimary && !f.Old || l.Observation.Member != g.Writer() {
		return
	}
	if g.LastPrimary.Member != l.Observation.Member {
		g.LastPrimary = PrimaryFacts{Member: l.Observation.Member}
	}
	g.LastPrimary.Old = f.Old && g.toldOldOnly(s, l.Observation.Member)
	if f.Role != RolePrimary {
		return
	}
	g.LastPrimary.Written = max(g.LastPrimary.Written, f.Written)
	if f.AcceptsWrites {
		g.LastPrimary.Index, g.LastPrimary.SyncRule, g.LastPrimary.Replicas = l.Index, f.SyncRule, f.Replicas
		g.LastPrimary.Timeline = f.Timeline
	}
}

// toldOldOnly says that no arbiter whose view counts knows anything of a primary that is not old.
func (g *Group) toldOldOnly(s *State, member MemberName) bool {
	return !slices.ContainsFunc(s.Voters, func(node NodeID) bool {
		look, ok := g.currentLook(s, node, member)
		return ok && look.Observation.Facts.Role == RolePrimary && !look.Observation.Facts.Old
	})
}
