package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explanation says why Arbiter did, or did not, act on a group. It is made from the same decision that the leader acts on.
type Explanation struct {
	Summary  string
	Decision Decision
	Verdict  Verdict
	// WouldDo is what a failover would do now, in words, or what the one in progress has left to do; empty if there is no candidate.
	WouldDo string
	// Next are commands that would help.
	Next     []string
	prospect prospect // of which WouldDo tells; empty while a failover is in progress
}

// Explain asks Plan and puts its answer into words.
func Explain(s *State, name GroupName, d Durations) Explanation {
	g := s.Group(name)
	if g == nil {
		return Explanation{Summary: fmt.Sprintf("There is no group %s.", name)}
	}
	e := Explanation{Decision: Plan(s, name, d), Verdict: Tally(s, g, subjectOf(g))}
	e.Summary = summary(g, e)
	if why := CantBeAsked(s, g, e.Verdict.Member); why != "" && g.Operation == nil && g.Adopted {
		e.Summary += " " + why + "."
	}
	if g.Operation != nil {
		e.WouldDo = leftToDo(s, g)
	} else {
		p := prospectOf(s, g)
		p.waits = g.waitsFor(d)
		e = e.with(p)
	}
	e.Next = nextCommands(s, g, d)
	failed, _ := e.Decision.FirstFailed()
	switch {
	case len(e.Next) > 0:
	case g.Operation == nil:
		e.Next = improvements(s, g)
	case failed.Name == guardCold && g.Operation.Candidate == "":
		e.Next = coldCommands(s, g)
	}
	return e
}

// Possible says that a failover could be done, and WouldDo lists its actions; otherwise it is a sentence about why not, or about the
// operation in progress.
func (e Explanation) Possible() bool { return e.prospect.possible() }

// Refused says why the request for a failover would be refused; empty: it would be begun, and perhaps held.
func (e Explanation) Refused() string { return e.prospect.refused }

// AfterRefusal is what to do where the request would be refused.
func (e Explanation) AfterRefusal() string { return e.prospect.next }

// Unmeasured says that a failover could be done, and that none was yet of which WouldDo could tell how long writes stopped: see Within.
func (e Explanation) Unmeasured() bool { return e.Possible() && !e.prospect.measured }

// Within adds to what a failover would do how long writes would stop at worst, where nothing was measured yet: longest is what the time limits
// of the group's spec add up to, each step done in one try and under one leader; 0 if that is not known.
func (e Explanation) Within(longest time.Duration) Explanation {
	if !e.Unmeasured() {
		return e
	}
	p := e.prospect
	p.longest = longest
	return e.with(p)
}

func (e Explanation) with(p prospect) Explanation {
	e.prospect, e.WouldDo = p, p.String()
	return e
}

// improvements are what to do while nothing is wrong yet, and a failover would not go well.
func improvements(s *State, g *Group) []string {
	var next []string
	for _, m := range g.Members {
		if NotFollowing(s, g, m.Name) != "" {
			next = append(next, fmt.Sprintf("make %s follow %s: docs/operations.md, \"A standby that does not follow\", has the steps", m.Name, g.Writer()))
		}
	}
	check := fmt.Sprintf("arbiterctl check %s", g.Name)
	if u, ok := g.anyUnasked(s); ok {
		return append(next, fmt.Sprintf("mend what keeps arbiters from asking %s (%s); on which arbiter, and how, says:", u.member, u.why.Reason), check)
	}
	how := downStandbys(s, g)
	switch guard := candidateGuard(s, g); {
	case guard.OK:
	case guard.Hold == HoldLossBound && how == "":
		return append(next, "see why the policy does not allow what may be lost: a standby that is behind, or not named as synchronous (docs/postgres.md has the settings):", check)
	default:
		if how != "" {
			next = append(next, how)
		}
		return append(next, "see what is missing for a standby that can be promoted:", check)
	}
	for _, m := range g.Members {
		if g.misfenced(m.Name) {
			next = append(next, rightTheFence(g, m.Name))
		}
	}
	if armed, _ := Armed(s, g); !armed {
		return append(next, "see which arbiter can't reach which device, and why:", check)
	}
	return next
}

