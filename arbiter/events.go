package arbiter

import (
	"sync"

	"github.com/arbiter-ha/arbiter/failover"
)

// eventLog keeps the newest events for those who watch. Its numbers come from the state machine and are the same on every
// arbiter; how many are kept is not: an arbiter that began with a snapshot never had those before it.
type eventLog struct {
	mu      sync.Mutex
	events  []failover.Event // without a gap
	next    uint64           // the number of the event after the newest
	changed chan struct{}
}

// eventsKept bounds what a watcher can catch up on.
const eventsKept = 10000

func newEventLog() *eventLog { return &eventLog{next: 1, changed: make(chan struct{})} }

// add takes events in order, and the number of the newest one of the state that they led to: a snapshot brings a state without its events.
// Those of a replay that are known already are passed over.
func (l *eventLog) add(events []failover.Event, newest uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.next
	for _, e := range events {
		if e.Sequence >= l.next {
			l.skipTo(e.Sequence)
			l.events, l.next = append(l.events, e), e.Sequence+1
		}
	}
	l.skipTo(newest + 1)
	if len(l.events) > 2*eventsKept {
		l.events = append([]failover.Event(nil), l.events[len(l.events)-eventsKept:]...)
	}
	if l.next != before {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// skipTo leaves a gap, and forgets what is before it.
func (l *eventLog) skipTo(next uint64) {
	if next > l.next {
		l.events, l.next = nil, next
	}
}

// keptEvents are events as they are kept now.
type keptEvents struct {
	events []failover.Event
	oldest uint64          // the number of the oldest that is kept, of the next one if none is
	more   <-chan struct{} // closes when there are more
}

// after returns the events with a greater number.
func (l *eventLog) after(sequence uint64) keptEvents {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := keptEvents{oldest: l.next - uint64(len(l.events)), more: l.changed}
	if from := max(sequence+1, kept.oldest); from < l.next {
		kept.events = append(kept.events, l.events[from-kept.oldest:]...)
	}
	return kept
}
