package clock

import (
	"context"
	"fmt"
	"time"
)

// ErrDeadline is the cause of a context whose boot-time deadline has passed. It wraps context.DeadlineExceeded.
var ErrDeadline = fmt.Errorf("deadline passed on the boot-time clock: %w", context.DeadlineExceeded)

// WithDeadline returns a context that is cancelled, with ErrDeadline as its cause, once the clock's Boot has reached the
// deadline. The context's Err is context.Canceled; ask context.Cause for the reason. It has no Deadline of its own, since
// that would be one on the wall clock.
//
// The cancel function must be called. It ends the goroutine that watches the clock and waits for it.
func WithDeadline(parent context.Context, c Clock, deadline time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	if c.Boot() >= deadline {
		cancel(ErrDeadline)
		return ctx, func() {}
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if c.WaitUntil(ctx, deadline) == nil {
			cancel(ErrDeadline)
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-watched
	}
}

// WithTimeout is WithDeadline at a duration from now.
func WithTimeout(parent context.Context, c Clock, timeout time.Duration) (context.Context, context.CancelFunc) {
	return WithDeadline(parent, c, c.Boot()+timeout)
}
