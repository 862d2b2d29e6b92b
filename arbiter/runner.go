package arbiter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

// errActionEnded is the cause of an action's context after it returned.
var errActionEnded = errors.New("the action has ended")

// runner runs actions, one goroutine each. It decides nothing: what to start, until when, and what to cancel comes from the
// Controller; what an action came to goes back as one ActionEnded, always, and only after everything of it has ended.
type runner struct {
	ctx       context.Context
	clock     clock.Clock
	executors map[failover.ActionKind]executor
	report    func(failover.ActionEnded)
	failpoint failpoint.Func // nil but in builds for tests
	wait      sync.WaitGroup

	mu      sync.Mutex
	running map[runKey]*run
}

type runKey struct {
	group  failover.GroupName
	intent failover.Index
}

type run struct {
	cancel     context.CancelCauseFunc
	leaseUntil atomic.Int64 // boot time; read right before every effect
}

func newRunner(ctx context.Context, c clock.Clock, executors map[failover.ActionKind]executor, report func(failover.ActionEnded)) *runner {
	return &runner{ctx: ctx, clock: c, executors: executors, report: report, running: map[runKey]*run{}}
}

func (r *runner) start(s failover.Start) {
	deadline, stop := clock.WithDeadline(r.ctx, r.clock, s.Deadline)
	ctx, cancel := context.WithCancelCause(deadline)
	one := &run{cancel: cancel}
	one.leaseUntil.Store(int64(s.LeaseUntil))
	key := runKey{s.Action.Group, s.Action.Intent}
	r.mu.Lock()
	r.running[key] = one
	r.mu.Unlock()
	ctx = failpoint.With(permit.With(ctx, func() error { return r.permitted(one) }), r.failpoint)
	r.wait.Go(func() {
		defer stop()
		defer cancel(errActionEnded)
		r.pass("before-effect", s.Action)
		outcome := r.execute(ctx, s.Action)
		r.pass("after-effect", s.Action)
		r.mu.Lock()
		delete(r.running, key)
		r.mu.Unlock()
		r.report(failover.ActionEnded{Group: s.Action.Group, Intent: s.Action.Intent, Outcome: outcome})
	})
}

// pass is where a build for tests may stop or end this process.
func (r *runner) pass(where string, a failover.Action) {
	if r.failpoint != nil {
		r.failpoint(where + "-" + string(a.Kind))
	}
}

// permitted reads the lease on the boot-time clock: a process that was frozen past it does nothing more.
func (r *runner) permitted(one *run) error {
	if until := time.Duration(one.leaseUntil.Load()); r.clock.Boot() >= until {
		return permit.ErrExpired
	}
	return nil
}

// execute looks first, on a repeated try and at what was proven once, whether the effect is already there. A look that hangs leaves half
// of the time to act.
func (r *runner) execute(ctx context.Context, a failover.Action) failover.Outcome {
	began := r.clock.Boot()
	e, ok := r.executors[a.Kind]
	if !ok {
		return failover.Outcome{Result: failover.ResultFailed, Detail: fmt.Sprintf("this arbiter has no executor for %q", a.Kind)}
	}
	o := notDone()
	if a.Tried || a.ReadBack {
		look, end := clock.WithTimeout(ctx, r.clock, a.Timeout()/2)
		o = e.Check(look, a)
		end()
	}
	if o.Result != failover.ResultDone {
		if err := permit.Check(ctx); err != nil {
			o = failover.Outcome{Result: failover.ResultUnknown, Detail: "not begun: " + err.Error()}
		} else {
			o = e.Do(ctx, a)
		}
	}
	o.Took = r.clock.Boot() - began
	return o
}

func (r *runner) extend(e failover.Extend) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.running[runKey{e.Group, e.Intent}]; one != nil {
		one.leaseUntil.Store(int64(e.LeaseUntil))
	}
}

func (r *runner) cancel(c failover.Cancel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.running[runKey{c.Group, c.Intent}]; one != nil {
		one.leaseUntil.Store(0)
		one.cancel(errors.New(c.Why))
	}
}

// drain waits until every action has ended.
func (r *runner) drain() { r.wait.Wait() }
