// Package yardstick measures how fast the machine is at this moment, by things that have nothing to do with Arbiter. Virtual machines share
// their cores with others and are at some hours half as fast as at others: an outage or a cost in CPU can only be compared with another one
// measured on a machine that was as fast.
//
// Goroutines: the other end of the wake-up's pipes; it has ended when Measure returns.
package yardstick

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/lab/report"
)

const (
	// hashFor is how long one core hashes. Long enough for some scheduling quanta, short beside a run.
	hashFor = 100 * time.Millisecond
	// block is what is hashed, and written, at a time.
	block, page = 16 << 10, 4 << 10
	// wakeUps and syncs are how often each is done; their medians are taken.
	wakeUps, syncs = 500, 30
)

// Measure takes about a fifth of a second. Directory is where the synced writes go: one on the file system that what is measured uses.
func Measure(directory string) (report.Machine, error) {
	wake, err := wakeUp()
	if err != nil {
		return report.Machine{}, fmt.Errorf("measure how long a thread takes to wake: %w", err)
	}
	synced, err := syncedWrite(directory)
	if err != nil {
		return report.Machine{}, fmt.Errorf("measure how long a synced write takes in %s: %w", directory, err)
	}
	return report.Machine{HashMBPerSecond: hash(), WakeUpUS: wake, SyncedWriteUS: synced}, nil
}

// hash is how many megabytes a second SHA-256 gets through on one core.
func hash() float64 {
	data := make([]byte, block)
	begin, done := time.Now(), 0
	for time.Since(begin) < hashFor {
		sum := sha256.Sum256(data)
		copy(data, sum[:])
		done += block
	}
	return float64(done) / 1e6 / time.Since(begin).Seconds()
}

// wakeUp is the median of half a round trip between two threads that sleep in the kernel meanwhile, in microseconds.
func wakeUp() (float64, error) {
	there, back := make([]int, 2), make([]int, 2)
	if err := errors.Join(unix.Pipe2(there, unix.O_CLOEXEC), unix.Pipe2(back, unix.O_CLOEXEC)); err != nil {
		return 0, err
	}
	defer func() { _ = errors.Join(unix.Close(there[0]), unix.Close(back[0]), unix.Close(back[1])) }()
	ended := make(chan struct{})
	go echo(there[0], back[1], ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took []time.Duration
	var failed error
	for range wakeUps {
		begin := time.Now()
		if failed = bounce(there[1], back[0]); failed != nil {
			break
		}
		took = append(took, time.Since(begin)/2)
	}
	failed = errors.Join(failed, unix.Close(there[1])) // the echo ends by it
	<-ended
	return median(took), failed
}

// echo sends back what it reads until there is no more.
func echo(from, to int, ended chan<- struct{}) {
	defer close(ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	one := make([]byte, 1)
	for {
		if n, err := unix.Read(from, one); n != 1 || err != nil {
			return
		}
		if _, err := unix.Write(to, one); err != nil {
			return
		}
	}
}

func bounce(to, from int) error {
	one := []byte{1}
	if _, err := unix.Write(to, one); err != nil {
		return err
	}
	_, err := unix.Read(from, one)
	return err
}

// syncedWrite is the median of a page appended and synced, in microseconds.
func syncedWrite(directory string) (us float64, err error) {
	file, err := os.CreateTemp(directory, "yardstick-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	var took []time.Duration
	for range syncs {
		begin := time.Now()
		if _, err := file.Write(make([]byte, page)); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	return median(took), nil
}

func median(took []time.Duration) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[len(took)/2]) / float64(time.Microsecond)
}
