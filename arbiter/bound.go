package arbiter

import (
	"context"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// proposalBound is how long an entry that this arbiter proposed, for whomever, may take until its fate is known. It is as long as
// failover.Settings.ApplyBound, which bounds the entries of the Controller alone: a leader whose disk hangs may never come to
// one, since the views that would call for it are entries too.
const proposalBound = 5 * time.Second

// proposalStep is how finely the bound is counted.
const proposalStep = 100 * time.Millisecond

// bounded calls halt unless end is called within the bound. Only time in which this process ran counts: one that was frozen
// knows nothing about its disk.
func bounded(ctx context.Context, c clock.Clock, halt func(error)) (end context.CancelFunc) {
	ctx, end = context.WithCancel(ctx)
	go func() {
		for range proposalBound / proposalStep {
			if clock.Wait(ctx, c, proposalStep) != nil {
				return
			}
		}
		halt(fmt.Errorf("an own entry was not applied within %s: does the disk of the Raft log hang?", proposalBound))
	}()
	return end
}
