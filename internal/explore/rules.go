package explore

import (
	"fmt"
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// broken is a safety rule that did not hold.
type broken struct{ rule, why string }

func (b *broken) Error() string { return b.rule + ": " + b.why }

func breaks(rule, why string, args ...any) *broken { return &broken{rule, fmt.Sprintf(why, args...)} }

// checkState asks for what holds in every state.
func checkState(s *failover.State) *broken {
	g := s.Group(group)
	if g == nil || !g.Adopted {
		return nil
	}
	writers := 0
	for i := range g.Members {
		m := &g.Members[i]
		switch m.Authority {
		case failover.AuthorityWriter:
			writers++
		case failover.AuthorityRevoked, failover.AuthorityNone:
		default:
			return breaks("S0", "%s of an adopted group has authority %q", m.Name, m.Authority)
		}
		if m.Authority != failover.AuthorityNone {
			continue
		}
		for _, node := range nodes {
			if o, seen := lookOf(s, g, node, m.Name); seen == primary && o.AsOf >= m.NoneSince {
				return breaks("S12", "%s is NONE since %d, and %s has seen it accept writes as of %d", m.Name, m.NoneSince, node, o.AsOf)
			}
		}
	}
	op := g.Operation
	waits := op != nil && op.Kind == failover.KindFailover && !op.Aborted && rank(g.EffectiveStage()) < rank(failover.Isolating)
	reroutes := op != nil && op.Kind == failover.KindReroute
	if reroutes && (!g.Adopted || g.Pause != nil || g.Spec.Policy.Automation != failover.AutomationFull || g.Writer() != op.From) {
		return breaks("S14", "a reroute to %s goes on: adopted %v, paused %v, automation %s, writer %q", op.From, g.Adopted, g.Pause, g.Spec.Policy.Automation, g.Writer())
	}
	for _, m := range g.Members {
		if m.Rogue && m.Authority == failover.AuthorityRevoked && (op == nil || waits || reroutes) {
			return breaks("S12", "%s accepts writes without authority, and nothing is done about it (%s)", m.Name, g.Stage)
		}
		if writers > 1 || writers == 1 && m.Authority == failover.AuthorityRevoked && !m.Rogue {
			return breaks("S1", "%d writers, and %s is %s", writers, m.Name, m.Authority)
		}
	}
	if op != nil && pastPromotion(g.EffectiveStage()) && g.Writer() != op.Candidate {
		return breaks("S7", "%s promotes %q, and %q is the writer", g.EffectiveStage(), op.Candidate, g.Writer())
	}
	return checkWriterInRecovery(s, g)
}

func pastPromotion(stage failover.Stage) bool { return rank(stage) >= rank(failover.Promoting) }

// rank orders stages as an operation goes through them.
func rank(stage failover.Stage) int {
	return slices.Index([]failover.Stage{
		failover.Steady, failover.Suspected, failover.Confirmed, failover.Leased, failover.Isolating, failover.Isolated, failover.CatchingUp,
		failover.CaughtUp, failover.Promoting, failover.Promoted, failover.Configuring, failover.Routing, failover.Scaling, failover.Verifying,
	}, stage)
}

// checkStep asks for what holds across one entry.
func checkStep(before, after *failover.State, e failover.Entry) *broken {
	was, is := before.Group(group), after.Group(group)
	if is != nil && after.Group(twin) != nil {
		return breaks("S0", "%s and %s have the same servers", group, twin)
	}
	if broken := checkEpochs(before, after); broken != nil {
		return broken
	}
	if b, ok := e.Body.(failover.BeginReign); ok && after.Reign.Term == b.Term && before.Reign.Term != b.Term {
		for _, view := range after.Views {
			if view.Current {
				return breaks("S8", "the view of %s outlived the beginning of a reign", view.Node)
			}
		}
	}
	if was == nil || is == nil {
		return nil
	}
	for i := range is.Members {
		m := &is.Members[i]
		if old := was.Member(m.Name); old != nil && old.Authority != m.Authority {
			if broken := mayBecome(before, after, old, m, e); broken != nil {
				return broken
			}
		}
	}
	return firstOf(
		func() *broken { return checkAdopted(before, was, is, e) },
		func() *broken { return checkRemoved(was, is) },
		func() *broken { return checkDevices(before, was, is, e) },
		func() *broken { return checkLease(before, was, is, e) },
		func() *broken { return checkFirstIsolate(before, was, is, e) },
		func() *broken { return checkReroute(before, was, is, e) },
		func() *broken { return checkRecovered(after, was, is) },
		func() *broken { return checkPromote(was, is, e) },
		func() *broken { return checkCounted(was, is, e) },
	)
}

func firstOf(checks ...func() *broken) *broken {
	for _, check := range checks {
		if broken := check(); broken != nil {
			return broken
		}
	}
	return nil
}

// epochOf is the epoch of the group, there or deleted.
func epochOf(s *failover.State) failover.Epoch {
	if g := s.Group(group); g != nil {
		return g.Epoch
	}
	for _, r := range s.Retired {
		if r.Group == group {
			return r.Epoch
		}
	}
	return 0
}

// checkEpochs is S5 without its grants.
func checkEpochs(before, after *failover.State) *broken {
	if was, is := epochOf(before), epochOf(after); is < was {
		return breaks("S5", "the epoch fell from %d to %d", was, is)
	}
	return nil
}

// mayBecome says who may get which authority by which entry (S0, S2, S3, S12).
func mayBecome(before, after *failover.State, was, is *failover.Member, e failover.Entry) *broken {
	g := before.Group(group)
	type change struct{ from, to failover.Authority }
	c := change{was.Authority, is.Authority}
	revoked, none, writer := failover.AuthorityRevoked, failover.AuthorityNone, failover.AuthorityWriter
	switch b := e.Body.(type) {
	case failover.Adopt:
		return nil
	case failover.Intend:
		if b.Member == was.Name && (c.to == writer && b.Action == failover.ActionPromote || c.to == revoked && b.Action == failover.ActionIsolate) {
			return nil
		}
	case failover.Conclude:
		open := g.Operation.Intent
		proven := b.Outcome.Result == failover.ResultDone && b.Outcome.Proof.Grade == failover.ProofConfirmedOff && !misfenced(was)
		if c == (change{revoked, none}) && proven && open != nil && open.Action == failover.ActionIsolate && open.Member == was.Name {
			return nil
		}
	case failover.Attest:
		if c == (change{revoked, none}) && b.Member == was.Name {
			return mayVouch(before, g, was, "S3")
		}
	case failover.Observe:
		switch {
		case c == (change{none, revoked}) && voided(g, was, e):
			return nil
		case c == (change{none, revoked}) && is.Rogue:
			return unmasked(after, was)
		}
	}
	return breaks("S3", "%s went from %q to %q by a %T", was.Name, c.from, c.to, e.Body)
}

// unmasked asks what makes a rogue: that somebody saw it accept writes since it was proven unable to.
func unmasked(s *failover.State, m *failover.Member) *broken {
	for _, node := range nodes {
		if o, seen := lookOf(s, s.Group(group), node, m.Name); seen == primary && o.AsOf >= m.NoneSince {
			return nil
		}
	}
	return breaks("S12", "%s is taken for a rogue by a look from before it became NONE", m.Name)
}

// mayVouch asks what a person's word needs: nobody sees the member answer, and a majority has looked since it was revoked, in vain.
func mayVouch(s *failover.State, g *failover.Group, m *failover.Member, rule string) *broken {
	silent := 0
	for _, node := range nodes {
		view, _ := s.View(node)
		switch o, seen := lookOf(s, g, node, m.Name); {
		case seen == primary || seen == standby || seen == stranger:
			return breaks(rule, "%s was vouched for while %s sees it answer", m.Name, node)
		case seen == down && view.Doubt == "" && (m.Authority != failover.AuthorityRevoked || o.AsOf >= m.RevokedSince):
			silent++
		}
	}
	if silent*2 <= len(nodes) {
		return breaks(rule, "%s was vouched for while %d of %d have looked in vain", m.Name, silent, len(nodes))
	}
	return nil
}

// seeing counts the arbiters whose views count and that see a member so.
func seeing(s *failover.State, g *failover.Group, m failover.MemberName, what sight) int {
	n := 0
	for _, node := range nodes {
		view, _ := s.View(node)
		if _, seen := lookOf(s, g, node, m); seen == what && view.Doubt == "" {
			n++
		}
	}
	return n
}

// checkAdopted is S0: what an adoption needs, that only it and a group that was adopted brings about automation, and what ends it.
func checkAdopted(before *failover.State, was, is *failover.Group, e failover.Entry) *broken {
	began := is.Operation != nil && (was.Operation == nil || was.Operation.ID != is.Operation.ID)
	if began && is.Operation.Automatic && !is.Adopted {
		return breaks("S0", "automatic %s of a group that is not adopted", is.Operation.Kind)
	}
	b, adopt := e.Body.(failover.Adopt)
	if !adopt || is.Epoch == was.Epoch {
		if !was.Adopted && is.Adopted {
			return breaks("S0", "a %T adopted the group", e.Body)
		}
		return checkMoved(was, is, e)
	}
	if is.Epoch != was.Epoch+1 {
		return breaks("S0", "an adoption took the epoch from %d to %d", was.Epoch, is.Epoch)
	}
	for i := range was.Members {
		m := &was.Members[i]
		writable := 0
		for _, node := range nodes {
			if _, seen := lookOf(before, was, node, m.Name); seen == primary {
				writable++
			}
		}
		switch {
		case m.Name == b.Member:
		case m.Authority == failover.AuthorityWriter && !slices.Contains(b.Attested, m.Name) && recovering(before, was, m)*2 <= len(nodes):
			return breaks("S0", "%s was adopted while %s, the writer, was last seen in recovery before its promotion", b.Member, m.Name)
		case writable > 0:
			return breaks("S0", "%s was adopted while %s is seen accepting writes", b.Member, m.Name)
		case slices.Contains(b.Attested, m.Name):
			if broken := mayVouch(before, was, m, "S0"); broken != nil {
				return broken
			}
		case seeing(before, was, m.Name, standby)*2 <= len(nodes):
			return breaks("S0", "%s was adopted while no majority sees %s in recovery", b.Member, m.Name)
		case m.Promoting:
			return breaks("S7", "%s was adopted while %s may still be promoted", b.Member, m.Name)
		}
	}
	switch writer := is.Writer(); {
	case writer == "" && (len(b.Attested) != len(was.Members)-1 || is.Operation == nil):
		return breaks("S0", "an adoption left no writer and promotes nobody")
	case writer == "" && recovering(before, was, was.Member(b.Member))*2 <= len(nodes):
		return breaks("S0", "%s is to be promoted, and no majority has seen it in recovery since it may write", b.Member)
	case writer != "" && (writer != b.Member || seeing(before, was, writer, primary)*2 <= len(nodes)):
		return breaks("S0", "%q was adopted, and no majority sees it accept writes", writer)
	}
	return nil
}

// recovering counts the arbiters whose views count and that see a member in recovery, by looks not older than the end of its promotion.
func recovering(s *failover.State, g *failover.Group, m *failover.Member) int {
	n := 0
	for _, node := range nodes {
		view, _ := s.View(node)
		if o, seen := lookOf(s, g, node, m.Name); (seen == standby || seen == stranger) && view.Doubt == "" && o.AsOf >= m.WriterSince {
			n++
		}
	}
	return n
}

// checkMoved is S0 for a member that is another machine, or another database in the eyes of most, since.
func checkMoved(was, is *failover.Group, e failover.Entry) *broken {
	for _, m := range is.Members {
		old, known := was.Spec.Member(m.Name)
		now, _ := is.Spec.Member(m.Name)
		switch changed := !known || old.Address != now.Address; {
		case changed && is.Adopted:
			return breaks("S0", "%s is another machine, and the group is still adopted", m.Name)
		case changed && was.Operation != nil:
			return breaks("S0", "%s was changed during an operation", m.Name)
		}
	}
	if was.Adopted && !is.Adopted {
		if _, applied := e.Body.(failover.ApplySpec); !applied && is.Stranger == nil {
			return breaks("S0", "a %T made the group unadopted", e.Body)
		}
	}
	return nil
}

func checkRemoved(was, is *failover.Group) *broken {
	for _, m := range was.Members {
		if is.Member(m.Name) == nil && was.EverAdopted && m.Authority != failover.AuthorityNone {
			return breaks("S0", "%s was removed while it is %q", m.Name, m.Authority)
		}
	}
	return nil
}

// checkLease is S5 and S8: only who reigns is granted a lease, naming the present epoch; a grant takes the next one, keeps the stage and
// closes what was open; whoever ends one early reigns.
func checkLease(before *failover.State, was, is *failover.Group, e failover.Entry) *broken {
	reigns := e.Proposer == before.Reign.Leader && e.Term == before.Reign.Term
	granted := is.Lease != nil && (was.Lease == nil || was.Lease.Epoch != is.Lease.Epoch || was.Lease.Holder != is.Lease.Holder || was.Lease.Term != is.Lease.Term)
	b, acquire := e.Body.(failover.AcquireLease)
	switch {
	case granted && (!acquire || !reigns || is.Lease.Holder != e.Proposer || is.Lease.Term != e.Term):
		return breaks("S8", "%s in term %d was granted a lease by a %T of %s", is.Lease.Holder, is.Lease.Term, e.Body, e.Proposer)
	case granted && b.AfterEpoch != was.Epoch:
		return breaks("S8", "a lease was granted after epoch %d was waited out, and %d was current", b.AfterEpoch, was.Epoch)
	case granted && (is.Epoch != was.Epoch+1 || is.Lease.Epoch != is.Epoch):
		return breaks("S5", "a grant took the epoch from %d to %d", was.Epoch, is.Epoch)
	case granted && is.Operation.Intent != nil:
		return breaks("S4", "a grant left the intent of epoch %d open", is.Operation.Intent.Epoch)
	case granted && rank(is.EffectiveStage()) != max(rank(was.EffectiveStage()), rank(failover.Leased)):
		return breaks("S8", "a grant led from %s to %s", was.EffectiveStage(), is.EffectiveStage())
	case was.Lease != nil && is.Lease == nil && !reigns:
		return breaks("S8", "%s ended the lease of epoch %d and does not reign", e.Proposer, was.Lease.Epoch)
	}
	return nil
}

// checkFirstIsolate is S14.
func checkFirstIsolate(s *failover.State, was, is *failover.Group, e failover.Entry) *broken {
	b, ok := e.Body.(failover.Intend)
	op := was.Operation
	if !ok || b.Action != failover.ActionIsolate || !intentOpened(was, is, e) || !op.Automatic || rank(was.EffectiveStage()) >= rank(failover.Isolating) {
		return nil
	}
	switch {
	case !was.Adopted || was.Pause != nil || was.Spec.Policy.Automation != failover.AutomationFull:
		return breaks("S14", "%s is isolated: adopted %v, paused %v, automation %s", b.Member, was.Adopted, was.Pause, was.Spec.Policy.Automation)
	case op.Kind == failover.KindRefence:
		return nil
	}
	if misfenced(was.Member(b.Member)) && !slices.Contains(op.GoAheadFor, failover.HoldFenceUnproven) {
		return breaks("S14", "%s is isolated, whose devices were seen to be wrong, and nobody has asked for that", b.Member)
	}
	votes, candidates := 0, 0
	for _, node := range nodes {
		view, _ := s.View(node)
		_, seen := lookOf(s, was, node, b.Member)
		again := slices.ContainsFunc(was.Answers, func(a failover.AnswerRow) bool {
			return a.Node == node && a.Generation == view.Generation && a.Asked >= op.ConfirmedAt && a.Asked >= was.SpecSince // an older one rests on looks by another spec
		})
		if seen == down && view.Doubt == "" && again {
			votes++
		}
	}
	for _, m := range was.Members {
		if m.Name != b.Member && seeing(s, was, m.Name, standby)*2 > len(nodes) {
			candidates++
		}
	}
	if votes*2 <= len(nodes) || candidates == 0 {
		return breaks("S14", "%s is isolated with %d votes that it is down after a second look, and %d candidates", b.Member, votes, candidates)
	}
	return nil
}

// checkReroute asks that a reroute begins only where a majority sees the writer accept writes, does nothing to anybody else, and does not isolate
// that one.
func checkReroute(before *failover.State, was, is *failover.Group, e failover.Entry) *broken {
	if was.Operation == nil && is.Operation != nil && is.Operation.Kind == failover.KindReroute {
		if n := seeing(before, was, was.Writer(), primary); n*2 <= len(nodes) {
			return breaks("S14", "a reroute begins, and %d arbiters see %q accept writes", n, was.Writer())
		}
	}
	b, ok := e.Body.(failover.Intend)
	if !ok || !intentOpened(was, is, e) || was.Operation.Kind != failover.KindReroute {
		return nil
	}
	if b.Action == failover.ActionIsolate || b.Member != was.Writer() {
		return breaks("S14", "a reroute means to %s %s, and %q is the writer", b.Action, b.Member, was.Writer())
	}
	return nil
}

// intentOpened says whether this entry is the intent that is open now.
func intentOpened(was, is *failover.Group, e failover.Entry) bool {
	return was.Operation != nil && is.Operation != nil && is.Operation.Intent != nil && is.Operation.Intent.Index == e.Index
}

// checkPromote is S2, and S4 for every intent: only under the lease that its proposer holds.
func checkPromote(was, is *failover.Group, e failover.Entry) *broken {
	b, ok := e.Body.(failover.Intend)
	if !ok || !intentOpened(was, is, e) {
		return nil
	}
	op := was.Operation
	if l := was.Lease; l == nil || l.Holder != e.Proposer || l.Term != e.Term || l.Epoch != was.Epoch || b.Epoch != was.Epoch || b.Operation != op.ID {
		return breaks("S4", "an intent to %s %s was accepted under epoch %d, lease %+v", b.Action, b.Member, b.Epoch, l)
	}
	if b.Action != failover.ActionPromote {
		return nil
	}
	for _, m := range was.Members {
		if m.Name != b.Member && m.Authority != failover.AuthorityNone {
			return breaks("S2", "%s is promoted beside %s, which is %s", b.Member, m.Name, m.Authority)
		}
	}
	m := was.Member(b.Member)
	reinstated := b.Reinstate && op.Reinstating && op.From == m.Name && op.Intent == nil && was.Epoch > op.ReinstatedAt
	switch {
	case is.Writer() != b.Member:
		return breaks("S2", "%s is promoted and not the writer", b.Member)
	case m.Authority == failover.AuthorityNone && !b.Reinstate, m.Authority == failover.AuthorityWriter && op.Candidate == m.Name, reinstated:
		return nil
	}
	return breaks("S2", "%s is %s and is promoted", m.Name, m.Authority)
}

// checkCounted is S4 for outcomes: one counts only while its intent is open, closes it if it was a success, and is refused otherwise; and S7: what
// did not succeed changes neither stage nor authority.
func checkCounted(was, is *failover.Group, e failover.Entry) *broken {
	b, ok := e.Body.(failover.Conclude)
	if !ok {
		return nil
	}
	op := was.Operation
	l := was.Lease
	stale := op == nil || op.ID != b.Operation || op.Intent == nil || op.Intent.Index != b.Intent || op.Intent.Epoch != b.Epoch ||
		b.Epoch != was.Epoch || l == nil || l.Holder != e.Proposer || l.Term != e.Term
	success := b.Outcome.Result == failover.ResultDone
	if op != nil && op.Intent != nil && op.Intent.Action == failover.ActionIsolate {
		success = success && b.Outcome.Proof.Grade == failover.ProofConfirmedOff && !misfenced(was.Member(op.Intent.Member))
	}
	switch {
	case (stale || !success) && !alike(was, is):
		return breaks("S4", "an outcome (%s, stale: %v) led from %s to %s", b.Outcome.Result, stale, was.Stage, is.Stage)
	case !stale && success && is.Operation != nil && is.Operation.ID == op.ID && is.Operation.Intent != nil:
		return breaks("S4", "an outcome left its intent open, so that it can count twice")
	}
	return nil
}

// alike says that nothing that decides is different: what a refused entry leaves behind.
func alike(was, is *failover.Group) bool {
	for i := range was.Members {
		if len(is.Members) != len(was.Members) || is.Members[i].Authority != was.Members[i].Authority || misfenced(&is.Members[i]) != misfenced(&was.Members[i]) {
			return false
		}
	}
	return was.Stage == is.Stage && was.HeldFrom == is.HeldFrom && was.Epoch == is.Epoch && (was.Lease == nil) == (is.Lease == nil) &&
		was.Adopted == is.Adopted && (was.Operation == nil) == (is.Operation == nil)
}

// sameSights says that the same looks count as before.
func sameSights(before, after *failover.State) bool {
	was, is := before.Group(group), after.Group(group)
	if was == is && slices.Equal(before.Views, after.Views) {
		return true // nothing was touched: groups are never changed, but replaced
	}
	for _, node := range nodes {
		v, _ := before.View(node)
		w, _ := after.View(node)
		if v.Current != w.Current || v.Doubt != w.Doubt {
			return false
		}
		for _, m := range was.Members {
			o, seen := lookOf(before, was, node, m.Name)
			p, sees := lookOf(after, is, node, m.Name)
			if seen != sees || o.AsOf != p.AsOf {
				return false
			}
		}
	}
	return true
}
