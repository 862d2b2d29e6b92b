// Command standin is the built-in service of the laboratory; see package standin. It runs until it is told to end.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/arbiter-ha/arbiter/internal/lab/standin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := standin.Main(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if err != flag.ErrHelp {
			defer os.Exit(1)
		}
	}
}
