//go:build linux

package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/hungfs"
)

// hungVariable makes the test binary read a file of a file system that hangs, many times, and say what came of it.
const hungVariable = "SECRET_TEST_HUNG"

// readers is how many ask for the file.
const readers = 200

func TestMain(m *testing.M) {
	if path := os.Getenv(hungVariable); path != "" {
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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reader := exec.Command(self)
	reader.Env = append(os.Environ(), hungVariable+"="+filepath.Join(fs.Folder, "password"))
	output, err := reader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 4096)
	n, err := output.Read(said) // it ends no sooner than its file system lets go
	if err != nil || string(said[:n]) != "given up\n" {
		t.Errorf("it said %q, %v", said[:n], err)
	}
	select {
	case <-fs.Hangs():
	default:
		t.Error("nobody has asked for the file")
	}
	fs.LetGo()
	if err := reader.Wait(); err != nil {
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
