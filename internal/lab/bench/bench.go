// Package bench times failovers: the same deployment, client and fault again and again, each run in a fresh lab, and
// reports the distribution of the outage and of its phases with what was lost and what two members accepted.
//
// A run that fails stops the bench: an outage that never ended must not disappear from a distribution.
//
// Goroutines: none of its own.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
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
)

// Run makes all runs and returns the report.
func Run(ctx context.Context, options Options) (*report.Bench, error) {
	// A site without hosts is a directory that is removed even after a crash.
	workshop, err := hosts.Open(ctx, hosts.Options{Dir: options.Lab.Dir})
	if err != nil {
		return nil, err
	}
	defer workshop.Close()
	if options.Lab.Template, err = database.NewTemplate(ctx, filepath.Join(workshop.Dir(), "template")); err != nil {
		return nil, err
	}
	result := report.New(string(options.Fault))
	result.Fence, result.Profile = "fence_lab", options.Profile
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

// once makes one run in a lab of its own.
func once(ctx context.Context, options Options) (run report.Run, kind hosts.Kind, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l, err := lab.Open(ctx, options.Lab)
	if err != nil {
		return run, kind, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.StartArbiters(ctx); err != nil {
		return run, kind, err
	}
	if err := l.Protect(ctx, lab.Spec{Profile: options.Profile}); err != nil {
		return run, kind, err
	}
	primary := l.Members[0]
	writer, truth := l.StartWriter(), l.WatchTruth()
	if err := writer.AwaitAcked(ctx, warmUp); err != nil {
		return run, kind, err
	}
	select {
	case <-time.After(rand.N(longestDelay)):
	case <-ctx.Done():
		return run, kind, context.Cause(ctx)
	}
	fault, err := l.Inject(ctx, options.Fault, primary)
	if err != nil {
		return run, kind, err
	}
	outage, run, err := l.Measure(ctx, writer, truth, fault, primary.Name(), settle)
	if err != nil {
		return run, kind, err
	}
	op, err := l.Operation(ctx, lab.Group)
	if err != nil {
		return run, kind, err
	}
	run.PhasesMS, err = lab.PhasesOf(op, fault, outage)
	return run, l.Site.Kind(), err
}
