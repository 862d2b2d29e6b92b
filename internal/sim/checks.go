package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// This file is what must hold at every instant, on the ground truth. Each check has a name, by which a failing run is made smaller.

type startKey struct {
	group   failover.GroupName
	intent  failover.Index
	attempt int
	release int // an operator's release lets tries be counted anew
}

// checkWriters: never two members that acknowledge writes. Those that do so in breach of what a proof assumes are left out, by name: a
// machine whose power came back by itself or by an operator's hand, a member that somebody falsely vouched for, one that a device lied
// about and nobody could see, a late effect at a target that checks no epochs.
func (s *sim) checkWriters(g *service) {
	primaries := 0
	for _, m := range g.members {
		if m.primary {
			primaries++
		}
	}
	if primaries < 2 {
		return
	}
	var writers []failover.MemberName
	for _, m := range g.members {
		if m.excuse.why == "" && m.acknowledges() {
			writers = append(writers, m.name)
		}
	}
	if len(writers) > 1 {
		s.fail("two-writers", "%v of %s acknowledge writes at the same time", writers, g.name)
	}
}

// checkAck: who is proven unable to write does not acknowledge.
func (s *sim) checkAck(m *member) {
	s.checkWriters(m.service)
	if m.excuse.why != "" || s.ledger.newest == nil {
		return
	}
	g := s.ledger.newest.Group(m.service.name)
	if g == nil || !g.Adopted {
		return
	}
	if known := g.Member(m.name); known != nil && known.Authority == failover.AuthorityNone {
		s.fail("writes-without-authority", "%s of %s acknowledges a write and is NONE by %s", m.name, g.Name, known.Proof.Grade)
	}
}

// checkNothingLost: a promotion loses no acknowledged write where the policy says so and nobody accepted a loss.
func (s *sim) checkNothingLost(m *member) {
	g := s.ledger.newest.Group(m.service.name)
	for i := 0; i < len(m.service.acked); i++ {
		p := m.service.acked[i]
		if m.head.holds(p) {
			continue
		}
		switch {
		case m.excuse.why != "": // it should not be a primary at all
			continue
		case accepted(g, m.head.lacks(p)):
			s.counts.losses++
			s.note("acknowledged writes up to %d of timeline %d are lost, as was accepted", p.at, p.branch.number)
		default:
			s.fail("lost-writes", "%s of %s is promoted at %d of timeline %d without acknowledged writes up to %d of timeline %d (bound %s)",
				m.name, g.Name, m.head.at, m.head.branch.number, p.at, p.branch.number, g.Operation.Loss)
			return
		}
		m.service.acked = slices.Delete(m.service.acked, i, i+1)
		i--
	}
}

// accepted says whether a promotion may lose so many acknowledged bytes: no more than its bound said, unless that was no more than an estimate,
// and no more than the policy or an operator allows. Whose promotion is a reinstatement, an operator answers for.
func accepted(g *failover.Group, lost uint64) bool {
	if g == nil || g.Operation == nil {
		return false
	}
	op, allowed := g.Operation, g.Spec.Policy.MaxLossBytes
	if used := op.LossUsed; used != nil {
		if allowed = max(allowed, used.Bytes); used.Unknown {
			return true
		}
	}
	switch {
	case op.Reinstating:
		return true
	case op.Loss.Grade == failover.LossEstimate:
		return op.Loss.Bytes <= allowed && (allowed > 0 || op.LossUsed != nil)
	}
	return op.Loss.Grade == failover.LossObserved && op.Loss.Bytes <= allowed && lost <= op.Loss.Bytes
}

