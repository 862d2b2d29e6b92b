package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/bench"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
)

// benchFlags are those of the bench. Numbers that make no sense in the environment are -1, and refused by check.
type benchFlags struct {
	lab                            lab.Options
	fault, profile                 string
	runs, groups, seconds, minutes int
	seed, loss                     int
	interval, jitter               time.Duration
	json, csv, format, plot, quiet string
	beside                         *report.Quiet // read from quiet
}

// Faults of which none is due: what nothing costs, and how often something is done for nothing.
const (
	idleFault  = "idle"
	quietFault = "quiet"
)

// mostDatabaseGroups bounds the database servers that are started for groups at rest.
const mostDatabaseGroups = 20

func benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Time failovers again and again, or measure what happens when none is due", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			result, err := f.run(c.Context(), c.ErrOrStderr())
			if result != nil && (len(result.Runs) > 0 || len(result.Idle) > 0 || result.Quiet != nil) {
				err = errors.Join(err, f.conclude(c.OutOrStdout(), result))
			}
			return err
		},
	}
	labFlags(c, &f.lab)
	flags := c.Flags()
	flags.StringVar(&f.fault, "fault", environment("FAULT", string(lab.Crash)), "crash, freeze, partition, host or leader+primary; "+
		"idle: what arbiters cost when nothing happens; quiet: false failovers on a bad network")
	flags.StringVar(&f.profile, "profile", os.Getenv("PROFILE"), "of the health checks: fast or normal; fast by default, normal for idle")
	flags.IntVar(&f.runs, "runs", number("RUNS", 10), "how many failovers")
	flags.IntVar(&f.groups, "groups", number("GROUPS", 1), "idle: how many groups")
	flags.IntVar(&f.seconds, "seconds", number("SECONDS", 60), "idle: how long is measured")
	flags.DurationVar(&f.interval, "interval", duration("INTERVAL"), "idle: how often every member is looked at, such as 5s; by default the profile's")
	flags.IntVar(&f.minutes, "minutes", number("MINUTES", 2), "quiet: how long is watched")
	flags.IntVar(&f.seed, "seed", number("SEED", 1), "quiet: another one gives other stalls")
	flags.IntVar(&f.loss, "loss", number("LOSS", 100), "quiet: packets in 10,000 that every link loses")
	flags.DurationVar(&f.jitter, "jitter", duration("JITTER"), "quiet: how much longer every link takes for a packet, by chance up to this, such as 20ms")
	flags.StringVar(&f.json, "report", os.Getenv("REPORT"), "write a JSON report to this file")
	flags.StringVar(&f.csv, "csv", os.Getenv("CSV"), "write a line per run to this file")
	flags.StringVar(&f.plot, "plot", os.Getenv("PLOT"), "draw the distribution of the outages to this file (SVG)")
	flags.StringVar(&f.quiet, "quiet", os.Getenv("QUIET"), "the JSON report of fault quiet with the same profile, at least 10 minutes long: its false failovers stand beside the outages")
	flags.StringVar(&f.format, "format", environment("FORMAT", "table"), "what is printed: table or markdown")
	return c
}

// check refuses what could only fail later.
func (f *benchFlags) check() error {
	for _, n := range []struct {
		name         string
		value, least int
	}{{"RUNS", f.runs, 1}, {"GROUPS", f.groups, 1}, {"SECONDS", f.seconds, 1}, {"MINUTES", f.minutes, 1}, {"SEED", f.seed, 0}, {"LOSS", f.loss, 0}} {
		if n.value < n.least {
			return fmt.Errorf("%s must be a number of at least %d", n.name, n.least)
		}
	}
	if f.interval < 0 {
		return errors.New("INTERVAL must be a duration such as 5s")
	}
	if f.jitter < 0 {
		return errors.New("JITTER must be a duration such as 20ms")
	}
	if f.format != "table" && f.format != "markdown" {
		return fmt.Errorf("unknown format %q; use table or markdown", f.format)
	}
	if f.fault != idleFault && f.fault != quietFault {
		if _, err := lab.ParseFault(f.fault); err != nil {
			return fmt.Errorf("%w, %s or %s", err, idleFault, quietFault)
		}
	}
	if (f.plot != "" || f.quiet != "") && (f.fault == idleFault || f.fault == quietFault) {
		return fmt.Errorf("PLOT and QUIET are about outages, and fault %s makes none", f.fault)
	}
	if f.profile == "" {
		f.profile = "fast"
		if f.fault == idleFault {
			f.profile = "normal"
		}
	}
	if err := checkLab(f.lab); err != nil {
		return err
	}
	// Unlike the demo a bench never makes do: its numbers would be taken for those of what was asked for.
	if f.lab.Service == "" {
		f.lab.Service = lab.PostgreSQL
	}
	if f.lab.Service == lab.PostgreSQL && f.groups > mostDatabaseGroups {
		return fmt.Errorf("GROUPS=%d takes three times as many PostgreSQL servers: use SERVICE=builtin above %d", f.groups, mostDatabaseGroups)
	}
	if f.quiet == "" {
		return nil
	}
	var err error
	f.beside, err = report.ReadQuiet(f.quiet, f.profile, string(f.lab.Service))
	return err
}

func (f *benchFlags) run(ctx context.Context, progress io.Writer) (*report.Bench, error) {
	switch f.fault {
	case idleFault:
		return bench.Idle(ctx, bench.IdleOptions{
			Lab: f.lab, Groups: f.groups, Profile: f.profile, Interval: f.interval,
			Duration: time.Duration(f.seconds) * time.Second, Progress: progress,
		})
	case quietFault:
		return bench.Quiet(ctx, bench.QuietOptions{
			Lab: f.lab, Profile: f.profile, Duration: time.Duration(f.minutes) * time.Minute, Seed: uint64(f.seed), Loss: f.loss,
			Jitter: f.jitter, Stall: 300 * time.Millisecond, Progress: progress,
		})
	default:
		result, err := bench.Run(ctx, bench.Options{Lab: f.lab, Fault: lab.Fault(f.fault), Runs: f.runs, Profile: f.profile, Progress: progress})
		if result != nil {
			result.Quiet = f.beside
		}
		return result, err
	}
}

// conclude publishes the result, and fails if it shows more than lost time.
func (f *benchFlags) conclude(out io.Writer, result *report.Bench) error {
	return errors.Join(f.publish(out, result), result.Failed())
}

// publish prints the result, and writes the files that were asked for.
func (f *benchFlags) publish(out io.Writer, result *report.Bench) error {
	print := result.WriteTable
	if f.format == "markdown" {
		print = result.WriteMarkdown
	}
	failed := print(out)
	if f.json != "" {
		failed = errors.Join(failed, result.WriteJSON(f.json))
	}
	if f.plot != "" {
		failed = errors.Join(failed, result.WritePlot(f.plot))
	}
	if f.csv == "" {
		return failed
	}
	file, err := os.Create(f.csv)
	if err != nil {
		return errors.Join(failed, fmt.Errorf("write runs: %w", err))
	}
	return errors.Join(failed, result.WriteCSV(file), file.Close())
}
