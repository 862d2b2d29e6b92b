package arbiter

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

// fakeExecutor is an executor of two functions.
type fakeExecutor struct {
	check, do func(ctx context.Context) failover.Outcome
}

func (f fakeExecutor) Check(ctx context.Context, _ failover.Action) failover.Outcome {
	return f.check(ctx)
}

func (f fakeExecutor) Do(ctx context.Context, _ failover.Action) failover.Outcome { return f.do(ctx) }

// endings keeps what a runner reports.
type endings struct {
	mu  sync.Mutex
	all []failover.ActionEnded
}

func (e *endings) add(a failover.ActionEnded) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, a)
}

// only returns the one ending, after everything has come to rest.
func (e *endings) only(t *testing.T) failover.ActionEnded {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) != 1 {
		t.Fatalf("%d endings were reported, want one: %v", len(e.all), e.all)
	}
	return e.all[0]
}

func done() failover.Outcome { return failover.Outcome{Result: failover.ResultDone} }

func promote(attempt int) failover.Action {
	spec := &failover.Spec{Policy: failover.Policy{PromoteTimeout: time.Second}}
	return failover.Action{Group: "pay", Kind: failover.ActionPromote, Member: "db2", Intent: 7, Attempt: attempt, Spec: spec}
}

// start is an action that may take a minute, under a lease of a second.
func start(c clock.Clock, a failover.Action) failover.Start {
	return failover.Start{Action: a, Deadline: c.Boot() + time.Minute, LeaseUntil: c.Boot() + time.Second}
}

func testRunner(t *testing.T, e executor) (*runner, clock.Clock, *endings) {
	c, told := clock.Monotonic(), &endings{}
	r := newRunner(t.Context(), c, map[failover.ActionKind]executor{failover.ActionPromote: e}, told.add)
	t.Cleanup(r.drain)
	return r, c, told
}

func TestRunner_PermitEndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before, after, late error
		extended := make(chan struct{})
		r, c, told := testRunner(t, fakeExecutor{do: func(ctx context.Context) failover.Outcome {
			before = permit.Check(ctx)
			time.Sleep(900 * time.Millisecond)
			<-extended
			time.Sleep(300 * time.Millisecond)
			after = permit.Check(ctx)
			time.Sleep(time.Second)
			late = permit.Check(ctx)
			return done()
		}})
		r.start(start(c, promote(1)))
		time.Sleep(500 * time.Millisecond)
		r.extend(failover.Extend{Group: "pay", Intent: 7, LeaseUntil: c.Boot() + time.Second})
		r.extend(failover.Extend{Group: "pay", Intent: 8, LeaseUntil: c.Boot() + time.Hour}) // of nobody
		close(extended)
		time.Sleep(3 * time.Second)
		ended := told.only(t)
		if before != nil || after != nil {
			t.Errorf("within the lease: %v, extended: %v", before, after)
		}
		if !errors.Is(late, permit.ErrExpired) {
			t.Errorf("after the lease the driver hears %v, want ErrExpired", late)
		}
		if ended.Group != "pay" || ended.Intent != 7 || ended.Outcome.Result != failover.ResultDone || ended.Outcome.Took != 2200*time.Millisecond {
			t.Errorf("ended %+v", ended)
		}
	})
}

func TestRunner_ExpiredBeforeTheEffect_NothingIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, told := testRunner(t, fakeExecutor{do: func(context.Context) failover.Outcome { t.Error("the effect began"); return done() }})
		r.failpoint = func(string) bool { // a process that was frozen right here
			time.Sleep(2 * time.Second)
			return true
		}
		r.start(start(c, promote(1)))
		time.Sleep(5 * time.Second)
		if o := told.only(t).Outcome; o.Result != failover.ResultUnknown || o.Detail != "not begun: "+permit.ErrExpired.Error() {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestRunner_Cancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, told := testRunner(t, fakeExecutor{do: func(ctx context.Context) failover.Outcome {
			<-ctx.Done()
			if err := permit.Check(ctx); err == nil {
				t.Error("a cancelled action is permitted")
			}
			return failover.Outcome{Result: failover.ResultUnknown, Detail: context.Cause(ctx).Error()}
		}})
		r.start(start(c, promote(1)))
		synctest.Wait()
		r.cancel(failover.Cancel{Group: "shop", Intent: 7, Why: "another group"})
		r.cancel(failover.Cancel{Group: "pay", Intent: 7, Why: "leadership lost"})
		r.cancel(failover.Cancel{Group: "pay", Intent: 7, Why: "again"})
		if o := told.only(t).Outcome; o.Detail != "leadership lost" {
			t.Errorf("outcome %+v", o)
		}
		r.extend(failover.Extend{Group: "pay", Intent: 7, LeaseUntil: time.Hour}) // too late: nobody is there
		r.cancel(failover.Cancel{Group: "pay", Intent: 7, Why: "too late"})
		told.only(t)
	})
}

func TestRunner_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, told := testRunner(t, fakeExecutor{do: func(ctx context.Context) failover.Outcome {
			<-ctx.Done()
			return failover.Outcome{Result: failover.ResultUnknown}
		}})
		s := start(c, promote(1))
		s.Deadline = c.Boot() + 300*time.Millisecond
		r.start(s)
		r.drain()
		if took := told.only(t).Outcome.Took; took < 300*time.Millisecond || took > 350*time.Millisecond {
			t.Errorf("ended after %v, want 300 ms", took)
		}
	})
}

func TestRunner_RepeatedTryLooksFirst(t *testing.T) {
	unknown := func(context.Context) failover.Outcome { return failover.Outcome{Result: failover.ResultUnknown} }
	good := func(context.Context) failover.Outcome {
		return failover.Outcome{Result: failover.ResultDone, Detail: "looked"}
	}
	hangs := func(ctx context.Context) failover.Outcome { <-ctx.Done(); return unknown(ctx) }
	tests := []struct {
		name     string
		tried    bool
		readBack bool
		check    func(context.Context) failover.Outcome
		detail   string
	}{
		{"first try acts without looking", false, false, good, "acted"},
		{"repeated, there already", true, false, good, "looked"},
		{"repeated, not there", true, false, unknown, "acted"},
		{"proven once, there still", false, true, good, "looked"},
		{"proven once, there no more", false, true, unknown, "acted"},
		{"a look that hangs leaves time to act", false, true, hangs, "acted"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, c, told := testRunner(t, fakeExecutor{check: test.check, do: func(context.Context) failover.Outcome {
					return failover.Outcome{Result: failover.ResultDone, Detail: "acted"}
				}})
				a := promote(1)
				a.Tried, a.ReadBack = test.tried, test.readBack
				r.start(start(c, a))
				r.drain()
				if o := told.only(t).Outcome; o.Detail != test.detail {
					t.Errorf("outcome %+v, want %q", o, test.detail)
				}
			})
		})
	}
}

func TestRunner_UnknownKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c, told := testRunner(t, nil)
		a := promote(1)
		a.Kind = failover.ActionScale
		r.start(start(c, a))
		if o := told.only(t).Outcome; o.Result != failover.ResultFailed || !strings.Contains(o.Detail, `"scale"`) {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestLatch(t *testing.T) {
	l := newLatch()
	on, changed := l.get()
	if on {
		t.Error("a new latch is on")
	}
	l.set(false)
	select {
	case <-changed:
		t.Error("told of a change that is none")
	default:
	}
	l.set(true)
	select {
	case <-changed:
	default:
		t.Error("not told of a change")
	}
	if on, _ := l.get(); !on {
		t.Error("the latch is not on")
	}
}
