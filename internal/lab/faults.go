package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// Fault is one way in which a primary is lost.
type Fault string

// The faults of the benches.
const (
	// Crash kills all of the database's processes at once; the machine lives and its kernel answers with resets.
	Crash Fault = "crash"
	// Freeze stops every process of the machine; connections stay open, nothing answers.
	Freeze Fault = "freeze"
	// Partition pulls the machine's network cable; it goes on running.
	Partition Fault = "partition"
	// HostLoss takes the machine's power away.
	HostLoss Fault = "host"
	// LeaderAndPrimary crashes the primary and kills the leading arbiter at the same moment.
	LeaderAndPrimary Fault = "leader+primary"
)

// Faults lists all of them in the order of the documentation.
func Faults() []Fault { return []Fault{Crash, Freeze, Partition, HostLoss, LeaderAndPrimary} }

// ParseFault reads the name of a fault.
func ParseFault(name string) (Fault, error) {
	var names []string
	for _, f := range Faults() {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("unknown fault %q; use %s", name, strings.Join(names, ", "))
}

// Moment is one point in time on both clocks: Boot to measure with, Wall to compare with what arbiters recorded.
type Moment struct {
	Boot time.Duration
	Wall time.Time
}

// Now reads both clocks.
func Now() Moment {
	c := clock.System()
	return Moment{Boot: c.Boot(), Wall: c.Wall()}
}

// Inject makes the fault at a member and returns the moment just before it began. The leading arbiter is looked up
// before that moment.
func (l *Lab) Inject(ctx context.Context, fault Fault, member Member) (Moment, error) {
	leader := (*Arbiter)(nil)
	if fault == LeaderAndPrimary {
		var err error
		if leader, err = l.Leader(ctx); err != nil {
			return Moment{}, fmt.Errorf("inject %s: %w", fault, err)
		}
	}
	began := Now()
	var err error
	switch fault {
	case Crash:
		err = member.Crash(ctx)
	case Freeze:
		err = member.Host().Freeze(ctx)
	case Partition:
		err = member.Host().Unplug(ctx)
	case HostLoss:
		err = member.Host().PowerOff(ctx)
	case LeaderAndPrimary:
		if err = leader.Kill(); err == nil {
			err = member.Crash(ctx)
		}
	default:
		err = fmt.Errorf("unknown fault")
	}
	if err != nil {
		return Moment{}, fmt.Errorf("inject %s at %s: %w", fault, member.Name(), err)
	}
	return began, nil
}
