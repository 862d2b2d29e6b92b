package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/internal/clock"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// NewStream opens a stream to the arbiter that led last, or to any. It doesn't resume; [Client.Watch] does.
func (c *cluster) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	e, err := c.anyLeader(ctx, nil)
	if err != nil {
		return nil, err
	}
	return e.conn.NewStream(ctx, desc, method, options...)
}

// WatchItem is what a watch yields: an event, or a word about the watch itself.
type WatchItem struct {
	// Event is something that happened; nil in the other cases.
	Event *arbiterv1.Event
	// From says which arbiter the events come from, now and after every change of that, and how fresh that is: a stale watch may be
	// with one that is cut off and hears of nothing. Arbiters of an older release don't say.
	From *arbiterv1.Freshness
	// Gap says that events are missing, which happened before those that follow.
	Gap *WatchGap
	// CaughtUp says that all events kept so far were yielded. It comes once.
	CaughtUp bool
	// Interrupted says why no events can be had at the moment. The watch goes on by itself.
	Interrupted error
}

// WatchGap is where events are missing: the arbiter that is watched no longer keeps them, or never did, since it began with a snapshot. Of
// which groups they were isn't known.
type WatchGap struct {
	After  uint64 // the watch knows what happened up to this number
	Oldest uint64 // and goes on with this one
}

// Watch yields events in order, each once, through changes of leader, until the context ends or something is wrong that
// trying again can't help; then the last item is an error. They come from the arbiter that leads, or, if the request asks for stale
// ones, from any. A request with FromNow may miss events that happen between two connections as long as it has seen none.
func (c *Client) Watch(ctx context.Context, request *arbiterv1.WatchEventsRequest) iter.Seq2[WatchItem, error] {
	return func(yield func(WatchItem, error) bool) {
		w := &watch{cluster: c.cluster, request: proto.CloneOf(request), yield: yield, resumes: request.GetAfter() > 0}
		pause := shortestPause
		for ctx.Err() == nil {
			began := w.heard
			err := w.connect(ctx)
			if w.stopped || ctx.Err() != nil {
				return
			}
			if !resumable(err) {
				yield(WatchItem{}, translate(err))
				return
			}
			if w.heard > began {
				pause = shortestPause
			} else if pause == longestPause && !yield(WatchItem{Interrupted: translate(err)}, nil) {
				return
			}
			if clock.Pause(ctx, pause) != nil {
				return
			}
			pause = min(2*pause, longestPause)
		}
	}
}

// watch is one watch over all of its connections.
type watch struct {
	cluster  *cluster
	request  *arbiterv1.WatchEventsRequest
	yield    func(WatchItem, error) bool
	heard    int         // messages
	received int         // events
	asked    []*endpoint // that sent nothing, since one did; the latest last
	resumes  bool        // it knows what happened up to request.After
	caughtUp bool
	stopped  bool // the reader wants no more
}

// connect reads one stream to its end and returns why it ended.
func (w *watch) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e, err := w.cluster.anyLeader(ctx, w.asked)
	if err != nil {
		return err
	}
	w.asked = append(slices.DeleteFunc(w.asked, func(other *endpoint) bool { return other == e }), e)
	stream, err := arbiterv1.NewArbiterServiceClient(e.conn).WatchEvents(ctx, w.request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return w.cluster.learn(e, err)
		}
		if response.GetFreshness().GetLinearizable() {
			w.cluster.follow(e)
		}
		w.heard, w.asked = w.heard+1, nil
		if w.take(response); w.stopped {
			return nil
		}
	}
}

// anyLeader returns an arbiter to ask: the one that led last, or any that there is a connection to. Those that were asked already come after
// the others, and the latest last: one that is cut off can't say who leads, and must not be asked for ever.
func (c *cluster) anyLeader(ctx context.Context, asked []*endpoint) (*endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.TryTimeout)
	defer cancel()
	round := c.newRound(ctx)
	round.putLast(asked)
	for {
		e, err := round.next(ctx)
		if err != nil {
			return nil, round.giveUp(&call{kind: read}, err)
		}
		connect, connected := context.WithTimeout(ctx, connectTimeout)
		err = e.ready(connect)
		connected()
		if err == nil {
			return e, nil
		}
		c.forget(e)
		round.hear(err)
	}
}

// learn takes what the end of a stream says about who leads.
func (c *cluster) learn(e *endpoint, err error) error {
	c.forget(e)
	if hint, is := notLeader(err); is {
		if other := c.hinted(hint.LeaderGrpc); other != nil && other != e {
			c.follow(other)
		}
	}
	return err
}

// take yields what one message of a stream says, unless its event was yielded before.
func (w *watch) take(response *arbiterv1.WatchEventsResponse) {
	if response.Freshness != nil {
		w.give(WatchItem{From: response.Freshness})
	}
	if oldest := response.Oldest; w.resumes && w.request.After+1 < oldest {
		gap := &WatchGap{After: w.request.After, Oldest: oldest}
		w.request.After = oldest - 1
		w.give(WatchItem{Gap: gap})
	}
	if event := response.Event; event != nil && (event.Sequence > w.request.After || w.received == 0) {
		w.received++
		w.resumeAfter(event.Sequence)
		w.give(WatchItem{Event: event})
	}
	if response.CaughtUp != nil {
		w.resumeAfter(max(w.request.After, response.GetCaughtUp()))
		if !w.caughtUp {
			w.caughtUp = true
			w.give(WatchItem{CaughtUp: true})
		}
	}
}

func (w *watch) resumeAfter(sequence uint64) {
	w.request.After, w.request.FromNow, w.resumes = sequence, false, true
}

// give yields an item, unless the reader wants no more.
func (w *watch) give(item WatchItem) {
	if !w.stopped {
		w.stopped = !w.yield(item, nil)
	}
}

// resumable says whether a stream that ended so may be opened again.
func resumable(err error) bool {
	if _, is := notLeader(err); is {
		return true
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoLeader) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Canceled, codes.Aborted, codes.ResourceExhausted:
		return true
	}
	return false
}
