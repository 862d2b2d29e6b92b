// Command arbiter-sim searches seeds of the simulator for violations, or replays one: SEEDS=n, or SEED=n; FIRST=n is the first seed of a
// search, UNTIL=failure ends it at the first violation, REPORT=file gets the result as JSON.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/arbiter-ha/arbiter/internal/sim"
)

func main() {
	debug.SetGCPercent(400) // it makes much garbage and keeps little: a quarter of the time less than with 100
	if err := sim.Main(os.Stdout, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
