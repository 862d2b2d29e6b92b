package arbiter

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// WatchEvents sends the events that are kept, says so, and goes on with new ones. One that isn't stale ends when this arbiter no longer
// leads: whoever is cut off hears of nothing, and a watcher must not take that for quiet.
func (s *service) WatchEvents(r *arbiterv1.WatchEventsRequest, stream grpc.ServerStreamingServer[arbiterv1.WatchEventsResponse]) error {
	state, freshness, err := s.read(stream.Context(), r.GetConsistency())
	if err != nil {
		return err
	}
	if s.node.pending(state) > 0 {
		return s.node.notYetKnown(state, "what has happened")
	}
	w := eventStream{send: stream.Send, group: failover.GroupName(r.GetGroup()), freshness: freshness, sent: r.GetAfter(), upTo: state.EventSeq}
	if r.GetFromNow() {
		w.sent = state.EventSeq
	}
	if freshness.GetLinearizable() && w.sent > state.EventSeq {
		return status.Errorf(codes.OutOfRange, "there is no event %d yet, the newest is %d: is the number one of this cluster's?", w.sent, state.EventSeq)
	}
	for {
		leading, deposed := s.node.leading.get()
		if !freshness.GetLinearizable() {
			deposed = nil
		} else if !leading {
			return s.notLeader(fmt.Sprintf("%s no longer leads", s.node.options.Node))
		}
		kept := s.node.events.after(w.sent)
		if err := w.take(kept); err != nil {
			return err
		}
		select {
		case <-kept.more:
		case <-deposed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// eventStream is what one watcher was sent.
type eventStream struct {
	send      func(*arbiterv1.WatchEventsResponse) error
	group     failover.GroupName // empty: all
	freshness *arbiterv1.Freshness
	upTo      uint64 // the newest event when the watcher asked: with it, it is caught up
	begun     bool
	caughtUp  bool
	sent      uint64 // the newest that was sent or passed over
	told      uint64 // the newest that the watcher knows to be behind it
}

// passedOver is how many events of other groups are passed over before a watcher is told of it: it goes on after them then, at an arbiter
// that no longer keeps them.
const passedOver = eventsKept / 10

// take sends what is kept, and says what isn't.
func (w *eventStream) take(kept keptEvents) error {
	if gap := w.sent+1 < kept.oldest; !w.begun || gap {
		first := &arbiterv1.WatchEventsResponse{Oldest: kept.oldest}
		if !w.begun {
			first.Freshness = w.freshness
		}
		if err := w.send(first); err != nil {
			return err
		}
		w.begun, w.sent = true, max(w.sent, kept.oldest-1)
	}
	for _, e := range kept.events {
		w.sent = e.Sequence
		if w.group != "" && w.group != e.Group {
			continue
		}
		if err := w.send(&arbiterv1.WatchEventsResponse{Event: eventToProto(e)}); err != nil {
			return err
		}
		w.told = e.Sequence
	}
	if !w.caughtUp && w.sent >= w.upTo || w.caughtUp && w.sent-w.told >= passedOver {
		w.caughtUp, w.told = true, w.sent
		return w.send(&arbiterv1.WatchEventsResponse{CaughtUp: &w.told})
	}
	return nil
}
