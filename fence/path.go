//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

// PathStatus asks every device of a member for its status, which changes nothing, all at the same time. The member is
// armed if every device of at least one level describes itself, answers, on or off, and knows the machine by the expected name; off says that they
// call it off, which the caller knows what to make of. It also fills in the group.
func (f *Fencer) PathStatus(ctx context.Context, member failover.MemberSpec) failover.FencePath {
	errs, off := make([]error, len(member.Fence)), make([]bool, len(member.Fence))
	var all sync.WaitGroup
	for i, level := range member.Fence {
		all.Go(func() { off[i], errs[i] = f.levelAnswers(ctx, level) })
	}
	all.Wait()
	path := failover.FencePath{Member: member.Name}
	var armed, silent []string
	for i, err := range errs {
		if err != nil {
			silent = append(silent, fmt.Sprintf("level %d: %v", i+1, err))
			continue
		}
		path.Armed, path.Off = true, path.Off || off[i]
		armed = append(armed, fmt.Sprintf("level %d: %s", i+1, labels(member.Fence[i].Devices)))
	}
	if len(member.Fence) == 0 {
		silent = []string{"member " + string(member.Name) + " has no fence"}
	}
	path.Detail = fencesettings.OneLine(strings.Join(append(armed, silent...), "; "), detailLimit)
	return path
}

// levelAnswers says whether all devices of a level say that the machine is off, if all answer.
func (f *Fencer) levelAnswers(ctx context.Context, level failover.FenceLevel) (off bool, _ error) {
	if len(level.Devices) == 0 {
		return false, errNoDevices
	}
	errs, states := make([]error, len(level.Devices)), make([]power, len(level.Devices))
	var all sync.WaitGroup
	for i, device := range level.Devices {
		all.Go(func() {
			_, err := f.withAgent(ctx, device, func(a *agent, ctx context.Context) (_ string, err error) {
				if err := f.understand(ctx, device); err != nil {
					return "", err
				}
				states[i], err = a.answers(ctx)
				return "", err
			})
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", label(device), err)
			}
		})
	}
	all.Wait()
	on := func(state power) bool { return state != powerOff }
	return !slices.ContainsFunc(states, on), errors.Join(errs...)
}

// answers checks that a device knows the state of the right machine, and says which it is.
func (a *agent) answers(ctx context.Context) (power, error) {
	if err := a.checkIdentity(ctx); err != nil {
		return powerUnknown, err
	}
	return a.status(ctx)
}
