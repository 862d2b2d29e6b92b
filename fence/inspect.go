//go:build linux

package fence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

// Inspect says whether a member's fence would work, from this machine, right now: what Validate finds, and then every device is
// asked for its status, which switches nothing. All devices are asked at the same time, each within its own time-out. As long as one level has
// no fault, those of the others are warnings: levels are there to stand in for each other.
func (f *Fencer) Inspect(ctx context.Context, member failover.MemberSpec) []Problem {
	if len(member.Fence) == 0 {
		return []Problem{{Message: "it has no fence, so nothing can ever be proved", Fix: "give it one: fence in the group's spec"}}
	}
	levels := make([][]Problem, len(member.Fence))
	var all sync.WaitGroup
	for i, level := range member.Fence {
		all.Go(func() { levels[i] = f.inspectLevel(ctx, i, level) })
	}
	all.Wait()
	spared := slices.ContainsFunc(levels, func(problems []Problem) bool { return !slices.ContainsFunc(problems, isFault) })
	found := slices.Concat(levels...)
	for i, p := range found {
		if spared && isFault(p) {
			found[i].Warning = true
			found[i].Message += "; another level works"
		}
	}
	return found
}

func isFault(p Problem) bool { return !p.Warning }

func (f *Fencer) inspectLevel(ctx context.Context, i int, level failover.FenceLevel) []Problem {
	if len(level.Devices) == 0 {
		return f.validateLevel(ctx, i, level)
	}
	devices := make([][]Problem, len(level.Devices))
	var all sync.WaitGroup
	for j, device := range level.Devices {
		all.Go(func() {
			devices[j] = f.inspectDevice(ctx, device)
			for k := range devices[j] {
				p := &devices[j][k]
				p.Level, p.Device, p.Message = i, j, label(device)+": "+p.Message
				p.Fix = cmp.Or(p.Fix, "mend the device's settings in the group's spec")
			}
		})
	}
	all.Wait()
	return slices.Concat(devices...)
}

// inspectDevice asks a device whose settings are right for its status.
func (f *Fencer) inspectDevice(ctx context.Context, device failover.FenceDevice) []Problem {
	ctx, end := context.WithTimeoutCause(ctx, timeoutOf(device), command.ErrTimeLimit)
	defer end()
	problems := f.validateDevice(ctx, device)
	if slices.ContainsFunc(problems, isFault) {
		return problems
	}
	_, err := f.withAgent(ctx, device, func(a *agent, ctx context.Context) (string, error) {
		_, err := a.answers(ctx)
		return "", err
	})
	switch {
	case err == nil:
		return problems
	case errors.Is(err, ErrWrongTarget):
		return append(problems, Problem{Message: fencesettings.OneLine(err.Error(), detailLimit), Fix: "make the device know the machine by its expect_name: check plug and cables, then the spec"})
	}
	return append(problems, Problem{
		Message: fmt.Sprintf("does not say whether the machine is on: %s", fencesettings.OneLine(err.Error(), detailLimit)), Silent: true,
		Fix: "make the device answer from this arbiter: address, account, firewall; try the agent by hand with action=status",
	})
}
