package client

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/internal/clock"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// NewStream opens a stream to the arbiter that led last, or to any. It doesn't resume; [Client.Watch] does.
func (c *cluster) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	e, err := c.anyLeader(ctx)
	if err != nil {
		return nil, err
	}
	return e.conn.NewStream(ctx, desc, method, options...)
}

// WatchItem is what a watch yields: an event, or a word about the watch itself.
type WatchItem struct {
	// Event is something that happened; nil in the other cases.
	Event *arbiterv1.Event
	// CaughtUp says that all events kept so far were yielded. It comes once.
	CaughtUp bool
	// Interrupted says why no events can be had at the moment. The watch goes on by itself.
	Interrupted error
}

// Watch yields events in order, each once, through changes of leader, until the context ends or something is wrong that
// trying again can't help; then the last item is an error. A request with FromNow may miss events that happen between
// two connections as long as it has seen none.
func (c *Client) Watch(ctx context.Context, request *arbiterv1.WatchEventsRequest) iter.Seq2[WatchItem, error] {
	return func(yield func(WatchItem, error) bool) {
		w := &watch{cluster: c.cluster, request: proto.CloneOf(request), yield: yield}
		pause := shortestPause
		for ctx.Err() == nil {
			began := w.received
			err := w.connect(ctx)
			if w.stopped || ctx.Err() != nil {
				return
			}
			if !resumable(err) {
				yield(WatchItem{}, translate(err))
				return
			}
			if w.received > began {
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
	received int
	caughtUp bool
	stopped  bool // the reader wants no more
}

// connect reads one stream to its end and returns why it ended.
func (w *watch) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e, err := w.cluster.anyLeader(ctx)
	if err != nil {
		return err
	}
	stream, err := arbiterv1.NewArbiterServiceClient(e.conn).WatchEvents(ctx, w.request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return w.cluster.learn(e, err)
		}
		w.cluster.follow(e)
		if w.take(response); w.stopped {
			return nil
		}
	}
}

// anyLeader returns an arbiter to ask: the one that led last, or any that there is a connection to.
func (c *cluster) anyLeader(ctx context.Context) (*endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.TryTimeout)
	defer cancel()
	round := c.newRound(ctx)
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

// take yields one message of a stream, unless its event was yielded before.
func (w *watch) take(response *arbiterv1.WatchEventsResponse) {
	if event := response.Event; event != nil && (event.Sequence > w.request.After || w.received == 0) {
		w.received++
		w.request.After, w.request.FromNow = event.Sequence, false
		w.stopped = !w.yield(WatchItem{Event: event}, nil)
	}
	if response.CaughtUp != nil && !w.stopped {
		w.request.After, w.request.FromNow = max(w.request.After, response.GetCaughtUp()), false
		if !w.caughtUp {
			w.caughtUp = true
			w.stopped = !w.yield(WatchItem{CaughtUp: true}, nil)
		}
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
