package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab/disk"
)

// newDisk makes a disk that can be made to hang, for one test.
func newDisk(t *testing.T, size int64) *disk.Disk {
	t.Helper()
	root := t.TempDir()
	if err := errors.Join(os.Chmod(root, 0o755), os.Chmod(filepath.Dir(root), 0o755)); err != nil {
		t.Fatal(err)
	}
	d, err := disk.New(t.Context(), root, size)
	if errors.Is(err, disk.ErrNeedsRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
