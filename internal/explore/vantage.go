package explore

import (
	"github.com/arbiter-ha/arbiter/failover"
)

// vantages are states that one odd entry leads to from a root, and from which much goes wrong by one more, which is tried before everything else.
// Where histories with two are followed, these are among them, and in others they are the only ones with two.
func vantages() []failover.State {
	created, adopted := roots()[0], roots()[1]
	failing := withFirst(adopted, down, nodes...)
	unproven := follow(failing, failover.Held) // nobody knows whether the writer has stopped
	return []failover.State{
		withFirst(created, silent, nodes[1:]...), // one arbiter sees the writer write, and all know whose standbys the others are
		failing,
		follow(failing, failover.Isolating), // told to stop, and nobody has looked since
		unproven,
		withFirst(unproven, standby, nodes[0]), // to one it answers
	}
}

// withFirst is a state in which some arbiters see the first member so.
func withFirst(s failover.State, show sight, by ...failover.NodeID) failover.State {
	var all failover.Observe
	for _, node := range by {
		all.Batches = append(all.Batches, (&moves{s: &s, g: s.Group(group)}).batch(node, show.observation(members[0], s.Applied)))
	}
	return applied(s, all)
}

// follow does what the planner wants, of which nobody knows how it ends, up to a stage.
func follow(s failover.State, stage failover.Stage) failover.State {
	for s.Group(group).Stage != stage {
		m := &moves{s: &s, g: s.Group(group)}
		if op := m.g.Operation; op.Intent != nil && op.Attempts == 0 {
			s = applied(s, failover.Conclude{
				Group: group, Epoch: op.Intent.Epoch, Operation: op.ID, Intent: op.Intent.Index, Outcome: failover.Outcome{Result: failover.ResultUnknown},
			})
			continue
		}
		m.views() // they look again
		m.planned()
		for _, free := range m.list {
			s = applied(s, free.body)
			if _, looked := free.body.(failover.Observe); !looked {
				break
			}
		}
	}
	return s
}

// applied is what an entry of whoever reigns leads to.
func applied(s failover.State, body failover.Body) failover.State {
	after, _ := failover.Next(s, move{body: body, term: s.Reign.Term, proposer: s.Reign.Leader}.entry(&s))
	return slim(after)
}

// oneFurther asks what must hold across one odd entry from each of the vantages, and in what it leads to. They have keys of their own: as states they
// are still to be come to.
func (x *explorer) oneFurther() {
	for i, s := range vantages() {
		f := found{state: s, key: keyOf(&s)}
		f.key[0] ^= 0xff
		x.seen.add(f.key, origin{root: true, move: uint16(len(roots()) + i)})
		for at, m := range movesOf(&s, true) {
			if !m.odd {
				continue
			}
			var p part
			x.follow(&f, at, m, &p)
			for _, next := range p.beyond {
				x.judge(f.key, at, checkState(&next.state))
			}
			x.report.Entries += p.entries
		}
	}
}
