package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/lab/database"
)

// The requests of ioctl that freeze and thaw a file system (linux/fs.h).
const (
	requestFreeze = 0xC0045877
	requestThaw   = 0xC0045878
)

// disk is a file system of the test's own that can be made to hang as a failing disk does: whoever writes to it waits in
// the kernel.
type disk struct {
	t      *testing.T
	folder string
}

func newDisk(t *testing.T, size int64) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: a disk that hangs is made by freezing a file system")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	image, folder := filepath.Join(root, "image"), filepath.Join(root, "mounted")
	if err := errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, folder}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("a disk that hangs can't be made here: %s: %v: %s", strings.Join(command, " "), err, out)
		}
	}
	d := &disk{t: t, folder: folder}
	t.Cleanup(func() {
		d.thaw()
		// What was killed on it may need a moment to go.
		if out, err := exec.Command("umount", "--lazy", folder).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v: %s", err, out)
		}
	})
	return d
}

// freeze makes it hang; thaw ends that, and is harmless when it does not hang.
func (d *disk) freeze() {
	d.t.Helper()
	if err := d.request(requestFreeze); err != nil {
		d.t.Fatalf("freeze %s: %v", d.folder, err)
	}
}

func (d *disk) thaw() {
	if err := d.request(requestThaw); err != nil && !errors.Is(err, unix.EINVAL) {
		d.t.Errorf("thaw %s: %v", d.folder, err)
	}
}

func (d *disk) request(what uint) error {
	file, err := os.Open(d.folder)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = unix.IoctlRetInt(int(file.Fd()), what)
	return err
}

// moveLog puts the write-ahead log of a running server onto the disk.
func (d *disk) moveLog(t *testing.T, ctx context.Context, m *database.Server) {
	t.Helper()
	if err := m.Stop(ctx, database.Fast); err != nil {
		t.Fatal(err)
	}
	from, to := filepath.Join(m.DataDir(), "pg_wal"), filepath.Join(d.folder, "pg_wal")
	if out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
	if err := errors.Join(os.RemoveAll(from), os.Symlink(to, from), m.Start(ctx)); err != nil {
		t.Fatal(err)
	}
}
