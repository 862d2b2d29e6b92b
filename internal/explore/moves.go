package explore

import (
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// move is one entry that could be committed in a state.
type move struct {
	body     failover.Body
	term     failover.Term
	proposer failover.NodeID
	odd      bool // counted by Bounds.Odd
}

func (m move) entry(s *failover.State) failover.Entry {
	return failover.Entry{Index: s.Applied + 1, Term: m.term, Proposer: m.proposer, Body: m.body}
}

// moves collects what could be committed in one state. It asks nobody what is sensible.
type moves struct {
	s    *failover.State
	g    *failover.Group // nil: deleted
	list []move
}

// movesOf begins with what costs nothing. What is odd follows if it is wanted.
func movesOf(s *failover.State, odd bool) []move {
	m := &moves{s: s, g: s.Group(group)}
	m.free()
	if odd {
		m.odd()
	}
	return m.list
}

func (m *moves) free() {
	m.views()
	if m.g == nil {
		return
	}
	m.planned()
	m.devicesSayOn()
	if m.g.Operation != nil {
		m.outcomes()
	}
}

func (m *moves) odd() {
	m.reigns()
	m.doubts()
	if m.g == nil {
		m.ask(failover.ApplySpec{Group: group, Spec: variants[0].spec})
		return
	}
	m.sights()
	m.wrongDevices()
	m.specs()
	m.adoptions()
	m.requests()
	m.leases()
	if m.g.Operation != nil {
		m.intents()
		m.holds()
		m.decisions()
	}
}

// propose adds what the present leader may propose; it costs nothing.
func (m *moves) propose(body failover.Body) {
	m.list = append(m.list, move{body: body, term: m.s.Reign.Term, proposer: m.s.Reign.Leader})
}

// ask adds what is counted: it comes from outside, or from a leader that does what its planner did not say.
func (m *moves) ask(body failover.Body) {
	m.list = append(m.list, move{body: body, term: m.s.Reign.Term, proposer: m.s.Reign.Leader, odd: true})
}

func (m *moves) reigns() {
	term := m.s.Reign.Term + 1
	for _, node := range nodes {
		m.list = append(m.list, move{
			body: failover.BeginReign{Term: term, Leader: node, Version: failover.CurrentVersion}, term: term, proposer: node, odd: true,
		})
	}
}

// batch is the next one of an arbiter.
func (m *moves) batch(node failover.NodeID, observations ...failover.Observation) failover.Batch {
	view, _ := m.s.View(node)
	return failover.Batch{
		Node: node, Incarnation: view.Incarnation, Sequence: view.Sequence + 1, Whole: !view.Current, Doubt: view.Doubt,
		Version: failover.CurrentVersion, Observations: observations,
	}
}

// views are looks that show what they showed before, sent again.
func (m *moves) views() {
	for _, node := range nodes {
		again := m.batch(node, m.again(node)...)
		if m.g != nil && m.g.Operation != nil {
			again.Answers = []failover.Answer{{Group: group, Index: m.s.Applied}}
		}
		m.propose(failover.Observe{Batches: []failover.Batch{again}})
	}
}

// doubts are views that are doubted, or not any more, and those that are lost.
func (m *moves) doubts() {
	for _, node := range nodes {
		view, _ := m.s.View(node)
		if !view.Current {
			continue
		}
		doubted := m.batch(node)
		if doubted.Doubt == "" {
			doubted.Doubt = "it ran late"
		} else {
			doubted.Doubt = ""
		}
		m.ask(failover.Observe{Batches: []failover.Batch{doubted}})
		m.ask(failover.ExpireView{Node: node, Incarnation: view.Incarnation})
		m.gap(node)
	}
}

// gap is a batch whose predecessor was lost.
func (m *moves) gap(node failover.NodeID) {
	if m.g == nil {
		return
	}
	b := m.batch(node)
	for _, member := range m.g.Members {
		b.Observations = append(b.Observations, down.observation(member.Name, m.s.Applied))
	}
	b.Sequence++
	m.ask(failover.Observe{Batches: []failover.Batch{b}})
}

// again are the looks of an arbiter once more, as of now. One whose view is void still sees what it saw.
func (m *moves) again(node failover.NodeID) []failover.Observation {
	if m.g == nil {
		return nil
	}
	var all []failover.Observation
	for _, member := range m.g.Members {
		all = append(all, shown(m.g, node, member.Name).observation(member.Name, m.s.Applied))
	}
	return all
}

// sights are looks that change: at one member by one arbiter, by two, or by all. Of arbiters that are alike so far one stands for all.
func (m *moves) sights() {
	order := []int{0, 1, 2}[:len(m.g.Members)]
	sights := sightsOf(m.s, m.g)
	alike := make([]string, len(nodes)) // of each arbiter
	for i := range nodes {
		alike[i] = string(aboutArbiter(m.s, m.g, i, sights, order))
	}
	m.eachUnlike(sights, func(member *failover.Member) {
		for _, by := range unlike(alike) {
			for _, show := range []sight{standby, primary, down, untold, stranger, silent} {
				m.sees(by, show, member, m.s.Applied)
			}
		}
		for _, by := range unlike(alike) { // begun before what it would have to be newer than
			if len(by) > 1 {
				continue
			}
			node := by[0]
			if member.Authority == failover.AuthorityNone {
				m.sees([]failover.NodeID{node}, primary, member, member.NoneSince-1)
			}
			if member.Authority == failover.AuthorityRevoked {
				m.sees([]failover.NodeID{node}, down, member, member.RevokedSince-1)
			}
		}
	})
}

// eachUnlike calls f for every member; of those that everybody sees alike one stands for all.
func (m *moves) eachUnlike(sights [][]byte, f func(*failover.Member)) {
	var known []string
	for i := range m.g.Members {
		member := &m.g.Members[i]
		about := string(aboutMember(m.g, member, sights[i])) + string(sights[i])
		if !slices.Contains(known, about) {
			known = append(known, about)
			f(member)
		}
	}
}

// unlike are the sets of arbiters, but for those that differ only in which of some that are alike they hold.
func unlike(alike []string) [][]failover.NodeID {
	var sets [][]failover.NodeID
	var known []string
	for chosen := 1; chosen < 1<<len(nodes); chosen++ {
		var set []failover.NodeID
		var about []string
		for i, node := range nodes {
			if chosen>>i&1 == 1 {
				set, about = append(set, node), append(about, alike[i])
			}
		}
		slices.Sort(about)
		if name := strings.Join(about, "|"); !slices.Contains(known, name) {
			known, sets = append(known, name), append(sets, set)
		}
	}
	return sets
}

// sees adds an entry by which these arbiters see a member so, unless they do already or their views are void.
func (m *moves) sees(by []failover.NodeID, show sight, member *failover.Member, asOf failover.Index) {
	var batches []failover.Batch
	changed := false
	for _, node := range by {
		if view, _ := m.s.View(node); !view.Current {
			return
		}
		before, was := lookOf(m.s, m.g, node, member.Name)
		late := lateCounts(member, show) && before.AsOf < member.NotBefore(*before) && asOf >= member.NotBefore(*before)
		changed = changed || was != show || late
		batches = append(batches, m.batch(node, show.observation(member.Name, asOf)))
	}
	if changed {
		m.ask(failover.Observe{Batches: batches})
	}
}

func (m *moves) specs() {
	for _, v := range variants {
		if v.spec != m.g.Spec {
			m.ask(failover.ApplySpec{Group: group, Spec: v.spec})
		}
	}
	m.ask(failover.ApplySpec{Group: twin, Spec: variants[0].spec})
	m.ask(failover.DeleteGroup{Group: group})
	if m.g.Pause == nil {
		m.ask(failover.Pause{Group: group})
	} else {
		m.ask(failover.Resume{Group: group})
	}
}

// adoptions are of every member, with any of the others vouched for.
func (m *moves) adoptions() {
	for _, member := range m.g.Members {
		var others []failover.MemberName
		for _, o := range m.g.Members {
			if o.Name != member.Name {
				others = append(others, o.Name)
			}
		}
		for chosen := range 1 << len(others) {
			var attested []failover.MemberName
			for i, name := range others {
				if chosen>>i&1 == 1 {
					attested = append(attested, name)
				}
			}
			m.ask(failover.Adopt{Group: group, Member: member.Name, Attested: attested, Seen: m.s.Applied})
		}
	}
}

func (m *moves) requests() {
	m.ask(failover.StartOperation{Group: group, Kind: failover.KindFailover})
	m.ask(failover.StartOperation{Group: group, Kind: failover.KindReroute, Epoch: m.g.Epoch, SpecSince: m.g.SpecSince})
	for _, member := range m.g.Members {
		m.ask(failover.StartOperation{Group: group, Kind: failover.KindFailover, Candidate: member.Name})
	}
}

// planned is what the leader's planner wants: with a lease of its own and after long waits, just now, and when the lease has run out.
func (m *moves) planned() {
	const long = time.Hour
	waited := failover.Durations{VerdictStood: long, Restarting: long, InStage: long, SinceAttempt: long, SinceLastFailover: long}
	expired, now := waited, failover.Durations{SinceLastFailover: -1}
	if l := m.g.Lease; l != nil && l.Holder == m.s.Reign.Leader && l.Term == m.s.Reign.Term && l.Epoch == m.g.Epoch {
		waited.LeaseLeft, now.LeaseLeft = time.Second, time.Second
	}
	for _, d := range []failover.Durations{waited, now, expired} {
		if body := proposal(m.s, m.g, failover.Plan(m.s, group, d)); body != nil {
			m.propose(body)
		}
	}
}

// proposal is what the leader proposes for a decision, nil for one that changes nothing or that tries what was intended before.
func proposal(s *failover.State, g *failover.Group, d failover.Decision) failover.Body {
	switch d.Step {
	case failover.StepAcquire:
		return failover.AcquireLease{
			Group: group, Holder: s.Reign.Leader, Term: s.Reign.Term, AfterEpoch: g.Epoch, Duration: g.LeaseDuration(),
		}
	case failover.StepRelease:
		return failover.ReleaseLease{Group: group, Holder: s.Reign.Leader, Epoch: g.Lease.Epoch}
	case failover.StepIntend:
		return failover.Intend{
			Group: group, Epoch: g.Epoch, Operation: g.Operation.ID, Action: d.Action, Member: d.Member, Reinstate: d.Reinstate, Basis: d.Basis,
			Rule: d.Rule,
		}
	case failover.StepHold:
		return failover.HoldOperation{Group: group, Operation: g.Operation.ID, Reason: d.Hold, Detail: d.Detail}
	}
	return nil
}

// leases are asked for, renewed and given back by whoever leads.
func (m *moves) leases() {
	leader, term := m.s.Reign.Leader, m.s.Reign.Term
	m.ask(failover.AcquireLease{Group: group, Holder: leader, Term: term, AfterEpoch: m.g.Epoch, Duration: m.g.LeaseDuration()})
	if l := m.g.Lease; l != nil {
		m.ask(failover.RenewLease{Group: group, Holder: leader, Epoch: l.Epoch})
		m.ask(failover.ReleaseLease{Group: group, Holder: leader, Epoch: l.Epoch})
	}
}

var actions = []failover.ActionKind{
	failover.ActionIsolate, failover.ActionCatchUp, failover.ActionPromote, failover.ActionConfigure, failover.ActionRoute, failover.ActionVerify,
}

func (m *moves) intents() {
	for _, action := range actions {
		for _, member := range m.g.Members {
			intent := failover.Intend{Group: group, Epoch: m.g.Epoch, Operation: m.g.Operation.ID, Action: action, Member: member.Name}
			m.ask(intent)
			if action == failover.ActionPromote {
				intent.Reinstate = true
				m.ask(intent)
			}
		}
	}
}

// outcomes are all that the open intent can come to.
func (m *moves) outcomes() {
	open := m.g.Operation.Intent
	if open == nil {
		return
	}
	conclude := func(o failover.Outcome) {
		m.propose(failover.Conclude{Group: group, Epoch: open.Epoch, Operation: m.g.Operation.ID, Intent: open.Index, Outcome: o})
	}
	conclude(failover.Outcome{Result: failover.ResultFailed})
	conclude(failover.Outcome{Result: failover.ResultUnknown})
	switch open.Action {
	case failover.ActionIsolate:
		for _, grade := range []failover.ProofGrade{failover.ProofConfirmedOff, failover.ProofUnknown, failover.ProofDemotedCleanly, ""} {
			conclude(failover.Outcome{Result: failover.ResultDone, Proof: failover.Proof{Grade: grade, By: "device"}})
		}
		conclude(failover.Outcome{Result: failover.ResultUnknown, Proof: failover.Proof{Grade: failover.ProofConfirmedOff, By: "device"}})
	case failover.ActionCatchUp:
		for answering := range 1 << len(m.g.Members) {
			if former := m.indexOf(m.g.Operation.From); former < 0 || answering>>former&1 == 0 { // it was fenced
				conclude(failover.Outcome{Result: failover.ResultDone, Positions: m.positions(answering)})
			}
		}
	default:
		conclude(failover.Outcome{Result: failover.ResultDone})
	}
}

func (m *moves) indexOf(name failover.MemberName) int {
	return slices.IndexFunc(m.g.Members, func(member failover.Member) bool { return member.Name == name })
}

// positions are those of the members whose bit is set; the others did not answer.
func (m *moves) positions(answering int) []failover.MemberPosition {
	var all []failover.MemberPosition
	for i, member := range m.g.Members {
		p := failover.MemberPosition{Member: member.Name}
		if answering>>i&1 == 1 {
			p.Answered, p.SystemID, p.Received, p.Replayed = true, system, lsn, lsn
		}
		all = append(all, p)
	}
	return all
}

// holds are for what there may be a reason for.
func (m *moves) holds() {
	hold := func(reason failover.HoldReason) {
		m.ask(failover.HoldOperation{Group: group, Operation: m.g.Operation.ID, Reason: reason, Detail: string(reason)})
	}
	hold(failover.HoldFenceUnproven)
	switch {
	case m.g.Operation.Kind == failover.KindRefence:
		hold(failover.HoldRefenceByHand)
	case slices.ContainsFunc(m.g.Members, func(member failover.Member) bool { return member.Rogue }):
		hold(failover.HoldRogue)
	case m.g.Operation.Candidate != "":
		hold(failover.HoldPromote)
	}
}

// decisions are an operator's, about what is on the screen now.
func (m *moves) decisions() {
	op, seen := m.g.Operation.ID, m.s.Applied
	m.ask(failover.Abort{Group: group, Operation: op})
	m.ask(failover.Reinstate{Group: group, Operation: op, Seen: seen})
	if m.g.Stage == failover.Held {
		m.ask(failover.Release{Group: group, Operation: op, Seen: seen})
		for _, member := range m.g.Members {
			m.ask(failover.Release{Group: group, Operation: op, Seen: seen, AcceptLoss: true, LossUnknown: true, Member: member.Name})
		}
	}
	for _, member := range m.g.Members {
		m.ask(failover.Attest{Group: group, Operation: op, Member: member.Name, Seen: seen})
	}
}

// spoiled are what else might become of an entry that was accepted in a state: proposed by another arbiter, in another term, under another
// epoch, about another operation or intent, by an operator who looks at an old screen, or delivered a second time. Each must be refused.
func spoiled(good move) []move {
	var list []move
	with := func(body failover.Body) {
		bad := good
		bad.body = body
		list = append(list, bad)
	}
	if leaders := proposals(good.body); leaders {
		stranger := good
		stranger.proposer = nodes[(slices.Index(nodes, good.proposer)+1)%len(nodes)]
		early, late := good, good
		early.term, late.term = good.term+1, good.term-1
		list = append(list, stranger, early, late)
	}
	switch b := good.body.(type) {
	case failover.AcquireLease:
		for _, wrong := range []failover.AcquireLease{
			{Group: b.Group, Holder: b.Holder, Term: b.Term, AfterEpoch: b.AfterEpoch - 1, Duration: b.Duration},
			{Group: b.Group, Holder: b.Holder, Term: b.Term - 1, AfterEpoch: b.AfterEpoch, Duration: b.Duration},
			{Group: b.Group, Holder: b.Holder, Term: b.Term, AfterEpoch: b.AfterEpoch, Duration: b.Duration + 1},
		} {
			with(wrong)
		}
	case failover.RenewLease:
		with(failover.RenewLease{Group: b.Group, Holder: b.Holder, Epoch: b.Epoch - 1})
	case failover.ReleaseLease:
		with(failover.ReleaseLease{Group: b.Group, Holder: b.Holder, Epoch: b.Epoch - 1})
	case failover.Intend:
		older, another := b, b
		older.Epoch--
		another.Operation = "g-0"
		with(older)
		with(another)
	case failover.Conclude:
		older, another, elsewhere := b, b, b
		older.Epoch--
		another.Operation = "g-0"
		elsewhere.Intent--
		with(older)
		with(another)
		with(elsewhere)
	case failover.Observe:
		list = append(list, oldBatches(good, b)...)
	case failover.BeginReign:
		with(failover.BeginReign{Term: b.Term - 1, Leader: b.Leader, Version: b.Version})
	default:
		list = append(list, oldRequests(good)...)
	}
	return list
}

// proposals says whether an entry is one that only the holder of a lease, or whoever reigns, may propose.
func proposals(b failover.Body) bool {
	switch b.(type) {
	case failover.AcquireLease, failover.RenewLease, failover.ReleaseLease, failover.Intend, failover.Conclude, failover.HoldOperation:
		return true
	}
	return false
}

// oldBatches are batches out of order: taken already, or of an earlier incarnation.
func oldBatches(good move, b failover.Observe) []move {
	var list []move
	for _, change := range []func(*failover.Batch){
		func(b *failover.Batch) { b.Sequence-- },
		func(b *failover.Batch) { b.Incarnation-- },
	} {
		old := failover.Observe{Batches: slices.Clone(b.Batches)}
		for i := range old.Batches {
			change(&old.Batches[i])
		}
		bad := good
		bad.body = old
		list = append(list, bad)
	}
	return list
}

// neverSeen is an epoch that no history of the bounds reaches.
const neverSeen failover.Epoch = 1 << 40

// oldRequests are an operator's decisions about what was on the screen long ago, or about another operation.
func oldRequests(good move) []move {
	var list []move
	with := func(body failover.Body) {
		bad := good
		bad.body = body
		list = append(list, bad)
	}
	switch b := good.body.(type) {
	case failover.StartOperation:
		other := b
		b.Epoch = neverSeen
		with(b)
		if other.Kind == failover.KindReroute {
			other.SpecSince--
			with(other)
		}
	case failover.Release:
		stale, unsaid, another, unnamed := b, b, b, b
		stale.Seen, unsaid.Seen, another.Operation, unnamed.Operation = 1, 0, "g-0", ""
		with(stale)
		with(unsaid)
		with(another)
		with(unnamed)
	case failover.Reinstate:
		stale, unsaid, another, unnamed := b, b, b, b
		stale.Seen, unsaid.Seen, another.Operation, unnamed.Operation = 1, 0, "g-0", ""
		with(stale)
		with(unsaid)
		with(another)
		with(unnamed)
	case failover.Attest:
		stale, unsaid, another, unnamed := b, b, b, b
		stale.Seen, unsaid.Seen, another.Operation, unnamed.Operation = 1, 0, "g-0", ""
		with(stale)
		with(unsaid)
		with(another)
		with(unnamed)
	case failover.Abort:
		another, unnamed := b, b
		another.Operation, unnamed.Operation = "g-0", ""
		with(another)
		with(unnamed)
	case failover.Adopt:
		if len(b.Attested) > 0 {
			stale, unsaid := b, b
			stale.Seen, unsaid.Seen = 1, 0
			with(stale)
			with(unsaid)
		}
	}
	return list
}