// checkEntry looks at what an entry did when it is applied for the first time.
func (s *sim) checkEntry(e *entry) {
	refused := rejection(e.events) != nil
	for _, g := range e.after.Groups {
		before := e.before.Group(g.Name)
		if before == g {
			continue
		}
		if g.Epoch < s.epochs[g.Name] {
			s.fail("S5", "the epoch of %s goes from %d to %d", g.Name, s.epochs[g.Name], g.Epoch)
		}
		s.epochs[g.Name] = max(s.epochs[g.Name], g.Epoch)
		s.checkAuthorities(g)
		for i := range g.Members {
			var was *failover.Member
			if before != nil {
				was = before.Member(g.Members[i].Name)
			}
			if !refused {
				s.checkProof(e, g, was, &g.Members[i])
			}
		}
		s.countStage(before, g)
	}
	if !refused {
		s.checkGrant(e)
		s.checkLooks(e)
		s.checkOutcome(e)
		s.checkLoss(e)
		if !s.checkRequest(e) {
			s.checkAttested(e)
		}
	}
	s.checkReroute(e, refused)
	s.checkRecovery(e)
	s.checkViews(e)
	s.forgetContradicted(e)
	for _, ev := range e.events {
		switch ev.Kind {
		case failover.OperationEnded:
			s.counts.done++
		case failover.OperationReleased:
			s.releases[ev.Group]++
		case failover.GroupAdopted:
			s.forgetOthers(ev.Group, ev.Member)
		}
	}
}

// forgetOthers takes an operator's word for whose data is the group's: what other histories hold beside it is lost by that word.
func (s *sim) forgetOthers(group failover.GroupName, adopted failover.MemberName) {
	service := s.service(group)
	m := service.member(adopted)
	service.acked = slices.DeleteFunc(service.acked, func(p position) bool { return !m.head.holds(p) })
}

func (s *sim) countStage(before, g *failover.Group) {
	if g.Stage == failover.Held && (before == nil || before.Stage != failover.Held) {
		s.counts.held++
	}
}

// checkAuthorities is S1.
func (s *sim) checkAuthorities(g *failover.Group) {
	writers := 0
	for _, m := range g.Members {
		if m.Authority == failover.AuthorityWriter {
			writers++
		}
	}
	if writers > 1 {
		s.fail("S1", "%s has %d writers", g.Name, writers)
	}
}

// checkProof: who becomes NONE can't write, in truth.
func (s *sim) checkProof(e *entry, g *failover.Group, was, is *failover.Member) {
	m := s.service(g.Name).member(is.Name)
	if m == nil {
		return
	}
	if is.Authority == failover.AuthorityWriter && (was == nil || was.Authority != failover.AuthorityWriter) {
		m.excuse = excuse{} // from now on it is what the arbiters answer for
	}
	if is.Authority != failover.AuthorityNone || was != nil && was.Authority == failover.AuthorityNone && was.NoneSince == is.NoneSince {
		return
	}
	mayWrite := m.host.powered && (m.primary && (m.state != stopped || m.orphans) || m.leaving)
	if is.Proof.Grade == failover.ProofAttested && (m.primary || m.leaving) {
		m.excused("somebody vouched for it")
		return
	}
	began := s.isolationBegan(e)
	if m.excuse.since < began {
		m.excuse = excuse{} // what was so before is what this isolation was for
	}
	s.excuseLie(m, began)
	if mayWrite && m.excuse.why == "" {
		s.fail("false-proof", "%s of %s is NONE by %s (%s) from entry %d on, and may write", is.Name, g.Name, is.Proof.Grade, is.Proof.By, e.Index)
	}
}

// isolationBegan is when the intent was committed whose outcome an entry is; 0 if it is none.
func (s *sim) isolationBegan(e *entry) time.Duration {
	b, ok := e.Body.(failover.Conclude)
	if !ok {
		return 0
	}
	if intent := s.ledger.at(b.Intent); intent != nil {
		return intent.first
	}
	return 0
}

// checkElection: whoever leads has all that was committed. If not, the model is wrong. A server that counts votes late, of a term that is
// past, may lack what was committed since.
func (s *sim) checkElection(r *raft) {
	if r.term < s.term {
		return
	}
	s.term = r.term
	for i := len(s.ledger.entries); i > 0; i-- {
		e := s.ledger.entries[i-1]
		if e == nil {
			continue
		}
		if term, ok := r.termAt(e.Index); e.Index > r.base && (!ok || term != e.Term) {
			s.fail("model", "%s leads in term %d without entry %d of term %d", r.node.id, r.term, e.Index, e.Term)
		}
		return
	}
}

