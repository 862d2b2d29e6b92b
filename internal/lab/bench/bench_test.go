package bench

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// TestBenchMakesItsRuns times two failovers and checks what every run must hold to.
func TestBenchMakesItsRuns(t *testing.T) {
	workshop, err := hosts.Open(t.Context(), hosts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = workshop.Close() })
	binaries := filepath.Join(workshop.Dir(), "bin")
	if err := lab.Build(t.Context(), binaries); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var progress strings.Builder
	result, err := Run(ctx, Options{
		Lab: lab.Options{Binaries: binaries}, Fault: lab.LeaderAndPrimary, Runs: 2, Profile: "fast", Progress: &progress,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if len(result.Runs) != 2 || strings.Count(progress.String(), "\n") != 2 {
		t.Fatalf("%d runs, progress:\n%s", len(result.Runs), progress.String())
	}
	for i, run := range result.Runs {
		if run.LostAcked != 0 || run.DoubleWritable != 0 || run.PhasesMS == nil {
			t.Errorf("run %d: %+v", i, run)
			continue
		}
		p := *run.PhasesMS
		sum := p.Detect + p.Decide + p.Fence + p.Promote + p.Route + p.FirstWrite
		if sum < run.OutageMS-0.1 || sum > run.OutageMS+0.1 {
			t.Errorf("run %d: phases sum to %v, outage %v", i, sum, run.OutageMS)
		}
	}
	var table strings.Builder
	if err := result.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
}

func TestStoppedBenchReturnsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Fault: lab.Crash, Runs: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped bench: %v", err)
	}
}
