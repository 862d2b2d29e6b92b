//go:build linux

package fence

import (
	"context"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// DefaultTimeout is a device's time limit if its spec has none.
const DefaultTimeout = 20 * time.Second

// Options say where things are on this machine.
type Options struct {
	// Directories are searched in order for a device's executable that is given by its name alone; empty means
	// fenceagent.DefaultDirectories.
	Directories []string
	// Secrets reads what settings refer to; nil means a Reader of its own.
	Secrets *secret.Reader
}

// Fencer fences members through devices.
type Fencer struct {
	directories  []string
	secrets      *secret.Reader
	programs     command.Runner
	descriptions descriptions
}

// New returns a Fencer.
func New(o Options) *Fencer {
	if len(o.Directories) == 0 {
		o.Directories = fenceagent.DefaultDirectories()
	}
	if o.Secrets == nil {
		o.Secrets = new(secret.Reader)
	}
	return &Fencer{directories: o.Directories, secrets: o.Secrets}
}

// Isolate fences a member: level by level, or all at once if the policy races them, until one level has a proof of a
// grade that the policy accepts. It can be repeated safely. The proof is UNKNOWN, with the reasons in its Detail, if no level has
// one or the context ends. The steps are in the order of their beginning, measured since the call.
func (f *Fencer) Isolate(ctx context.Context, member failover.MemberSpec, policy failover.Policy, answers Answers) (failover.Proof,
	[]failover.StepTime,
) {
	r := f.newRun(member, policy, answers, (*agent).proveOff)
	if policy.RaceFences {
		return r.race(ctx)
	}
	return r.inOrder(ctx)
}

// ReadBack is the read-only twin of Isolate: is every device of some level off now, and the member silent? All levels
// are asked at the same time.
func (f *Fencer) ReadBack(ctx context.Context, member failover.MemberSpec, policy failover.Policy, answers Answers) (failover.Proof,
	[]failover.StepTime,
) {
	return f.newRun(member, policy, answers, (*agent).provenOff).race(ctx)
}
