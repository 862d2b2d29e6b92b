package sim

import "time"

// Result is what came of one run.
type Result struct {
	Seed      uint64
	Violation *Violation // nil: none
	Hash      uint64     // of all that happened
	Virtual   time.Duration
	Lines     []string // the timeline, if it was kept
	counts    counts
}

// Play runs a plan. The same plan always gives the same result. keep keeps the timeline.
func Play(p *Plan, keep bool) Result {
	s := newSim(p, keep)
	s.run()
	return Result{Seed: p.Seed, Violation: s.failure, Hash: s.trace.hash.Sum64(), Virtual: s.now, Lines: s.trace.lines, counts: s.counts}
}

// Seed runs the plan of a seed.
func Seed(seed uint64) Result { return Play(Draw(seed), false) }
