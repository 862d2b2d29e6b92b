package arbiter

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// Transition is one change of this node's leadership.
type Transition struct {
	Leader bool
	// Term is the current term when the transition was heard of. It is not older than that of the transition, and newer only
	// if another transition follows.
	Term uint64
	At   time.Duration // when it was heard of, on the boot-time clock
}

// Leadership tells every transition of this node, in order; none is lost if the reader is slow, and Raft never waits for
// the reader. It is closed at Shutdown, which ends leadership too.
func (n *RaftNode) Leadership() <-chan Transition { return n.relay.transitions }

// LeaderChanged tells that Leader, the one that this node follows, may have a new answer. Several changes may be told at
// once.
func (n *RaftNode) LeaderChanged() <-chan struct{} { return n.relay.leaderChanged }

// leadershipRelay takes transitions from Raft, which blocks until they are taken, and keeps them for a reader.
type leadershipRelay struct {
	clock         clock.Clock
	notify        chan bool
	observations  chan raft.Observation
	transitions   chan Transition
	leaderChanged chan struct{}
	stopping      chan struct{}
	relaying      sync.WaitGroup
}

// noticeBuffer is how many transitions Raft can leave behind before it waits for the relay's goroutine to run.
const noticeBuffer = 16

func newLeadershipRelay(c clock.Clock) *leadershipRelay {
	return &leadershipRelay{
		clock:         c,
		notify:        make(chan bool, noticeBuffer),
		observations:  make(chan raft.Observation, 1), // Raft drops what doesn't fit: one that waits tells as much as two
		transitions:   make(chan Transition),
		leaderChanged: make(chan struct{}, 1),
		stopping:      make(chan struct{}),
	}
}

func (l *leadershipRelay) start(server *raft.Raft) {
	observer := raft.NewObserver(l.observations, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	server.RegisterObserver(observer)
	l.relaying.Go(func() {
		defer server.DeregisterObserver(observer)
		l.run(server.CurrentTerm)
	})
}

// run relays until stop. The transitions that nobody has read by then are dropped: the closed channel tells the last one.
func (l *leadershipRelay) run(term func() uint64) {
	defer close(l.transitions)
	var kept []Transition
	for {
		var out chan<- Transition
		var next Transition
		if len(kept) > 0 {
			out, next = l.transitions, kept[0]
		}
		select {
		case leader := <-l.notify:
			kept = append(kept, Transition{Leader: leader, Term: term(), At: l.clock.Boot()})
		case out <- next:
			kept = kept[1:]
		case <-l.observations:
			l.tellChange()
		case <-l.stopping:
			return
		}
	}
}

func (l *leadershipRelay) tellChange() {
	select {
	case l.leaderChanged <- struct{}{}:
	default: // one is waiting to be read already
	}
}

// stop ends the relay. Raft must have been shut down, since it would wait for the relay otherwise.
func (l *leadershipRelay) stop() {
	close(l.stopping)
	l.relaying.Wait()
}
