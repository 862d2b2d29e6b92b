// Command arbiter-replay gives recordings of real arbiters (arbiterd --record) to a new core, and says whether that answers the same. REPORT=file gets
// the result as JSON. It exits with status 1 if something differs or nothing was compared, and 2 if there is nothing to read.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/arbiter-ha/arbiter/internal/recording"
)

// errDiffers says that some recording could not be replayed as it was recorded. What differed was told with the recording.
var errDiffers = errors.New("not everything was decided again as it was recorded")

// errUsage is about how it was asked for.
var errUsage = errors.New("usage: make replay RECORDING=folder")

func main() {
	err := run(os.Stdout, os.Args[1:], os.Getenv("REPORT"))
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "arbiter-replay:", err)
	if errors.Is(err, errDiffers) || errors.Is(err, recording.ErrNothing) {
		os.Exit(1)
	}
	os.Exit(2)
}

// report is what machines read.
type report struct {
	Kind       string   `json:"kind"`
	Recordings []result `json:"recordings"`
	Steps      int      `json:"steps"`
	Differing  int      `json:"differing"`
}

type result struct {
	File string `json:"file"`
	recording.Replayed
	Error string `json:"error,omitempty"`
}

func run(out io.Writer, args []string, reportTo string) error {
	if len(args) != 1 {
		return errUsage
	}
	files, err := filepath.Glob(filepath.Join(args[0], "*"+recording.Suffix))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no recording (*%s)", args[0], recording.Suffix)
	}
	if err != nil {
		return err
	}
	r, endings := report{Kind: "replay"}, map[recording.Ending]int{}
	for _, file := range files {
		one := replay(out, file)
		if one.Error != "" {
			r.Differing++
		}
		r.Steps += one.Steps
		r.Recordings = append(r.Recordings, one)
		endings[one.Ending]++
	}
	fmt.Fprintf(out, "%d recordings: %d to the end of their process, %d that ended before it, %d that were cut\n", len(files),
		endings[recording.EndedInOrder], endings[recording.EndedEarly], endings[recording.EndedCut])
	if err := r.write(reportTo); err != nil {
		return err
	}
	switch {
	case r.Differing > 0:
		return errDiffers
	case r.Steps == 0:
		return recording.ErrNothing
	}
	return nil
}

// replay gives one recording to a new core and tells what came of it.
func replay(out io.Writer, file string) result {
	done, err := recording.ReplayFile(file)
	one := result{File: filepath.Base(file), Replayed: done}
	fmt.Fprintf(out, "%s: %d entries, %d steps, %d outputs", one.File, done.Entries, done.Steps, done.Outputs)
	switch {
	case errors.Is(err, recording.ErrNothing): // as of a process that was killed while it started
		fmt.Fprintf(out, ": %v\n", err)
	case err != nil:
		one.Error = err.Error()
		fmt.Fprintf(out, ": %v\n", err)
	default:
		fmt.Fprintf(out, ", all as recorded %s\n", done)
	}
	return one
}

func (r report) write(path string) error {
	if path == "" {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
