// Command arbiterctl is the operator's way to the arbiters: who is primary, is it safe, why was or wasn't something done,
// and the few things that can be asked for. It talks only to the gRPC API, through the client package, and decides nothing
// itself.
//
// Run `arbiterctl help` for its verbs, and `arbiterctl help exit-statuses` for what scripts can rely on.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole program: arguments and streams in, exit status out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, environment: os.Getenv, now: time.Now}
	defer a.close()
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return a.report(err)
}
