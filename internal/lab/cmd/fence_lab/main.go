// Command fence_lab is the fence agent of the laboratory's power switch; see package fenceagent.
package main

import (
	"os"

	"github.com/arbiter-ha/arbiter/internal/lab/fenceagent"
)

func main() { os.Exit(fenceagent.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
