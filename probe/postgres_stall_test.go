package probe

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// TestPostgresStalledDisk freezes the file system under a real server: sessions open and reads are answered as before, but
// nothing commits.
func TestPostgresStalledDisk(t *testing.T) {
	disk := newFreezableDisk(t)
	postgrestest.New(t) // so that what all servers are copied from isn't on the disk
	t.Setenv("TMPDIR", disk.folder)
	// What sessions share must not lie on the disk: they could not even begin.
	server := postgrestest.Start(t, setting("dynamic_shared_memory_type", "posix"))
	watcher := server.Dial()
	c := patientCheck()
	target := postgresTarget("pg-a", server.Address, c)
	p := newPostgres(t)
	wantLook(t, p, target, c, failover.ReasonAnswered)

	disk.freeze()
	c.Timeout = time.Second
	for range 3 {
		look := wantStall(t, p, target, c)
		if look.Facts.Role != failover.RolePrimary || look.Facts.AcceptsWrites {
			t.Fatalf("facts of a primary whose disk hangs: got %+v", look.Facts)
		}
		const ownWrites = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'arbiter-probe/az-a' AND state = 'active'"
		var n int
		if err := watcher.QueryRow(context.Background(), ownWrites).Scan(&n); err != nil {
			t.Fatalf("count the writes: %v", err)
		}
		if n != 1 {
			t.Fatalf("outstanding writes: got %d, want 1", n)
		}
	}

	restarted := newPostgres(t) // it doesn't know of the write that hangs, but finds its lock
	wantStall(t, restarted, target, c)

	disk.thaw()
	c.Timeout = patientCheck().Timeout
	server.Eventually("the write that hung has ended", func() bool {
		return lookAt(p, target, c).Facts.AcceptsWrites
	})
	server.Stop() // in order, so that no shared memory is left
}

func wantLook(t *testing.T, p Checker, target Target, c failover.Check, want failover.Reason) Look {
	t.Helper()
	look := lookAt(p, target, c)
	if look.Evidence.Reason != want {
		t.Fatalf("evidence: got %+v, want %s", look.Evidence, want)
	}
	return look
}

// wantStall takes looks with a time-out that is to be reached, until one of them leaves the time to ask for a write: on a busy machine the first may not.
func wantStall(t *testing.T, p Checker, target Target, c failover.Check) Look {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		look := lookAt(p, target, c)
		if look.Evidence.Reason == failover.ReasonWriteStalled {
			return look
		}
		if look.Evidence.Reason != failover.ReasonTimeout || time.Now().After(end) {
			t.Fatalf("evidence: got %+v, want %s", look.Evidence, failover.ReasonWriteStalled)
		}
	}
}

// freezableDisk is a file system of the test's own that can be made to hang as a failing disk does: whoever writes to it
// waits in the kernel.
type freezableDisk struct {
	t      *testing.T
	folder string
}

func newFreezableDisk(t *testing.T) *freezableDisk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: a disk that hangs is made by freezing a file system of the test's own")
	}
	root := t.TempDir()
	image, folder := filepath.Join(root, "disk"), filepath.Join(root, "mounted")
	run := func(name string, arguments ...string) {
		t.Helper()
		if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
			t.Fatalf("run %s: %v\n%s", name, err, out)
		}
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatalf("make the disk: %v", err)
	}
	if err := os.Truncate(image, 256<<20); err != nil {
		t.Fatalf("make the disk: %v", err)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatalf("make the mount point: %v", err)
	}
	run("mkfs.ext4", "-q", "-F", image)
	run("mount", "-o", "loop", image, folder)
	t.Cleanup(func() { run("umount", folder) })
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatalf("open the disk to all: %v", err)
	}
	openToAll(t, root)
	return &freezableDisk{t: t, folder: folder}
}

// openToAll lets the server's account get through to a folder.
func openToAll(t *testing.T, folder string) {
	t.Helper()
	for dir := folder; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatalf("open %s: %v", dir, err)
		}
	}
}

// freeze makes every write hang until thaw, or until the test ends.
func (d *freezableDisk) freeze() {
	d.t.Helper()
	const freeze = 0xC0045877 // FIFREEZE
	d.control(freeze)
	d.t.Cleanup(d.thaw)
}

func (d *freezableDisk) thaw() {
	const thaw = 0xC0045878 // FITHAW
	d.control(thaw)
}

func (d *freezableDisk) control(request uint) {
	d.t.Helper()
	folder, err := os.Open(d.folder)
	if err != nil {
		d.t.Fatalf("open the disk: %v", err)
	}
	defer func() { _ = folder.Close() }()
	err = unix.IoctlSetInt(int(folder.Fd()), request, 0)
	if err != nil && err != unix.EINVAL { // EINVAL: it is already as it should be
		d.t.Fatalf("freeze or thaw the disk: %v", err)
	}
}
