package failover

import (
	"cmp"
	"fmt"
)

// intend accepts or refuses the intent of an action. Its effects on authority happen here, before anything is done (S2, S3).
func (c *change) intend(b Intend) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Operation(g, b.Operation); refusal != nil {
		return refusal
	}
	if refusal := checkS4Epoch(g, c.entry, b.Epoch); refusal != nil {
		return refusal
	}
	op := g.Operation
	if op.Intent != nil && (b.Action != ActionIsolate || op.Intent.Action == ActionIsolate) { // S7, S12: a fence goes first
		return refuse("S4", "the intent to %s at index %d is open", op.Intent.Action, op.Intent.Index)
	}
	if op.Aborted {
		return refuse("", "operation %s is aborted", op.ID)
	}
	if g.Member(b.Member) == nil {
		return refuse("", "%s is not a member of %s", b.Member, g.Name)
	}
	if refusal := c.intendAction(g, b); refusal != nil {
		return refusal
	}
	if last, ok := op.lastTry(); ok && (last.Name != string(b.Action) || last.Member != b.Member) {
		op.Attempts = 0
	}
	op.Intent = &OpenIntent{
		Index: c.entry.Index, Epoch: b.Epoch, Action: b.Action, Member: b.Member, Reinstate: b.Reinstate, Wall: c.entry.Wall,
		Rule: b.Rule, Basis: keepNewest(b.Basis, basisKept),
	}
	return c.advance(g, intended[b.Action], "%s %s under epoch %d", b.Action, b.Member, b.Epoch)
}

func (c *change) intendAction(g *Group, b Intend) *Refusal {
	switch b.Action {
	case ActionIsolate:
		return c.intendIsolate(g, b.Member)
	case ActionCatchUp:
		return c.intendCatchUp(g)
	case ActionPromote:
		return c.intendPromote(g, b)
	}
	if !pastPromoteIntent(g.EffectiveStage()) || b.Member != g.Operation.Candidate {
		return refuse("S4", "%s is about %s, which was not promoted", b.Action, b.Member)
	}
	if next := nextAfterPromotion(g); b.Action != next { // S8: the table knows no way back to what was skipped
		return refuse("S8", "%s is not what comes next for %s, %s is", b.Action, b.Member, cmp.Or(string(next), "nothing"))
	}
	return nil
}

// intendIsolate revokes the member before anybody touches it (S3). An automatic first isolate must still be right (S14).
func (c *change) intendIsolate(g *Group, name MemberName) *Refusal {
	op, m := g.Operation, g.Member(name)
	if op.Kind == KindReroute {
		return refuse("S14", "a reroute isolates nobody")
	}
	if op.Reinstating && name == op.From && op.Candidate != name {
		return refuse("S2", "%s is being reinstated", op.From)
	}
	if op.Kind == KindRefence && m.Authority != AuthorityRevoked {
		return refuse("S3", "%s is %s: a refence isolates a rogue, nothing else", name, authorityText(m.Authority))
	}
	if refusal := checkS14(&c.state, g); refusal != nil {
		return refusal
	}
	if m.Authority == AuthorityNone && !g.isStale(m) { // a proof may have come while the intent was on its way
		return refuse("S3", "%s is proven unable to write already", name)
	}
	if m.Authority != AuthorityRevoked {
		c.tell(g, AuthorityChanged, name, "%s: %s to REVOKED", name, authorityText(m.Authority))
		m.RevokedSince = c.entry.Index
	}
	m.ReadBack = m.ReadBack || m.Authority == AuthorityNone && m.Proof.Grade != ""
	m.Authority, m.Proof = AuthorityRevoked, Proof{}
	if op.Candidate == name { // S7: the candidate is given up, with a fence
		op.Candidate, op.Positions, op.Reinstating = "", nil, false
	}
	return nil
}

func (c *change) intendCatchUp(g *Group) *Refusal {
	for _, m := range g.Members {
		if m.Authority != AuthorityNone {
			return refuse("S2", "%s is not proven unable to write (%s)", m.Name, authorityText(m.Authority))
		}
	}
	return nil
}

