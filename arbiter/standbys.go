package arbiter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// downGrace is what members that the arbiters see down get after all others are done.
const downGrace = 100 * time.Millisecond

// together does something with all given members at once, and returns when that has ended for all of them. Those that the arbiters
// see down are not waited for: a machine that takes every packet and answers none must not make clients wait for their route.
func together(parent context.Context, a failover.Action, members []failover.MemberSpec, do func(ctx context.Context, i int, m failover.MemberSpec)) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var up, down sync.WaitGroup
	for i, m := range members {
		wait := &up
		if slices.Contains(a.Down, m.Name) {
			wait = &down
		}
		wait.Go(func() { do(ctx, i, m) })
	}
	up.Wait()
	grace := time.AfterFunc(downGrace, func() { cancel(errDown) })
	defer grace.Stop()
	down.Wait()
}

var errDown = errors.New("it is down, and the others were done")

// onStandbys does something with all other standbys at once, and names those with which it did not succeed.
func (e executors) onStandbys(
	ctx context.Context, a failover.Action, what string, do func(context.Context, failover.MemberSpec) failover.Outcome,
) (not []string, steps []failover.StepTime) {
	standbys := e.others(a)
	outcomes := make([]failover.Outcome, len(standbys))
	steps = make([]failover.StepTime, len(standbys))
	began := e.clock.Boot()
	together(ctx, a, standbys, func(ctx context.Context, i int, m failover.MemberSpec) {
		start := e.clock.Boot()
		outcomes[i] = do(ctx, m)
		steps[i] = failover.StepTime{Name: string(m.Name) + " " + what, Start: start - began, Length: e.clock.Boot() - start}
		if outcomes[i].Result != failover.ResultDone {
			steps[i].Undone, steps[i].Detail = true, outcomes[i].Detail
		}
	})
	for i, o := range outcomes {
		if o.Result != failover.ResultDone {
			not = append(not, string(standbys[i].Name))
		}
	}
	return not, steps
}
