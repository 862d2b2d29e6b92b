package failover

import (
	"fmt"
	"strings"
)

// beginOperation starts an operation at this entry.
func (c *change) beginOperation(g *Group, kind EventKind, op Operation) {
	op.ID = OperationID(fmt.Sprintf("%s-%d", g.Name, c.entry.Index))
	op.ConfirmedAt, op.Began, op.EpochBefore = c.entry.Index, c.entry.Wall, g.Epoch
	g.Operation = &op
	c.must(c.advance(g, kind, "%s %s began: %s", op.Kind, op.ID, op.Verdict))
}

// endOperation writes the receipt and makes the group steady.
func (c *change) endOperation(g *Group, kind EventKind, result OperationResult, why string) {
	op := *g.Operation
	c.must(c.advance(g, kind, "%s %s: %s", op.Kind, result, why))
	if (result == OperationDone || result == OperationReinstated) && op.Kind == KindFailover && op.Automatic {
		g.LastFailover = c.entry.Wall
	}
	g.countReroute(&op, result, c.entry.Wall)
	g.History.addReceipt(Receipt{Operation: op, To: g.Writer(), EpochAfter: g.Epoch, Ended: c.entry.Wall, Result: result, Index: c.entry.Index})
	g.Operation = nil
}

// startOperation is an operator's failover, or the leader's reroute.
func (c *change) startOperation(b StartOperation) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	switch {
	case b.Kind == KindReroute:
		return c.startReroute(g, b)
	case b.Kind != KindFailover:
		return refuse("", "%s can't be asked for", b.Kind)
	case !g.Adopted:
		return refuse("S0", "%s is not adopted", g.Name).advise("%s", strings.Join(adoptCommands(&c.state, g), " "))
	case g.Operation != nil && !g.givesWay():
		return refuse("", "operation %s is in progress", g.Operation.ID).advise("arbiterctl show %s", g.Name)
	case b.Candidate != "" && g.Member(b.Candidate) == nil:
		return refuse("", "%s is not a member of %s", b.Candidate, g.Name)
	case b.Candidate != "" && b.Candidate == g.Writer():
		return refuse("", "%s is the primary already", b.Candidate)
	}
	if refusal := checkS4Unmoved(g, b.Epoch); refusal != nil {
		return refusal
	}
	if g.Operation != nil {
		c.endOperation(g, OperationEnded, OperationStopped, "replaced by the failover that "+b.Request.Actor+" asked for")
	}
	c.beginOperation(g, OperatorAsked, Operation{
		Kind: KindFailover, Actor: b.Request.Actor, Reason: b.Request.Reason,
		RequestID: b.Request.ID, Wanted: b.Candidate, From: g.Writer(), Verdict: "asked for by " + b.Request.Actor,
	})
	g.Operation.addStep(Step{
		Name: "asked", Began: c.entry.Wall, Ended: c.entry.Wall, Member: g.Operation.From,
		Result: ResultDone, Detail: b.Request.Reason, Outcome: c.entry.Index,
	})
	return nil
}

// nothingDone says whether the operation in progress is a failover that has changed nothing yet.
func (g *Group) nothingDone() bool {
	return g.Operation.Kind == KindFailover && !g.Operation.Aborted && !pastIsolateIntent(g.EffectiveStage())
}

// givesWay says whether the operation in progress must not stand in an operator's way: a reroute, or an automatic failover that has done nothing
// yet, which may wait for ever, as that of a paused group does.
func (g *Group) givesWay() bool {
	op := g.Operation
	return op.Kind == KindReroute || op.Automatic && op.Kind == KindFailover && !pastIsolateIntent(g.EffectiveStage())
}

