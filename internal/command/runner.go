//go:build linux

package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Runner runs programs, and doesn't start again what is stuck: a program that hangs inside the kernel, or leaves a child there, keeps a process
// and a thread, and each further one would keep as much. The same is what has the same path, arguments and input: that a status hangs is no reason not to try off.
// The zero value may be used, by several goroutines.
type Runner struct {
	mu    sync.Mutex
	stuck map[job]time.Time // when it was started
}

type job struct{ path, arguments, input string }

func jobOf(c Command) job { return job{c.Path, strings.Join(c.Arguments, "\x00"), c.Input} }

// Run is the package's Run, but that it starts nothing, and says ErrStuck, while the same program is stuck.
func (r *Runner) Run(ctx context.Context, c Command) (Result, error) {
	began := time.Now()
	if err := ctx.Err(); err != nil {
		return Result{Exit: -1}, fmt.Errorf("run %s: %w before it was started: %w", c.Path, ErrCanceled, context.Cause(ctx))
	}
	if since, stuck := r.stuckSince(c); stuck {
		err := fmt.Errorf("%w since %s; it was not started again", ErrStuck, since.UTC().Format(time.RFC3339))
		return Result{Exit: -1}, fmt.Errorf("run %s: %w", c.Path, err)
	}
	limited := ctx
	if c.Limit > 0 {
		var end context.CancelFunc
		limited, end = context.WithTimeoutCause(ctx, c.Limit, ErrTimeLimit)
		defer end()
	}
	done := make(chan finished, 1)
	go func() { done <- runLocked(limited, c) }()
	f, stuck := await(limited, done)
	switch {
	case stuck:
		r.keep(c, began, func() {
			if late := <-done; late.left != nil {
				late.left.outlive()
			}
		})
	case f.left != nil:
		r.keep(c, began, f.left.outlive)
	}
	f.result.Took = time.Since(began)
	if f.err == nil {
		return f.result, nil
	}
	f.result.Exit = -1
	return f.result, fmt.Errorf("run %s: %w", c.Path, f.err)
}

func (r *Runner) stuckSince(c Command) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, stuck := r.stuck[jobOf(c)]
	return since, stuck
}

// keep remembers a program that is stuck until ended returns: it, and all children that it has left, have ended after all.
func (r *Runner) keep(c Command, began time.Time, ended func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stuck == nil {
		r.stuck = map[job]time.Time{}
	}
	r.stuck[jobOf(c)] = began
	go func() {
		ended()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stuck[jobOf(c)].Equal(began) { // and not of another one that was already running then
			delete(r.stuck, jobOf(c))
		}
	}()
}