func subjectOf(g *Group) MemberName {
	if g.Operation != nil {
		return subject(g.Operation)
	}
	return g.Writer()
}

func summary(g *Group, e Explanation) string {
	op := g.Operation
	switch {
	case !g.Adopted:
		return "Nothing automatic happens: " + g.whyUnadopted() + "."
	case g.Stage == Held:
		return fmt.Sprintf("Held (%s): %s.", g.Hold.Reason, g.HeldFor()) + notGivenUp(g, e.Decision) + notStopped(g)
	case op != nil && g.refenceWaits():
		failed, _ := e.Decision.FirstFailed()
		return fmt.Sprintf("%s %s is %s: %s, and is not fenced: %s.", op.Kind, op.ID, g.Stage.words(), g.unproven(op.From), failed.Detail)
	case op != nil:
		return fmt.Sprintf("%s %s is %s: %s.", op.Kind, op.ID, g.Stage.words(), e.Decision.Detail) + notGivenUp(g, e.Decision) + notStopped(g)
	}
	failed, ok := e.Decision.FirstFailed()
	if !ok {
		return "A failover is about to begin."
	}
	return "No failover: " + failed.Detail + "."
}

// notGivenUp says why a candidate that is down is not given up for another one, if it is given time to come back.
func notGivenUp(g *Group, decision Decision) string {
	failed, _ := decision.FirstFailed()
	if failed.Name != guardCold || g.Operation.Candidate == "" {
		return ""
	}
	return fmt.Sprintf(" %s is not given up yet: %s.", g.Operation.Candidate, failed.Detail)
}

// notStopped says of a member that was told to stop what follows from there being no proof that it has.
func notStopped(g *Group) string {
	if beside := besideNewPrimary(g); beside != "" {
		return beside
	}
	if may := MayWrite(g); may != "" {
		return " " + may + "."
	}
	return ""
}

// besideNewPrimary says what is well while somebody must still be proven unable to write beside a primary whose promotion is proven, and
// what waits for that: whoever is woken by it should not think that nobody writes.
func besideNewPrimary(g *Group) string {
	to := g.Operation.Candidate
	rogue := rogueBeside(g, to)
	if m := g.Member(to); rogue == "" || m == nil || m.Promoting || m.Verdict != StatusUp {
		return ""
	}
	text := fmt.Sprintf(" %s is up as the new primary", to)
	if len(g.Spec.Routes) > 0 && g.EffectiveStage() == Isolating && !g.Operation.Routed {
		return fmt.Sprintf("%s; only its routes wait until %s is proven unable to write, and open by themselves then.", text, rogue)
	}
	return fmt.Sprintf("%s, with %s beside it, which is not proven unable to write.", text, rogue)
}

// nextCommands are what an operator can do about the present situation.
func nextCommands(s *State, g *Group, d Durations) []string {
	name := g.Name
	switch {
	case !g.Adopted:
		return append(trustedByAdoption(g), adoptCommands(s, g)...)
	case g.Operation != nil && g.refenceWaits():
		return rogueCommands(s, g, g.Operation.From)
	case g.Operation == nil && len(endRecovery(s, g)) > 0:
		return endRecovery(s, g)
	case g.Pause != nil && g.Stage != Held && !pastIsolateIntent(g.EffectiveStage()): // also if something waits for it
		return pausedCommands(s, g)
	case g.Stage == Confirmed && g.Operation.Automatic && g.Spec.Policy.Automation != AutomationFull:
		return []string{"nothing happens by itself; do it:", fmt.Sprintf("arbiterctl failover %s --reason \"...\"", name)}
	case g.Stage != Held:
		return nil
	}
	return heldCommands(s, g, d)
}

