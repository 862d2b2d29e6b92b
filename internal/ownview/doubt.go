package ownview

import (
	"cmp"
	"maps"
	"slices"
	"strings"
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

// noteTrouble follows which members fail and which are reached, and says whether to look at the reference points, which may be when one fails.
// It goes by single looks, which fail before the thresholds are reached: so what the reference points say is known by the time that it counts.
func (v *View) noteTrouble(m Moment, key Key, r Report) (look bool) {
	if r.Reached > 0 {
		v.reached[key] = r.Reached
	}
	t := v.troubles[key]
	if t == nil && !r.Dead {
		return false
	}
	spec := m.State.Group(key.Group).Spec
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
		t.since = m.Boot
	}
	maps.DeleteFunc(t.checks, func(name string, _ bool) bool { return !hasCheck(spec, name) })
	status, _ := spec.StatusOf(r.Observation)
	if t.down = status == failover.StatusDown; !t.down && len(t.checks) == 0 {
		delete(v.troubles, key)
	}
	return begins && v.surroundings(m).NeedsLook(m.Points.Newest) // only then may another look be needed
}

func hasCheck(s *failover.Spec, name string) bool {
	return slices.ContainsFunc(s.Health.Checks, func(c failover.Check) bool { return c.Name == name })
}

// surroundings are what this arbiter judges itself by.
func (v *View) surroundings(m Moment) failover.Surroundings {
	s := failover.Surroundings{Now: m.Boot, Points: m.Points.Sights}
	groups := map[failover.GroupName]failover.GroupSight{}
	for key, t := range v.troubles {
		g := m.State.Group(key.Group)
		if g == nil {
			continue // deleted just now
		}
		sight, known := groups[key.Group]
		if !known {
			sight.Members, sight.Reached = len(g.Members), v.reachedOf(g)
		}
		sight.Failing = append(sight.Failing, failover.MemberSight{Since: t.since, Down: t.down})
		groups[key.Group] = sight
		for _, c := range g.Spec.Health.Checks {
			s.Settle = max(s.Settle, c.Timeout+time.Duration(max(c.Failures, c.Successes, 1))*c.Interval)
		}
	}
	for _, sight := range groups { // in any order: it is asked for any and all
		s.Groups = append(s.Groups, sight)
	}
	return s
}

// reachedOf is when the members of a group that don't fail were reached last.
func (v *View) reachedOf(g *failover.Group) (list []time.Duration) {
	for _, m := range g.Members {
		if key := (Key{Group: g.Name, Member: m.Name}); v.troubles[key] == nil {
			list = append(list, v.reached[key])
		}
	}
	return list
}

// Troubled says whether the reference points must be looked at again and again.
func (v *View) Troubled(m Moment) bool { return v.surroundings(m).Troubled() }

// judge settles whether this arbiter doubts its view. While nothing fails it costs nothing.
func (v *View) judge(m Moment) {
	cutOff := ""
	if len(v.troubles) > 0 {
		v.self = v.self.Next(v.surroundings(m))
	} else {
		v.self = failover.SelfDoubt{}
	}
	switch {
	case v.self.CutOff:
		cutOff = "can't reach its reference points (" + strings.Join(m.Points.Names, ", ") + ")"
	case v.waits(): // only a whole view says so
		cutOff = "waits for an answer of its reference points (" + strings.Join(m.Points.Names, ", ") + ")"
	}
	v.doubt = cmp.Or(cutOff, v.late.why)
}

// waits says whether changes are kept back until a reference point has answered, or should have: they would be told with a doubt that
// is gone a moment later.
func (v *View) waits() bool { return v.self.Waits() && v.late.why == "" }

// Doubts says why this arbiter doubts its view, as far as it was judged last; empty if it doesn't.
func (v *View) Doubts() (why string) { return v.doubt }
