//go:build failpoints

package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"
)

// takenSuffix is added to the name of a failpoint's file by the arbiter that has come to the place.
const takenSuffix = ".taken"

// failpoint does at one place of the program what the file named by ARBITER_FAILPOINT says, for example
// "kill before-commit-intend-promote":
//
//   - kill ends this process, as kill -9 would.
//   - stop freezes it, as SIGSTOP would, until somebody sends SIGCONT.
//   - wait lets nothing pass here until the file with the suffix .taken is removed; the rest of the process goes on.
//
// The file is renamed first, so that it happens once in a cluster whose arbiters share it, and whoever waits for it can see
// that it has happened. Only test builds contain this.
func failpoint() func(string) {
	path := os.Getenv("ARBITER_FAILPOINT")
	if path == "" {
		return nil
	}
	return func(where string) {
		wanted, err := os.ReadFile(path)
		if err != nil {
			return
		}
		what, place, _ := strings.Cut(string(wanted), " ")
		if place != where || os.Rename(path, path+takenSuffix) != nil {
			return
		}
		switch what {
		case "kill":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "stop":
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		case "wait":
			for !gone(path + takenSuffix) {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

func gone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}
