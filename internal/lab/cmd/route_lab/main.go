// Command route_lab is the command router's program for the laboratory's own router; see package forward.
package main

import (
	"os"

	"github.com/arbiter-ha/arbiter/internal/lab/forward"
)

func main() { os.Exit(forward.Run(os.Stdin, os.Stdout, os.Stderr)) }
