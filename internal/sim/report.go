package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// ErrViolations says that some check failed.
var ErrViolations = errors.New("the simulation found violations")

// machineReport is what machines read of a search.
type machineReport struct {
	Kind         string   `json:"kind"`
	Seeds        int      `json:"seeds"`
	VirtualHours float64  `json:"virtual_hours"`
	Violations   int      `json:"violations"`
	FailingSeeds []uint64 `json:"failing_seeds"`
	Seconds      float64  `json:"seconds"`
	HoursAMinute float64  `json:"virtual_hours_per_minute"`
}

// Main searches or replays, as the environment says.
func Main(out io.Writer, env func(string) string) error {
	if env("SEED") != "" {
		seed, err := number(env, "SEED", 0)
		if err != nil {
			return err
		}
		return replay(out, seed)
	}
	seeds, err1 := number(env, "SEEDS", 500)
	first, err2 := number(env, "FIRST", 0)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return search(out, first, int(seeds), env("UNTIL") == "failure", env("REPORT"))
}

func number(env func(string) string, key string, otherwise uint64) (uint64, error) {
	if env(key) == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(env(key), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	return n, nil
}

// progressEvery is how often a search says how far it is.
const progressEvery = 5 * time.Second

func search(out io.Writer, first uint64, seeds int, untilFailure bool, reportTo string) error {
	var mu sync.Mutex
	last := time.Now()
	s := Search(first, seeds, runtime.GOMAXPROCS(0), func(done, failed int) bool {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) >= progressEvery {
			last = time.Now()
			fmt.Fprintf(out, "%d of %d seeds, %d with a violation\n", done, seeds, failed)
		}
		return failed == 0 || !untilFailure
	})
	r := machineReport{
		Kind: "sim", Seeds: s.Seeds, VirtualHours: s.Virtual.Hours(), Violations: len(s.Failed), FailingSeeds: []uint64{}, Seconds: s.Took.Seconds(),
	}
	r.HoursAMinute = r.VirtualHours / max(s.Took.Minutes(), 1e-9)
	fmt.Fprintf(out, "%d seeds from %d: %.1f virtual hours in %.1f s (%.0f a minute), %d violations\n%s\n",
		s.Seeds, first, r.VirtualHours, r.Seconds, r.HoursAMinute, r.Violations, s.counts)
	for _, f := range s.Failed {
		r.FailingSeeds = append(r.FailingSeeds, f.Seed)
		fmt.Fprintf(out, "seed %d at %s: %s: %.300s\n", f.Seed, f.Violation.At, f.Violation.Check, f.Violation.Text)
	}
	if len(s.Failed) > 0 {
		fmt.Fprintf(out, "the first one, made smaller (again: make sim SEED=%d):\n", s.Failed[0].Seed)
		explain(out, s.Failed[0].Seed, s.Failed[0].Violation.Check)
	}
	if err := writeReport(reportTo, r); err != nil {
		return err
	}
	if len(s.Failed) > 0 {
		return ErrViolations
	}
	return nil
}

func writeReport(path string, r machineReport) error {
	if path == "" {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// replay runs one seed; if a check fails, the run is made smaller and printed.
func replay(out io.Writer, seed uint64) error {
	plan := Draw(seed)
	r := Play(plan, true)
	if r.Violation == nil {
		fmt.Fprint(out, plan.Describe())
		for _, line := range r.Lines {
			fmt.Fprintln(out, line)
		}
		fmt.Fprintf(out, "seed %d: no violation in %s, hash %x\n%s\n", seed, r.Virtual, r.Hash, r.counts)
		return nil
	}
	explain(out, seed, r.Violation.Check)
	return ErrViolations
}

// shownLines is how much of a long timeline is printed.
const shownLines = 400

func explain(out io.Writer, seed uint64, check string) {
	plan, r := Shrink(Draw(seed), check)
	fmt.Fprint(out, plan.Describe())
	if left := len(r.Lines) - shownLines; left > 0 {
		fmt.Fprintf(out, "(%d lines before)\n", left)
		r.Lines = r.Lines[left:]
	}
	for _, line := range r.Lines {
		fmt.Fprintln(out, line)
	}
}
