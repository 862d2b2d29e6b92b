package probe

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

const (
	// growthRecheck is when a standby that still streams from a failing primary is looked at a second time: its position
	// then tells whether anybody writes.
	growthRecheck = 25 * time.Millisecond
	// growthIntervals is for how many intervals growth is taken to go on after it was last seen.
	growthIntervals = 3
)

// growth is what the standbys of one group tell about a primary that this arbiter sees failing: positions that grow are a
// witness that somebody writes.
//
// The primary is the member last seen good in that role, so that a former primary which stays dead, or comes back, is not
// mistaken for it. A position counts only against an earlier one that was read after the primary was first seen failing:
// whatever was on its way before is in the earlier one. The witness ends when the standby no longer streams, or hasn't
// grown for growthIntervals.
type growth struct {
	primary  failover.MemberName
	failing  bool
	since    time.Duration // when the look ended that first saw it failing
	standbys map[failover.MemberName]received
}

type received struct {
	position failover.LSN
	grew     bool
	grewAt   time.Duration
}

// sight is what one look, with the latest looks of the same member's other checks, says of that member.
type sight struct {
	member failover.MemberName
	role   failover.Role // what it is known as
	says   failover.Role // what it said in this look, if anything
	bad    bool          // the latest look of some check that counts was dead or failing
	ended  time.Duration
}

// primaryLook takes in a look at any member. It returns true if the group's primary has just been seen failing for the
// first time.
func (g *growth) primaryLook(s sight) bool {
	switch {
	case s.says == failover.RolePrimary && !s.bad, g.primary == "" && s.role == failover.RolePrimary:
		if g.primary != s.member || !s.bad {
			*g = growth{primary: s.member}
		}
	case s.member == g.primary && s.says == failover.RoleStandby:
		*g = growth{}
	}
	if s.member != g.primary {
		return false
	}
	if !s.bad {
		*g = growth{primary: s.member}
		return false
	}
	if g.failing {
		return false
	}
	g.failing, g.since, g.standbys = true, s.ended, map[failover.MemberName]received{}
	return true
}

// standbyLook takes in a look at a standby and says whether its position grows. first is true for the first look that
// counts while the standby streams: a second one is needed to tell.
func (g *growth) standbyLook(member failover.MemberName, look Look, interval time.Duration) (grows, first bool) {
	if !g.failing || look.Facts.Role != failover.RoleStandby || look.Began < g.since {
		return false, false
	}
	seen, known := g.standbys[member]
	if known && look.Facts.Received > seen.position {
		seen.grew, seen.grewAt = true, look.Ended
	}
	seen.position = max(seen.position, look.Facts.Received)
	g.standbys[member] = seen
	if !look.Facts.Streaming {
		return false, false
	}
	return seen.grew && look.Ended-seen.grewAt <= growthIntervals*interval, !known
}
