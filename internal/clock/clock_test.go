package clock

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSystem_BootNeverDecreases(t *testing.T) {
	c := System()
	last := c.Boot()
	if last <= 0 {
		t.Fatalf("Boot() = %v, want a positive time", last)
	}
	for range 10_000 {
		now := c.Boot()
		if now < last {
			t.Fatalf("Boot() went back from %v to %v", last, now)
		}
		last = now
	}
}

func TestSystem_WaitUntilReachesTheDeadline(t *testing.T) {
	c := System()
	deadline := c.Boot() + 30*time.Millisecond
	if err := c.WaitUntil(t.Context(), deadline); err != nil {
		t.Fatal(err)
	}
	if now := c.Boot(); now < deadline {
		t.Errorf("WaitUntil returned at %v, before its deadline %v", now, deadline)
	}
}

func TestMonotonic_FollowsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Monotonic()
		if err := c.WaitUntil(t.Context(), 3*time.Hour); err != nil {
			t.Fatal(err)
		}
		if now := c.Boot(); now != 3*time.Hour {
			t.Errorf("Boot() = %v after waiting for 3h, want exactly that", now)
		}
	})
}

func TestWaitUntil_EndsWithTheContextsCause(t *testing.T) {
	gone := errors.New("no longer wanted")
	for name, c := range map[string]Clock{"monotonic": Monotonic(), "fake": NewFake(0, time.Time{})} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(gone)
			if err := c.WaitUntil(ctx, time.Hour); !errors.Is(err, gone) {
				t.Errorf("WaitUntil = %v, want %v", err, gone)
			}
		})
	}
}

// A machine that is suspended stops Go's timers while its boot-time clock goes on. Here the clock jumps by an hour between
// two readings, as it does for a process that wakes up.
func TestS6_DeadlineIsNoticedSoonAfterASuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var slept atomic.Int64
		c := polled{boot: func() time.Duration { return time.Since(start) + time.Duration(slept.Load()) }}
		ctx, cancel := WithDeadline(t.Context(), c, time.Hour)
		defer cancel()

		<-time.After(time.Second)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatal("context ended an hour early")
		}
		slept.Store(int64(time.Hour))
		<-time.After(PollInterval)
		synctest.Wait()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrDeadline) {
			t.Errorf("%v after the suspend the cause is %v, want ErrDeadline", PollInterval, cause)
		}
	})
}

func TestWithDeadline_Cause(t *testing.T) {
	parentGone := errors.New("parent gone")
	tests := map[string]struct {
		act  func(f *Fake, cancelParent context.CancelCauseFunc)
		want error
	}{
		"deadline":         {func(f *Fake, _ context.CancelCauseFunc) { f.Advance(time.Minute) }, ErrDeadline},
		"deadline is one":  {func(f *Fake, _ context.CancelCauseFunc) { f.Advance(time.Minute) }, context.DeadlineExceeded},
		"parent cancelled": {func(_ *Fake, cancel context.CancelCauseFunc) { cancel(parentGone) }, parentGone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := NewFake(time.Hour, time.Time{})
			parent, cancelParent := context.WithCancelCause(t.Context())
			defer cancelParent(nil)
			ctx, cancel := WithTimeout(parent, f, time.Minute)
			defer cancel()
			if ctx.Err() != nil {
				t.Fatalf("context ended before its time: %v", context.Cause(ctx))
			}
			test.act(f, cancelParent)
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, test.want) {
				t.Errorf("cause is %v, want %v", cause, test.want)
			}
		})
	}
}

func TestWithDeadline_InThePastIsOverAtOnce(t *testing.T) {
	ctx, cancel := WithDeadline(t.Context(), NewFake(time.Hour, time.Time{}), time.Minute)
	defer cancel()
	if cause := context.Cause(ctx); !errors.Is(cause, ErrDeadline) {
		t.Errorf("cause is %v, want ErrDeadline", cause)
	}
}

func TestFake_MovesOnlyByHand(t *testing.T) {
	wall := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	f := NewFake(time.Hour, wall)
	done := make(chan error, 1)
	go func() { done <- Wait(t.Context(), f, 10*time.Second) }()
	if err := f.AwaitWaiters(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	f.Advance(9 * time.Second)
	f.StepWall(-time.Hour)
	select {
	case err := <-done:
		t.Fatalf("Wait returned (%v) one second early", err)
	default:
	}
	f.Advance(time.Second)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, want := f.Boot(), time.Hour+10*time.Second; got != want {
		t.Errorf("Boot() = %v, want %v", got, want)
	}
	if got, want := f.Wall(), wall.Add(10*time.Second-time.Hour); !got.Equal(want) {
		t.Errorf("Wall() = %v, want %v", got, want)
	}
}

func TestPause_EndsWithItsTimeOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Pause(t.Context(), time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("paused for %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := errors.New("deposed")
		time.AfterFunc(time.Second, func() { cancel(ended) })
		if err := Pause(ctx, time.Hour); !errors.Is(err, ended) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestOver_FromTheDeadlineOn(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	early, late := NewLate(t.Context()), NewLate(t.Context())
	late.Pass()
	for _, test := range []struct {
		what string
		ctx  context.Context
		want bool
	}{
		{"without an end", t.Context(), false},
		{"ended", ended, true},
		{"its deadline is to come", early, false},
		{"its deadline has passed, which it does not say yet", late, true},
	} {
		if got := Over(test.ctx); got != test.want {
			t.Errorf("%s: %v", test.what, got)
		}
	}
}
