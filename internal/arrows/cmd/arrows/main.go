// Command arrows checks the shape of the repository in the current folder (or in the one that is named) against the
// tables of internal/arrows. It prints one line per fault and exits with 1 if there is any.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/arbiter-ha/arbiter/internal/arrows"
)

// errFaults says that faults were printed.
var errFaults = errors.New("the tree breaks rules of internal/arrows/rules.go")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "arrows:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	top := "."
	if len(arguments) > 0 {
		top = arguments[0]
	}
	tree, err := arrows.Load(os.DirFS(top))
	if err != nil {
		return err
	}
	faults := tree.Check()
	for _, fault := range faults {
		fmt.Fprintln(out, fault)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %d faults", errFaults, len(faults))
	}
	return nil
}
