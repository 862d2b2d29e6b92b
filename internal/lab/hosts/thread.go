package hosts

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// thread is one operating system thread that lives inside a host's network namespace, and an IPC namespace of its own,
// for as long as the host does.
// Processes must be started from it: a child's parent-death signal is tied to the thread that made it, and ordinary
// Go threads may end at any time.
type thread struct {
	work chan func()
	gone chan struct{}
}

// newThread starts the thread; namespace is nil for a host that shares the caller's network.
func newThread(namespace *os.File) (*thread, error) {
	t := &thread{work: make(chan func()), gone: make(chan struct{})}
	entered := make(chan error, 1)
	go t.run(namespace, entered)
	if err := <-entered; err != nil {
		return nil, err
	}
	return t, nil
}

// run never unlocks its thread, so the runtime destroys the thread with the goroutine, and the kernel then kills
// every process that was started from it. The process's main thread can't be destroyed, and its namespace is what
// /proc shows for the whole process: on it, another goroutine takes over.
func (t *thread) run(namespace *os.File, entered chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		started := make(chan error, 1)
		go t.run(namespace, started)
		entered <- <-started
		runtime.UnlockOSThread()
		return
	}
	defer close(t.gone)
	if namespace != nil {
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			entered <- fmt.Errorf("enter network namespace %s: %w", namespace.Name(), err)
			return
		}
		// What killed processes leave in System V shared memory goes with the host, even when this process is killed.
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			entered <- fmt.Errorf("make IPC namespace: %w", err)
			return
		}
	}
	entered <- nil
	for f := range t.work {
		f()
	}
}

// do runs f on the thread and returns its error.
func (t *thread) do(f func() error) error {
	done := make(chan error, 1)
	t.work <- func() { done <- f() }
	return <-done
}

// withTimerSlack runs start with the timer slack that what it starts is to have: a child inherits that of the thread that made it.
func withTimerSlack(slack time.Duration, start func() error) error {
	if slack == 0 {
		return start()
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack.Nanoseconds()), 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // 0: its own default again; that can't fail
	return start()
}

// end stops the thread and with it every process that it started.
func (t *thread) end() {
	close(t.work)
	<-t.gone
}

// inside runs f on the calling goroutine with its thread moved into the namespace and back. A thread that can't
// come back is never unlocked and dies with its goroutine, so no other goroutine is ever run in a foreign network.
func inside(namespace *os.File, f func() error) error {
	if namespace == nil {
		return f()
	}
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", namespace.Name(), err)
	}
	failed := f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leave network namespace %s: %w", namespace.Name(), err)
	}
	runtime.UnlockOSThread()
	return failed
}
