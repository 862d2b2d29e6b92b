package release

import "testing"

// A test's program has no version of its own, and says so rather than nothing.
func TestName(t *testing.T) {
	if got := Name(); got == "" || got == "unknown" {
		t.Errorf("got %q", got)
	}
}
