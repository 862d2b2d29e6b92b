package arbiter

import (
	"context"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// Target is one member to be watched.
type Target struct {
	Group     failover.GroupName
	Member    failover.MemberSpec
	Spec      *failover.Spec
	SpecSince failover.Index // the entry that brought the spec
}

// Report is what a Prober tells of each look.
type Report = ownview.Report

// Told is when a look was made that was told something.
type Told = ownview.Told

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

// Lateness says how well this process kept up.
type Lateness = ownview.Lateness

// targets lists what a state asks to be watched.
func targets(s *failover.State) []Target {
	var all []Target
	for _, g := range s.Groups {
		for _, m := range g.Spec.Members {
			all = append(all, Target{Group: g.Name, Member: m, Spec: g.Spec, SpecSince: g.SpecSince})
		}
	}
	return all
}