// pausedCommands are what helps in a paused group in which nothing was done. While its primary is down, nobody writes and nobody is promoted by itself:
// then an operator's own failover is the way that needs no resuming, or the only one, where a resumed group would not fail over either.
func pausedCommands(s *State, g *Group) []string {
	resume := fmt.Sprintf("arbiterctl resume %s", g.Name)
	if g.Operation == nil || !g.Operation.Automatic || Tally(s, g, g.Writer()).Status != StatusDown {
		return []string{resume}
	}
	next := []string{"resume the group, and the failover that waits goes on: " + resume}
	doIt := "or fail over while it stays paused: " + g.failoverCommand()
	if g.Spec.Policy.Automation != AutomationFull {
		next = []string{fmt.Sprintf("nothing happens by itself, nor if it is resumed (policy.automation is %s)", g.Spec.Policy.Automation)}
		doIt = strings.TrimPrefix(doIt, "or ")
	}
	if held := ifHeld(s, g, "either way it"); held != nil {
		return append(next, held...)
	}
	return append(next, doIt)
}

func (g *Group) failoverCommand() string {
	return fmt.Sprintf("arbiterctl failover %s --reason \"...\"", g.Name)
}

// ifHeld is what to do first where a failover, named by what, would be held since nobody may be promoted as things are; nil if somebody may.
func ifHeld(s *State, g *Group, what string) []string {
	guard := candidateGuard(s, g)
	if guard.OK {
		return nil
	}
	next := []string{what + " would be held as things are; first " + candidateRemedy(s, g, guard)}
	if guard.Hold == HoldLossBound {
		next = append(next, "or, if that can't be, fail over all the same, and accept the loss that it is held for then: "+g.failoverCommand())
	}
	return next
}

// heldCommands name what they are about, so that one that is used late can't mean something else (S4).
func heldCommands(s *State, g *Group, d Durations) []string {
	name, seen := g.Name, fmt.Sprintf("--seen %d", g.Turn())
	if writer := g.Operation.Candidate; g.isStranger(s, writer) {
		return anotherDatabase(s, g, writer)
	}
	if _, goesOn := goesOnReleased(g); !goesOn {
		return insteadOfRelease(s, g)
	}
	switch g.Hold.Reason {
	case HoldLossBound:
		return lossCommands(s, g, seen)
	case HoldFenceUnproven:
		return unprovenCommands(s, g, seen)
	case HoldRogue, HoldRefenceByHand, HoldReinstate:
		return rogueCommands(s, g, cmp.Or(g.heldRogue(), g.revoked()))
	case HoldNoCandidate:
		if from := g.Operation.From; from != "" && !pastIsolateIntent(g.EffectiveStage()) {
			return []string{fmt.Sprintf("bring %s back, which has not been fenced, or a standby: it goes on by itself", from)}
		}
		return []string{"bring a standby back: it goes on by itself"}
	case HoldPromote:
		return promoteCommands(s, g, seen)
	case HoldCatchUp:
		if g.Operation.grantMissing(ActionCatchUp) {
			return ungrantedStandbys(g, seen)
		}
	case HoldAborted:
		return abortedCommands(s, g, d, seen)
	}
	if to := g.Member(g.Operation.Candidate); to != nil && to.Authority == AuthorityWriter && to.Verdict == StatusDown {
		return promoteCommands(s, g, seen) // whatever it is held for: the new primary is gone
	}
	return []string{firstFind[g.Hold.Reason], fmt.Sprintf("arbiterctl release %s %s --reason \"...\"", name, seen)}
}

// unprovenCommands are what helps where no fence of a member gives a proof. Nobody may vouch for one that any arbiter sees answering: it is
// stopped first, or, as the former writer, let write again.
func unprovenCommands(s *State, g *Group, seen string) []string {
	m := g.revoked()
	if g.misfenced(m) {
		return misfencedCommands(s, g, m, seen)
	}
	retried := fmt.Sprintf("make the fence of %s reachable: it is tried again by itself; or, ", m)
	attest := fmt.Sprintf("arbiterctl attest %s %s %s --reason \"...\"", g.Name, m, seen)
	_, answering := g.anyLook(s, m, answers)
	switch {
	case m == g.Operation.From && g.mayBeReinstated() && g.answersNow(s, m):
		return []string{
			retried + fmt.Sprintf("since %s answers, let it write again:", m),
			fmt.Sprintf("arbiterctl reinstate %s %s --reason \"...\"", g.Name, seen),
		}
	case answering:
		return []string{
			retried + fmt.Sprintf("since %s answers, stop its service or its machine first, and vouch for it once no arbiter sees it answer any more:", m),
			attest,
		}
	}
	return []string{retried + fmt.Sprintf("if it is certain that %s is off:", m), attest}
}

