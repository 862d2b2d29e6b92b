package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

const (
	// connectTimeout limits waiting for a connection to one arbiter, before the next one is tried.
	connectTimeout = time.Second
	// shortestPause and longestPause lie between rounds over all arbiters that found no leader.
	shortestPause = 25 * time.Millisecond
	longestPause  = 400 * time.Millisecond
)

// cluster is all arbiters as one connection: it sends each call to the one that leads. It implements what generated
// clients need of a connection.
type cluster struct {
	options Options

	mutex     sync.Mutex
	endpoints []*endpoint
	leader    *endpoint // the arbiter that answered last as the one that leads; nil if not known
}

// Invoke makes one call, trying again as far as that is safe.
func (c *cluster) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	request, ok := args.(proto.Message)
	if !ok {
		return fmt.Errorf("call %s: the request is no protobuf message", method)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
		defer cancel()
	}
	call := newCall(method, request, reply, options)
	if size := proto.Size(call.request); size > arbiterv1.MaxMessageBytes {
		return &InvalidError{Message: fmt.Sprintf("the request has %d bytes, and arbiters take %d: nothing was sent", size, arbiterv1.MaxMessageBytes)}
	}
	stale, can := call.stale()
	if call.staleAfter == 0 || !can {
		return c.try(ctx, ctx, call)
	}
	err := c.tryWithin(ctx, call)
	if ctx.Err() != nil || !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrUnavailable) {
		return err
	}
	return c.tryWithin(ctx, stale)
}

// tryWithin looks for an arbiter that answers for as long as a stale answer is waited for. What takes long by itself isn't cut short
// while an arbiter is at it.
func (c *cluster) tryWithin(ctx context.Context, call *call) error {
	search, cancel := context.WithTimeout(ctx, call.staleAfter)
	defer cancel()
	if call.tryTimeout > 0 {
		return c.try(ctx, search, call)
	}
	return c.try(search, search, call)
}

// try goes from arbiter to arbiter until the call has an answer or the time for the search is over.
func (c *cluster) try(ctx, search context.Context, call *call) error {
	round := c.newRound(search)
	for {
		e, err := round.next(search)
		if err != nil {
			return round.giveUp(call, err)
		}
		if err = c.once(ctx, e, call); err == nil {
			if ofLeader(call.reply) {
				c.follow(e)
			}
			return nil
		}
		if hint, is := notLeader(err); is {
			c.forget(e)
			round.hear(err)
			switch { // one that says more than that it doesn't lead
			case hint.GetWaitsFor() != "":
				round.hear(fmt.Errorf("%s: %w: %s", e.address, ErrNotJoined, hint.GetWaitsFor()))
			case hint.GetLogOnDisk() > 0:
				round.hear(fmt.Errorf("%s: %s", e.address, status.Convert(err).Message()))
			}
			if other := c.hinted(hint.LeaderGrpc); other != nil && other != e {
				round.prefer(other)
			}
			continue
		}
		if !call.mayRepeat(err) {
			return call.final(ctx, err)
		}
		c.forget(e)
		round.hear(e.said(err))
	}
}

// ofLeader says whether an answer came from an arbiter that leads, or did so a moment ago. Only such ones carry out changes and hand leadership on;
// the answer to a question has a Freshness that says so.
func ofLeader(reply any) bool {
	read, ok := reply.(interface{ GetFreshness() *arbiterv1.Freshness })
	return !ok || read.GetFreshness().GetLinearizable()
}

// once tries the call at one arbiter. Without a connection it fails before anything is sent.
func (c *cluster) once(ctx context.Context, e *endpoint, call *call) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(call.tryTimeout, c.options.TryTimeout))
	defer cancel()
	connect, connected := context.WithTimeout(ctx, connectTimeout)
	err := e.ready(connect)
	connected()
	if err != nil {
		return &notSentError{err}
	}
	return e.conn.Invoke(ctx, call.method, call.request, call.reply, call.options...)
}

// notSentError says that a call surely didn't reach an arbiter.
type notSentError struct{ error }

// Unwrap returns why.
func (e *notSentError) Unwrap() error { return e.error }

// mayRepeat says whether a failed try may be repeated at another arbiter, and remembers whether it may have been accepted.
func (c *call) mayRepeat(err error) bool {
	var notSent *notSentError
	if errors.As(err, &notSent) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		c.lost = true
		return c.kind != once
	case codes.Unknown, codes.Internal, codes.DataLoss:
		c.lost = true
	}
	return false
}

// final turns the last failure of a call that isn't tried again into an error of this package.
func (c *call) final(ctx context.Context, err error) error {
	ours := translate(err)
	if c.lost && c.kind != read && !definite(err) {
		return &UnknownOutcomeError{RequestID: c.requestID, Err: ours}
	}
	if ctx.Err() != nil && status.Code(err) == codes.Canceled {
		return context.Cause(ctx)
	}
	return ours
}

// definite says whether an answer settles what became of a change, earlier tries under the same id included.
func definite(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.Internal, codes.DataLoss:
		return false
	}
	return true
}

// endpoint returns the connection to an address, making it if it is new.
func (c *cluster) endpoint(address string) (*endpoint, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if i := slices.IndexFunc(c.endpoints, func(e *endpoint) bool { return e.address == address }); i >= 0 {
		return c.endpoints[i], nil
	}
	e, err := newEndpoint(address, c.options)
	if err != nil {
		return nil, err
	}
	c.endpoints = append(c.endpoints, e)
	return e, nil
}

// hinted returns the connection to the arbiter that another one named as the leader, or nil.
func (c *cluster) hinted(address string) *endpoint {
	if address == "" {
		return nil
	}
	e, err := c.endpoint(address)
	if err != nil {
		return nil // an address that can't even be parsed helps nobody; the others are tried in turn
	}
	return e
}

func (c *cluster) follow(e *endpoint) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.leader = e
}

func (c *cluster) forget(e *endpoint) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.leader == e {
		c.leader = nil
	}
}

func (c *cluster) close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var errs []error
	for _, e := range c.endpoints {
		errs = append(errs, e.conn.Close())
	}
	return errors.Join(errs...)
}
