//go:build linux

package fence

import (
	"errors"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/command"
)

// An agent that ends as if a machine were off, and of which perhaps not all was read, has said nothing of it: what is missing may be an error.
func TestS3_OffIsNotReadFromAnAnswerThatIsPerhapsNotWhole(t *testing.T) {
	for _, stdout := range []string{"", "Status: OFF"} {
		for name, test := range map[string]struct {
			cut, held bool
			want      power
		}{
			"whole":      {want: powerOff},
			"cut":        {cut: true, want: powerUnknown},
			"still open": {held: true, want: powerUnknown},
		} {
			for _, result := range []command.Result{
				{Exit: exitOff, Stdout: command.Output{Text: stdout, Cut: test.cut, Held: test.held}},
				{Exit: exitOff, Stdout: command.Output{Text: stdout}, Stderr: command.Output{Cut: test.cut, Held: test.held}},
			} {
				if state, err := readStatus(result); state != test.want || (err == nil) != (test.want == powerOff) || err != nil && !errors.Is(err, ErrContradiction) {
					t.Errorf("%s, %q: %v, %v", name, stdout, state, err)
				}
			}
		}
	}
}
