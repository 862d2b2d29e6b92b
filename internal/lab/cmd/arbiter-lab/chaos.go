package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/chaos"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// chaosFlags are those of a storm. Numbers that make no sense in the environment are -1, and refused by check.
type chaosFlags struct {
	lab           lab.Options
	minutes, seed int
	json, plot    string
	schedule      bool
	keep          bool
}

func chaosCommand() *cobra.Command {
	var f chaosFlags
	c := &cobra.Command{
		Use: "chaos", Short: "Break everything at random while clients write, and check what nothing may break", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return f.run(c.Context(), c.OutOrStdout())
		},
	}
	labFlags(c, &f.lab)
	flags := c.Flags()
	flags.IntVar(&f.minutes, "minutes", number("MINUTES", 2), "how long faults are made")
	flags.IntVar(&f.seed, "seed", number("SEED", 0), "the schedule of faults; 0 draws one")
	flags.StringVar(&f.json, "report", os.Getenv("REPORT"), "write a JSON report to this file")
	flags.StringVar(&f.plot, "plot", os.Getenv("PLOT"), "draw the timeline to this file (SVG)")
	flags.BoolVar(&f.keep, "keep-logs", os.Getenv("KEEP") != "" && os.Getenv("KEEP") != "0", "keep the logs of every process also when nothing is wrong")
	flags.BoolVar(&f.schedule, "schedule", false, "print the schedule, and do nothing")
	return c
}

// check refuses what could only fail later.
func (f *chaosFlags) check() error {
	if f.minutes < 1 || f.seed < 0 {
		return errors.New("MINUTES must be a number of at least 1, SEED one of at least 0")
	}
	if err := checkLab(f.lab); err != nil {
		return err
	}
	if f.lab.Kind == hosts.Loopback {
		return fmt.Errorf("chaos: %w", hosts.ErrNeedsRoot)
	}
	if f.lab.Service == lab.Builtin || f.lab.BuiltinRouter || f.lab.Standbys < 2 {
		return errors.New("chaos is about PostgreSQL with two standbys or more, behind HAProxy")
	}
	return nil
}

func (f *chaosFlags) run(ctx context.Context, out io.Writer) error {
	for f.seed == 0 {
		f.seed = rand.IntN(1_000_000)
	}
	length := time.Duration(f.minutes) * time.Minute
	fmt.Fprintf(out, "Schedule of seed %d, %d minutes (again: make chaos MINUTES=%d SEED=%d):\n", f.seed, f.minutes, f.minutes, f.seed)
	for _, fault := range chaos.Draw(uint64(f.seed), length) {
		fmt.Fprintf(out, "  %s\n", fault)
	}
	if f.schedule {
		return nil
	}
	result, err := chaos.Run(ctx, chaos.Options{Lab: f.lab, Length: length, Seed: uint64(f.seed), KeepLogs: f.keep, Progress: out})
	if result == nil {
		return err
	}
	err = errors.Join(err, result.WriteText(out), result.Failed())
	if f.json != "" {
		err = errors.Join(err, result.WriteJSON(f.json))
	}
	if f.plot != "" {
		err = errors.Join(err, result.WritePlot(f.plot))
	}
	return err
}
