package arbiter

import (
	"context"
	"testing"
	"time"
)

// instantClock passes time only when somebody waits, and then at once.
type instantClock struct{ now time.Duration }

func (c *instantClock) Boot() time.Duration { return c.now }
func (c *instantClock) Wall() time.Time     { return time.Unix(0, 0).Add(c.now) }
func (c *instantClock) WaitUntil(ctx context.Context, deadline time.Duration) error {
	c.now = max(c.now, deadline)
	return context.Cause(ctx)
}

func TestAProposalThatTakesTooLongEndsTheProcess(t *testing.T) {
	halted := make(chan error, 1)
	c := &instantClock{}
	end := bounded(t.Context(), c, func(err error) { halted <- err })
	defer end()
	if err := <-halted; err == nil || c.now != proposalBound {
		t.Errorf("halted after %v: %v", c.now, err)
	}
}

// stuckClock passes no time at all.
type stuckClock struct{ instantClock }

func (c *stuckClock) WaitUntil(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestAProposalThatEndsInTimeEndsNothing(t *testing.T) {
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	end := bounded(ctx, &stuckClock{}, func(error) { close(ended) })
	end()
	cancel()
	select {
	case <-ended:
		t.Error("it halted all the same")
	case <-time.After(20 * time.Millisecond):
	}
}