// rightTheFence is what has the devices of a member believed again that were seen to be wrong about it.
func rightTheFence(g *Group, m MemberName) string {
	return fmt.Sprintf("name the right device of %s in the spec (arbiterctl apply), or, once it is right again: arbiterctl adopt %s", m, g.Name)
}

// trustedByAdoption says whose devices an adoption has believed again, which its command does not tell.
func trustedByAdoption(g *Group) (lines []string) {
	for _, m := range g.Members {
		if g.misfenced(m.Name) {
			lines = append(lines, fmt.Sprintf("look at the fence of %s first: %s, and an adoption has it believed again", m.Name, m.contradiction()))
		}
	}
	return lines
}

// misfencedCommands are what helps where the devices of a member were seen to be wrong about it, so that they are not asked.
func misfencedCommands(s *State, g *Group, m MemberName, seen string) []string {
	later := "later, " + rightTheFence(g, m)
	if !pastIsolateIntent(g.EffectiveStage()) {
		if !g.Operation.Automatic {
			return []string{
				fmt.Sprintf("call it off, as long as nothing was done: arbiterctl abort %s --operation %s --reason \"...\"; or, if it is certain that %s is off, go on, and vouch for it then:", g.Name, g.Operation.ID, m),
				fmt.Sprintf("arbiterctl release %s %s --reason \"...\"", g.Name, seen),
				later,
			}
		}
		return []string{
			fmt.Sprintf("bring %s back, on which nothing was done: this ends by itself; or, if it is certain that it is off, go on, and vouch for it then:", m),
			fmt.Sprintf("arbiterctl release %s %s --reason \"...\"", g.Name, seen),
			later,
		}
	}
	if m == g.Operation.From && g.mayBeReinstated() && g.answersNow(s, m) {
		return []string{
			fmt.Sprintf("since %s answers, let it write again:", m),
			fmt.Sprintf("arbiterctl reinstate %s %s --reason \"...\"", g.Name, seen),
			later,
		}
	}
	return []string{
		fmt.Sprintf("switch %s off by hand, and vouch for it once no arbiter sees it answer any more:", m),
		fmt.Sprintf("arbiterctl attest %s %s %s --reason \"...\"", g.Name, m, seen),
		later,
	}
}

// firstFind is what to look at before an operation is let go on, where nothing but a release is needed.
var firstFind = map[HoldReason]string{
	HoldCooldown:   "find out why it failed again so soon; it goes on by itself when the cool-down has passed, or at once if you say so:",
	HoldFleetBrake: "look at the network first: so many groups at once are rarely all down; it goes on by itself when fewer are, or at once if you say so:",
	HoldCatchUp:    "make the standbys answer (see the detail above); it is tried again by itself, or at once if you say so:",
	HoldRoute:      "make the router answer (see the detail above): clients don't reach the new primary yet; it is tried again by itself, or at once if you say so:",
	HoldVerify:     "see where the routed address leads: the new primary accepts writes, and none came through it; it is tried again by itself, or at once if you say so:",
}

// mayBeReinstated says whether the former writer may still write again, since nobody was promoted.
func (g *Group) mayBeReinstated() bool {
	op := g.Operation
	return op.Kind == KindFailover && op.From != "" && op.Candidate == "" && pastIsolateIntent(g.EffectiveStage())
}

// answersNow says whether any arbiter whose view counts sees a member answer, as it is now.
func (g *Group) answersNow(s *State, member MemberName) bool {
	m := g.Member(member)
	return m != nil && slices.ContainsFunc(s.Voters, func(node NodeID) bool { return g.seesNow(s, node, m, answers) })
}

