package disk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) (*Disk, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := New(t.Context(), dir, 64<<20)
	if errors.Is(err, ErrNeedsRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if below, err := Below(dir); err != nil || len(below) > 0 {
			t.Errorf("still mounted: %v, %v", below, err)
		}
	})
	if below, err := Below(dir); err != nil || !slices.Equal(below, []string{d.Folder()}) {
		t.Errorf("mounted: %v, %v", below, err)
	}
	return d, dir
}

func TestAFrozenDiskTakesWritesWhenItThaws(t *testing.T) {
	d, _ := open(t)
	if err := d.Freeze(); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(filepath.Join(d.Folder(), "file"), []byte("text"), 0o600) }()
	select {
	case err := <-written:
		t.Errorf("a frozen disk took a write: %v", err)
	case <-time.After(100 * time.Millisecond): // nothing tells that it waits
	}
	if err := errors.Join(d.Thaw(), d.Thaw()); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestAFullDiskHasNoRoom(t *testing.T) {
	d, _ := open(t)
	write := func() error {
		return os.WriteFile(filepath.Join(d.Folder(), "file"), make([]byte, 8<<20), 0o600) // more than root has in reserve
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	if err := d.Fill(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Folder(), "other"), make([]byte, 8<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk took a write: %v", err)
	}
	if err := errors.Join(d.Empty(), d.Empty(), write()); err != nil {
		t.Error(err)
	}
}