func (c *change) acquireLease(b AcquireLease) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS8(&c.state, g, c.entry, b); refusal != nil {
		return refusal
	}
	if g.Operation == nil {
		return refuse("S4", "%s has no operation in progress that needs a lease", g.Name)
	}
	if g.Stage == Held && !pastIsolateIntent(g.EffectiveStage()) {
		g.Operation.ConfirmedAt = c.entry.Index // what was seen before it was held is too old to isolate on
	}
	g.Epoch++ // S5: every grant takes the next one
	op := g.Operation
	if op.Arbiter != b.Holder {
		op.Attempts = 0 // what one arbiter could not do, another may
	}
	op.Intent, op.Arbiter = nil, b.Holder // S4: a grant closes what was open
	g.Lease = &Lease{Holder: b.Holder, Term: b.Term, Epoch: g.Epoch, Duration: int64(b.Duration), GrantedAt: c.entry.Index, RenewedAt: c.entry.Index}
	row := EpochRow{
		Epoch: g.Epoch, Writer: g.Writer(), Holder: b.Holder, Term: b.Term, Index: c.entry.Index,
		Wall: c.entry.Wall, Why: op.why(), Operation: op.ID, Reroute: op.Kind == KindReroute,
	}
	if m := g.Member(row.Writer); m != nil && m.Promoting {
		row.Proof = g.proofsBeside(m.Name)
	}
	g.History.addEpoch(row)
	op.addStep(Step{
		Name: "lease", Began: c.entry.Wall, Ended: c.entry.Wall, Epoch: g.Epoch, Result: ResultDone, Outcome: c.entry.Index,
		Detail: fmt.Sprintf("epoch %d, %s, %s", g.Epoch, b.Holder, b.Duration),
	})
	return c.advance(g, LeaseGranted, "epoch %d granted to %s for %s", g.Epoch, b.Holder, b.Duration)
}

// why is what an operation is and rests on, in the words of an epoch's row.
func (o *Operation) why() string {
	text := fmt.Sprintf("%s: %s", o.Kind, o.Verdict)
	if o.ReleasedBy != "" && o.ReleasedBy != o.Actor {
		text += ", released by " + o.ReleasedBy
	}
	return text
}

func (c *change) renewLease(b RenewLease) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Epoch(g, c.entry, b.Epoch); refusal != nil {
		return refusal
	}
	renewed := *g.Lease
	renewed.RenewedAt = c.entry.Index
	g.Lease = &renewed
	c.tell(g, LeaseRenewed, "", "lease of epoch %d renewed", g.Epoch)
	return nil
}

func (c *change) releaseLease(b ReleaseLease) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS8Release(&c.state, g, c.entry, b.Epoch); refusal != nil {
		return refusal
	}
	text := "lease of epoch %d released"
	if l := g.Lease; l.Holder != c.entry.Proposer || l.Term != c.entry.Term {
		text = "the lease of epoch %d was not released: waited until it had ended for certain"
	}
	g.Lease = nil
	c.tell(g, LeaseReleased, "", text, b.Epoch)
	return nil
}

// holdOperation is the leader saying that an operation can't go on, and what is missing.
func (c *change) holdOperation(b HoldOperation) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Operation(g, b.Operation); refusal != nil {
		return refusal
	}
	if c.entry.Term != c.state.Reign.Term || c.entry.Proposer != c.state.Reign.Leader {
		return refuse("S8", "%s in term %d does not lead", c.entry.Proposer, c.entry.Term)
	}
	if g.Operation.Aborted {
		return refuse("", "operation %s is aborted", b.Operation)
	}
	if g.Operation.Kind == KindReroute {
		c.endOperation(g, OperationEnded, OperationFailed, b.Detail)
		return nil
	}
	c.hold(g, OperationHeld, b.Reason, b.Detail, aboutHold(&c.state, g, b.Reason))
	return nil
}

// hold stops an operation. about is what an operator would have to think about anew if it were another, beside the reason: see Hold.
func (c *change) hold(g *Group, kind EventKind, reason HoldReason, detail, about string) {
	g.Operation.ProofsBefore = c.entry.Index
	c.must(c.advance(g, kind, "%s", detail))
	hold := Hold{Reason: reason, Detail: detail, About: about, Since: c.entry.Wall, Index: c.entry.Index, First: c.entry.Index}
	if last := g.Operation.LastHold; hold.sameAs(last) && g.changed() <= last.Index {
		hold.First, hold.Since = last.First, last.Since
	}
	g.Hold = hold
	g.Operation.LastHold = g.Hold
	g.Operation.addStep(Step{Name: "held", Began: c.entry.Wall, Ended: c.entry.Wall, Result: ResultFailed, Detail: detail, Outcome: c.entry.Index})
}

