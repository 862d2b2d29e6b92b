// Command arbiter-replay gives recordings of real arbiters (arbiterd --record) to a new core, and says whether that answers the same.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/arbiter-ha/arbiter/internal/recording"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: make replay RECORDING=folder")
		os.Exit(2)
	}
	files, err := filepath.Glob(filepath.Join(os.Args[1], "*"+recording.Suffix))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no recording (*%s)", os.Args[1], recording.Suffix)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "arbiter-replay:", err)
		os.Exit(2)
	}
	status, steps, endings := 0, 0, map[recording.Ending]int{}
	for _, file := range files {
		done, err := recording.ReplayFile(file)
		steps += done.Steps
		endings[done.Ending]++
		fmt.Printf("%s: %d entries, %d steps, %d outputs", filepath.Base(file), done.Entries, done.Steps, done.Outputs)
		switch {
		case errors.Is(err, recording.ErrNothing): // as of a process that was killed while it started
			fmt.Printf(": %v\n", err)
		case err != nil:
			status = 1
			fmt.Printf(": %v\n", err)
		default:
			fmt.Printf(", all as recorded %s\n", done)
		}
	}
	fmt.Printf("%d recordings: %d to the end of their process, %d that ended before it, %d that were cut\n", len(files),
		endings[recording.EndedInOrder], endings[recording.EndedEarly], endings[recording.EndedCut])
	if steps == 0 {
		fmt.Fprintln(os.Stderr, "arbiter-replay:", recording.ErrNothing)
		status = 1
	}
	os.Exit(status)
}
