//go:build linux

package command

import (
	"io"
	"strings"
	"testing"
)

// What a program wrote before it ended is read, also if the goroutine that serves the pipe never came to it.
func TestOutputThatNobodyReadInTimeIsNotLost(t *testing.T) {
	const kept = 20
	for name, test := range map[string]struct {
		text      string
		open, cut bool
	}{
		"a line":            {text: "usage: wrong\n"},
		"nothing":           {},
		"more than is kept": {text: strings.Repeat("x", 2*kept), cut: true},
		"still held open":   {text: "so far", open: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openStreams(Command{MaxOutput: kept})
			if err != nil {
				t.Fatal(err)
			}
			defer s.closeAll()
			if _, err := io.WriteString(s.stdout.theirs, test.text); err != nil {
				t.Fatal(err)
			}
			if !test.open {
				s.stdout.theirs.Close()
			}
			s.stdout.drain()
			want := test.text[:min(len(test.text), kept)]
			if got := s.stdout.kept.output(); got.Text != want || got.Cut != test.cut || got.Held != test.open {
				t.Errorf("%d bytes, cut %v, held %v; want %d, %v, %v", len(got.Text), got.Cut, got.Held, len(want), test.cut, test.open)
			}
		})
	}
}