// aboutHold is what the leader's hold is about beside its reason.
func aboutHold(s *State, g *Group, reason HoldReason) string {
	switch op := g.Operation; {
	case reason == HoldLossBound:
		best, _ := tooMuchLost(s, g)
		return fmt.Sprintf("%s %s %d", best.Member, best.Loss.Grade, best.Loss.Bytes)
	case op.Intent != nil:
		return fmt.Sprintf("%s %s", op.Intent.Action, op.Intent.Member)
	}
	return ""
}

// sameAs says whether two holds are for the very same thing. Their words are not compared: errors differ from one try to the next. An
// abort is the word of one operator: that of another one is another hold.
func (h Hold) sameAs(other Hold) bool {
	return h.Reason == other.Reason && h.About == other.About && h.Reason != HoldAborted
}

// release is an operator saying that a held operation may go on.
func (c *change) release(b Release) *Refusal {
	g, refusal := c.heldByOperator(b.Group, b.Operation)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Seen(g, c.entry, g.Hold.First, b.Seen); refusal != nil {
		return refusal
	}
	if refusal := checkS14Release(&c.state, g); refusal != nil {
		return refusal
	}
	op := g.Operation
	if b.AcceptLoss {
		if refusal := c.acceptLoss(g, b); refusal != nil {
			return refusal
		}
	}
	op.Aborted, op.Attempts, op.LastHold = false, 0, Hold{}
	op.release(g.Hold.Reason)
	op.ReleasedBy = b.Request.Actor
	if rogue := g.toIsolate(); g.Hold.Reason == HoldAborted && rogue != "" && g.Member(rogue).Rogue { // whose fence was called off, and goes on by this word
		op.release(HoldRogue)
		op.release(HoldRefenceByHand)
	}
	if !pastIsolateIntent(g.EffectiveStage()) {
		op.ConfirmedAt = c.entry.Index // who counts looks again: much may have changed since
	}
	op.addStep(Step{
		Name: "released", Began: c.entry.Wall, Ended: c.entry.Wall, Result: ResultDone, Outcome: c.entry.Index,
		Detail: "by " + b.Request.by(),
	})
	return c.advance(g, OperationReleased, "released by %s", b.Request.by())
}

// acceptLoss takes an operator's word for the candidate that is the best at this entry.
func (c *change) acceptLoss(g *Group, b Release) *Refusal {
	best, ok := tooMuchLost(&c.state, g)
	if !ok {
		return refuse("", "no member of %s waits for a loss to be accepted", g.Name).advise("release it without --accept-loss; see `arbiterctl explain %s`", g.Name)
	}
	switch {
	case b.LossUnknown && b.Member == "":
		return refuse("S4", "a loss that nobody knows is accepted for one member, by name").
			advise("see whose promotion it is, and name it: arbiterctl release %s --accept-loss unknown --member %s --seen %d --reason \"...\"", g.Name, best.Member, g.Turn())
	case b.Member != "" && b.Member != best.Member:
		return refuse("S4", "%s would be promoted now, and not %s", best.Member, b.Member).
			advise("look again at what would be lost: arbiterctl explain %s", g.Name)
	}
	g.Operation.LossTaken = &AcceptedLoss{
		Member: best.Member, Bytes: b.LossBytes, Unknown: b.LossUnknown, Actor: b.Request.Actor, Reason: b.Request.Reason,
	}
	amount := "up to " + InBytes(b.LossBytes)
	if b.LossUnknown {
		amount = "an unknown amount"
	}
	c.tell(g, LossAccepted, best.Member, "%s accepts the loss of %s by the promotion of %s: %s", b.Request.Actor, amount, best.Member, b.Request.Reason)
	return nil
}

func (c *change) heldByOperator(group GroupName, id OperationID) (*Group, *Refusal) {
	g, refusal := c.mustGroup(group)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := checkS4Operation(g, id); refusal != nil {
		return nil, refusal
	}
	if g.Stage != Held {
		return nil, refuse("", "operation %s is not held, it is %s", id, g.Stage).advise("arbiterctl show %s", g.Name)
	}
	return g, nil
}

