package explore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Why an exploration is no proof.
var (
	ErrViolations = errors.New("a safety rule did not hold")
	ErrStopped    = errors.New("it was stopped before every history was followed")
)

// Err is nil if every history was followed and every rule held.
func (r Report) Err() error {
	switch {
	case len(r.Violations) > 0:
		return ErrViolations
	case !r.Exhausted:
		return ErrStopped
	}
	return nil
}

// progressEvery is how often a long exploration says how far it is.
const progressEvery = 5 * time.Second

// Progress says how far an exploration is, on one line for every few seconds of it.
func Progress(out io.Writer) func(Report) {
	last := time.Now()
	return func(r Report) {
		if time.Since(last) < progressEvery {
			return
		}
		last = time.Now()
		fmt.Fprintf(out, "%s: %d states, %d entries, depth %d\n", r.Took.Round(time.Second), r.States, r.Entries, r.Depth)
	}
}

// Write tells people, and machines where a path is given, what was found.
func (r Report) Write(out io.Writer, path string) error {
	for _, v := range r.Violations {
		fmt.Fprintf(out, "\n%s does not hold: %s\n", v.Rule, v.Why)
		for _, line := range v.History {
			fmt.Fprintf(out, "  %s\n", line)
		}
	}
	seconds := r.Took.Seconds()
	rate := float64(r.Entries) / max(seconds, 1e-9)
	fmt.Fprintf(out, "%d states that differ, %d entries applied, depth %d, %.1f s (%.0f entries per second, %.0f for each of %d workers)\n",
		r.States, r.Entries, r.Depth, seconds, rate, rate/float64(max(r.Bounds.Workers, 1)), r.Bounds.Workers)
	switch {
	case len(r.Violations) > 0:
		fmt.Fprintf(out, "%d violations, the first with the shortest history\n", len(r.Violations))
	case r.Exhausted:
		fmt.Fprintln(out, "Exhausted: every history within the bound was followed. No safety rule was broken, and every operation can end.")
	default:
		fmt.Fprintln(out, "Stopped. No safety rule was broken so far.")
	}
	if path == "" {
		return nil
	}
	data, err := json.Marshal(machineReport{
		Kind: "explore", Odd: r.Bounds.Odd, States: r.States, Entries: r.Entries, Depth: r.Depth, Exhausted: r.Exhausted,
		Violations: len(r.Violations), Seconds: seconds, Workers: r.Bounds.Workers, Rate: rate,
	})
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// machineReport is what machines read.
type machineReport struct {
	Kind       string  `json:"kind"`
	Odd        int     `json:"odd"`
	States     int     `json:"states"`
	Entries    int     `json:"entries"`
	Depth      int     `json:"depth"`
	Exhausted  bool    `json:"exhausted"`
	Violations int     `json:"violations"`
	Seconds    float64 `json:"seconds"`
	Workers    int     `json:"workers"`
	Rate       float64 `json:"entries_per_second"`
}
