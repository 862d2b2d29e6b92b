// Command arbiter-lab runs the laboratory: the demo, the benches, chaos, and a lab to look around in. Each flag has an
// environment variable, so that make passes them on: SERVICE, ROUTER, FAULT, RUNS, PROFILE, KEEP, REPORT, CSV, FORMAT,
// PLOT, HOSTS, GROUPS, SECONDS, MINUTES, INTERVAL, SEED, LOSS, JITTER.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := command().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	var status exitStatus
	switch {
	case err == nil:
	case errors.As(err, &status):
		os.Exit(int(status))
	case interrupted && !errors.Is(err, hosts.ErrRemains) && !errors.Is(err, report.ErrBroken):
		// Whatever was under way failed because it was stopped; that is no news. What had been lost before is.
		fmt.Fprintln(os.Stderr, "stopped; everything was cleaned up")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "arbiter-lab:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "arbiter-lab", Short: "Real hosts, databases and arbiters on one machine, with faults on demand",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(demoCommand(), benchCommand(), chaosCommand(), upCommand(), sweepCommand(), fenceCommand())
	return root
}

// labFlags are those of every command that opens a lab.
func labFlags(c *cobra.Command, options *lab.Options) {
	c.Flags().StringVar((*string)(&options.Kind), "hosts", os.Getenv("HOSTS"),
		"what hosts are: namespaces (needs root) or loopback; empty takes namespaces where they can be had")
	c.Flags().StringVar((*string)(&options.Service), "service", environment("SERVICE", ""),
		"what the group is made of: postgres, or builtin, which needs nothing else; empty takes PostgreSQL (the demo: where it can be had)")
	c.Flags().BoolVar(&options.BuiltinRouter, "builtin-router", environment("ROUTER", "") == "builtin", "the laboratory's own router instead of HAProxy")
	c.Flags().IntVar(&options.Arbiters, "arbiters", 3, "how many arbiters, 3 or 5")
	c.Flags().IntVar(&options.Standbys, "standbys", 2, "how many standbys; the first is synchronous")
	c.Flags().StringVar(&options.Binaries, "binaries", "", "directory of arbiterd, arbiterctl and fence_lab; that of this program by default")
}

// checkLab refuses what could only fail later.
func checkLab(options lab.Options) error {
	switch options.Kind {
	case hosts.Automatic, hosts.Namespaces, hosts.Loopback:
	default:
		return fmt.Errorf("unknown kind of hosts %q; use namespaces or loopback", options.Kind)
	}
	if _, err := lab.ParseService(string(options.Service)); err != nil {
		return err
	}
	if options.Arbiters != 3 && options.Arbiters != 5 {
		return fmt.Errorf("%d arbiters: use 3 or 5", options.Arbiters)
	}
	if options.Standbys < 1 || options.Standbys > 8 {
		return fmt.Errorf("%d standbys: use 1 to 8", options.Standbys)
	}
	return nil
}

// environment returns a variable, or the default where it is empty. What was said on make's own command line goes first:
// make runs commands through bash, which keeps GROUPS to itself and counts SECONDS up.
func environment(name, otherwise string) string {
	for _, word := range strings.Fields(os.Getenv("MAKEFLAGS")) {
		if value, found := strings.CutPrefix(word, name+"="); found && value != "" {
			return value
		}
	}
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// number reads a number from the environment; nonsense is reported by the flag's own check of its range.
func number(name string, otherwise int) int {
	value, err := strconv.Atoi(environment(name, strconv.Itoa(otherwise)))
	if err != nil {
		return -1
	}
	return value
}

// duration reads a duration from the environment, 0 if there is none; nonsense is reported by the flag's own check of its range.
func duration(name string) time.Duration {
	value, err := time.ParseDuration(environment(name, "0"))
	if err != nil {
		return -1
	}
	return value
}
