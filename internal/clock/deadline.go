package clock

import (
	"context"
	"time"
)

// ErrDeadline is the cause of a context whose boot-time deadline has passed. It wraps context.DeadlineExceeded. Operators read its words.
var ErrDeadline error = passed{}

type passed struct{}

func (passed) Error() string { return "its time limit has passed" }

func (passed) Unwrap() error { return context.DeadlineExceeded }

// WithDeadline returns a context that is cancelled, with ErrDeadline as its cause, once the clock's Boot has reached the
// deadline. The context's Err is context.Canceled; ask context.Cause for the reason. Its Deadline is an estimate from now, for those who
// pass time limits on to others; what ends the context is the boot-time clock.
//
// The cancel function must be called. It ends the goroutine that watches the clock and waits for it.
func WithDeadline(parent context.Context, c Clock, deadline time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	if c.Boot() >= deadline {
		cancel(ErrDeadline)
		return ctx, func() {}
	}
	timed := deadlineContext{Context: ctx, deadline: time.Now().Add(deadline - c.Boot())}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if c.WaitUntil(ctx, deadline) == nil {
			cancel(ErrDeadline)
		}
	}()
	return timed, func() {
		cancel(context.Canceled)
		<-watched
	}
}

// deadlineContext is a context that tells when it will probably end.
type deadlineContext struct {
	context.Context
	deadline time.Time
}

// Deadline returns the earlier of this estimate and the parent's.
func (c deadlineContext) Deadline() (time.Time, bool) {
	if parent, ok := c.Context.Deadline(); ok && parent.Before(c.deadline) {
		return parent, true
	}
	return c.deadline, true
}

// Over reports whether ctx has ended or is about to: its Deadline has passed. The network's own timers read that deadline too and may fire a moment
// before the context's: whoever asks after an error whether it is only the end of the time asks this.
func Over(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(deadline)
}

// WithTimeout is WithDeadline at a duration from now.
func WithTimeout(parent context.Context, c Clock, timeout time.Duration) (context.Context, context.CancelFunc) {
	return WithDeadline(parent, c, c.Boot()+timeout)
}
