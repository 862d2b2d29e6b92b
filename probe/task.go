package probe

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

const (
	// recheckDelay is the default of Options.RecheckDelay.
	recheckDelay = 10 * time.Millisecond
	// firstLookWithin is the time over which the first looks at new targets are spread.
	firstLookWithin = 250 * time.Millisecond
	// shortestInterval keeps a spec without an interval from turning the loop into a busy one.
	shortestInterval = time.Millisecond
)

// task is one check of one member: when its next look is due, which looks are under way, and what they came to.
type task struct {
	member  *member
	check   failover.Check
	checker Checker
	judge   judge
	last    Look           // the look that counted last; zero before the first
	facts   failover.Facts // last known: see learn
	asked   time.Duration  // when it could be asked last, or was known to be dead or failing; the first look at the latest
	told    tellingLook    // the one that they are of
	words   lastWords      // of the held connection

	phase   time.Duration      // offset of the looks within the interval; the same for ever
	tick    time.Duration      // next look at the interval
	extra   time.Duration      // an additional look, none if 0
	place   int                // in the queue, -1 outside
	begun   []time.Duration    // of the looks under way, in their order
	context context.Context    // of the looks; nil before the first
	cancel  context.CancelFunc // ends the looks under way
	dropped bool               // nobody wants to know any more
}

// tellingLook is when a look was made that was told facts.
type tellingLook struct{ began, ended time.Duration }

// phaseOf spreads the looks of many groups, and of several arbiters at the same group, over the interval. The looks at one
// group begin together: what they see of primary and standbys is of one moment, and they share their wake-ups, which cost more
// CPU than anything else here. The phase depends on names only, so that a restart or a change elsewhere moves nothing.
func phaseOf(node failover.NodeID, group failover.GroupName, interval time.Duration) time.Duration {
	h := fnv.New64a()
	for _, part := range []string{string(node), string(group)} {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	sum := h.Sum64()
	sum ^= sum >> 32 // FNV leaves the names' last letters in the low bits
	return time.Duration(sum % uint64(interval))
}

// adjust takes over a check's changed numbers.
func (t *task) adjust(node failover.NodeID, c failover.Check, now time.Duration) {
	c.Interval = max(c.Interval, shortestInterval)
	if c.Timeout <= 0 {
		c.Timeout = c.Interval
	}
	if t.check.Interval != c.Interval {
		first := t.check.Interval == 0
		t.phase = phaseOf(node, t.member.target.Group, c.Interval)
		t.check = c
		t.tick = t.tickAfter(now)
		if first {
			t.lookAgainAt(now + t.phase%firstLookWithin)
		}
	}
	t.check = c
	t.judge.adjust(c)
}

// tickAfter is the first instant of the task's own rhythm after now.
func (t *task) tickAfter(now time.Duration) time.Duration {
	interval := t.check.Interval
	rounds := (now - t.phase) / interval
	if now < t.phase {
		rounds = -1
	}
	return t.phase + (rounds+1)*interval
}

// due is when the next look is to begin.
func (t *task) due() time.Duration {
	if t.extra != 0 {
		return min(t.tick, t.extra)
	}
	return t.tick
}

// limit is how many looks may be under way at once: as many as can overlap by their own rhythm, and one more.
func (t *task) limit() int {
	return int((t.check.Timeout+t.check.Interval-1)/t.check.Interval) + 1
}

// start settles when the following look is due, and says whether one may begin now.
func (t *task) start(now time.Duration) bool {
	if t.tick <= now {
		t.tick = t.tickAfter(now)
	}
	if t.extra != 0 && t.extra <= now {
		t.extra = 0
	}
	if len(t.begun) >= t.limit() {
		return false
	}
	t.begun = append(t.begun, now)
	return true
}

// ended takes one look, by its beginning, out of those under way.
func (t *task) ended(began time.Duration) {
	if i := slices.Index(t.begun, began); i >= 0 {
		t.begun = slices.Delete(t.begun, i, i+1)
	}
}

// overdueAfter is how long after its time-out a look is taken for one that may never come back.
const overdueAfter = time.Second

// hung says that as many looks are under way as may be, and that the first of them should have been back long ago: it does what knows no
// deadline.
func (t *task) hung(now time.Duration) bool {
	return len(t.begun) >= t.limit() && now-t.begun[0] > t.check.Timeout+overdueAfter
}

// lookAgainAt asks for an additional look, unless one is due before.
func (t *task) lookAgainAt(at time.Duration) {
	if t.extra == 0 || at < t.extra {
		t.extra = max(at, 1) // 0 means none
	}
}

// overtaken says whether a look began before the one that counted last: what it saw is older news.
func (t *task) overtaken(look Look) bool {
	return t.last.Ended != 0 && look.Began < t.last.Began
}

// lastWords are a server's word that it restarts, said when it ended the held connection. Few looks meet the moment in which it would
// say so to them.
type lastWords struct {
	evidence failover.Evidence // none if it has no reason
	at       time.Duration
}

// hear keeps last words until the next look.
func (t *task) hear(end holdEnd) {
	if evidence := postgres.Classify(end.lost); failover.SaysRestarting(evidence.Reason) {
		t.words = lastWords{evidence: boundedEvidence(evidence), at: end.at}
	}
}

// heed counts last words as a look of their own, if the next look is turned away, also one that was under way when they were heard: a server refuses
// before it ends its sessions. They mean nothing if the next look that began after them isn't: then just the session was ended.
func (t *task) heed(next Look) bool {
	words := t.words
	turnedAway := next.Evidence.Reason == failover.ReasonRefused || next.Evidence.Reason == failover.ReasonReset
	if words.evidence.Reason == "" || next.Began < words.at && !turnedAway {
		return false
	}
	t.words = lastWords{}
	if !turnedAway {
		return false
	}
	t.judge.count(words.evidence, words.at)
	return true
}

// oldAfter is how long an arbiter may be kept from asking a member, while nothing says that it is dead or fails, before what it told last says nothing
// of what it has written since.
const oldAfter = time.Minute

// learn keeps what the member said of itself. A look that was told nothing keeps what was known (the role and the positions
// of a dead primary bound what is lost with it), except for what must be true now.
func (t *task) learn(look Look) {
	if t.asked == 0 || look.Facts.Role != failover.RoleUnknown || failover.ClassOf(t.judge.state.Reason) != failover.EvidenceCannotTell {
		t.asked = look.Ended
	}
	if look.Facts.Role != failover.RoleUnknown {
		t.told = tellingLook{look.Began, look.Ended}
	}
	switch {
	case look.Facts.Role == failover.RoleUnknown:
		t.facts.AcceptsWrites, t.facts.Streaming, t.facts.ReceivingGrows = false, false, false
		t.facts.Stale = t.facts.Role != failover.RoleUnknown
		t.facts.Old = t.facts.Old || look.Ended-t.asked > oldAfter
	case look.Partial && look.Facts.Role == t.facts.Role:
		// The write was not tried; whether writes are accepted stays as the last whole look left it.
		accepts := t.facts.AcceptsWrites
		t.facts = look.Facts
		t.facts.AcceptsWrites = accepts
	default:
		t.facts = look.Facts
	}
}
