//go:build linux

package hungfs

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// variable tells a copy of a test binary which file it is for.
const variable = "HUNGFS_FILE"

// Given is the file for which RunSelf started this process, empty if it is not a copy. TestMain asks for it.
func Given() string { return os.Getenv(variable) }

// RunSelf starts a copy of the test binary for a file of the file system, and returns the first line that it says, and what waits for its end. That
// comes no sooner than the file system is let go if the copy still hangs in it.
func (f *FS) RunSelf(t *testing.T, file string) (said string, wait func() error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), variable+"="+filepath.Join(f.Folder, file))
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said, err = bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Errorf("the copy for %s said %q: %v", file, said, err)
	}
	return said, c.Wait
}