// intendPromote makes the member WRITER before anything is done to it (S2).
func (c *change) intendPromote(g *Group, b Intend) *Refusal {
	op := g.Operation
	if op.Reinstating && !b.Reinstate {
		return refuse("S2", "%s is being reinstated", op.From)
	}
	if refusal := checkS2(g, b.Member, b.Reinstate); refusal != nil {
		return refusal
	}
	if op.Candidate != b.Member {
		if refusal := checkS3Fresh(g, b.Member); refusal != nil {
			return refusal
		}
	}
	if !b.Reinstate && op.Candidate != b.Member {
		if refusal := checkChosen(g, b.Member); refusal != nil {
			return refusal
		}
		op.Loss, op.LossUsed = LossOf(g, b.Member, op.Positions), nil
		if !policyAllows(g, op.Loss) {
			op.LossUsed = op.LossTaken
		}
		op.LossTaken = nil
		op.forgetReleases()
	}
	m := g.Member(b.Member)
	if m.Authority != AuthorityWriter {
		c.tell(g, AuthorityChanged, m.Name, "%s: %s to WRITER", m.Name, authorityText(m.Authority))
	}
	m.Authority, m.Proof, m.Rogue, m.ReadBack, m.NoneSince = AuthorityWriter, Proof{}, false, false, 0
	if op.Kind != KindReroute { // which only has it take the epoch
		m.Promoting = true
	}
	op.Candidate = b.Member
	g.History.amend(g.Epoch, func(row *EpochRow) { row.Writer, row.Proof = b.Member, g.proofsBeside(b.Member) })
	return nil
}

// checkChosen asks that the operation has come to the point where a candidate is chosen, and that this one is eligible: within
// what the policy, or an operator, allows to be lost.
func checkChosen(g *Group, name MemberName) *Refusal {
	if g.EffectiveStage() != CaughtUp {
		return refuse("S8", "%s is %s: nobody is promoted before the standbys have caught up", g.Name, g.Stage)
	}
	for _, cand := range Candidates(g, g.Operation.Positions) {
		if cand.Member == name && cand.Eligible {
			return nil
		}
		if cand.Member == name {
			return refuse("", "%s is not eligible: %s", name, cand.Why)
		}
	}
	return refuse("", "%s is not a standby of %s", name, g.Name)
}

// conclude takes the outcome of one try of the open intent. An outcome counts once, and only while its intent is open (S4).
func (c *change) conclude(b Conclude) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Operation(g, b.Operation); refusal != nil {
		return refusal
	}
	if refusal := checkS4Intent(g, b.Epoch, b.Intent); refusal != nil {
		return refusal
	}
	if refusal := checkS4Epoch(g, c.entry, b.Epoch); refusal != nil {
		return refusal
	}
	op, o := g.Operation, b.Outcome
	intent := *op.Intent
	if refusal := refuseProof(g, o); refusal != nil {
		o.Result, o.Detail, o.Proof = ResultUnknown, refusal.Error(), Proof{}
	}
	op.addStep(Step{
		Name: string(intent.Action), Began: stepBegan(c.entry.Wall, o), Ended: c.entry.Wall, Member: intent.Member,
		Epoch: b.Epoch, Attempt: op.Attempts + 1, Intent: b.Intent, Outcome: c.entry.Index, Result: o.Result, Detail: o.Detail,
		Proof: o.Proof, Parts: o.Steps, Rule: intent.Rule, Basis: intent.Basis, GrantMissing: o.GrantMissing,
	})
	if intent.Action == ActionIsolate {
		return c.concludeIsolate(g, o)
	}
	if o.Result != ResultDone {
		return c.failedTry(g, o)
	}
	op.Intent, op.Attempts = nil, 0
	switch intent.Action {
	case ActionCatchUp:
		op.Positions = o.Positions
	case ActionPromote:
		if op.Kind == KindReroute {
			break // it is the primary that it was
		}
		// It may die before any look at it is committed, and what it confirmed until then must not be judged by its predecessor.
		m := g.Member(intent.Member)
		m.Promoting, m.WriterSince = false, c.entry.Index
		g.beginPrimary(&c.state, PrimaryFacts{Member: intent.Member, Timeline: o.Timeline, Written: o.Position})
	}
	if refusal := c.advance(g, done[intent.Action], "%s %s: %s", intent.Action, intent.Member, o.Detail); refusal != nil {
		return refusal
	}
	op.noteDone(intent.Action)
	if op.finished(g) {
		c.endOperation(g, OperationEnded, op.resultOnceFinished(), fmt.Sprintf("%s is primary under epoch %d", op.Candidate, g.Epoch))
	}
	return nil
}

