package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("broken")

func TestGroup_FirstErrorCancelsTheOthersAndIsReturned(t *testing.T) {
	g := NewGroup(t.Context())
	var cause error
	g.Go("follower", func(ctx context.Context) error {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return ctx.Err()
	})
	g.Go("leader-loop", func(context.Context) error { return errBroken })
	err := g.Wait()
	if !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "leader-loop: ") {
		t.Errorf("Wait() = %v, want the error of leader-loop", err)
	}
	if !errors.Is(cause, errBroken) {
		t.Errorf("the other goroutine's cause is %v, want %v", cause, errBroken)
	}
}

func TestGroup_PanicBecomesAnErrorWithNameAndStack(t *testing.T) {
	g := NewGroup(t.Context())
	g.Go("prober", func(context.Context) error { panic(errBroken) })
	err := g.Wait()
	var caught *PanicError
	if !errors.As(err, &caught) {
		t.Fatalf("Wait() = %v, want a PanicError", err)
	}
	if !strings.Contains(caught.Stack, "TestGroup_PanicBecomesAnError") {
		t.Errorf("the stack doesn't show where it happened:\n%s", caught.Stack)
	}
	if !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "prober: panic: ") {
		t.Errorf("Wait() = %q, want the name and the value", err)
	}
}

func TestGroup_Stop(t *testing.T) {
	tests := map[string]struct {
		reason error
		give   func(context.Context) error
		want   error // nil: ends clean
	}{
		"returns the context's error": {errBroken, func(ctx context.Context) error { return ctx.Err() }, nil},
		"returns the cause":           {errBroken, context.Cause, nil},
		"returns nothing":             {nil, func(context.Context) error { return nil }, nil},
		"fails while stopping":        {nil, func(context.Context) error { return errBroken }, errBroken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewGroup(t.Context())
			g.Go("worker", func(ctx context.Context) error {
				<-ctx.Done()
				return test.give(ctx)
			})
			g.Stop(test.reason)
			if err := g.Wait(); !errors.Is(err, test.want) {
				t.Errorf("Wait() = %v, want %v", err, test.want)
			}
		})
	}
}

func TestGroup_WaitForNamesWhoHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(t.Context())
		release := make(chan struct{})
		g.Go("deaf", func(context.Context) error { <-release; return nil })
		g.Go("polite", func(ctx context.Context) error { <-ctx.Done(); return nil })
		g.Stop(nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.WaitFor(ctx)
		if !errors.Is(err, ErrStillRunning) || !strings.Contains(err.Error(), "deaf") || strings.Contains(err.Error(), "polite") {
			t.Errorf("WaitFor() = %v, want ErrStillRunning that names only the deaf one", err)
		}
		close(release)
		if err := g.WaitFor(t.Context()); err != nil {
			t.Errorf("WaitFor() = %v after all have ended", err)
		}
		if running := g.Running(); len(running) != 0 {
			t.Errorf("Running() = %v, want none", running)
		}
	})
}

func TestDrain_KeepsTheOrderAndGoesOnAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // a step that is left behind runs beside the next one
		var taken []string
		hang := make(chan struct{})
		defer close(hang)
		step := func(name string, do func(context.Context) error) Step {
			return Step{Name: name, Why: "the test says so", Limit: time.Second, Do: func(ctx context.Context) error {
				mu.Lock()
				taken = append(taken, name)
				mu.Unlock()
				return do(ctx)
			}}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var reported []string
		err := Drain(ended, []Step{
			step("refuse new work", func(ctx context.Context) error { return ctx.Err() }),
			step("fail", func(context.Context) error { return errBroken }),
			step("panic", func(context.Context) error { panic("ouch") }),
			step("hang", func(context.Context) error { <-hang; return nil }),
			step("close", func(context.Context) error { return nil }),
			{Name: "endless"},
		}, func(step Step, took time.Duration, err error) {
			reported = append(reported, fmt.Sprintf("%s %v %v", step.Name, took, err != nil))
		})
		if want := []string{"refuse new work", "fail", "panic", "hang", "close"}; !slices.Equal(taken, want) {
			t.Errorf("steps taken: %v, want %v", taken, want)
		}
		for _, want := range []string{"fail: broken", "panic: panic: ouch", "hang: left behind after its limit of 1s", "endless: no time limit"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Drain() = %v, want it to say %q", err, want)
			}
		}
		if strings.Contains(err.Error(), "refuse new work") {
			t.Errorf("the first step failed: its context had ended with the process's: %v", err)
		}
		want := []string{"refuse new work 0s false", "fail 0s true", "panic 0s true", "hang 1s true", "close 0s false", "endless 0s true"}
		if !slices.Equal(reported, want) {
			t.Errorf("reported: %q, want %q", reported, want)
		}
	})
}
