package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

var (
	// ErrStopped is the cause of a group's context after Stop without a reason, or after Wait.
	ErrStopped = errors.New("stopped")
	// ErrStillRunning says that goroutines had not ended in time. The error around it names them.
	ErrStillRunning = errors.New("still running")
)

// PanicError is the error of a goroutine that panicked.
type PanicError struct {
	Value any    // what was passed to panic
	Stack string // of the goroutine, at the panic
}

// Error gives the panic's value. The stack is left to whoever logs it.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap gives the panic's value, if that was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Group is a set of named goroutines that share one context and end together.
type Group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wait   sync.WaitGroup

	mu      sync.Mutex
	first   error
	running map[string]int // by name: how many
}

// NewGroup returns an empty group whose context descends from parent.
func NewGroup(parent context.Context) *Group {
	ctx, cancel := context.WithCancelCause(parent)
	return &Group{ctx: ctx, cancel: cancel, running: map[string]int{}}
}

// Context is the context that the group's goroutines get. It ends with the parent's, at Stop, at the first error, or when
// Wait returns.
func (g *Group) Context() context.Context { return g.ctx }

// Go starts a goroutine. The name appears in its error and in Running; several goroutines may share one. An error that it
// returns while the group is already ending, and that merely repeats why (the context's error or cause), is not a failure.
//
// Go may be called from the group's own goroutines at any time, and from others until they call Wait.
func (g *Group) Go(name string, run func(context.Context) error) {
	g.count(name, 1)
	g.wait.Go(func() {
		defer g.count(name, -1)
		err := protect(func() error { return run(g.ctx) })
		if err == nil || g.ctx.Err() != nil && repeats(g.ctx, err) {
			return
		}
		g.fail(fmt.Errorf("%s: %w", name, err))
	})
}

// Stop ends the group's context with a reason (ErrStopped if nil). It doesn't wait.
func (g *Group) Stop(reason error) {
	if reason == nil {
		reason = ErrStopped
	}
	g.cancel(reason)
}

// Wait waits until every goroutine has ended, and returns the first error.
func (g *Group) Wait() error {
	g.wait.Wait()
	g.cancel(ErrStopped)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first
}

// WaitFor is Wait with a bound: if the context ends first it returns ErrStillRunning, wrapped with the names of those who
// run. The goroutines stay the group's, and Wait or WaitFor may be called again.
func (g *Group) WaitFor(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w: %w", strings.Join(g.Running(), ", "), ErrStillRunning, context.Cause(ctx))
	}
}

// Running names the goroutines that have not ended, sorted, each once.
func (g *Group) Running() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.running))
	for name := range g.running {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (g *Group) count(name string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[name] += n; g.running[name] == 0 {
		delete(g.running, name)
	}
}

func (g *Group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		g.first = err
	}
	g.cancel(err)
}

// repeats says whether an error only tells what the context tells.
func repeats(ctx context.Context, err error) bool {
	return errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))
}

// protect runs a function and turns its panic into an error.
func protect(run func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: string(debug.Stack())}
		}
	}()
	return run()
}