// openIntent says whether an action's intent is open in the newest committed state.
func (s *sim) openIntent(a failover.Action) bool {
	g := s.ledger.newest.Group(a.Group)
	return g != nil && g.Operation != nil && g.Operation.Intent != nil && g.Operation.Intent.Index == a.Intent
}

// committedIntent: nothing is done without a committed intent.
func (s *sim) committedIntent(r *actionRun) bool {
	e := s.ledger.at(r.action.Intent)
	if e == nil {
		return false
	}
	intent, ok := e.Body.(failover.Intend)
	a := r.action
	return ok && rejection(e.events) == nil && intent.Action == a.Kind && intent.Member == a.Member && intent.Epoch == a.Epoch && intent.Group == a.Group
}

// checkStart: an action starts once for each try, at the holder of the lease, while its intent is open there, beside nothing else.
func (s *sim) checkStart(r *actionRun, o failover.Start) {
	n, a := r.node, r.action
	own := n.state.Group(a.Group)
	key := startKey{a.Group, a.Intent, a.Attempt, s.releases[a.Group]}
	switch {
	case !s.committedIntent(r):
		s.fail("no-intent", "%s starts %s of %s without a committed intent", n.id, a.Kind, a.Member)
	case own == nil || own.Operation == nil || own.Operation.Intent == nil || own.Operation.Intent.Index != a.Intent:
		s.fail("no-intent", "%s starts %s of %s and its intent is not open", n.id, a.Kind, a.Member)
	case own.Lease == nil || own.Lease.Holder != n.id || own.Lease.Epoch != a.Epoch:
		s.fail("no-lease", "%s starts %s of %s without the lease", n.id, a.Kind, a.Member)
	case o.LeaseUntil <= n.boot() || o.Deadline <= n.boot():
		s.fail("no-lease", "%s starts %s of %s after its lease", n.id, a.Kind, a.Member)
	case n.intended[a.Intent] == 0 || n.confirmed < n.intended[a.Intent]:
		s.fail("not-confirmed", "%s starts %s of %s and has not been confirmed as the leader since the intent was applied", n.id, a.Kind, a.Member)
	case s.begun[key]:
		s.fail("twice", "%s starts %s of %s again, try %d of intent %d", n.id, a.Kind, a.Member, a.Attempt, a.Intent)
	}
	for _, other := range n.actions {
		if other.action.Group == a.Group {
			s.fail("beside", "%s starts %s of %s beside %s", n.id, a.Kind, a.Member, other.action.Kind)
		}
		if r.sameMachine(other) {
			s.fail("S15", "%s fences %s for two groups at once", n.id, r.member().host.name)
		}
	}
	s.begun[key] = true
	s.checkLease(r)
	s.checkAlone(r)
}

// sameMachine says whether two actions act on the power of one machine.
func (r *actionRun) sameMachine(other *actionRun) bool {
	mine, theirs := r.member(), other.member()
	return r.action.Kind == failover.ActionIsolate && other.action.Kind == failover.ActionIsolate && mine != nil && theirs != nil && mine.host == theirs.host
}

// checkLease: the holder's time ends before anybody can have counted it out, by the clock of a perfect one who began to count as soon as the
// entry was applied anywhere.
func (s *sim) checkLease(r *actionRun) {
	lease := r.node.state.Group(r.action.Group).Lease
	if lease == nil || r.stoodStill() {
		return
	}
	until, out := s.now+r.node.clock.until(r.leaseUntil, s.now), r.leaseFrom+time.Duration(lease.Duration)
	if until > out {
		s.fail("lease-too-long", "%s may act on %s until %s, and somebody may have counted the lease out at %s", r.node.id, r.action.Group, until, out)
	}
}

