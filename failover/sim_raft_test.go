package failover

import (
	"time"
)

// commit appends an entry to the log; every node applies it in its own time.
func (s *sim) commit(e Entry) []Event {
	e.Index, e.Wall = s.state.Applied+1, WallTime(s.now)
	next, events := Next(s.state, e)
	s.state = next
	s.log = append(s.log, e)
	s.states = append(s.states, &next)
	s.counts.entries++
	for _, event := range events {
		s.note("%d %s %s %s->%s %s", event.Index, event.Kind, event.Group, event.From, event.To, event.Text)
		if event.Kind == Rejected {
			s.counts.refused++
		}
	}
	for _, n := range s.nodes {
		n.deliver(n.lag+s.upTo(20*time.Millisecond), n.catchUp(e.Index))
	}
	return events
}

// elect makes a node the leader of a new term. The one that it replaces hears of it later.
func (s *sim) elect(n *simNode) {
	s.term++
	s.counts.reigns++
	old, term := s.leader, s.term
	s.leader = n.id
	s.note("%s is elected in term %d", n.id, term)
	for _, o := range s.nodes {
		if o.id == old && o != n {
			o.deliver(s.upTo(3*time.Second), func() {
				if o.term != 0 && o.term < s.term {
					o.term = 0
					o.input(Deposed{})
				}
			})
		}
	}
	n.deliver(s.upTo(100*time.Millisecond), func() {
		if s.term == term {
			n.term = term
			n.input(Elected{Term: term})
		}
	})
}

// propose is Raft's Apply: committed if the proposer still leads, lost if not, and in either case the answer may be lost.
func (n *simNode) propose(p Propose) {
	s, term, life := n.sim, n.term, n.life
	n.sim.after(s.upTo(10*time.Millisecond), func() {
		var ended ProposalEnded
		switch {
		case term == s.term && !s.chance(n.lossy()):
			ended = n.committed(p, term)
		case term == s.term && s.chance(50): // committed, and nobody knows
			n.committed(p, term)
			ended = ProposalEnded{ID: p.ID, Unknown: true}
			s.counts.unknown++
		default:
			ended = ProposalEnded{ID: p.ID, Unknown: true}
			s.counts.unknown++
		}
		index := s.state.Applied
		n.deliver(n.lag+s.upTo(30*time.Millisecond), func() {
			if n.life == life {
				if !ended.Unknown {
					n.catchUp(index)() // the state is given before the end of the proposal
				}
				n.input(ended)
			}
		})
	})
}

func (n *simNode) lossy() int {
	if n.sim.calm {
		return 0
	}
	return 2
}

func (n *simNode) committed(p Propose, term Term) ProposalEnded {
	events := n.sim.commit(Entry{Term: term, Proposer: n.id, Body: p.Body})
	ended := ProposalEnded{ID: p.ID}
	for _, e := range events {
		ended.Refused = ended.Refused || e.Kind == Rejected
	}
	return ended
}

// confirm looks at some moment after it was asked whether the node still leads; the answer takes its time.
func (n *simNode) confirm(c Confirm) {
	s, term, life := n.sim, n.term, n.life
	s.after(s.upTo(10*time.Millisecond), func() {
		ok, at := term == s.term, s.now
		n.deliver(s.upTo(20*time.Millisecond), func() {
			if n.life != life {
				return
			}
			if ok {
				n.confirmedAt = max(n.confirmedAt, at)
			}
			n.input(ConfirmEnded{ID: c.ID, OK: ok})
		})
	})
}
