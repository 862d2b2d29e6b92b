// Command arbiter-sim searches seeds of the simulator for violations, or replays one: SEEDS=n, or SEED=n; FIRST=n is the first seed of a
// search, UNTIL=failure ends it at the first violation, REPORT=file gets the result as JSON.
package main

import (
	"fmt"
	"os"

	"github.com/arbiter-ha/arbiter/internal/sim"
)

func main() {
	if err := sim.Main(os.Stdout, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
