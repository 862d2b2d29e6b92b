package secret

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// hungDisk is a Reader of files of which those below /hung don't answer before they are let go, and the most reads that there were at once.
func hungDisk(letGo <-chan struct{}) (r *Reader, most func() int64) {
	var reading, highest atomic.Int64
	return &Reader{Open: func(path string) (File, error) {
		now := reading.Add(1)
		defer reading.Add(-1)
		for was := highest.Load(); now > was && !highest.CompareAndSwap(was, now); was = highest.Load() {
		}
		if strings.HasPrefix(path, "/hung/") {
			<-letGo
		}
		return File{Content: []byte(path)}, nil
	}}, highest.Load
}

// readAll asks for all files at once, for so long.
func readAll(t *testing.T, r *Reader, limit time.Duration, paths []string) []error {
	errs := make([]error, len(paths))
	var all sync.WaitGroup
	for i, path := range paths {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, errs[i] = r.ReadFile(ctx, path)
		})
	}
	all.Wait()
	return errs
}

func paths(folder string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s/%d", folder, i))
	}
	return all
}

// A thousand files of a folder that hangs cost the threads of a few reads, and keep nobody from the files of other folders.
func TestReadsOfAFolderThatHangsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		r, most := hungDisk(letGo)
		start := time.Now()
		const full = "(16 reads in /hung/a have not ended, and no more are begun)"
		for _, err := range readAll(t, r, time.Second, paths("/hung/a", 1000)) {
			if !errors.Is(err, ErrNotInTime) || !strings.Contains(err.Error(), full) {
				t.Fatalf("got %v", err)
			}
		}
		if took := time.Since(start); took != time.Second || most() != readsAtOnceInFolder {
			t.Errorf("it took %s, with up to %d reads at once", took, most())
		}
		for _, err := range readAll(t, r, time.Second, paths("/well", 1000)) {
			if err != nil {
				t.Fatalf("in another folder: %v", err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("another folder waited %s", took-time.Second)
		}
		close(letGo)
		for _, err := range readAll(t, r, time.Second, paths("/hung/a", 1000)) {
			if err != nil {
				t.Fatalf("after it was let go: %v", err)
			}
		}
		synctest.Wait()
		if len(r.places.folders) != 0 || len(r.places.taken) != 0 {
			t.Errorf("still kept: %d folders, %d reads", len(r.places.folders), len(r.places.taken))
		}
		if n := len(r.reads.underWay); n != 0 {
			t.Errorf("%d reads are under way", n)
		}
	})
}

// However many folders hang, there are only so many reads.
func TestReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		r, most := hungDisk(letGo)
		var all []string
		for folder := range 50 {
			all = append(all, paths(fmt.Sprintf("/hung/%d", folder), 10)...)
		}
		for _, err := range readAll(t, r, time.Second, all) {
			if !errors.Is(err, ErrNotInTime) || !strings.Contains(err.Error(), "(64 reads have not ended, and no more are begun)") {
				t.Fatalf("got %v", err)
			}
		}
		if most() != readsAtOnce {
			t.Errorf("up to %d reads at once", most())
		}
		close(letGo)
	})
}

// A file that hangs may be asked for every second for days: whoever gives it up leaves nothing behind.
func TestReadersThatGaveUpLeaveNothingBehind(t *testing.T) {
	letGo := make(chan struct{})
	defer close(letGo)
	r, _ := hungDisk(letGo)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	giveUp := func(times int) {
		for range times {
			if _, err := r.ReadFile(over, "/hung/a"); !errors.Is(err, ErrNotInTime) {
				t.Fatalf("got %v", err)
			}
		}
	}
	const times, each = 20_000, 32 // bytes; a channel for each takes five times that much
	giveUp(1)
	before := heap()
	giveUp(times)
	if more := heap() - before; more > times*each {
		t.Errorf("%d readers left %d bytes behind", times, more)
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
