package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Editors jump to "file:line:", so nothing may stand before it, on no line.
func TestFaultsOfTheFileStandOneALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "arbiterd.yaml")
	if err := os.WriteFile(file, []byte("node: az-a\nhttp: {listen: \":80\"}\narbitres: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if status := run(t.Context(), []string{"--config", file, "--check"}, &out, &errs); status != exitBadInput {
		t.Errorf("exit status %d", status)
	}
	lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		if !strings.HasPrefix(line, file+":") {
			t.Errorf("line %q", line)
		}
	}
	if last := lines[len(lines)-1]; len(lines) < 3 || !strings.HasPrefix(last, "arbiterd: nothing was started") {
		t.Errorf("got %q", lines)
	}
}
