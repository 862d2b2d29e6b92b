//go:build linux

// Package hungfs mounts a file system that hangs, for tests: whoever touches a file in it waits inside the kernel, and can't be killed, until the
// file system is let go. That is what a hard mount of a dead file server does.
//
// Only other processes may touch it: a test that hangs itself, and is ended, never lets go.
//
// Goroutines: one for each mount, which ends when it is let go.
package hungfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
)

// Of the protocol of /dev/fuse (linux/fuse.h).
const (
	headerIn  = 40 // bytes before what a request says
	initOut   = 64 // bytes of an answer to the first request
	opInit    = 26
	largestIn = 1 << 17
)

// FS is a mounted file system that hangs.
type FS struct {
	Folder string

	device *os.File
	hang   chan struct{} // closed when somebody hangs
	ended  chan struct{}
	once   sync.Once
}

// Mount mounts one in a folder of its own until the test ends. It needs root, which the tests of this project run as.
func Mount(t *testing.T) *FS {
	t.Helper()
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open /dev/fuse: %v", err)
	}
	f := &FS{Folder: t.TempDir(), hang: make(chan struct{}), ended: make(chan struct{})}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := syscall.Mount("hung", f.Folder, "fuse", syscall.MS_NODEV|syscall.MS_NOSUID, options); err != nil {
		t.Fatalf("mount a file system that hangs: %v", err)
	}
	f.device = os.NewFile(uintptr(fd), "/dev/fuse") // no earlier: a device can't be waited for before it is mounted
	go f.serve()
	t.Cleanup(func() {
		f.LetGo()
		if err := syscall.Unmount(f.Folder, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return f
}

// Hangs is closed when somebody hangs.
func (f *FS) Hangs() <-chan struct{} { return f.hang }

// UntilHangs is a context that ends when somebody hangs. A time limit could be over before whoever is to hang was started.
func (f *FS) UntilHangs(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		select {
		case <-f.hang:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// LetGo ends the waiting: whoever hangs gets an error, as does whoever comes later.
func (f *FS) LetGo() {
	f.once.Do(func() {
		f.device.Close()
		<-f.ended
	})
}

// serve answers the first request, by which a mount begins, and takes the others without an answer.
func (f *FS) serve() {
	defer close(f.ended)
	request, hanging := make([]byte, largestIn), false
	for {
		n, err := f.device.Read(request)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ENOENT): // whoever asked has given up meanwhile
		case err != nil:
			return
		case n >= headerIn && binary.NativeEndian.Uint32(request[4:]) == opInit:
			if _, err := f.device.Write(answerInit(request[8:16])); err != nil {
				return
			}
		case !hanging:
			hanging = true
			close(f.hang)
		}
	}
}

// answerInit says yes to version 7.31 of the protocol, and wants nothing.
func answerInit(unique []byte) []byte {
	answer := make([]byte, 16+initOut)
	binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
	copy(answer[8:], unique)
	binary.NativeEndian.PutUint32(answer[16:], 7)
	binary.NativeEndian.PutUint32(answer[20:], 31)
	binary.NativeEndian.PutUint32(answer[36:], 1<<16) // the largest write
	return answer
}
