// Package bench measures: how long failovers take (Run), what arbiters cost when nothing happens (Idle), and how often
// they fail over for nothing on a bad network with machines that stall (Quiet).
//
// A run that fails stops the bench: an outage that never ended must not disappear from a distribution. What an operator
// would have looked at is printed, and the logs are kept. A run that lost writes, or had two writers, leaves the same, and the
// others go on: report.Bench says of the whole whether it failed.
//
// Goroutines: those that follow events and make stalls; every function waits for its own.
package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/lab/yardstick"
)

// Options say what to measure.
type Options struct {
	Lab     lab.Options
	Fault   lab.Fault
	Runs    int
	Profile string // of the health checks
	// Progress is where people see how far it is.
	Progress io.Writer
}

const (
	// warmUp is how many writes come before each fault, settle how many after its outage.
	warmUp, settle = 100, 50
	// patience bounds one run.
	patience = 2 * time.Minute
	// longestDelay is the greatest random time between readiness and fault, so that faults fall on every phase of the
	// periodic checks.
	longestDelay = time.Second
	// tooLong is an outage that leaves evidence.
	tooLong = 5 * time.Second
)

// Run makes all runs, each in a fresh lab, and returns the report.
func Run(ctx context.Context, options Options) (*report.Bench, error) {
	closeWorkshop, err := workshop(ctx, &options.Lab)
	if err != nil {
		return nil, err
	}
	defer closeWorkshop()
	result := report.New(string(options.Fault))
	result.Fence, result.Profile = "fence_lab", options.Profile
	result.Service = string(options.Lab.Service)
	for number := range options.Runs {
		run, kind, err := once(ctx, options)
		if err != nil {
			return result, fmt.Errorf("run %d of %d: %w", number+1, options.Runs, err)
		}
		result.Hosts = string(kind)
		result.Runs = append(result.Runs, run)
		fmt.Fprintf(options.Progress, "run %d of %d: %.0f ms, %d lost, %d doubly accepted\n", number+1, options.Runs, run.OutageMS,
			run.LostAcked, run.DoubleWritable)
	}
	return result, nil
}

// once makes one run.
func once(ctx context.Context, options Options) (run report.Run, kind hosts.Kind, err error) {
	err = trial(ctx, options.Lab, patience, options.Progress, func(ctx context.Context, l *lab.Lab) (err error) {
		kind = l.Site.Kind()
		machine, err := yardstick.Measure(l.Site.Dir())
		if err != nil {
			return err
		}
		run, err = failover(ctx, l, options)
		run.Machine = &machine
		return err
	})
	return run, kind, err
}

// failover makes the fault and measures what comes of it.
func failover(ctx context.Context, l *lab.Lab, options Options) (report.Run, error) {
	if err := l.Protect(ctx, lab.Spec{Profile: options.Profile}); err != nil {
		return report.Run{}, err
	}
	primary := l.Services()[0]
	writer, truth := l.StartWriter(), l.WatchTruth()
	if err := writer.AwaitAcked(ctx, warmUp); err != nil {
		return report.Run{}, err
	}
	if err := clock.Pause(ctx, rand.N(longestDelay)); err != nil {
		return report.Run{}, err
	}
	fault, err := l.Inject(ctx, options.Fault, primary)
	if err != nil {
		return report.Run{}, err
	}
	outage, run, err := l.Measure(ctx, writer, truth, fault, primary.Name(), settle)
	if err != nil {
		return run, err
	}
	op, err := l.Operation(ctx, lab.Group, "")
	if err != nil {
		return run, err
	}
	if strange := oddity(outage.Length, fault, run); strange != "" {
		fmt.Fprintln(options.Progress, strange)
		l.Evidence(options.Progress, lab.Group)
	}
	run.PhasesMS, err = lab.PhasesOf(op, fault, outage)
	return run, err
}

// oddity says what somebody will want to understand of a run that came to its end; empty if there is nothing.
func oddity(outage time.Duration, fault lab.Moment, run report.Run) string {
	if err := run.Failed(); err != nil {
		return fmt.Sprintf("the fault at %v: %v", fault.Wall.UTC(), err)
	}
	if outage > tooLong {
		return fmt.Sprintf("an outage of %v from %v: too long for this fault", outage, fault.Wall.UTC())
	}
	return ""
}
