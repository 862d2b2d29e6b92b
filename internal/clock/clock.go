package clock

import (
	"context"
	"time"
)

// PollInterval is how often a waiter compares its deadline with the boot-time clock: the longest that it oversleeps after
// a suspend. A waiter that is closer than this to its deadline sleeps exactly the rest.
const PollInterval = 20 * time.Millisecond

// Clock is the time of one process.
type Clock interface {
	// Boot is the time since an arbitrary fixed point, suspends included. It never decreases.
	Boot() time.Duration
	// Wall is the calendar time, for people and cool-downs. It may step at any moment; no safety rule reads it.
	Wall() time.Time
	// WaitUntil returns nil once Boot has reached the deadline, or the context's cause if that ends first.
	WaitUntil(ctx context.Context, deadline time.Duration) error
}

// System returns the machine's clock: CLOCK_BOOTTIME on Linux, Go's monotonic clock elsewhere (see the package comment).
func System() Clock { return polled{boot: bootTime()} }

// Monotonic returns a clock that runs on Go's own monotonic time, with its zero at the call. It is for tests inside a
// testing/synctest bubble, whose virtual time it follows; make it inside the bubble.
func Monotonic() Clock {
	start := time.Now()
	return polled{boot: func() time.Duration { return time.Since(start) }}
}

// Wait waits for a duration on the given clock, counted from now.
func Wait(ctx context.Context, c Clock, d time.Duration) error {
	return c.WaitUntil(ctx, c.Boot()+d)
}

// Pause waits for a duration in which this machine runs: a suspend in between is not counted. It is for loops that only repeat
// something, which it lets sleep, where WaitUntil wakes up every PollInterval. It returns the context's cause if that ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// polled is a clock that reads time from a function and waits by asking it again and again.
type polled struct {
	boot func() time.Duration
}

func (p polled) Boot() time.Duration { return p.boot() }

func (p polled) Wall() time.Time { return time.Now() }

func (p polled) WaitUntil(ctx context.Context, deadline time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	rest := deadline - p.boot()
	if rest <= 0 {
		return nil
	}
	timer := time.NewTimer(min(rest, PollInterval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		if rest = deadline - p.boot(); rest <= 0 {
			return nil
		}
		timer.Reset(min(rest, PollInterval))
	}
}
