//go:build linux

package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	guardShell = "/bin/sh"
	// guardScript waits for the end of its standard input and then kills its own process group, itself included. Nobody ever
	// writes to it: the end comes when the arbiter closes the pipe or dies.
	guardScript = `trap '' HUP INT TERM; read -r nothing; kill -KILL 0`
	// goneInterval is how often a killed group is looked at until its last process has ended.
	goneInterval = time.Millisecond
	// leftInterval is how often a group is looked at that was given up.
	leftInterval = time.Second
)

// group is a process group led by a guard. The guard isn't reaped before the end, so its process id, which names the
// group, can't be given to anybody else meanwhile.
type group struct {
	id    int
	guard *exec.Cmd
	rope  *os.File // the guard kills the group when the last holder of this end lets go

	mu    sync.Mutex
	ended bool // the id may belong to others now
}

// newGroup starts a guard. The calling goroutine must stay on its thread until the group has ended.
func newGroup() (*group, error) {
	watched, rope, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the guard's pipe: %w", err)
	}
	defer watched.Close()
	guard := exec.Command(guardShell, "-c", guardScript)
	guard.Env = []string{}
	guard.Dir = "/"
	guard.Stdin = watched
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := guard.Start(); err != nil {
		rope.Close()
		return nil, fmt.Errorf("start the guard of its process group: %w", err)
	}
	return &group{id: guard.Process.Pid, guard: guard, rope: rope}, nil
}

// kill ends every process of the group. It may be called at any time and from any goroutine.
func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		// The guard, alive or not yet reaped, is a member: the group exists.
		_ = syscall.Kill(-g.id, syscall.SIGKILL)
	}
}

// end kills the group, and returns true when its last process has ended, false if one doesn't end.
func (g *group) end() bool {
	g.kill()
	g.rope.Close()
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	_ = g.guard.Wait() // killed: its exit status says nothing
	return g.waitGone()
}

// waitGone returns true when only ended processes are left in the group, false if that takes too long. The usual case is decided by one
// system call. As long as processes are left, the group's id isn't given to others.
func (g *group) waitGone() bool {
	if errors.Is(syscall.Kill(-g.id, 0), syscall.ESRCH) {
		return true
	}
	for giveUp := time.Now().Add(stuckAfter); g.alive(); time.Sleep(goneInterval) {
		if time.Now().After(giveUp) {
			return false
		}
	}
	return true
}

// outlive returns when the last process of a group that has not ended in time has ended after all.
func (g *group) outlive() {
	for g.alive() {
		time.Sleep(leftInterval)
	}
}

// alive says whether a process of the group still runs. Ended processes that nobody has reaped yet don't count: they do
// nothing any more, and in a container there may be nobody who reaps orphans.
func (g *group) alive() bool {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return false
	}
	for _, path := range entries {
		if status, err := os.ReadFile(path); err == nil && runsInGroup(string(status), g.id) {
			return true
		}
	}
	return false
}

// runsInGroup reads a line of /proc/PID/stat: "pid (name) state ppid pgrp ...", where the name may hold anything.
func runsInGroup(stat string, group int) bool {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 3 {
		return false
	}
	state, pgrp := fields[0], fields[2]
	return pgrp == strconv.Itoa(group) && state != "Z" && state != "X"
}
