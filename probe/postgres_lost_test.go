package probe

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// diskFull is a server whose disk has no room for the table of the write: a small file system of the test's own that is really full. Mounting one
// needs root, which the tests of this project run as.
func diskFull(t *testing.T) string {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m,mode=0777"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { // after the server's end
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	openToAll(t, filepath.Dir(folder))
	server := postgrestest.Start(t)
	space := filepath.Join(folder, "space")
	server.MakeFolder(space)
	server.Exec("CREATE TABLESPACE small LOCATION '" + space + "'")
	server.Exec("ALTER TABLE arbiter.probe SET TABLESPACE small")
	file, err := os.Create(filepath.Join(folder, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	_, full := io.Copy(file, zeros{})
	if err := errors.Join(full, file.Close()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	return server.Address
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// withoutPower is the address of a machine that isn't there, on the network of this test's thread, which has a network of its own: nobody says who has
// the address. The thread ends with the test.
func withoutPower(t *testing.T) string {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network: %v", err)
	}
	for _, command := range []string{
		"link set lo up", "link add near type veth peer name far", "address add 192.0.2.1/24 dev near", "link set near up", "link set far up",
	} {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", command, err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/neigh/near/retrans_time_ms", []byte("20"), 0); err != nil {
		t.Fatalf("ask for addresses more often: %v", err)
	}
	return "192.0.2.2:5432"
}
