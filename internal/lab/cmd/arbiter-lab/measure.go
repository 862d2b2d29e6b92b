package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/bench"
	"github.com/arbiter-ha/arbiter/internal/lab/demo"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
)

func demoCommand() *cobra.Command {
	var options demo.Options
	var fault string
	c := &cobra.Command{
		Use: "demo", Short: "Take the primary away while a client writes, and watch", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if options.Fault, err = lab.ParseFault(fault); err != nil {
				return err
			}
			if err := checkLab(options.Lab); err != nil {
				return err
			}
			options.Out = c.OutOrStdout()
			return demo.Run(c.Context(), options)
		},
	}
	labFlags(c, &options.Lab)
	c.Flags().StringVar(&fault, "fault", environment("FAULT", string(lab.Crash)), "crash, freeze, partition, host or leader+primary")
	c.Flags().BoolVar(&options.Keep, "keep", os.Getenv("KEEP") != "" && os.Getenv("KEEP") != "0", "leave everything running until Ctrl-C")
	c.Flags().StringVar(&options.Report, "report", os.Getenv("REPORT"), "write a JSON report to this file")
	return c
}

func benchCommand() *cobra.Command {
	var options bench.Options
	var fault, jsonFile, csvFile string
	c := &cobra.Command{
		Use: "bench", Short: "Time failovers again and again", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if options.Fault, err = lab.ParseFault(fault); err != nil {
				return err
			}
			if options.Runs < 1 {
				return errors.New("RUNS must be a number of at least 1")
			}
			if err := checkLab(options.Lab); err != nil {
				return err
			}
			options.Progress = c.ErrOrStderr()
			result, err := bench.Run(c.Context(), options)
			if result != nil && len(result.Runs) > 0 {
				err = errors.Join(err, publish(c, result, jsonFile, csvFile))
			}
			return err
		},
	}
	labFlags(c, &options.Lab)
	c.Flags().StringVar(&fault, "fault", environment("FAULT", string(lab.Crash)), "crash, freeze, partition, host or leader+primary")
	c.Flags().IntVar(&options.Runs, "runs", number("RUNS", 10), "how many failovers")
	c.Flags().StringVar(&options.Profile, "profile", environment("PROFILE", "fast"), "of the health checks: fast or normal")
	c.Flags().StringVar(&jsonFile, "report", os.Getenv("REPORT"), "write a JSON report to this file")
	c.Flags().StringVar(&csvFile, "csv", os.Getenv("CSV"), "write a line per run to this file")
	return c
}

// publish prints the table, and writes the files that were asked for.
func publish(c *cobra.Command, result *report.Bench, jsonFile, csvFile string) error {
	failed := result.WriteTable(c.OutOrStdout())
	if jsonFile != "" {
		failed = errors.Join(failed, result.WriteJSON(jsonFile))
	}
	if csvFile == "" {
		return failed
	}
	file, err := os.Create(csvFile)
	if err != nil {
		return errors.Join(failed, fmt.Errorf("write runs: %w", err))
	}
	return errors.Join(failed, result.WriteCSV(file), file.Close())
}
