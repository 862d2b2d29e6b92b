//go:build linux

package command

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// DefaultMaxOutput is kept of each output stream, in bytes, if the Command doesn't say otherwise.
	DefaultMaxOutput = 64 << 10
	// stuckAfter is how long after its end was asked for a killed program may take to end.
	stuckAfter = 5 * time.Second
	// outputGrace is how long output is waited for after the program's group has ended: only a process that left the group can
	// still hold the pipes open then.
	outputGrace = 100 * time.Millisecond
)

var (
	// ErrNotStarted: the program does not exist, is not executable, or the system has no room for another process.
	// Nothing was done.
	ErrNotStarted = errors.New("program not started")
	// ErrTimeLimit: the program ran into its time limit and was killed. It may have done its work.
	ErrTimeLimit = errors.New("time limit reached")
	// ErrCanceled: the caller's context ended, and the program was killed. It may have done its work.
	ErrCanceled = errors.New("canceled")
	// ErrKilled: the program was ended by a signal that did not come from Run.
	ErrKilled = errors.New("ended by a signal")
	// ErrStuck: the program was killed but its process, or one of its children, has not ended; it hangs inside the kernel.
	ErrStuck = errors.New("killed but still not ended")
)

// Command is one program to run.
type Command struct {
	Path      string   // absolute path of the executable
	Arguments []string // seen by everybody on the machine: nothing secret
	Input     string   // standard input
	// Environment is added to the harmless variables that every program gets, as NAME=value.
	Environment []string
	Limit       time.Duration // 0: only the context ends it
	MaxOutput   int           // bytes kept of each stream; 0 means DefaultMaxOutput
}

// Result is how a program that ran to its own end came out, whatever its exit status.
type Result struct {
	Exit   int
	Stdout Output
	Stderr Output
	Took   time.Duration
}

// Output is what a program wrote to one stream.
type Output struct {
	Text string
	Cut  bool // there was more
	Held bool // a process that left the program's group could still write when it was read: there may be more
}

// Run runs a program and waits for it and its children. An exit status other than zero is not an error. With an error
// the Result still has the output up to then and the time it took; its Exit is -1.
func Run(ctx context.Context, c Command) (Result, error) { return new(Runner).Run(ctx, c) }

type finished struct {
	result Result
	err    error
	left   *group // of which a process has not ended, though it was killed; nil if none is left
}

// await waits for the end of the program, but not for ever once it was told to end: then it is stuck.
func await(ctx context.Context, done <-chan finished) (f finished, stuck bool) {
	select {
	case f := <-done:
		return f, false
	case <-ctx.Done():
	}
	giveUp := time.NewTimer(stuckAfter)
	defer giveUp.Stop()
	select {
	case f := <-done:
		return f, false
	case <-giveUp.C:
		return finished{err: fmt.Errorf("%w after %v: %w", ErrStuck, stuckAfter, endCause(ctx))}, true
	}
}

// endCause is why the context of a program ended, in this package's words.
func endCause(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, ErrTimeLimit) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrCanceled, cause)
}
