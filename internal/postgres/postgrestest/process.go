package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// account is whom the servers run as: the current user, or postgres when that is root, whom PostgreSQL refuses.
type account struct {
	uid, gid int
	switches bool // the current user is root
}

func serverAccount() (*account, error) {
	if os.Getuid() != 0 {
		return &account{uid: os.Getuid(), gid: os.Getgid()}, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("look up user postgres (PostgreSQL refuses to run as root): %w", err)
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return nil, fmt.Errorf("read the user id of postgres: %w", err)
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return nil, fmt.Errorf("read the group id of postgres: %w", err)
	}
	return &account{uid: uid, gid: gid, switches: true}, nil
}

func (a *account) own(path string) error { return os.Chown(path, a.uid, a.gid) }

func (a *account) attributes() *syscall.SysProcAttr {
	if !a.switches {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}}
}

func (a *account) output(name string, arguments ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.SysProcAttr = a.attributes()
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.Dir = os.TempDir()
	return cmd.CombinedOutput()
}

// binary finds a PostgreSQL program: in the search path, or where Debian keeps it.
func binary(name string) string {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		return slices.Max(found)
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return name
}

// processes lists the server's processes: those that work in its data folder. Children are in sessions of their own, so a
// process group would not find them, and orphans have another parent.
func (s *Server) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if folder, err := os.Readlink(filepath.Join("/proc", entry.Name(), "cwd")); err == nil && folder == s.Dir {
			pids = append(pids, pid)
		}
	}
	return pids
}

// startOnLastingThread starts a child from a thread that lives as long as the child, and closes done when the child has
// ended: the kernel sends Pdeathsig when the thread that started a child ends, not the process.
func startOnLastingThread(cmd *exec.Cmd, done chan<- struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
			close(done)
		}
	}()
	return <-started
}

// lockedBuffer collects a server's log while tests read it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Clone(b.buf.String())
}