// checkAlone: no two arbiters may act on a group, or on the power of one machine, at the same time. A machine that its hypervisor paused does not know how late it is; its
// targets do (S9).
func (s *sim) checkAlone(r *actionRun) {
	if r.stoodStill() {
		return
	}
	for _, other := range s.nodes {
		if other == r.node || !other.alive || other.clock.stopped {
			continue
		}
		for _, run := range other.actions {
			if !run.permitted() || run.stoodStill() {
				continue
			}
			if run.action.Group == r.action.Group {
				s.fail("two-actors", "%s and %s may act on %s at the same time", r.node.id, other.id, r.action.Group)
			} else if r.sameMachine(run) {
				s.fail("S15", "%s and %s may fence %s at the same time, for %s and %s", r.node.id, other.id, r.member().host.name, r.action.Group, run.action.Group)
			}
		}
	}
}

// checkEffect is asked when an action has read its lease and is about to act.
func (s *sim) checkEffect(r *actionRun) {
	if !s.committedIntent(r) {
		s.fail("no-intent", "%s acts on %s without a committed intent", r.node.id, r.action.Member)
	}
	s.checkAlone(r)
}

// checkPromotion: nobody is asked to leave recovery while another member may still write.
func (s *sim) checkPromotion(m *member, a failover.Action) {
	if m.excuse.why != "" || m.primary {
		return
	}
	for _, other := range m.service.members {
		if other != m && other.primary && other.host.powered && (other.state != stopped || other.orphans) && other.excuse.why == "" {
			s.fail("promotion-beside-a-writer", "%s of %s is asked to become primary under epoch %d while %s may write", m.name, a.Group, a.Epoch, other.name)
		}
	}
}

// checkGrant: every grant takes the next epoch, and its holder reigns.
func (s *sim) checkGrant(e *entry) {
	b, ok := e.Body.(failover.AcquireLease)
	if !ok {
		return
	}
	was, is := e.before.Group(b.Group), e.after.Group(b.Group)
	if is.Epoch <= was.Epoch || is.Lease == nil || is.Lease.Holder != e.before.Reign.Leader || e.Term != e.before.Reign.Term {
		s.fail("S5", "a lease of %s is granted to %s in term %d under epoch %d after %d", b.Group, b.Holder, e.Term, is.Epoch, was.Epoch)
	}
}

// checkLooks: an automatic isolation rests on looks of a majority that found the member dead, not only late themselves, and ended after the
// failure was confirmed, and the spec came.
func (s *sim) checkLooks(e *entry) {
	b, ok := e.Body.(failover.Intend)
	if !ok || b.Action != failover.ActionIsolate {
		return
	}
	g := e.before.Group(b.Group)
	op := g.Operation
	if !op.Automatic || op.Kind != failover.KindFailover || b.Member != op.From || g.Stage != failover.Leased {
		return
	}
	if v := failover.Tally(e.before, g, b.Member); v.Status != failover.StatusDown || g.Pause != nil {
		s.fail("S14", "%s of %s is isolated at entry %d, where it is %s (%s), paused %v", b.Member, b.Group, e.Index, v.Status, v.Why(), g.Pause != nil)
	}
	s.checkBrake(e, g)
	s.checkRemembered(e, g)
	since := max(op.ConfirmedAt, g.SpecSince) // a newer spec may look at something else
	confirmed := s.ledger.at(since)
	votes := 0
	for _, id := range e.before.Voters {
		if s.node(id).sawDead[memberKey{Group: b.Group, Member: b.Member}] >= confirmed.first {
			votes++
		}
	}
	if votes < e.before.Majority() {
		s.fail("old-looks", "%s of %s is isolated though only %d of %d arbiters found it dead since entry %d", b.Member, b.Group, votes, len(e.before.Voters), since)
	}
}

