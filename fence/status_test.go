//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/clock"
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

// What a device said before counts, not that the last call was broken off; a call that failed while there was time says itself what is wrong.
func TestACallThatIsBrokenOffHidesNoAnswer(t *testing.T) {
	for what, late := range map[string]bool{"its time was up": true, "there was time": false} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			parent, cancel := context.WithCancel(t.Context())
			defer cancel()
			ctx := clock.NewLate(parent)
			second, third := r.answer(2), r.answer(3)
			a, err := New(Options{}).open(ctx, r.device("1", "fails-late", generous))
			if err != nil {
				t.Fatal(err)
			}
			pass := func() {}
			if late {
				pass = ctx.Pass
			}
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				second(pass)
				third(cancel)
			}()
			err = a.awaitOff(ctx, generous)
			unasked, _ := os.OpenFile(filepath.Join(r.dir, "go-3"), os.O_RDWR, 0) // who waits to be read waits no more
			<-answered
			unasked.Close()
			if errors.Is(err, ErrNotOff) != late || strings.Contains(err.Error(), "no route") == late || !strings.HasSuffix(err.Error(), " until its time was up") {
				t.Error(err)
			}
		})
	}
}

// answer returns a function that waits until a call for the status, by its number, is to fail late, does something, and lets it fail.
func (r *rig) answer(call int) func(before func()) {
	r.t.Helper()
	path := filepath.Join(r.dir, fmt.Sprintf("go-%d", call))
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return func(before func()) {
		asked, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the one who reads
		if err != nil {
			r.t.Error(err)
			return
		}
		before()
		if err := asked.Close(); err != nil {
			r.t.Error(err)
		}
	}
}