// abort ends an operation before anything was done, or holds it without a writer after that.
func (c *change) abort(b Abort) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Operation(g, b.Operation); refusal != nil {
		return refusal
	}
	op, why := g.Operation, "by "+b.Request.by()
	if op.Kind == KindReroute {
		c.endOperation(g, OperationEnded, OperationCalledOff, why)
		return nil
	}
	if op.Aborted && g.Hold.About == b.Request.Actor { // held for it since: who asks once more is answered as before, and nothing moves
		c.tell(g, Repeated, "", "%s", g.Hold.Detail)
		return nil
	}
	if op.Candidate != "" {
		return refuse("S7", "%s is being promoted: there is no return", op.Candidate).
			advise("wait for it, or move on from it afterwards with a failover")
	}
	op.addStep(Step{Name: "aborted", Began: c.entry.Wall, Ended: c.entry.Wall, Result: ResultDone, Detail: why, Outcome: c.entry.Index})
	if !op.Automatic && !pastIsolateIntent(g.EffectiveStage()) {
		c.endOperation(g, OperationEnded, OperationCalledOff, why)
		return nil
	}
	op.Aborted, op.Reinstating, op.LossTaken = true, false, nil
	op.forgetReleases()
	c.hold(g, OperationAborted, HoldAborted, "aborted "+why, b.Request.Actor)
	return nil
}

// reinstate asks for the former writer back. The leader does it under a newer epoch, with no fence of it open (S2).
func (c *change) reinstate(b Reinstate) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Operation(g, b.Operation); refusal != nil {
		return refusal
	}
	op, stage := g.Operation, g.EffectiveStage()
	switch {
	case op.Kind != KindFailover || op.From == "":
		return refuse("S2", "operation %s has no former writer to reinstate", op.ID)
	case !pastIsolateIntent(stage):
		refusal := refuse("", "%s is still the writer: nothing was done to it", op.From)
		if op.Aborted {
			return refusal.advise("nothing has to be undone: bring %s back; arbiterctl explain %s says how it goes on without it", op.From, g.Name)
		}
		return refusal.advise("arbiterctl abort %s --operation %s", g.Name, op.ID)
	case op.Candidate != "":
		return refuse("S7", "%s is being promoted: there is no return", op.Candidate)
	case op.Reinstating:
		return refuse("", "%s is being reinstated already", op.From)
	}
	if refusal := checkS4Seen(g, c.entry, g.stands(), b.Seen); refusal != nil { // who was fenced meanwhile may have taken writes that it would lose
		return refusal
	}
	op.Reinstating, op.ReinstatedAt, op.Aborted, op.Attempts = true, g.Epoch, false, 0
	op.addStep(Step{
		Name: "reinstate", Began: c.entry.Wall, Ended: c.entry.Wall, Member: op.From, Result: ResultDone, Outcome: c.entry.Index,
		Detail: "asked for by " + b.Request.Actor + ": " + b.Request.Reason,
	})
	c.tell(g, ReinstateAsked, op.From, "%s wants %s back: %s", b.Request.Actor, op.From, b.Request.Reason)
	if g.Stage == Held {
		return c.advance(g, OperationReleased, "%s is reinstated", op.From)
	}
	return nil
}

// attest takes a named person's word that a revoked member can't write.
func (c *change) attest(b Attest) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS4Operation(g, b.Operation); refusal != nil {
		return refusal
	}
	m := g.Member(b.Member)
	if m == nil || m.Authority != AuthorityRevoked {
		return refuse("S3", "%s is not revoked: there is nothing to vouch for", b.Member)
	}
	if refusal := checkS4Seen(g, c.entry, m.RevokedSince, b.Seen); refusal != nil {
		return refusal
	}
	proof := g.attested(&c.state, m, b.Request, c.entry.Wall)
	if refusal := checkS3(g, m, proof); refusal != nil {
		return refusal
	}
	if refusal := checkAttestable(&c.state, g, b.Member); refusal != nil {
		return refusal
	}
	g.Operation.addStep(Step{
		Name: "attest", Began: c.entry.Wall, Ended: c.entry.Wall, Member: b.Member, Result: ResultDone, Proof: proof,
		Detail: proof.Detail, Outcome: c.entry.Index,
	})
	c.keepWord(g, m, b.Operation, b.Request, proof)
	return c.provenNone(g, m, proof)
}