// checkBrake: no primary is isolated by automation while more than half of the groups, and at least five, have turned down at once, unless a person has
// let this one go on. Whatever turned down in so short a run turned down at once, as long as wall clocks agree so far.
func (s *sim) checkBrake(e *entry, g *failover.Group) {
	if s.now+s.wallSteps > 9*time.Minute || slices.Contains(g.Operation.GoAheadFor, failover.HoldFleetBrake) {
		return
	}
	down, adopted := 0, 0
	for _, other := range e.before.Groups {
		if !other.Adopted {
			continue
		}
		adopted++
		op := other.Operation
		if op != nil && op.Automatic && op.Kind == failover.KindFailover || failover.Tally(e.before, other, other.Writer()).Status == failover.StatusDown {
			down++
		}
	}
	if down >= 5 && 2*down > adopted {
		s.fail("brake", "%s of %s is isolated at entry %d while %d of %d groups are down", g.Operation.From, g.Name, e.Index, down, adopted)
	}
}

// checkRemembered: a primary that none of those who see it down has heard in the present life of its process is not replaced before its time.
func (s *sim) checkRemembered(e *entry, g *failover.Group) {
	from := g.Operation.From
	for _, id := range e.before.Voters { // between the decision and its entry one of them may have been started again, or not be heard of any more
		if s.node(id).heard[memberKey{Group: g.Name, Member: from}] || s.toldHeard(e.before, g, id, from) {
			return
		}
	}
	for _, step := range g.Operation.Steps {
		if step.Name != "verdict" {
			continue
		}
		if waited := s.now - s.ledger.at(step.Outcome).first; waited < g.Spec.Health.ColdStartGrace*99/100 {
			s.fail("cold-start", "%s of %s is isolated at entry %d, %s after it was found down, by arbiters none of which remembers it", from, g.Name, e.Index, waited)
		}
	}
}

// toldHeard says whether the view of an arbiter counts and says that it has heard a member.
func (s *sim) toldHeard(state *failover.State, g *failover.Group, node failover.NodeID, member failover.MemberName) bool {
	view, _ := state.View(node)
	return slices.ContainsFunc(g.Looks, func(l failover.Look) bool {
		return l.Node == node && l.Observation.Member == member && l.Generation == view.Generation && l.Observation.Heard
	})
}

// checkOutcome: what an action came to counts once, and for its own intent.
func (s *sim) checkOutcome(e *entry) {
	b, ok := e.Body.(failover.Conclude)
	if !ok {
		return
	}
	op := e.before.Group(b.Group).Operation
	key := runKey{b.Group, b.Intent}
	if s.reported[key]--; s.reported[key] < 0 {
		s.fail("outcome-twice", "an outcome of intent %d of %s counts once more than actions ended", b.Intent, b.Group)
	}
	if op == nil || op.Intent == nil || op.Intent.Index != b.Intent {
		s.fail("outcome-twice", "an outcome of intent %d of %s counts though that is not open", b.Intent, b.Group)
		return
	}
	if b.Outcome.Proof.Grade == failover.ProofConfirmedOff && s.contradicted[memberKey{Group: b.Group, Member: op.Intent.Member}] {
		s.counts.disbelieved++
	}
}

// checkConclusion: an arbiter proposes what an action came to only as one that was the leader after the action had ended: the same one may have been acted
// for again meanwhile, by another leader (S6).
func (s *sim) checkConclusion(n *node, body failover.Body) {
	b, ok := body.(failover.Conclude)
	if !ok {
		return
	}
	if ended := n.ended[runKey{b.Group, b.Intent}]; ended == 0 || n.confirmed < ended {
		s.fail("not-confirmed", "%s says what came of intent %d of %s, and has not been confirmed as the leader since that ended", n.id, b.Intent, b.Group)
	}
}

// checkViews compares the views with what a plain reading of the rule gives: whole views that are newer count, then each next batch, and
// a gap, a new reign or a silent stream voids them.
func (s *sim) checkViews(e *entry) {
	switch b := e.Body.(type) {
	case failover.BeginReign:
		if rejection(e.events) == nil {
			for _, v := range s.views {
				v.Current = false
			}
		}
	case failover.ExpireView:
		if v := s.views[b.Node]; v != nil && v.Incarnation == b.Incarnation {
			v.Current = false
		}
	case failover.Observe:
		for _, batch := range b.Batches {
			if slices.Contains(e.before.Voters, batch.Node) {
				if s.takeBatch(batch) {
					s.checkTaken(e, batch)
					s.noteContradicted(e, batch)
				}
			}
		}
	}
	for _, is := range e.after.Views {
		if want := s.views[is.Node]; want != nil && (is.Current != want.Current || is.Incarnation != want.Incarnation || is.Sequence != want.Sequence) {
			s.fail("views", "the view of %s is %d/%d, counts %v, and should be %d/%d, %v", is.Node, is.Incarnation, is.Sequence, is.Current, want.Incarnation, want.Sequence, want.Current)
		}
	}
}

