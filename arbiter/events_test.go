package arbiter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func numbered(from, to uint64) []failover.Event {
	var events []failover.Event
	for s := from; s <= to; s++ {
		events = append(events, failover.Event{Sequence: s})
	}
	return events
}

// sequences are the numbers of events.
func sequences(events []failover.Event) []uint64 {
	var list []uint64
	for _, e := range events {
		list = append(list, e.Sequence)
	}
	return list
}

func wasTold(more <-chan struct{}) bool {
	select {
	case <-more:
		return true
	default:
		return false
	}
}

func TestEventLog_AfterAndReplay(t *testing.T) {
	l := newEventLog()
	empty := l.after(0)
	if len(empty.events) != 0 || empty.oldest != 1 {
		t.Errorf("an empty log has %+v", empty)
	}
	l.add(nil, 0)
	if wasTold(empty.more) {
		t.Error("told of nothing")
	}
	l.add(numbered(1, 4), 4)
	if !wasTold(empty.more) {
		t.Error("not told of new events")
	}
	l.add(numbered(2, 5), 5) // a replay that goes further
	for after, want := range map[uint64][]uint64{0: {1, 2, 3, 4, 5}, 2: {3, 4, 5}, 4: {5}, 5: nil, 100: nil} {
		if kept := l.after(after); !slices.Equal(sequences(kept.events), want) || kept.oldest != 1 {
			t.Errorf("after %d: %+v, want %v", after, kept, want)
		}
	}
}

// A snapshot brings a state whose events nobody has here; they were before those that follow.
func TestEventLog_KnowsWhatASnapshotLeavesOut(t *testing.T) {
	l := newEventLog()
	l.add(numbered(1, 3), 3)
	more := l.after(3).more
	l.add(nil, 50)
	if kept := l.after(3); !wasTold(more) || len(kept.events) != 0 || kept.oldest != 51 {
		t.Errorf("after the snapshot: %+v, told %v", kept, wasTold(more))
	}
	l.add(numbered(51, 52), 52)
	if kept := l.after(3); !slices.Equal(sequences(kept.events), []uint64{51, 52}) || kept.oldest != 51 {
		t.Errorf("after that: %+v", kept)
	}
}

func TestEventLog_IsBounded(t *testing.T) {
	l := newEventLog()
	l.add(numbered(1, 3*eventsKept), 3*eventsKept)
	kept := l.after(0)
	if len(kept.events) < eventsKept || len(kept.events) > 2*eventsKept || kept.events[len(kept.events)-1].Sequence != 3*eventsKept {
		t.Errorf("%d events are kept", len(kept.events))
	}
	first := kept.events[0]
	if kept.oldest != first.Sequence {
		t.Errorf("the oldest is said to be %d, and is %d", kept.oldest, first.Sequence)
	}
	kept.events[0] = failover.Event{}
	if again := l.after(0); again.events[0] != first {
		t.Error("a caller's change reached the log")
	}
}

// watcher notes what is sent: "fresh", "oldest N", "N" for an event, "up to N".
type watcher struct{ heard []string }

func (w *watcher) send(r *arbiterv1.WatchEventsResponse) error {
	var parts []string
	if r.GetFreshness() != nil {
		parts = append(parts, "fresh")
	}
	if r.GetOldest() != 0 {
		parts = append(parts, fmt.Sprint("oldest ", r.GetOldest()))
	}
	if r.GetEvent() != nil {
		parts = append(parts, fmt.Sprint(r.GetEvent().GetSequence()))
	}
	if r.CaughtUp != nil {
		parts = append(parts, fmt.Sprint("up to ", r.GetCaughtUp()))
	}
	w.heard = append(w.heard, strings.Join(parts, " "))
	return nil
}

func TestEventStream_SaysWhatIsMissing(t *testing.T) {
	l, w := newEventLog(), &watcher{}
	l.add(nil, 20)
	l.add(numbered(21, 22), 22)
	s := eventStream{send: w.send, freshness: &arbiterv1.Freshness{}, sent: 7, upTo: 23}
	steps := []struct {
		does func()
		want []string
	}{
		{func() {}, []string{"fresh oldest 21", "21", "22"}},
		{func() { l.add(numbered(23, 23), 23) }, []string{"23", "up to 23"}}, // what the state had when it was asked
		{func() { l.add(numbered(24, 24), 24) }, []string{"24"}},
		{func() { l.add(nil, 60) }, []string{"oldest 61"}}, // a snapshot, in the middle
		{func() { l.add(numbered(61, 61), 61) }, []string{"61"}},
	}
	for _, step := range steps {
		w.heard = nil
		step.does()
		if err := s.take(l.after(s.sent)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.heard, step.want) {
			t.Errorf("heard %q, want %q", w.heard, step.want)
		}
	}
}

// Who watches a quiet group goes on after what it need not know of.
func TestEventStream_TellsWhatItPassedOver(t *testing.T) {
	l, w := newEventLog(), &watcher{}
	s := eventStream{send: w.send, freshness: &arbiterv1.Freshness{}, group: "quiet"}
	for last := uint64(1); last <= 2*passedOver; last++ {
		l.add(numbered(last, last), last)
		if err := s.take(l.after(s.sent)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"fresh oldest 1", "up to 1", fmt.Sprint("up to ", 1+passedOver)}
	if !slices.Equal(w.heard, want) {
		t.Errorf("heard %q, want %q", w.heard, want)
	}
}

// The state machine tells of a snapshot, and the log of events hears of it.
func TestNode_EventsBeforeASnapshotAreKnownToBeMissing(t *testing.T) {
	n := &Node{events: newEventLog(), advance: make(chan struct{}), specs: make(chan struct{}, 1)}
	state := failover.NewState()
	state.EventSeq = 50
	n.onApplied(9, &state, nil)
	if kept := n.events.after(0); kept.oldest != 51 {
		t.Errorf("the oldest is said to be %d", kept.oldest)
	}
}
