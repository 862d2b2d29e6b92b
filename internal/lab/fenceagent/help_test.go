package fenceagent

import (
	"bytes"
	"strings"
	"testing"
)

// Whoever finds the program among the others must read that it switches no real machine, and how it is called.
func TestHelp(t *testing.T) {
	for _, flag := range []string{"-h", "--help"} {
		var out, errs bytes.Buffer
		if status := Run([]string{flag}, nil, &out, &errs); status != exitDone || errs.Len() > 0 {
			t.Errorf("%s: status %d, %q", flag, status, errs.String())
		}
		for _, want := range []string{"switches no real machine", "Usage: fence_lab", "Exit status"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s doesn't say %q", flag, want)
			}
		}
		for option := range options {
			if !strings.Contains(out.String(), option) {
				t.Errorf("%s doesn't tell of %s", flag, option)
			}
		}
	}
}
