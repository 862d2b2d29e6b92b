package recording_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/recording"
)

// A recording on a file system that is really full is a cut one; mounting one needs root, which the tests of this project run as.
func TestRecorder_OnAFullFileSystem(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	file, err := recording.Create(folder, "a")
	if err != nil {
		t.Fatal(err)
	}
	recorder, why := recordUntilFull(t, file)
	closeRecorder(t, recorder)
	if err := errors.Join(why, file.Close()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("told %v", err)
	}
	done, err := recording.ReplayFile(file.Name())
	if err != nil || done.Steps == 0 || done.Ending != recording.EndedCut {
		t.Errorf("replayed %+v, %v", done, err)
	}
}
