package client

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// round is the order in which one call asks the arbiters.
type round struct {
	cluster *cluster
	first   *endpoint // asked next, before the others
	waiting []*endpoint
	pause   time.Duration
	asked   int     // since the last pause
	noLead  bool    // an arbiter answered that it doesn't lead
	named   string  // who does, as one of those said
	heard   []error // what went wrong since the last pause
}

// newRound begins with the arbiter that led last; if none is known, with the one whose connection is there first.
func (c *cluster) newRound(ctx context.Context) *round {
	c.mutex.Lock()
	leader := c.leader
	c.mutex.Unlock()
	r := &round{cluster: c, first: leader, pause: shortestPause}
	if leader == nil {
		r.first = c.quickest(ctx)
	}
	r.refill()
	return r
}

// quickest returns the first arbiter to which there is a connection, or nil.
func (c *cluster) quickest(ctx context.Context) *endpoint {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	all := c.all()
	answers := make(chan *endpoint, len(all)) // roomy, so that those who come late need no reader
	for _, e := range all {
		go func() {
			if e.ready(ctx) != nil {
				e = nil
			}
			answers <- e
		}()
	}
	for range all {
		if e := <-answers; e != nil {
			return e
		}
	}
	return nil
}

func (c *cluster) all() []*endpoint {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]*endpoint(nil), c.endpoints...)
}

// prefer asks an arbiter next.
func (r *round) prefer(e *endpoint) { r.first = e }

// hear keeps what went wrong, for the message at the end.
func (r *round) hear(err error) {
	if hint, is := notLeader(err); is {
		r.noLead, r.named = true, cmp.Or(hint.GetLeader(), r.named)
		return
	}
	r.heard = append(r.heard, err)
}

// putLast asks arbiters after all others, in the given order.
func (r *round) putLast(asked []*endpoint) {
	for _, e := range asked {
		r.drop(e)
		r.waiting = append(r.waiting, e)
		if r.first == e {
			r.first = nil
		}
	}
}

func (r *round) refill() {
	r.waiting = r.cluster.all()
}

// next returns whom to ask, after a pause if all were asked. It fails when the time is over. Arbiters that name each
// other as the leader, as happens for a moment when it changes, can't make it skip the pause for ever.
func (r *round) next(ctx context.Context) (*endpoint, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if r.first == nil && len(r.waiting) == 0 || r.asked > 2*len(r.cluster.all()) {
		if r.hopeless() {
			return nil, errHopeless
		}
		if err := r.rest(ctx); err != nil {
			return nil, err
		}
	}
	r.asked++
	e := r.first
	if e == nil {
		e = r.waiting[0]
	}
	r.first = nil
	r.drop(e)
	return e, nil
}

var (
	// errHopeless ends a call before its time is over.
	errHopeless = errors.New("trying again can't help")
	// errTooLate ends one whose time is not enough for another round.
	errTooLate = errors.New("no time is left to try again")
)

// hopeless says whether every arbiter was refused for its certificate, or talks without TLS: time won't change that.
func (r *round) hopeless() bool {
	all := len(r.cluster.all())
	return !r.noLead && len(r.heard) >= all &&
		!slices.ContainsFunc(r.heard, func(err error) bool { return !pki.Refuses(err) && !errors.Is(err, ErrPlaintextThere) })
}

// drop takes an arbiter that is being asked off the list.
func (r *round) drop(e *endpoint) {
	for i, other := range r.waiting {
		if other == e {
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
			return
		}
	}
}

// leastTry is what must be left of a call's time for another round. A try that is cut short leaves open what became of a change, when it is
// known by then that nobody has carried it out.
const leastTry = 200 * time.Millisecond

// rest waits between two rounds, longer each time.
func (r *round) rest(ctx context.Context) error {
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) < r.pause+leastTry {
		return errTooLate
	}
	if err := clock.Pause(ctx, r.pause); err != nil {
		return err
	}
	r.pause = min(2*r.pause, longestPause)
	r.heard, r.noLead, r.named, r.asked = nil, false, "", 0
	r.refill()
	return nil
}

// giveUp says why a call got no answer before its time was over.
func (r *round) giveUp(call *call, cause error) error {
	if errors.Is(cause, context.Canceled) && !call.lost {
		return cause
	}
	err := r.why()
	if call.lost && call.kind != read {
		return &UnknownOutcomeError{RequestID: call.requestID, Err: err}
	}
	return err
}

func (r *round) why() error {
	err := &noAnswerError{kind: ErrUnavailable}
	switch {
	case r.named != "":
		err.kind = ledElsewhereError(r.named + " leads, as others say, and gave no answer")
	case r.noLead:
		err.kind = ErrNoLeader
	}
	for _, reason := range r.heard {
		if !slices.ContainsFunc(err.reasons, func(other error) bool { return other.Error() == reason.Error() }) {
			err.reasons = append(err.reasons, reason)
		}
	}
	return err
}

// noAnswerError says that no arbiter gave an answer that counts, and why each of them didn't.
type noAnswerError struct {
	kind    error
	reasons []error
}

// Error lists the reasons.
func (e *noAnswerError) Error() string {
	if len(e.reasons) == 0 {
		return e.kind.Error()
	}
	texts := make([]string, len(e.reasons))
	for i, reason := range e.reasons {
		texts[i] = reason.Error()
	}
	return e.kind.Error() + ": " + strings.Join(texts, "; ")
}

// Unwrap returns ErrNoLeader or ErrUnavailable, and the reasons.
func (e *noAnswerError) Unwrap() []error { return append([]error{e.kind}, e.reasons...) }
