package hosts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// jail holds all processes of one host, so that they can be found, killed and frozen together.
type jail interface {
	// prepare makes the process that is about to be started with attr a member.
	prepare(attr *syscall.SysProcAttr)
	// pids lists the living members; a zombie is dead.
	pids() ([]int, error)
	// kill sends every member SIGKILL once. Members may need a moment to go.
	kill() error
	// freeze stops every member and returns when all have stopped, or lets them go on.
	freeze(ctx context.Context, stop bool) error
	// remove gives back what the jail holds; it must be empty.
	remove() error
}

// pollEvery is how often a jail looks again whether the kernel is done.
const pollEvery = 200 * time.Microsecond

// cgroup is a jail made of a version 2 control group. Freezing is one write, and no member can fork its way out.
type cgroup struct {
	dir  string
	file *os.File
}

// cgroupRoots are the places where version 2 control groups are mounted: alone, or beside version 1.
var cgroupRoots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// findCgroupRoot returns the first root in which this process may make groups that can be frozen, or "".
func findCgroupRoot() string {
	for _, root := range cgroupRoots {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) != nil || int64(fs.Type) != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		trial := filepath.Join(root, "arbiter-lab-trial-"+strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))
		if os.Mkdir(trial, 0o755) != nil {
			continue
		}
		_, missing := os.Stat(filepath.Join(trial, "cgroup.freeze"))
		if os.Remove(trial) == nil && missing == nil {
			return root
		}
	}
	return ""
}

func newCgroup(dir string) (*cgroup, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	file, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open control group: %w", err)
	}
	return &cgroup{dir: dir, file: file}, nil
}

func (c *cgroup) prepare(attr *syscall.SysProcAttr) {
	attr.UseCgroupFD = true
	attr.CgroupFD = int(c.file.Fd())
}

func (c *cgroup) pids() ([]int, error) { return readPIDs(filepath.Join(c.dir, "cgroup.procs")) }

// kill freezes first, so that no member forks while the list is read; frozen members still die. The group's own kill
// switch is not used: kernel 6.18 was seen to kill whatever is started into a group in which it was ever pulled.
func (c *cgroup) kill() error {
	if err := c.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	pids, err := c.pids()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		sendSignal(pid, syscall.SIGKILL)
	}
	return nil
}

func (c *cgroup) freeze(ctx context.Context, stop bool) error {
	if !stop {
		return c.write("cgroup.freeze", "0")
	}
	if err := c.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	for {
		events, err := os.ReadFile(filepath.Join(c.dir, "cgroup.events"))
		if err != nil {
			return fmt.Errorf("read state of control group: %w", err)
		}
		if strings.Contains(string(events), "frozen 1") || strings.Contains(string(events), "populated 0") {
			return nil
		}
		if err := clock.Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait for control group %s to freeze: %w", c.dir, err)
		}
	}
}

func (c *cgroup) remove() error {
	c.file.Close()
	return removeCgroup(c.dir)
}

func (c *cgroup) write(name, value string) error {
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(value), 0); err != nil {
		return fmt.Errorf("write control group: %w", err)
	}
	return nil
}

// removeCgroup removes an empty group. The kernel needs a moment after the last member's end, which it reports as
// busy.
func removeCgroup(dir string) error {
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := os.Remove(dir)
		if err == nil || os.IsNotExist(err) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove control group: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
}

func readPIDs(path string) ([]int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("list processes of control group: %w", err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("parse process list of control group %s: %w", path, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
