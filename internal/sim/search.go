package sim

import (
	"sync"
	"sync/atomic"
	"time"
)

// Summary is what came of many seeds.
type Summary struct {
	Seeds   int
	Virtual time.Duration
	Took    time.Duration
	Failed  []Result // in the order of their seeds
	counts  counts
}

// Search runs the seeds from first on, on so many goroutines: a run itself has none. progress is called after each with how many are done
// and how many failed; when it returns false no more are begun.
func Search(first uint64, seeds, workers int, progress func(done, failed int) bool) Summary {
	began := time.Now()
	results := make([]Result, seeds)
	var next, done, failures atomic.Int64
	var enough atomic.Bool
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(seeds) && !enough.Load(); i = next.Add(1) - 1 {
				results[i] = Seed(first + uint64(i))
				if results[i].Violation != nil {
					failures.Add(1)
				}
				if n := done.Add(1); progress != nil && !progress(int(n), int(failures.Load())) {
					enough.Store(true)
				}
			}
		})
	}
	wait.Wait()
	s := Summary{Seeds: int(done.Load()), Took: time.Since(began)}
	for _, r := range results {
		s.Virtual += r.Virtual
		s.counts.add(r.counts)
		if r.Violation != nil {
			s.Failed = append(s.Failed, r)
		}
	}
	return s
}
