package ownview

import (
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

const (
	// WatchInterval is how often a process looks at itself.
	WatchInterval = 100 * time.Millisecond
	// doubtLateness is how late this process's own loops may run before its view stops counting: a stall or a suspend makes
	// healthy targets look dead.
	doubtLateness = 500 * time.Millisecond
	// doubtStep is by how much the wall clock must step to be trouble. Nothing is decided by it, but what sets a clock may have
	// done more to this machine: a snapshot that was resumed, a move to another host.
	doubtStep = time.Second
	// doubtLeast is the least that a doubt lasts after its cause.
	doubtLeast = 500 * time.Millisecond
	// offerInterval is how often an arbiter that doubts its view says so to its Controller, which offers its leadership.
	offerInterval = time.Second
)

// Lateness says how well this process kept up: the longest stall that ended since a moment or still lasts, and the largest step
// of the wall clock since then.
type Lateness struct {
	Worst time.Duration
	Step  time.Duration
}

// trouble is what has happened to this process that its looks can't be trusted for.
func (l Lateness) trouble() string {
	switch {
	case l.Worst > doubtLateness:
		return fmt.Sprintf("ran %s late itself", l.Worst.Round(time.Millisecond))
	case l.Step >= doubtStep:
		return fmt.Sprintf("had its wall clock stepped by %s", l.Step.Round(time.Millisecond))
	}
	return ""
}

// lateness is the doubt of an arbiter whose own loops ran late.
type lateness struct {
	why       string // empty if they don't
	until     time.Duration
	nextOffer time.Duration // of leadership
}

// Doubt is what an arbiter thinks of its own view.
type Doubt struct {
	Why     string // empty: it trusts it
	Passing bool   // it is but the moment that a reference point takes to answer
	Changes bool   // the leader is to be told
	Offer   bool   // the Controller is to hear of it, so that leadership is handed on
}

// Watch is how this arbiter looks at itself, every WatchInterval: l is how well the process kept up since the last time. Afterwards it doubts its
// view for a while if it didn't, and as long as it is cut off.
func (v *View) Watch(m Moment, l Lateness) Doubt {
	switch why := l.trouble(); {
	case why != "":
		v.late.why, v.late.until = why, m.Boot+doubtFor(m.State)
	case m.Boot >= v.late.until:
		v.late.why = ""
	}
	v.judge(m)
	lasting := v.self.CutOff || v.late.why != ""
	d := Doubt{Why: v.doubt, Passing: v.doubt != "" && !lasting, Changes: v.doubt != v.told, Offer: lasting && m.Boot >= v.late.nextOffer}
	if d.Offer {
		v.late.nextOffer = m.Boot + offerInterval
	}
	return d
}

// doubtFor is how long a doubt lasts after its cause: looks that began during the stall have ended by then.
func doubtFor(s *failover.State) time.Duration {
	longest := doubtLeast
	for _, g := range s.Groups {
		for _, c := range g.Spec.Health.Checks {
			longest = max(longest, c.Timeout)
		}
	}
	return longest
}