// checkTaken: no rule refuses what an arbiter saw, whatever that is. It is sent again, and refused again as long as the cause lasts, and all that the
// arbiter, and those whose batches are in the same entry, see in the meantime counts for nothing.
func (s *sim) checkTaken(e *entry, b failover.Batch) {
	view, ok := e.after.View(b.Node)
	if refusal := rejection(e.events); refusal != nil && (!ok || cmp.Or(cmp.Compare(view.Incarnation, b.Incarnation), cmp.Compare(view.Sequence, b.Sequence)) < 0) {
		s.fail("looks-refused", "what %s sees is refused at entry %d by %s: %s", b.Node, e.Index, refusal.Rule, refusal.Text)
	}
}

// takeBatch says whether a batch counts.
func (s *sim) takeBatch(b failover.Batch) bool {
	v := s.views[b.Node]
	if v == nil {
		v = &failover.View{}
		s.views[b.Node] = v
	}
	newer := b.Incarnation > v.Incarnation || b.Incarnation == v.Incarnation && b.Sequence > v.Sequence
	switch {
	case newer && b.Whole:
		v.Incarnation, v.Sequence, v.Current = b.Incarnation, b.Sequence, true
		return true
	case newer && v.Current && b.Incarnation == v.Incarnation && b.Sequence == v.Sequence+1:
		v.Sequence++
		return true
	case newer:
		v.Current = false
	}
	return false
}

// checkLoss: nobody is promoted whose promotion loses nobody knows how much, or more than the policy allows, unless a person has accepted that.
func (s *sim) checkLoss(e *entry) {
	b, ok := e.Body.(failover.Intend)
	if !ok || b.Action != failover.ActionPromote || b.Reinstate {
		return
	}
	was, is := e.before.Group(b.Group), e.after.Group(b.Group)
	if was.Operation.Candidate == b.Member || rerouted(was) {
		return
	}
	loss, allowed, word := is.Operation.Loss, is.Spec.Policy.MaxLossBytes, is.Operation.LossUsed
	switch {
	case word != nil && (word.Unknown || loss.Grade != failover.LossUnknown && loss.Bytes <= word.Bytes):
		return
	case loss.Grade == failover.LossUnknown, loss.Bytes > allowed, allowed == 0 && loss.Grade != failover.LossObserved:
		s.fail("policy", "%s of %s is promoted, which loses %s; the policy allows %d bytes, and a person has accepted %+v", b.Member, b.Group, loss, allowed, word)
	}
}

// checkAttested: nobody's word counts against what an arbiter sees, nor for another operation than it names, nor for what began after it was looked at.
func (s *sim) checkAttested(e *entry) {
	b, ok := e.Body.(failover.Attest)
	if !ok {
		return
	}
	was := e.before.Group(b.Group)
	if m := was.Member(b.Member); was.Operation.ID != b.Operation || b.Seen < m.RevokedSince {
		s.fail("S4", "%s vouches for %s of %s in operation %s as of entry %d, and it is told to stop since %d in %s", b.Request.Actor, b.Member, b.Group, b.Operation, b.Seen, m.RevokedSince, was.Operation.ID)
	}
	for _, look := range e.before.Group(b.Group).Looks {
		view, ok := e.before.View(look.Node)
		if o := look.Observation; ok && view.Generation == look.Generation && o.Member == b.Member && o.Checks[0].Evidence.Reason == failover.ReasonAnswered {
			s.fail("S3", "%s vouches for %s of %s, and %s sees it answer", b.Request.Actor, b.Member, b.Group, look.Node)
		}
	}
}