func stepBegan(ended WallTime, o Outcome) WallTime { return ended - WallTime(o.Took) }

// failedTry keeps the stage and counts the try, unless it was cut short. A promotion that failed leaves its candidate WRITER (S7).
func (c *change) failedTry(g *Group, o Outcome) *Refusal {
	op, try := g.Operation, "a try that isn't counted"
	if o.Result != ResultCutShort {
		op.Attempts++
		try = fmt.Sprintf("try %d", op.Attempts)
	}
	c.tell(g, AttemptEnded, op.Intent.Member, "%s to %s %s: %s", try, op.Intent.Action, op.Intent.Member, o.Detail)
	return nil
}

func (c *change) concludeIsolate(g *Group, o Outcome) *Refusal {
	if o.Result != ResultDone {
		return c.failedTry(g, o)
	}
	return c.provenNone(g, g.Member(g.Operation.Intent.Member), o.Proof)
}

// refuseProof refuses a fence that says that it is done, and proves nothing. It counts as a try.
func refuseProof(g *Group, o Outcome) *Refusal {
	intent := g.Operation.Intent
	if intent.Action != ActionIsolate || o.Result != ResultDone {
		return nil
	}
	return checkS3(g, g.Member(intent.Member), o.Proof)
}

// provenNone ends a member's authority on proof (S3). When nobody else is left who may write, the isolation is proven.
func (c *change) provenNone(g *Group, m *Member, proof Proof) *Refusal {
	op := g.Operation
	c.tell(g, AuthorityChanged, m.Name, "%s: %s to NONE by %s (%s)", m.Name, authorityText(m.Authority), proof.Grade, proof.By)
	m.Authority, m.NoneSince, m.Proof, m.Rogue, m.ReadBack, m.Promoting = AuthorityNone, c.entry.Index, proof, false, false, false
	if op.Intent != nil && op.Intent.Member == m.Name {
		op.Intent, op.Attempts = nil, 0
	}
	g.History.amend(g.Epoch, func(row *EpochRow) { row.Proof = proof.of(m.Name) })
	if op.Kind == KindRefence && !g.hasRevoked() {
		c.endOperation(g, OperationEnded, OperationDone, fmt.Sprintf("%s is isolated: %s", m.Name, proof.Grade))
		return nil
	}
	if g.hasRevoked() || g.Writer() != "" || !pastIsolateIntent(g.EffectiveStage()) {
		return nil
	}
	if _, ok := g.target(IsolationProven); !ok {
		return nil // a rogue was isolated again at a later stage, which goes on
	}
	return c.advance(g, IsolationProven, "nobody else can write: %s by %s", proof.Grade, proof.By)
}

func (g *Group) hasRevoked() bool {
	for _, m := range g.Members {
		if m.Authority == AuthorityRevoked {
			return true
		}
	}
	return false
}

// noteDone remembers which of the actions after the promotion are done.
func (o *Operation) noteDone(kind ActionKind) {
	switch kind {
	case ActionConfigure:
		o.Configured = true
	case ActionRoute:
		o.Routed, o.Verified = true, false // what clients get is proven through the routes
	case ActionVerify:
		o.Verified = true
	case ActionPromote:
		o.Configured, o.Routed, o.Verified = false, false, false
	}
}

// finished says whether everything that the spec asks for is done.
func (o *Operation) finished(g *Group) bool {
	return g.EffectiveStage() != Promoted && pastPromoteIntent(g.EffectiveStage()) && o.Intent == nil &&
		nextAfterPromotion(g) == ""
}

// nextAfterPromotion is the next action of a promoted group, empty when all are done: the standbys first, since the new
// primary may wait for them, then the routes, then the proof.
func nextAfterPromotion(g *Group) ActionKind {
	op := g.Operation
	switch {
	case !op.Configured && (len(g.Members) > 2 || op.Reinstating) && op.Kind != KindReroute: // whose standbys follow as they did
		return ActionConfigure
	case !op.Routed && len(g.Spec.Routes) > 0:
		return ActionRoute
	case !op.Verified:
		return ActionVerify
	}
	return ""
}
