package ownview

import (
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// View is what this arbiter sees: the newest observation of every member, and which of them the leader knows. Only changes
// are sent; a quiet system sends nothing.
type View struct {
	node     failover.NodeID
	looks    map[Key]Report
	took     map[Key]time.Duration // how long the last good look at each member took
	heard    map[Key]Told          // when the look was made in which a member told what is known of it
	alive    map[Key]string        // the address at which a member was last seen alive
	sent     map[Key]failover.Observation
	words    map[Key]failover.Observation // that a member said it restarts, overtaken by worse before it was sent
	paths    map[Key]failover.FencePath
	troubles map[Key]*trouble
	reached  map[Key]time.Duration      // when the latest look began that reached the member over a new connection
	late     lateness                   // of this arbiter's own loops
	self     failover.SelfDoubt         // for want of reference points
	doubt    string                     // of the two, the one that is told
	told     string                     // the doubt that was sent
	asks     map[failover.GroupName]ask // not answered yet
	answered map[failover.GroupName]ask // answered by a batch that is not known to be applied
	fresh    map[Key]bool               // looks that were news when they came
	unsent   map[Key]bool               // fence paths that have changed
	saidOff  map[Key]time.Duration      // when the devices of a member that was reached said that it is off, on the boot clock, until a look misses it
	worked   map[Key]time.Duration      // when a fence path answered last that it works, on the boot clock
	specs    Specs
	sequence uint64
}

// New is the view of an arbiter that has seen nothing yet.
func New(node failover.NodeID) *View {
	return &View{
		node: node, looks: map[Key]Report{}, took: map[Key]time.Duration{}, heard: map[Key]Told{}, alive: map[Key]string{},
		sent: map[Key]failover.Observation{}, words: map[Key]failover.Observation{}, paths: map[Key]failover.FencePath{},
		troubles: map[Key]*trouble{}, reached: map[Key]time.Duration{},
		fresh: map[Key]bool{}, unsent: map[Key]bool{}, worked: map[Key]time.Duration{}, saidOff: map[Key]time.Duration{}, specs: Specs{},
		asks: map[failover.GroupName]ask{}, answered: map[failover.GroupName]ask{},
	}
}

// Wanted is what is to be done after a report was taken.
type Wanted struct {
	Changes bool // there may be something to send
	Points  bool // the reference points are to be looked at now
}

// Observe takes the report of a look.
func (v *View) Observe(m Moment, r Report) (w Wanted) {
	key := r.key()
	if stray(m.State, key, r.Address) {
		return w
	}
	if m.State.Group(key.Group).Spec.Hears(r.Observation) {
		v.alive[key] = r.Address
	}
	address, heard := v.alive[key]
	r.Observation.Heard = heard && address == r.Address
	v.keepWords(m.State, key, r.Observation)
	v.looks[key] = r
	if r.Good > 0 {
		v.took[key] = r.Good
	}
	if r.Told != (Told{}) {
		v.heard[key] = r.Told
	}
	w.Points = v.noteTrouble(m, key, r)
	contradicted := v.contradictPath(key, r)
	// Most looks see what was seen before: with thousands of members nobody may go through all of them at each look, or at each change.
	if v.news(m.State, key) {
		v.fresh[key] = true
	}
	_, asked := v.asks[key.Group]
	w.Changes = asked || v.fresh[key] || contradicted
	return w
}

// contradictPath notes that a member is well, by a look that began after its devices had said that it is off, with no look in between that missed
// it, so that it was not off for a moment: they are another machine's, or call things off that are not. Looks of all checks are in between, also
// those that count for nothing or find something wrong with what they reach.
func (v *View) contradictPath(key Key, r Report) (news bool) {
	since, said := v.saidOff[key]
	switch {
	case !said:
		return false
	case r.missed():
		delete(v.saidOff, key)
		return false
	case r.Good == 0 || r.Reached <= since:
		return false
	}
	delete(v.saidOff, key)
	path := v.paths[key]
	path.Contradicted = true
	v.paths[key], v.unsent[key] = path, true
	return true
}

// stray says that a look was made at a member that was removed meanwhile, or at an address that is no longer its own: it began after the
// spec had changed and before the prober knew, so that its index does not show it (S0).
func stray(s *failover.State, key Key, address string) bool {
	if member(s, key) == nil {
		return true
	}
	spec, ok := s.Group(key.Group).Spec.Member(key.Member)
	return ok && spec.Address != address
}

// member is the state of a member, nil if it was removed.
func member(s *failover.State, key Key) *failover.Member {
	if g := s.Group(key.Group); g != nil {
		return g.Member(key.Member)
	}
	return nil
}

// keepWords keeps an observation in which a member says that it restarts, if the next one overtakes it: that it refuses then is seen
// milliseconds later, and means something else without it.
func (v *View) keepWords(s *failover.State, key Key, next failover.Observation) {
	before := v.looks[key].Observation
	switch {
	case !hasReason(next, isDead):
		delete(v.words, key)
	case hasReason(before, failover.SaysRestarting) && !hasReason(next, failover.SaysRestarting) && v.news(s, key):
		v.words[key] = before
	}
}

func hasReason(o failover.Observation, match func(failover.Reason) bool) bool {
	return slices.ContainsFunc(o.Checks, func(c failover.CheckState) bool { return match(c.Evidence.Reason) })
}

func isDead(r failover.Reason) bool { return failover.ClassOf(r) == failover.EvidenceDead }

// Bounds of AnswerWait.
const (
	answerWaitLeast = 25 * time.Millisecond
	answerWaitMost  = 250 * time.Millisecond
)

// AnswerWait is how long a member that is said to be off is given to accept a connection, to show the opposite. A good look takes
// several round trips and a disk write, so twice the last one is many times what accepting takes; where none was seen the most is given.
func (v *View) AnswerWait(key Key) time.Duration {
	took, ok := v.took[key]
	if !ok {
		return answerWaitMost
	}
	return min(max(2*took, answerWaitLeast), answerWaitMost)
}

// SetPath takes what is known of the way to a member's fence, and says whether there may be something to send.
func (v *View) SetPath(m Moment, p failover.FencePath) (changed bool) {
	key := Key{Group: p.Group, Member: p.Member}
	now := member(m.State, key)
	if now == nil {
		return false // removed while it was asked
	}
	known, ok := v.paths[key]
	outdated := known.AsOf < now.Since // that of a machine that the member no longer is
	off := p.Armed && p.Off
	p.Contradicted = known.Contradicted && !outdated && (off || now.FenceContradicted == "") // until it is in the log, whatever they say now
	last, looked := v.looks[key]
	if v.paths[key] = p; off && looked && !last.missed() && !p.Contradicted {
		v.saidOff[key] = m.Boot
	} else {
		delete(v.saidOff, key)
	}
	if p.Armed {
		v.worked[key] = m.Boot
	}
	changed = !ok || !known.SameWay(p) || outdated
	if changed {
		v.unsent[key] = true
	}
	return changed
}

// Look returns the newest observation of a member.
func (v *View) Look(key Key) (Report, bool) {
	r, ok := v.looks[key]
	return r, ok
}

// Heard is when a member told what is known of what it is and where it stands, on the boot clock; false if it never did.
func (v *View) Heard(key Key) (Told, bool) {
	at, ok := v.heard[key]
	return at, ok
}

// PathWorked is when a fence path answered last that it works, on the boot clock; false if it never did.
func (v *View) PathWorked(key Key) (time.Duration, bool) {
	at, ok := v.worked[key]
	return at, ok
}

// dropUnknown forgets members that the committed specs no longer have.
func (v *View) dropUnknown(s *failover.State) {
	if !v.specs.Follow(s) {
		return
	}
	for key := range v.looks {
		if member(s, key) == nil {
			delete(v.looks, key)
			delete(v.took, key)
			delete(v.heard, key)
			delete(v.alive, key)
			delete(v.sent, key)
			delete(v.words, key)
			delete(v.troubles, key)
			delete(v.reached, key)
			delete(v.fresh, key)
		}
	}
	for key := range v.paths {
		if member(s, key) == nil {
			delete(v.paths, key)
			delete(v.unsent, key)
			delete(v.worked, key)
			delete(v.saidOff, key)
		}
	}
}
