package arbiter

import (
	"sync"

	"github.com/arbiter-ha/arbiter/failover"
)

// eventLog keeps the newest events for those who watch. Its numbers come from the state machine and are the same on every
// arbiter.
type eventLog struct {
	mu      sync.Mutex
	events  []failover.Event
	changed chan struct{}
}

// eventsKept bounds what a watcher can catch up on.
const eventsKept = 10000

func newEventLog() *eventLog { return &eventLog{changed: make(chan struct{})} }

// add takes events in order; those of a replay that are known already are passed over.
func (l *eventLog) add(events []failover.Event) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if n := len(l.events); n == 0 || l.events[n-1].Sequence < e.Sequence {
			l.events = append(l.events, e)
		}
	}
	if len(l.events) > 2*eventsKept {
		l.events = append([]failover.Event(nil), l.events[len(l.events)-eventsKept:]...)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// after returns the events with a greater number, and a channel that closes when there are more.
func (l *eventLog) after(sequence uint64) ([]failover.Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.events {
		if e.Sequence > sequence {
			return append([]failover.Event(nil), l.events[i:]...), l.changed
		}
	}
	return nil, l.changed
}

// last is the newest number.
func (l *eventLog) last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return 0
	}
	return l.events[len(l.events)-1].Sequence
}
