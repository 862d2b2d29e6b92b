//go:build linux

package fence

import (
	"context"
	"net"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

const (
	// DefaultTimeout is a device's time limit if its spec has none.
	DefaultTimeout = 20 * time.Second
	// answersLimit is how long one look at whether a fenced member still answers may take.
	answersLimit = time.Second
	// answersLooks is how many looks in a row must find it answering, with answersPause between them.
	answersLooks = 3
	answersPause = 50 * time.Millisecond
)

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

// Answers looks whether a member still answers and says how it was seen. It is asked after the devices said off, so a
// look must be a new one, through a new connection. It has a second; what it can't tell is no answer. It is on the way to a
// promotion, and a machine that is off leaves every packet unanswered: so it should wait no longer than a live member on
// this network could possibly take.
type Answers func(ctx context.Context) (answers bool, detail string)

// AnswersAt looks by opening a TCP connection to an address, host:port, and waits at most this long. A refused connection
// is no answer: the service is gone, and where Arbiter and its members share a machine its kernel always refuses.
func AnswersAt(address string, wait time.Duration) Answers {
	return func(ctx context.Context) (bool, string) {
		dialer := net.Dialer{Timeout: wait}
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return false, fencesettings.OneLine(err.Error(), detailLimit)
		}
		connection.Close()
		return true, "it accepts connections at " + address
	}
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
