package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// How long a silent connection is kept: by the one that serves, by the one that opened it, and once the other side has closed it.
const (
	servedSilence = 2 * time.Second
	openedSilence = 11 * time.Second
	closedNoticed = 250 * time.Millisecond
)

// stream is one connection on which an arbiter sends its view to the leader. Each side knows only by itself that it has ended.
type stream struct {
	from, to         *node
	fromLife, toLife int
	senderEnded      bool
	serverEnded      bool
	registered       bool
	early            []failover.Batch // came before the leader could take the stream
	last             failover.Batch
}

func (st *stream) senderSide() bool { return st.from.alive && st.from.life == st.fromLife }
func (st *stream) serverSide() bool { return st.to.alive && st.to.life == st.toLife }

// reachable says whether the two sides reach each other.
func (st *stream) reachable() bool {
	return st.from.sim.net.bothWays(string(st.from.id), string(st.to.id))
}

func (st *stream) dead() bool { return st.senderEnded && st.serverEnded }

// check looks after a disturbance whether a side has noticed that the stream has ended. after is how long ago the disturbance was.
func (st *stream) check(after time.Duration) {
	switch {
	case st.senderEnded != st.serverEnded && st.reachable():
		st.endServer()
		st.endSender()
	case after >= servedSilence && (!st.reachable() || !st.from.runs()):
		if after >= openedSilence {
			st.endSender()
		}
		st.endServer()
	case after >= openedSilence && (!st.reachable() || !st.to.runs()):
		st.endSender()
	}
}

// endServer ends the leader's side.
func (st *stream) endServer() {
	if st.serverEnded {
		return
	}
	st.serverEnded = true
	if st.serverSide() {
		st.to.enter(func() { st.to.intake.ended(st) })
	}
	st.tellOther()
}

// endSender ends the side that sends its view.
func (st *stream) endSender() {
	if st.senderEnded {
		return
	}
	st.senderEnded = true
	if st.senderSide() {
		st.from.enter(func() { st.from.sender.ended(st) })
	}
	st.tellOther()
}

// tellOther lets the other side hear of it, if it can.
func (st *stream) tellOther() {
	if !st.dead() {
		st.from.sim.after(st.from.sim.net.travel(string(st.from.id), string(st.to.id)), func() {
			if st.reachable() {
				st.endServer()
				st.endSender()
			}
		})
	}
}

// sendBatch carries a batch to the leader.
func (st *stream) sendBatch(b failover.Batch) {
	net := st.from.sim.net
	net.reliable(string(st.from.id), string(st.to.id), func() bool { return st.senderEnded && st.from.sim.netDice.chance(50) || st.dead() }, func() {
		if st.serverSide() {
			st.to.enter(func() { st.to.intake.receive(st, b) })
		}
	})
}

// reply carries something to the arbiter that sends its view.
func (st *stream) reply(do func(*sender)) {
	st.from.sim.net.reliable(string(st.to.id), string(st.from.id), func() bool { return st.senderEnded || st.serverEnded }, func() {
		if st.senderSide() && !st.senderEnded {
			st.from.enter(func() {
				if !st.senderEnded {
					do(st.from.sender)
				}
			})
		}
	})
}

const (
	// streamRetry is the pause after a stream ended.
	streamRetry = 20 * time.Millisecond
	// The pauses between whole views of which the leader takes none grow from the first to the last.
	firstResendPause = streamRetry
	lastResendPause  = time.Second
)

// sender keeps a stream to the present leader and sends the view on it: whole, then changes, each after the one before was applied.
type sender struct {
	node        *node
	stream      *stream
	leader      failover.NodeID
	incarnation uint64
	awaits      uint64        // sequence whose application it waits for; 0: none
	resend      time.Duration // the pause before the view is sent whole once more, if the leader has taken nothing since it was the last time
	retrying    bool
	later       bool
}

func (s *sender) leaderChanged() {
	if s.stream != nil && s.leader != s.node.raft.leader {
		s.stream.endSender()
		return
	}
	s.retry(streamRetry)
}

func (s *sender) ended(st *stream) {
	if s.stream == st {
		s.stream = nil
		s.retry(streamRetry)
	}
}

func (s *sender) retry(after time.Duration) {
	if s.retrying {
		return
	}
	s.retrying = true
	s.node.post(after, func() {
		s.retrying = false
		s.connect()
	})
}

func (s *sender) connect() {
	n := s.node
	s.leader = n.raft.leader
	if s.stream != nil || s.leader == "" {
		return
	}
	to := n.sim.node(s.leader)
	if !to.alive || !n.sim.net.bothWays(string(n.id), string(to.id)) {
		s.retry(n.dice.between(200*time.Millisecond, time.Second)) // as a connection that is refused, or not answered
		return
	}
	st := &stream{from: n, to: to, fromLife: n.life, toLife: to.life}
	s.stream, s.resend = st, 0
	n.sim.addStream(st)
	n.sim.net.reliable(string(n.id), string(to.id), st.dead, func() {
		if st.serverSide() {
			to.enter(func() { to.intake.open(st) })
		}
	})
	s.sendWhole()
}

func (s *sender) sendWhole() {
	batch := s.node.view.whole()
	s.incarnation, s.awaits = batch.Incarnation, batch.Sequence
	s.stream.sendBatch(batch)
}

// sendWholeAgain pauses, unless the leader has taken something since the view was sent whole for the last time.
func (s *sender) sendWholeAgain() {
	pause := s.resend
	s.resend = min(max(2*pause, firstResendPause), lastResendPause)
	if pause == 0 {
		s.sendWhole()
		return
	}
	st := s.stream
	s.node.post(pause, func() {
		if s.stream == st {
			s.sendWhole()
		}
	})
}

// applied says that the leader has committed a batch, or that it lacks something.
func (s *sender) applied(sequence uint64, sendWhole bool) {
	switch {
	case sendWhole:
		s.sendWholeAgain()
	case s.awaits != 0 && sequence >= s.awaits:
		s.awaits, s.resend = 0, 0
		s.node.view.applied()
		s.kick()
	}
}

// kick sends what has changed, unless a batch is under way.
func (s *sender) kick() {
	if s.stream == nil || s.awaits != 0 {
		return
	}
	batch, some, again := s.node.view.changes(s.incarnation)
	if some {
		s.awaits = batch.Sequence
		s.stream.sendBatch(batch)
		return
	}
	if again > 0 && !s.later {
		s.later = true
		s.node.post(again, func() { s.later = false; s.kick() })
	}
}
