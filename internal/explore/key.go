package explore

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// key names all states that every later entry treats alike. It is a hash of 128 bits of what decides, written relative to the present
// epoch, term and index, with arbiters and members in an order that does not depend on their names.
type key [16]byte

func keyOf(s *failover.State) key {
	sum := sha256.Sum256(canonical(s))
	return key(sum[:16])
}

// canonical is the least of the encodings under all orders of members that look alike. Arbiters are sorted by what is known of them:
// those that look alike are alike.
func canonical(s *failover.State) []byte {
	g := s.Group(group)
	if g == nil {
		return retired(s)
	}
	sights := sightsOf(s, g)
	about := make([][]byte, len(g.Members))
	order := make([]int, len(g.Members))
	for i := range g.Members {
		about[i], order[i] = aboutMember(g, &g.Members[i], sights[i]), i
	}
	slices.SortStableFunc(order, func(i, j int) int { return bytes.Compare(about[i], about[j]) })
	var least []byte
	permuteAlike(order, about, func(order []int) {
		if written := encode(s, g, about, sights, order); least == nil || bytes.Compare(written, least) < 0 {
			least = written
		}
	})
	return least
}

// permuteAlike calls f with every order of members that keeps them sorted.
func permuteAlike(order []int, about [][]byte, f func([]int)) {
	var step func(int)
	step = func(at int) {
		if at == len(order) {
			f(order)
			return
		}
		for i := at; i < len(order) && bytes.Equal(about[order[i]], about[order[at]]); i++ {
			order[at], order[i] = order[i], order[at]
			step(at + 1)
			order[at], order[i] = order[i], order[at]
		}
	}
	step(0)
}

// sightsOf is what the arbiters see of each member, in the order of nodes.
func sightsOf(s *failover.State, g *failover.Group) [][]byte {
	all := make([][]byte, len(g.Members))
	for i := range g.Members {
		all[i] = make([]byte, len(nodes))
		for j, node := range nodes {
			all[i][j] = sightByte(s, g, node, &g.Members[i])
		}
	}
	return all
}

// aboutMember is all that is known of a member but who sees it.
func aboutMember(g *failover.Group, m *failover.Member, sights []byte) []byte {
	op := g.Operation
	b := writer{data: make([]byte, 0, 64)}
	b.text(string(m.Authority))
	b.text(string(m.Proof.Grade))
	b.flag(m.Rogue, m.ReadBack, m.Promoting, misfenced(m), g.LastPrimary.Member == m.Name, g.Stranger != nil && g.Stranger.Member == m.Name)
	if op != nil {
		last := lastTry(op)
		proven := m.Proof.Grade == failover.ProofConfirmedOff && m.NoneSince > op.ConfirmedAt // by this operation
		b.flag(op.From == m.Name, op.Candidate == m.Name, op.Wanted == m.Name, op.Intent != nil && op.Intent.Member == m.Name,
			last.Member == m.Name, proven, proven && m.NoneSince < op.ProofsBefore, op.LossTaken != nil && op.LossTaken.Member == m.Name)
		if judgedByPositions(g, op) {
			b.flag(slices.ContainsFunc(op.Positions, func(p failover.MemberPosition) bool { return p.Member == m.Name && p.Answered }))
		}
	}
	spec, _ := g.Spec.Member(m.Name)
	b.flag(spec.Address == elsewhere)
	at := len(b.data)
	b.data = append(b.data, sights...)
	slices.Sort(b.data[at:])
	return b.data
}

// sightByte is what an arbiter sees of a member, and, where that is ever asked, whether it was seen late enough, and whether devices that are wrong about
// it have called it off to this arbiter last. Whatever is newer than a look now stays so.
func sightByte(s *failover.State, g *failover.Group, node failover.NodeID, m *failover.Member) byte {
	o, seen := lookOf(s, g, node, m.Name)
	if seen == unseen {
		return 0x80 | byte(shown(g, node, m.Name))
	}
	const off = 0x40 // above all sights
	return byte(seen)<<1 | bool2byte(lateCounts(m, seen) && o.AsOf >= m.NotBefore(*o)) | off*bool2byte(misfenced(m) && calledOff(s, g, node, m.Name))
}

// lateCounts says where it is asked whether something was seen late enough: silence of one that was told to stop, writes of one that was proven to
// have stopped, recovery of one that was promoted.
func lateCounts(m *failover.Member, seen sight) bool {
	switch m.Authority {
	case failover.AuthorityRevoked:
		return seen == down
	case failover.AuthorityNone:
		return seen == primary
	case failover.AuthorityWriter:
		return seen == standby || seen == stranger
	}
	return false
}

