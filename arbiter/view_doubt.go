package arbiter

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// trouble is what fails at one member.
type trouble struct {
	checks map[string]bool // whose latest looks found the member dead
	since  time.Duration   // when the latest of them began to, before the view said that the member is down
	down   bool            // this view says that the member is down
}

// waitPause is the longest that a view which waits for its reference points sleeps; their answer wakes it.
const waitPause = 20 * time.Millisecond

// noteTrouble follows which members fail and which are reached, and asks for a look at the reference points when one fails. It goes by single
// looks, which fail before the thresholds are reached: so what the reference points say is known by the time that it counts.
func (v *view) noteTrouble(key memberKey, r Report) {
	if r.Reached > 0 {
		v.reached[key] = r.Reached
	}
	t := v.troubles[key]
	if t == nil && !r.Dead {
		return
	}
	g := v.state().Group(key.group)
	if g == nil {
		return
	}
	if t == nil {
		t = &trouble{checks: map[string]bool{}}
		v.troubles[key] = t
	}
	begins := r.Dead && !t.checks[r.Check]
	if begins {
		t.checks[r.Check] = true
	} else if !r.Dead {
		delete(t.checks, r.Check)
	}
	if begins && !t.down {
		t.since = v.clock.Boot()
	}
	maps.DeleteFunc(t.checks, func(name string, _ bool) bool { return !hasCheck(g.Spec, name) })
	status, _ := g.Spec.StatusOf(r.Observation)
	if t.down = status == failover.StatusDown; !t.down && len(t.checks) == 0 {
		delete(v.troubles, key)
	}
	if begins { // only then may another look be needed
		if s, newest := v.surroundings(); s.NeedsLook(newest) {
			v.references.ask()
		}
	}
}

func hasCheck(s *failover.Spec, name string) bool {
	return slices.ContainsFunc(s.Health.Checks, func(c failover.Check) bool { return c.Name == name })
}

// surroundings are what this arbiter judges itself by; newest is when the newest looks at the reference points began.
func (v *view) surroundings() (s failover.Surroundings, newest time.Duration) {
	s.Now = v.clock.Boot()
	groups := map[failover.GroupName]failover.GroupSight{}
	for key, t := range v.troubles {
		g := v.state().Group(key.group)
		if g == nil {
			continue // deleted just now
		}
		sight, known := groups[key.group]
		if !known {
			sight.Members, sight.Reached = len(g.Members), v.reachedOf(g)
		}
		sight.Failing = append(sight.Failing, failover.MemberSight{Since: t.since, Down: t.down})
		groups[key.group] = sight
		for _, c := range g.Spec.Health.Checks {
			s.Settle = max(s.Settle, c.Timeout+time.Duration(max(c.Failures, c.Successes, 1))*c.Interval)
		}
	}
	for _, sight := range groups {
		s.Groups = append(s.Groups, sight)
	}
	s.Points, newest = v.references.seen()
	return s, newest
}

// reachedOf is when the members of a group that don't fail were reached last.
func (v *view) reachedOf(g *failover.Group) (list []time.Duration) {
	for _, m := range g.Members {
		if key := (memberKey{g.Name, m.Name}); v.troubles[key] == nil {
			list = append(list, v.reached[key])
		}
	}
	return list
}

// troubled says whether the reference points must be looked at again and again.
func (v *view) troubled() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, _ := v.surroundings()
	return s.Troubled()
}

// judge settles whether this arbiter doubts its view. While nothing fails it costs nothing. The caller holds the lock.
func (v *view) judge() {
	cutOff := ""
	if len(v.troubles) > 0 {
		s, _ := v.surroundings()
		v.self = v.self.Next(s)
	} else {
		v.self = failover.SelfDoubt{}
	}
	switch {
	case v.self.CutOff:
		cutOff = "can't reach its reference points (" + v.references.names() + ")"
	case v.waits(): // only a whole view says so
		cutOff = "waits for an answer of its reference points (" + v.references.names() + ")"
	}
	v.doubt = cmp.Or(cutOff, v.late)
}

// waits says whether changes are kept back until a reference point has answered, or should have: they would be told with a doubt that
// is gone a moment later. The caller holds the lock.
func (v *view) waits() bool { return v.self.Waits() && v.late == "" }

// setLate says that this arbiter's own loops ran late, or that they don't any more.
func (v *view) setLate(why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.late = why
	v.judge()
	if v.doubt != v.told {
		v.wake()
	}
}

// doubts says why this arbiter doubts its view, empty if it doesn't, and whether it is cut off.
func (v *view) doubts() (why string, cutOff bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.doubt, v.self.CutOff
}