// abortedCommands go on with what was aborted, or undo it.
func abortedCommands(s *State, g *Group, d Durations, seen string) []string {
	release := fmt.Sprintf("arbiterctl release %s %s --reason \"...\"", g.Name, seen)
	var next []string
	switch m := g.toIsolate(); {
	case m == "":
		next = []string{"go on with it, which promotes another one: " + release}
	case g.Member(m).Rogue && g.Operation.Kind == KindRefence:
		return rogueCommands(s, g, m)
	case g.misfenced(m):
		next = []string{fmt.Sprintf("go on with it, which takes a person's word that %s is off: %s", m, release)}
	default:
		next = []string{fmt.Sprintf("go on with it, which fences %s: %s", m, release)}
	}
	if again := g.heldAgain(s, d); again != "" {
		next = append(next, again)
	}
	if g.mayBeReinstated() {
		next = append(next, fmt.Sprintf("or let %s write again: arbiterctl reinstate %s %s --reason \"...\"", g.Operation.From, g.Name, seen))
	}
	return next
}

// heldAgain says for what an aborted operation would be held anew if it were released, and how it goes on from there: the abort has taken back what was
// released before, and a release is about the one hold that it names. Empty if it would go on.
func (g *Group) heldAgain(s *State, d Durations) string {
	if !g.Operation.Automatic || g.Operation.Kind != KindFailover || pastIsolateIntent(g.EffectiveStage()) {
		return ""
	}
	for _, guard := range append([]Guard{brakeGuard(s, g)}, timeGuards(s, g, d)...) {
		switch {
		case guard.OK:
		case guard.Hold == HoldCooldown:
			return fmt.Sprintf("it is held anew then, for the cool-down, which ends in %s: it goes on by itself after that, or at once by a second release", g.cooldownLeft(d))
		case guard.Hold == HoldFleetBrake:
			return "it is held anew then, by the fleet brake: it goes on by itself when fewer groups are down, or at once by a second release"
		}
	}
	return ""
}

// insteadOfRelease is what to do about a held operation that would not go on if it were released (S14).
func insteadOfRelease(s *State, g *Group) []string {
	doIt := fmt.Sprintf("arbiterctl failover %s --reason \"...\"", g.Name)
	switch {
	case !g.Adopted:
		return adoptCommands(s, g)
	case g.Operation.Kind == KindRefence:
		return rogueCommands(s, g, g.Operation.From)
	case g.Pause != nil && g.Spec.Policy.Automation == AutomationFull:
		return []string{"resume the group, and release it then: arbiterctl resume " + string(g.Name), "or do it yourself, now: " + doIt}
	}
	return []string{"nothing happens by itself; do it:", doIt}
}

// inOneLine joins lines of advice, of which one that ends with a colon goes on in the next.
func inOneLine(lines []string) string {
	text := ""
	for i, line := range lines {
		if text += line; i == len(lines)-1 {
			break
		}
		if !strings.HasSuffix(line, ":") {
			text += ";"
		}
		text += " "
	}
	return text
}

// promoteCommands are what helps if a promotion does not succeed: another member can be promoted once the candidate is fenced, if one may be.
func promoteCommands(s *State, g *Group, seen string) []string {
	mend := fmt.Sprintf("mend %s: what failed is tried again by itself", g.Operation.Candidate)
	release := fmt.Sprintf("arbiterctl release %s %s", g.Name, seen)
	best, tooMuch := tooMuchLost(s, g)
	switch {
	case g.Operation.grantMissing(ActionPromote):
		return ungrantedCandidate(g)
	case g.otherCandidate(s) != "" && g.misfenced(g.Operation.Candidate):
		return []string{
			fmt.Sprintf("%s; or let it be given up, switch it off by hand, and vouch for that, since %s:", mend, g.Member(g.Operation.Candidate).contradiction()),
			release + " --reason \"...\"",
		}
	case g.otherCandidate(s) != "":
		return []string{mend + "; or let it be fenced and another one promoted if it fails again:", release + " --reason \"...\""}
	case tooMuch:
		return []string{
			fmt.Sprintf("%s; or let it be fenced and %s promoted, which loses %s:", mend, best.Member, best.Loss),
			fmt.Sprintf("%s %s --reason \"...\"", release, acceptanceOf(best)),
		}
	}
	return []string{mend + "; nobody else can be promoted before it answers as a standby"}
}

