package clock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Fake is a clock that a test moves by hand. Its methods may be called from any goroutine.
type Fake struct {
	mu      sync.Mutex
	boot    time.Duration
	wall    time.Time
	waiting int
	changed chan struct{} // closed and replaced at every change that a waiter may wait for
}

// NewFake returns a clock that stands at the given boot time and calendar time.
func NewFake(boot time.Duration, wall time.Time) *Fake {
	return &Fake{boot: boot, wall: wall, changed: make(chan struct{})}
}

// Boot implements Clock.
func (f *Fake) Boot() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.boot
}

// Wall implements Clock.
func (f *Fake) Wall() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wall
}

// Advance moves both clocks on, as time does. It panics on a negative duration: boot time never goes back.
func (f *Fake) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: Fake.Advance: boot time never goes back; use StepWall")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boot += d
	f.wall = f.wall.Add(d)
	f.announce()
}

// StepWall moves the calendar time alone, as an operator or a time daemon does, forwards or backwards.
func (f *Fake) StepWall(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall = f.wall.Add(d)
}

// WaitUntil implements Clock.
func (f *Fake) WaitUntil(ctx context.Context, deadline time.Duration) error {
	f.addWaiter(1)
	defer f.addWaiter(-1)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f.mu.Lock()
		reached, changed := f.boot >= deadline, f.changed
		f.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// AwaitWaiters returns once at least n calls of WaitUntil are under way, or with the context's cause. A test calls it
// before Advance, so that it doesn't advance past a waiter that has yet to come.
func (f *Fake) AwaitWaiters(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		enough, changed := f.waiting >= n, f.changed
		f.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

func (f *Fake) addWaiter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting += n
	f.announce()
}

// announce wakes everybody who waits for a change. The caller holds the lock.
func (f *Fake) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Late is a context for tests: its deadline passes when they say so, and it goes on then, as a context does for a moment whose end the network's timers
// have noticed first (see Over).
type Late struct {
	context.Context
	passed atomic.Bool
}

// NewLate returns a context whose deadline is far away. It ends with its parent.
func NewLate(parent context.Context) *Late { return &Late{Context: parent} }

// Pass has the deadline pass.
func (l *Late) Pass() { l.passed.Store(true) }

// Deadline implements context.Context.
func (l *Late) Deadline() (time.Time, bool) {
	if l.passed.Load() {
		return time.Now(), true
	}
	return time.Now().Add(time.Hour), true
}