func encode(s *failover.State, g *failover.Group, about, sights [][]byte, order []int) []byte {
	b := writer{data: make([]byte, 0, 256)}
	encodeGroup(&b, s, g)
	for _, i := range order {
		b.data = append(b.data, about[i]...)
	}
	arbiters := make([][]byte, len(nodes))
	for i := range nodes {
		arbiters[i] = aboutArbiter(s, g, i, sights, order)
	}
	slices.SortFunc(arbiters, bytes.Compare)
	for _, a := range arbiters {
		b.data = append(b.data, a...)
	}
	return b.data
}

// aboutArbiter is all that is known of one of the nodes, with what it sees of the members in an order.
func aboutArbiter(s *failover.State, g *failover.Group, at int, sights [][]byte, order []int) []byte {
	b := writer{data: make([]byte, 0, 8)}
	node := nodes[at]
	view, _ := s.View(node)
	answered := failover.Index(0)
	for _, a := range g.Answers {
		if a.Node == node && a.Generation == view.Generation {
			answered = a.Asked
		}
	}
	op := g.Operation // who isolates asks who looked again, and by the present spec, and nobody afterwards
	again := op != nil && rank(g.EffectiveStage()) < rank(failover.Isolating) && answered >= op.ConfirmedAt
	b.flag(view.Current, view.Doubt != "", again, again && answered >= g.SpecSince)
	for _, i := range order {
		b.data = append(b.data, sights[i][at])
	}
	return b.data
}

func encodeGroup(b *writer, s *failover.State, g *failover.Group) {
	b.text(string(g.Stage))
	b.text(string(g.HeldFrom))
	b.text(string(g.Hold.Reason))
	b.flag(g.Adopted, g.EverAdopted, g.SystemID == "", g.Stranger != nil, g.Pause != nil, g.LastPrimary.Index == 0, g.LastPrimary.Written == 0,
		g.Lease != nil, g.Lease != nil && g.Lease.Term == s.Reign.Term, g.Lease != nil && g.Lease.Epoch == g.Epoch)
	b.data = append(b.data, variantOf(g.Spec).class, byte(len(g.Members)))
	if op := g.Operation; op != nil {
		encodeOperation(b, s, g, op)
	}
}

func encodeOperation(b *writer, s *failover.State, g *failover.Group, op *failover.Operation) {
	spent := op.Attempts >= g.Spec.Policy.MaxAttempts // for whoever holds the lease: another arbiter tries anew
	b.text(string(op.Kind))
	b.flag(op.Automatic, op.From == "", op.Candidate == "", op.Wanted == "", op.GoAhead, op.Reinstating, op.ReinstatedAt < g.Epoch, op.Aborted,
		op.Configured, op.Routed, op.Verified, op.LossTaken != nil, op.Intent != nil, spent, spent && op.Arbiter == s.Reign.Leader,
		judgedByPositions(g, op))
	released := slices.Clone(op.GoAheadFor)
	slices.Sort(released)
	for _, reason := range released {
		b.text(string(reason))
	}
	b.text(lastTry(op).Name)
	if i := op.Intent; i != nil {
		b.text(string(i.Action))
		b.flag(i.Reinstate, i.Epoch == g.Epoch)
	}
}

// judgedByPositions says whether what was read after the fence says who could be promoted, and what that would lose.
func judgedByPositions(g *failover.Group, op *failover.Operation) bool {
	return len(op.Positions) > 0 && (op.Candidate == "" || g.EffectiveStage() == failover.CaughtUp)
}

func lastTry(op *failover.Operation) failover.Step {
	for _, step := range op.Steps { // slim leaves the newest try, if there was one
		if step.Intent != 0 {
			return step
		}
	}
	return failover.Step{}
}

// retired is the key of a deleted group: whether a lease may be outstanding, and who leads.
func retired(s *failover.State) []byte {
	b := writer{}
	b.text("deleted")
	for _, r := range s.Retired {
		b.flag(r.Lease != nil, r.Lease != nil && r.Lease.Term == s.Reign.Term)
	}
	var arbiters [][]byte
	for _, node := range nodes {
		view, _ := s.View(node)
		a := writer{}
		a.flag(view.Current, view.Doubt != "")
		arbiters = append(arbiters, a.data)
	}
	slices.SortFunc(arbiters, bytes.Compare)
	for _, a := range arbiters {
		b.data = append(b.data, a...)
	}
	return b.data
}

// writer writes texts and flags one after the other, each with its length, so that no two lists read alike.
type writer struct{ data []byte }

func (b *writer) text(s string) {
	b.data = append(b.data, byte(len(s)))
	b.data = append(b.data, s...)
}

func (b *writer) flag(flags ...bool) {
	var bits byte
	for i, f := range flags {
		bits = bits<<1 | bool2byte(f)
		if i%8 == 7 {
			b.data = append(b.data, bits)
			bits = 0
		}
	}
	b.data = append(b.data, bits)
}

func bool2byte(f bool) byte {
	if f {
		return 1
	}
	return 0
}
