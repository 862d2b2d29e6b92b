package failover

import (
	"fmt"
	"slices"
	"time"
)

// Brake is the fleet brake: automation holds for a group while more than Percent of all adopted groups, and at least Count groups,
// have a primary that is down and turned down at about the same time.
type Brake struct {
	Percent int
	Count   int
}

// DefaultBrake stops a failure of the arbiters' own making from spreading, and lets a small fleet lose a zone.
func DefaultBrake() Brake { return Brake{Percent: 50, Count: 5} }

// brakeWindow is how near to each other groups turn down at the same time. It is many times what it takes to see one fault from
// everywhere; a group that stays down for days, held until somebody mends it, says nothing of the next one.
const brakeWindow = 10 * time.Minute

// Fleet counts groups, so that the fleet brake need not look at each of them.
type Fleet struct {
	Adopted int
	Down    int // of those: with a primary that is down, or an automatic failover in progress
	// Turned is when each of those turned down, sorted. Times of entries are compared with each other only: nothing rests on what
	// time it is.
	Turned []WallTime
}

// near is how many groups turned down near a time.
func (f Fleet) near(at WallTime) int {
	first, _ := slices.BinarySearch(f.Turned, at-WallTime(brakeWindow))
	after, _ := slices.BinarySearch(f.Turned, at+WallTime(brakeWindow)+1)
	return after - first
}

// recount keeps the counts of the fleet, from what this entry changed.
func (c *change) recount() {
	fleet, own := &c.state.Fleet, false
	for _, name := range c.touched {
		was, is := c.before.Group(name), c.state.Group(name)
		fleet.Adopted += is.countsAs() - was.countsAs()
		if was.downSince() == is.downSince() {
			continue
		}
		if !own { // the state before has it too
			fleet.Turned, own = slices.Clone(fleet.Turned), true
		}
		turned := fleet.Turned
		if at, ok := slices.BinarySearch(turned, was.downSince()); ok {
			turned = slices.Delete(turned, at, at+1)
		}
		if since := is.downSince(); since != 0 {
			at, _ := slices.BinarySearch(turned, since)
			turned = slices.Insert(turned, at, since)
		}
		fleet.Turned, fleet.Down = turned, len(turned)
	}
}

// countsAs is 1 for an adopted group, 0 for another one, or none.
func (g *Group) countsAs() int {
	if g == nil || !g.Adopted {
		return 0
	}
	return 1
}

// downSince is DownSince of a group that counts.
func (g *Group) downSince() WallTime {
	if g.countsAs() == 0 {
		return 0
	}
	return g.DownSince
}

// noteDown notes when the group turned down: its primary is, or it is being failed over for that.
func (g *Group) noteDown(now WallTime) {
	writer := g.Member(g.Writer())
	down := g.Operation != nil && g.Operation.Automatic && g.Operation.Kind == KindFailover || writer != nil && writer.Verdict == StatusDown
	switch {
	case !down:
		g.DownSince = 0
	case g.DownSince == 0:
		g.DownSince = max(now, 1)
	}
}

// brakeGuard holds automation when too much of the fleet turned down at once: then the fault is more likely on this side. For a group
// that is not down it reckons with those that turned down last.
func brakeGuard(s *State, g *Group) Guard {
	at := g.DownSince
	if n := len(s.Fleet.Turned); at == 0 && n > 0 {
		at = s.Fleet.Turned[n-1]
	}
	down, all := s.Fleet.near(at), s.Fleet.Adopted
	braked := down >= s.Brake.Count && down*100 > s.Brake.Percent*all
	released := g.Operation != nil && g.Operation.released(HoldFleetBrake)
	return Guard{Name: guardBrake, OK: !braked || released, Hold: HoldFleetBrake, Detail: fmt.Sprintf(
		"%d of %d groups turned down at about the same time and are down; automation holds from %d groups and more than %d %%",
		down, all, s.Brake.Count, s.Brake.Percent)}
}
