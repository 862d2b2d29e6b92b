package explore

import (
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// This file is about devices that are seen to be wrong about a member (S3): they call it off, and an arbiter reaches it.

// wrongDevices are looks that show the devices of a member to be wrong, of members that everybody sees alike at one. From then on the devices may say
// that it is on, which costs nothing and changes nothing.
func (m *moves) wrongDevices() {
	m.eachUnlike(sightsOf(m.s, m.g), func(member *failover.Member) {
		if !misfenced(member) {
			m.devicesSay(member, failover.FencePath{Armed: true, Off: true, Contradicted: true}, m.ask)
		}
	})
}

func (m *moves) devicesSayOn() {
	for i := range m.g.Members {
		if member := &m.g.Members[i]; misfenced(member) {
			m.devicesSay(member, failover.FencePath{Armed: true}, m.propose)
		}
	}
}

// devicesSay adds what the first arbiter with a view has heard of a member's devices. Which one that is makes no difference.
func (m *moves) devicesSay(member *failover.Member, path failover.FencePath, add func(failover.Body)) {
	i := slices.IndexFunc(nodes, func(node failover.NodeID) bool { view, _ := m.s.View(node); return view.Current })
	if i < 0 {
		return
	}
	path.Group, path.Member, path.AsOf = group, member.Name, m.s.Applied
	b := m.batch(nodes[i])
	b.FencePaths = []failover.FencePath{path}
	add(failover.Observe{Batches: []failover.Batch{b}})
}

func misfenced(m *failover.Member) bool { return m.FenceContradicted != "" }

// checkDevices asks that the devices of a member are disbelieved from a look on that shows them to be wrong, until it is another machine or the
// group is adopted while nobody sees that they are wrong still.
func checkDevices(before *failover.State, was, is *failover.Group, e failover.Entry) *broken {
	for i := range is.Members {
		m := &is.Members[i]
		old := was.Member(m.Name)
		if old == nil {
			continue
		}
		if voided(was, old, e) && m.Authority == failover.AuthorityNone {
			return breaks("S3", "%s is proven to have stopped, beside a writer, by devices that were seen to be wrong about it", m.Name)
		}
		wrong := misfenced(old) || shownWrong(m, e)
		switch e.Body.(type) {
		case failover.Adopt:
			wrong = wrong && (is.Epoch == was.Epoch || wrongStill(before, was, m.Name))
		case failover.ApplySpec:
			before, _ := was.Spec.Member(m.Name)
			after, _ := is.Spec.Member(m.Name)
			wrong = wrong && before.Address == after.Address
		}
		if wrong != misfenced(m) {
			return breaks("S3", "the devices of %s were seen to be wrong: %v, and count as such after a %T: %v", m.Name, wrong, e.Body, misfenced(m))
		}
	}
	return nil
}

// shownWrong says whether an entry that counts shows that the devices of a member are wrong about it.
func shownWrong(m *failover.Member, e failover.Entry) bool {
	observe, ok := e.Body.(failover.Observe)
	return ok && slices.ContainsFunc(observe.Batches, func(b failover.Batch) bool {
		return slices.ContainsFunc(b.FencePaths, func(p failover.FencePath) bool { return p.Member == m.Name && p.Contradicted && p.AsOf >= m.Since })
	})
}

// wrongStill says whether an arbiter sees a member answer to which its devices have called it off last.
func wrongStill(s *failover.State, g *failover.Group, m failover.MemberName) bool {
	return slices.ContainsFunc(nodes, func(node failover.NodeID) bool {
		view, _ := s.View(node)
		_, seen := lookOf(s, g, node, m)
		return view.Doubt == "" && seen != unseen && seen != down && seen != untold && calledOff(s, g, node, m)
	})
}

// calledOff says whether the devices of a member have called it off last to an arbiter that had reached it.
func calledOff(s *failover.State, g *failover.Group, node failover.NodeID, m failover.MemberName) bool {
	view, _ := s.View(node)
	return slices.ContainsFunc(g.Paths, func(p failover.PathLook) bool {
		return p.Node == node && p.Path.Member == m && p.Path.Contradicted && p.Generation == view.Generation
	})
}

// voided says whether a member loses a proof by a look at its devices: it is a rogue's, given in this operation. Where nobody writes it is asked for
// before a promotion: see proofs.
func voided(g *failover.Group, m *failover.Member, e failover.Entry) bool {
	op := g.Operation
	return shownWrong(m, e) && op != nil && op.Kind == failover.KindRefence && m.Proof.Grade == failover.ProofConfirmedOff && m.NoneSince > op.ConfirmedAt
}

// oldPaths are what was heard of devices before their member became another machine.
func oldPaths(good move, b failover.Observe, g *failover.Group) []move {
	var list []move
	for _, batch := range b.Batches {
		for _, path := range batch.FencePaths {
			m := g.Member(path.Member)
			if m == nil || m.Since == 0 {
				continue
			}
			path.AsOf = m.Since - 1
			batch.FencePaths = []failover.FencePath{path}
			bad := good
			bad.body = failover.Observe{Batches: []failover.Batch{batch}}
			list = append(list, bad)
		}
	}
	return list
}
