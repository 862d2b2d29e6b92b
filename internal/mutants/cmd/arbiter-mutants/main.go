// Command arbiter-mutants plants bugs and says which layer finds each of them: ONLY=part-of-a-name picks some, LAYERS=explore, sim or virtual asks
// one kind of layer only, WORKERS=n hunts n at a time, REPORT=file gets the result as JSON. It is run from the root of the project, and exits with status 1 if a bug was not found.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/arbiter-ha/arbiter/internal/mutants"
)

// limit is for one layer and one mutant.
const limit = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "arbiter-mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	workers := runtime.GOMAXPROCS(0)
	if text := os.Getenv("WORKERS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("WORKERS=%q: a number from 1 on is needed", text)
		}
		workers = n
	}
	layers := mutants.Layers(os.Getenv("LAYERS"))
	if len(layers) == 0 {
		return fmt.Errorf("LAYERS=%q: no layer is called so", os.Getenv("LAYERS"))
	}
	var chosen []mutants.Mutant
	for _, m := range mutants.All() {
		if strings.Contains(m.Name, os.Getenv("ONLY")) && m.Sought(layers) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("ONLY=%q: no mutant that these layers look for is called so", os.Getenv("ONLY"))
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	results := make([]mutants.Result, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	hunter := mutants.NewHunter(ctx, root, layers, limit)
	group.SetLimit(workers)
	for i, m := range chosen {
		group.Go(func() error {
			result, err := hunter.Hunt(ctx, m)
			if err == nil {
				fmt.Printf("%-40s %-8s %6.1f s  %s\n", m.Name, result.CaughtBy, result.Seconds, m.What)
			}
			results[i] = result
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Println()
	return mutants.Write(os.Stdout, os.Getenv("REPORT"), results)
}
