package failover

import "time"

// SelfDoubt is an arbiter's doubt of its own view for want of reference points. Targets alone can't tell an arbiter whether they
// are gone or it is cut off itself; addresses that have nothing to do with them can. The zero value is no doubt.
type SelfDoubt struct {
	On bool // the view doesn't count
	// CutOff is true once reference points were waited for in vain: more than the moment that their answer takes.
	CutOff bool
	until  time.Duration // how long being cut off lasts at the most once reference points answer again
}

// answerTakes is how long a reference point may take to answer before it is missed: several round trips between continents, and
// less than it takes TCP to try a second time, which could bridge a short cut unnoticed.
const answerTakes = 250 * time.Millisecond

// Surroundings are what an arbiter knows when it judges itself. All times are on its boot-time clock.
type Surroundings struct {
	Now    time.Duration
	Groups []GroupSight // groups with a failing member; others need not be listed
	Points []PointSight
	// Settle is how long it takes until what is thought of every failing member rests on looks that began later than now.
	Settle time.Duration
}

// GroupSight is one group with failing members.
type GroupSight struct {
	Members int // of the group, failing or not
	Failing []MemberSight
	// Reached is when the latest look at each of the other members began that was answered over a new connection. What goes on over
	// connections that are open says nothing of what can be reached.
	Reached []time.Duration
}

// MemberSight is a member whose looks fail, or which is still said to be down by earlier ones.
type MemberSight struct {
	Since time.Duration // when it failed: the latest of its checks to do so before it was said to be down
	Down  bool          // the view says that it is down
}

// PointSight is the latest finished look at one reference point.
type PointSight struct {
	Began    time.Duration
	Answered bool
}

// Next judges anew. An arbiter doubts itself when it says "down" of a member, and since that member failed it reached neither half of
// the members of that group nor any reference point: by a new connection, in a look that began after the failure. So one that answered
// before proves nothing, and neither does one that has not answered yet: the view waits for it, not the other way round. Without
// reference points there is no doubt.
//
// "Most" of the targets are missed in each group, not over all of them: the groups are looked at one after the other, and the first ones
// to fail would have counted as down before most of a fleet had failed. Half is not most: of a primary and its only standby one may crash.
//
// When reference points answer again after a cut, the looks made before still say "down". The doubt outlasts them.
func (d SelfDoubt) Next(s Surroundings) SelfDoubt {
	unproven, missed := s.unproven()
	switch {
	case missed:
		return SelfDoubt{On: true, CutOff: true, until: s.Now + s.Settle}
	case d.CutOff && s.saysDown() && s.Now < d.until:
		return d
	}
	return SelfDoubt{On: unproven}
}

// Waits says that the view doesn't count until a reference point has answered, which it may do any moment.
func (d SelfDoubt) Waits() bool { return d.On && !d.CutOff }

// NeedsLook says whether reference points must be looked at: a member failed after all looks at them began that are finished or under
// way, and most of its group were not reached since. began is when the newest of those looks began.
func (s Surroundings) NeedsLook(began time.Duration) bool {
	for _, g := range s.Groups {
		for _, m := range g.Failing {
			if m.Since > began && g.mostMissed(m.Since) {
				return true
			}
		}
	}
	return false
}

// Troubled says whether reference points must be looked at again and again: a member fails, and most of its group were not reached since.
func (s Surroundings) Troubled() bool { return s.NeedsLook(-1) }

// unproven says whether the view says "down" of a member although it was not proven since that this arbiter reaches anything; missed,
// whether a reference point should have answered by now.
func (s Surroundings) unproven() (unproven, missed bool) {
	if len(s.Points) == 0 {
		return false, false
	}
	for _, g := range s.Groups {
		for _, m := range g.Failing {
			if m.Down && g.mostMissed(m.Since) && !s.reachedSince(m.Since) {
				unproven = true
				missed = missed || s.Now-m.Since >= answerTakes || s.allSilentSince(m.Since)
			}
		}
	}
	return unproven, missed
}

func (s Surroundings) saysDown() bool {
	for _, g := range s.Groups {
		for _, m := range g.Failing {
			if m.Down {
				return true
			}
		}
	}
	return false
}

func (s Surroundings) reachedSince(t time.Duration) bool {
	for _, p := range s.Points {
		if p.Answered && p.Began >= t {
			return true
		}
	}
	return false
}

func (s Surroundings) allSilentSince(t time.Duration) bool {
	for _, p := range s.Points {
		if p.Answered || p.Began < t {
			return false
		}
	}
	return true
}

// mostMissed says whether fewer than half of the members were reached since a time.
func (g GroupSight) mostMissed(since time.Duration) bool {
	reached := 0
	for _, began := range g.Reached {
		if began >= since {
			reached++
		}
	}
	return 2*reached < g.Members
}
