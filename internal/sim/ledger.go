package sim

import (
	"bytes"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// ledger is all that was ever committed, in order: what a checker knows and no arbiter does.
type ledger struct {
	sim     *sim
	entries []*entry // entries[i] has index i+1
	newest  *failover.State
	// answered is the highest index of an entry whose fate a caller was told: whoever asks afterwards must be told of it.
	answered failover.Index
}

// note records an entry that a server found committed. If two servers find different ones, the modelled Raft is wrong.
func (l *ledger) note(n *node, e *entry) {
	for len(l.entries) < int(e.Index) {
		l.entries = append(l.entries, nil)
	}
	if known := l.entries[e.Index-1]; known != nil && known != e {
		l.sim.fail("model", "%s commits another entry at %d than others did: %s", n.id, e.Index, n.raft)
		return
	}
	l.entries[e.Index-1] = e
}

// apply moves a server's state by an entry. The first one to do so works it out; others take the same answer if they come from the same
// state, and otherwise, after a restart or from a snapshot, show that they get the same bytes.
func (l *ledger) apply(n *node, e *entry) *failover.State {
	l.note(n, e)
	switch {
	case e.after == nil:
		l.first(n, e)
	case e.before != n.state && !l.sim.over():
		l.sameBytes(n, e, n.state, e.Body)
	}
	return e.after
}

func (l *ledger) first(n *node, e *entry) {
	next, events := failover.Next(*n.state, e.applied())
	e.before, e.after, e.events, e.first = n.state, &next, events, l.sim.now
	l.newest = e.after
	s := l.sim
	s.counts.entries++
	if e.givenUp {
		s.counts.unseen++
	}
	for i := range events {
		ev := &events[i]
		s.note("%d %s %s %s->%s [%s] %s", ev.Index, ev.Kind, ev.Group, ev.From, ev.To, ev.Rule, ev.Text)
		if ev.Kind == failover.Rejected {
			s.counts.refused++
		}
	}
	s.checkEntry(e)
	if e.voters == nil && s.checkDice.chance(3) { // another replica, from bytes
		if data, err := fsm.Encode(e.Body, e.Wall, e.Proposer); err != nil {
			s.fail("encoding", "%T can't be encoded: %v", e.Body, err)
		} else if body, _, err := fsm.Decode(data); err != nil {
			s.fail("encoding", "%T can't be decoded: %v", e.Body, err)
		} else if decoded, err := throughBytes(n.state); err != nil {
			s.fail("encoding", "the state at %d can't be read back: %v", n.state.Applied, err)
		} else {
			l.sameBytes(n, e, decoded, body)
		}
	}
}

func throughBytes(state *failover.State) (*failover.State, error) {
	data, err := state.CanonicalBytes()
	if err != nil {
		return nil, err
	}
	decoded, err := failover.StateFromBytes(data)
	return &decoded, err
}

// sameBytes checks that an entry leads from a state that should be the same to the same bytes.
func (l *ledger) sameBytes(n *node, e *entry, from *failover.State, body failover.Body) {
	copied := e.applied()
	copied.Body = body
	next, _ := failover.Next(*from, copied)
	mine, err1 := next.CanonicalBytes()
	first, err2 := e.after.CanonicalBytes()
	if err1 != nil || err2 != nil || !bytes.Equal(mine, first) {
		l.sim.fail("divergence", "%s has another state at %d than the first to apply it\n%s\n%s", n.id, e.Index, mine, first)
	}
}

// throughCodec is an entry's way into the log: some of the time through its bytes.
func (s *sim) throughCodec(n *node, body failover.Body) failover.Body {
	if body == nil || !s.checkDice.chance(5) {
		return body
	}
	data, err := fsm.Encode(body, n.wall(), n.id)
	if err != nil {
		s.fail("encoding", "%T can't be encoded: %v", body, err)
		return body
	}
	decoded, _, err := fsm.Decode(data)
	if err != nil {
		s.fail("encoding", "%T can't be decoded: %v", body, err)
		return body
	}
	return decoded
}

// at returns a committed entry, nil if there is none.
func (l *ledger) at(i failover.Index) *entry {
	if i == 0 || int(i) > len(l.entries) {
		return nil
	}
	return l.entries[i-1]
}

// applied is the entry as the state machine gets it: what Raft says of its configuration has no author.
func (e *entry) applied() failover.Entry {
	if e.voters != nil {
		return failover.Entry{Index: e.Index, Body: e.Body}
	}
	return e.Entry
}
