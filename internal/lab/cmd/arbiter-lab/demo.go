package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/demo"
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
