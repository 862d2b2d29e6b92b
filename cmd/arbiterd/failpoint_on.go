//go:build failpoints

package main

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/failpoint"
)

// takenSuffix is added to the name of a failpoint's file by the arbiter that has come to the place.
const takenSuffix = ".taken"

// failpointOfTests does at one place of the program what the file named by ARBITER_FAILPOINT says, for example
// "kill before-commit-intend-promote":
//
//   - kill ends this process, as kill -9 would.
//   - stop freezes it, as SIGSTOP would, until somebody sends SIGCONT.
//   - wait lets nothing pass here until the file with the suffix .taken is removed; the rest of the process goes on.
//
// The file is renamed first, so that it happens once in a cluster whose arbiters share it, and whoever waits for it can see
// that it has happened. Only test builds contain this.
func failpointOfTests() failpoint.Func {
	path := os.Getenv("ARBITER_FAILPOINT")
	if path == "" {
		return nil
	}
	return func(where string) bool {
		wanted, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		what, place, _ := strings.Cut(string(wanted), " ")
		if place != where || os.Rename(path, path+takenSuffix) != nil {
			return false
		}
		switch what {
		case "kill":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "stop":
			stopHere()
		case "wait":
			for !gone(path + takenSuffix) {
				time.Sleep(time.Millisecond)
			}
		}
		return true
	}
}

// stopHere freezes this process on this line. A signal to the whole process may be taken by another thread, and this one would go on for a
// moment.
func stopHere() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

func gone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}