// grantMissing says that the newest try was of this action, and failed for a privilege that the arbiters' role lacks.
func (o *Operation) grantMissing(action ActionKind) bool {
	last, ok := o.lastTry()
	return ok && last.Name == string(action) && last.GrantMissing
}

// ungrantable is why nobody can simply make a grant that is missing, nor get round it by another member.
const ungrantable = "a grant is missing, on all members alike, and one in recovery can't be given it (docs/operations.md, \"%s\"):"

// ungrantedCandidate is the one way on for a candidate that can't be promoted for want of a grant: by hand, where the grant can be made after that.
func ungrantedCandidate(g *Group) []string {
	return []string{
		fmt.Sprintf(ungrantable, HoldPromote),
		fmt.Sprintf("promote %s by hand if it is still in recovery, and nobody else; then make the grant on it, and this goes on by itself", g.Operation.Candidate),
	}
}

// ungrantedStandbys is what helps before anybody was made the writer: the former primary can take the grant, and nobody else may.
func ungrantedStandbys(g *Group, seen string) []string {
	why := fmt.Sprintf(ungrantable, HoldCatchUp)
	if !g.mayBeReinstated() {
		return []string{why, "promote nobody by hand, since nobody was made the writer"}
	}
	return []string{
		why,
		fmt.Sprintf("promote nobody by hand, but let %s write again, power it on, make the grant there, and fail over again:", g.Operation.From),
		fmt.Sprintf("arbiterctl reinstate %s %s --reason \"...\"", g.Name, seen),
	}
}

// revoked is the member whose proof is missing: the former writer first.
func (g *Group) revoked() MemberName {
	if m := rogueBeside(g, ""); m != "" {
		return m
	}
	return g.Operation.From
}

// Armed says whether every member of the group has a fence path that at least one arbiter's current view calls armed, and
// what stands in the way if not.
func Armed(s *State, g *Group) (bool, string) {
	for _, m := range g.Members {
		armed, detail := MemberArmed(s, g, m.Name)
		if !armed {
			return false, fmt.Sprintf("%s: %s", m.Name, detail)
		}
	}
	return true, ""
}

// MemberArmed says the same of one member. That its devices call it off while it answers counts more than what they tell anybody else.
func MemberArmed(s *State, g *Group, member MemberName) (armed bool, detail string) {
	if why, wrong := fenceContradicted(s, g, member); wrong {
		return false, why
	}
	detail = "no arbiter has said yet whether its fence answers"
	for _, p := range g.pathsNow(s, member) {
		if !armed {
			armed, detail = p.Path.Armed, p.Path.Detail
		}
	}
	return armed, detail
}

// fenceContradicted says that the devices of a member are, or were, seen to call it off while it answers, and who saw it.
func fenceContradicted(s *State, g *Group, member MemberName) (why string, wrong bool) {
	if m := g.Member(member); m != nil && m.FenceContradicted != "" {
		return m.contradiction() + ". " + contradictionHint, true
	}
	for _, p := range g.pathsNow(s, member) {
		if g.fencesAnother(s, p) {
			return fmt.Sprintf("its fence says that it is off (%s), and %s sees it answer. %s", p.Path.Detail, p.Node, contradictionHint), true
		}
	}
	return "", false
}

// pathsNow are the ways to the fence of a member by the views that count.
func (g *Group) pathsNow(s *State, member MemberName) (paths []PathLook) {
	for _, p := range g.Paths {
		if view, ok := s.View(p.Node); ok && p.Path.Member == member && view.Generation == p.Generation {
			paths = append(paths, p)
		}
	}
	return paths
}

// fencesAnother says that the devices of a member called it off while the arbiter that asked them saw it answer: they would switch off another
// machine, or say of this one that it is off while it writes. A look that began after they were asked says nothing, since the machine may have
// been switched on in between; they are asked again soon.
func (g *Group) fencesAnother(s *State, p PathLook) bool {
	look, ok := g.currentLook(s, p.Node, p.Path.Member)
	return ok && p.Path.Armed && p.Path.Off && answers(look.Observation) && look.Observation.AsOf <= p.Path.AsOf
}
