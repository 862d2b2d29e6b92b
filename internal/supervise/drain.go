package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step is one step of an orderly shutdown.
type Step struct {
	Name string // what is done: "transfer leadership"
	Why  string // why it stands here and not later: a reader learns the order from these
	// Limit is the longest that the step may take. It must be positive: an exit that hangs is a failover that takes too long.
	Limit time.Duration
	Do    func(context.Context) error
}

// Drain takes the steps in their order and reports each one, with the time it took and its error, when it has ended. A step that fails, panics or exceeds its limit doesn't keep
// the later ones from being taken; all errors are returned together. Each step's context descends from ctx without its
// cancellation, since shutdown usually begins with just that.
func Drain(ctx context.Context, steps []Step, report func(step Step, took time.Duration, err error)) error {
	var failures []error
	for _, step := range steps {
		start := time.Now()
		err := take(context.WithoutCancel(ctx), step)
		report(step, time.Since(start), err)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", step.Name, err))
		}
	}
	return errors.Join(failures...)
}

func take(parent context.Context, step Step) error {
	if step.Limit <= 0 {
		return fmt.Errorf("no time limit set; give the step one")
	}
	ctx, cancel := context.WithTimeout(parent, step.Limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- protect(func() error { return step.Do(ctx) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("left behind after its limit of %v: %w", step.Limit, ErrStillRunning)
	}
}
