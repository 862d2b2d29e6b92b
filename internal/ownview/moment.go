package ownview

import (
	"cmp"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Moment is when a View is asked something: all that it judges by and doesn't keep itself.
type Moment struct {
	Boot   time.Duration   // on this process's boot-time clock
	State  *failover.State // the newest that is applied here
	Points Points
}

// Points are the reference points: addresses by which this arbiter tells its own trouble from its targets'.
type Points struct {
	Names  []string              // for people
	Sights []failover.PointSight // the latest finished look at each
	Newest time.Duration         // when the newest round of looks began
}

// When reference points are looked at.
const (
	// PointsIdle is how often reference points are looked at while all is well, so that the log tells of one that never answers.
	PointsIdle = 30 * time.Second
	// PointsTroubled is how often after a member failed, until most of its group were reached.
	PointsTroubled = time.Second
	// PointsPause is the least between two rounds: the members of a large fleet fail one after the other.
	PointsPause = 20 * time.Millisecond
	// PointsTimeout is how long a look may take.
	PointsTimeout = time.Second
)

// Key names a member of any group.
type Key struct {
	Group  failover.GroupName
	Member failover.MemberName
}

// Compare orders keys by group, then by member.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Group, other.Group), cmp.Compare(k.Member, other.Member))
}

// Report is an observation after each look, with the boot times between which the look was made.
type Report struct {
	Observation failover.Observation
	Address     string         // of the member, where the look was made
	SpecSince   failover.Index // of the group's spec that the looks were made by; the oldest of them
	Began       time.Duration
	Ended       time.Duration
	// Good is how long the look that ended took, if it found nothing wrong; 0 otherwise. It is about that look alone, while
	// the observation goes on saying "answered" until as many looks failed as the check's threshold asks for.
	Good time.Duration
	// Towards are looks that count towards a check's threshold and have not reached it.
	Towards []failover.BadLooks
	// Check names whose look ended, and Dead says whether that look, before thresholds, found the member dead.
	Check string
	Dead  bool
	// Reached is when that look began, if the member was reached over a new connection; 0 otherwise.
	Reached time.Duration
	// Told is when the look was made in which the member itself told what the observation has of it: what it is and where it stands. Looks that were told
	// nothing since, and the looks of other checks, leave it as it is. It is for people: nothing is decided by it.
	Told Told
}

// Told is when a look was made that was told something; zero if none was.
type Told struct{ Began, Ended time.Duration }

// missed says that the look did not reach the member, whatever the check.
func (r Report) missed() bool { return r.Good == 0 && r.Reached == 0 }

func (r Report) key() Key { return Key{Group: r.Observation.Group, Member: r.Observation.Member} }
