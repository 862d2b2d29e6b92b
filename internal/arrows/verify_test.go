package arrows

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A check that had nothing to compare with must not look like one that found nothing wrong.
func TestVerifySaysThatNothingWasCompared(t *testing.T) {
	top := t.TempDir()
	if err := os.CopyFS(filepath.Join(top, "scripts"), os.DirFS(filepath.Join("..", "..", "scripts"))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(top, "proto", "arbiter"), 0o700); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), filepath.Join(top, "scripts", "verify"), "released").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	first, reason, _ := strings.Cut(string(output), "\n")
	if !strings.HasPrefix(first, "skip  released") || !strings.Contains(reason, "nothing was compared: there is no proto/released.binpb.gz") {
		t.Errorf("verify says\n%s", output)
	}
}
