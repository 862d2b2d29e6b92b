//go:build linux

package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/hungfs"
)

// readers is how many ask for the file.
const readers = 200

// A copy of the test binary reads a file of a file system that hangs, many times, and says what came of it.
func TestMain(m *testing.M) {
	if path := hungfs.Given(); path != "" {
		os.Exit(readHung(path))
	}
	os.Exit(m.Run())
}

func readHung(path string) int {
	before := threads()
	var (
		r   Reader
		all sync.WaitGroup
	)
	for range readers {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			if _, err := r.Resolve(ctx, failover.Setting{Key: "password", File: path}); !errors.Is(err, ErrNotInTime) || !strings.Contains(err.Error(), path) {
				fmt.Println("got", err)
			}
		})
	}
	all.Wait()
	if more := threads() - before; more > readers/4 {
		fmt.Println("threads more than before:", more)
	}
	fmt.Println("given up")
	return 0
}

func threads() int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// Nobody waits longer than its context for a file whose file system hangs, and however many ask for it, they cost one thread.
func TestAFileSystemThatHangsHoldsUpNobody(t *testing.T) {
	fs := hungfs.Mount(t)
	said, wait := fs.RunSelf(t, "password")
	if said != "given up\n" {
		t.Errorf("it said %q", said)
	}
	select {
	case <-fs.Hangs():
	default:
		t.Error("nobody has asked for the file")
	}
	fs.LetGo()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// Those who ask for a file while it is read get the same answer; who asks afterwards gets what it is then.
func TestReadersOfOneFileShareItsRead(t *testing.T) {
	reads, goOn := make(chan int, 10), make(chan struct{})
	r := Reader{Open: func(string) (File, error) {
		reads <- 1
		<-goOn
		return File{Content: []byte("s3cret\n")}, nil
	}}
	hasty, cancel := context.WithCancelCause(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := r.ReadFile(hasty, "/a")
		gaveUp <- err
	}()
	<-reads
	lost := errors.New("leadership lost")
	cancel(lost)
	if err := <-gaveUp; !errors.Is(err, ErrNotInTime) || !errors.Is(err, lost) || !strings.Contains(err.Error(), "read /a: ") {
		t.Errorf("got %v", err)
	}
	asked, answers := make(chan struct{}), make(chan string)
	for range 3 {
		go func() {
			asked <- struct{}{}
			value, err := r.Resolve(t.Context(), failover.Setting{File: "/a"})
			answers <- fmt.Sprintln(value, err)
		}()
		<-asked
	}
	close(goOn)
	for range 3 {
		if answer := <-answers; answer != "s3cret <nil>\n" {
			t.Errorf("got %s", answer)
		}
	}
	if _, err := r.ReadFile(t.Context(), "/a"); err != nil || len(reads) == 0 {
		t.Errorf("%v; %d further reads, want one at least", err, len(reads))
	}
}
