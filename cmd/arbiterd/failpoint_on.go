//go:build failpoints

package main

import (
	"os"
	"syscall"
)

// failpoint ends this process, as kill -9 would, at the place that the file named by ARBITER_FAILPOINT names. The file is
// removed first, so that it happens once in a cluster whose arbiters share it. Only test builds contain this.
func failpoint() func(string) {
	path := os.Getenv("ARBITER_FAILPOINT")
	if path == "" {
		return nil
	}
	return func(where string) {
		wanted, err := os.ReadFile(path)
		if err != nil || string(wanted) != where || os.Remove(path) != nil {
			return
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}
