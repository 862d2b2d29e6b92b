package arbiter

import (
	"context"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Target is one member to be watched.
type Target struct {
	Group       failover.GroupName
	Member      failover.MemberSpec
	Spec        *failover.Spec
	SpecVersion uint64
}

// Report is an observation after each look, with the boot times between which the look was made.
type Report struct {
	Observation failover.Observation
	Address     string // of the member, where the look was made
	Began       time.Duration
	Ended       time.Duration
	// Good is how long the look that ended took, if it found nothing wrong; 0 otherwise. It is about that look alone, while
	// the observation goes on saying "answered" until as many looks failed as the check's threshold asks for.
	Good time.Duration
	// Check names whose look ended, and Dead says whether that look, before thresholds, found the member dead.
	Check string
	Dead  bool
	// Reached is when that look began, if the member was reached over a new connection; 0 otherwise.
	Reached time.Duration
}

// Prober looks at members. It judges nothing.
type Prober interface {
	Run(ctx context.Context) error
	// SetTargets replaces what is watched.
	SetTargets(targets []Target)
	// LookAgain looks at all members of a group at once.
	LookAgain(group failover.GroupName)
	// Lateness is how well the prober's own loop kept up since a moment on the boot-time clock.
	Lateness(since time.Duration) Lateness
}

// Lateness says how well this process kept up: the longest stall that ended since a moment or still lasts, and the largest step
// of the wall clock since then.
type Lateness struct {
	Worst time.Duration
	Step  time.Duration
}

// targets lists what a state asks to be watched.
func targets(s *failover.State) []Target {
	var all []Target
	for _, g := range s.Groups {
		for _, m := range g.Spec.Members {
			all = append(all, Target{Group: g.Name, Member: m, Spec: g.Spec, SpecVersion: g.SpecVersion})
		}
	}
	return all
}
