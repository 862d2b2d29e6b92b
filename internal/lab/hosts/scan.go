package hosts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// scan is the jail for machines on which no control group can be made: it looks through /proc for the processes
// that belong. A member can fork between two looks, so every step is repeated until a look finds nothing new.
type scan struct {
	belongs func(pid int) bool
}

// inNamespace selects the processes whose network is that of the open namespace.
func inNamespace(namespace *os.File) (func(pid int) bool, error) {
	own, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", namespace.Fd()))
	if err != nil {
		return nil, fmt.Errorf("identify network namespace: %w", err)
	}
	info, err := namespace.Stat()
	if err != nil {
		return nil, fmt.Errorf("identify network namespace %s: %w", own, err)
	}
	return func(pid int) bool {
		if pid == os.Getpid() {
			return false
		}
		other, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err == nil && os.SameFile(info, other)
	}, nil
}

// hostVariable is set in the environment of every process of a host and inherited by its children.
const hostVariable = "ARBITER_LAB_HOST"

// inDirectory selects the processes that work inside the directory, and those whose environment still carries a
// mark that begins like this. Either alone would do for most programs; PostgreSQL overwrites its environment but
// stays in its data directory, and others change directory but keep the environment.
func inDirectory(dir, mark string) func(pid int) bool {
	entry := []byte("\x00" + hostVariable + "=" + mark)
	return func(pid int) bool {
		if pid == os.Getpid() {
			return false
		}
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/")) {
			return true
		}
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err == nil && bytes.Contains(append([]byte{0}, environment...), entry)
	}
}

func (s *scan) prepare(*syscall.SysProcAttr) {}

func (s *scan) pids() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && alive(pid) && s.belongs(pid) {
			found = append(found, pid)
		}
	}
	return found, nil
}

func (s *scan) kill() error { return s.signal(syscall.SIGKILL) }

func (s *scan) freeze(ctx context.Context, stop bool) error {
	if !stop {
		return s.signal(syscall.SIGCONT)
	}
	for {
		pids, err := s.pids()
		if err != nil {
			return err
		}
		running := false
		for _, pid := range pids {
			if state := processState(pid); state != 'T' && state != 0 {
				running = true
				sendSignal(pid, syscall.SIGSTOP)
			}
		}
		if !running {
			return nil
		}
		if err := clock.Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait for processes to stop: %w", err)
		}
	}
}

func (s *scan) remove() error { return nil }

func (s *scan) signal(signal syscall.Signal) error {
	pids, err := s.pids()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		sendSignal(pid, signal)
	}
	return nil
}

// sendSignal ignores a failure: the process may have ended by itself, and the caller looks again anyway.
func sendSignal(pid int, signal syscall.Signal) { _ = syscall.Kill(pid, signal) }

// processState is the letter of /proc/PID/stat (R, S, D, T, Z, ...), or 0 when there is no such process.
func processState(pid int) byte {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// The name stands in parentheses and may itself contain any character.
	end := bytes.LastIndexByte(text, ')')
	if end < 0 || end+2 >= len(text) {
		return 0
	}
	return text[end+2]
}

func alive(pid int) bool {
	state := processState(pid)
	return state != 0 && state != 'Z' && state != 'X'
}
