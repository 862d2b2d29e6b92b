package probe

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// group is what is known of one group's members together.
type group struct {
	members map[failover.MemberName]*member
	growth  growth
}

// member is one target with its checks.
type member struct {
	target   Target
	tasks    []*task // sorted by name
	reported failover.Observation
	held     held
}

// held is the connection that is kept open to a member.
type held struct {
	open    bool // a Hold is under way
	cancel  context.CancelFunc
	began   time.Duration
	short   int           // how many in a row didn't last
	notYet  time.Duration // no new one before this, boot clock
	checker string        // name of the check that holds it
}

const (
	// holdLasted is how long a held connection must have lasted not to count as one that the member doesn't tolerate.
	holdLasted = 5 * time.Second
	// longestHoldPause bounds the pause before another try to hold a connection that doesn't last.
	longestHoldPause = time.Minute
)

// pause is how long to wait before holding a connection again.
func (h *held) pause(lasted, interval time.Duration) time.Duration {
	if lasted >= holdLasted {
		h.short = 0
		return 0
	}
	h.short = min(h.short+1, 16)
	return min(longestHoldPause, interval<<h.short)
}

// excuse forgets connections that didn't last: the member was dead, which is another reason than not tolerating them.
func (h *held) excuse() { h.short, h.notYet = 0, 0 }

// holder returns the task that holds the member's connection, nil if none can: the one whose checker asks the most of the
// member, a required one first.
func (m *member) holder() *task {
	var best *task
	for _, t := range m.tasks {
		if _, can := t.checker.(Holder); can && (best == nil || holdRank(t) > holdRank(best)) {
			best = t
		}
	}
	return best
}

func holdRank(t *task) int {
	rank := 0
	if t.check.Required {
		rank += 2
	}
	if t.check.Kind != failover.CheckTCP {
		rank++
	}
	return rank
}

// counting returns the tasks whose looks decide: the required ones, or all if none is.
func (m *member) counting() []*task {
	var required []*task
	for _, t := range m.tasks {
		if t.check.Required {
			required = append(required, t)
		}
	}
	if len(required) == 0 {
		return m.tasks
	}
	return required
}

// informant is the task that knows most recently what the member says of itself, nil if none does.
func (m *member) informant() *task {
	var best *task
	for _, t := range m.tasks {
		if t.facts.Role != failover.RoleUnknown && (best == nil || t.last.Began > best.last.Began) {
			best = t
		}
	}
	return best
}

// bad says whether the latest look of some check that counts was dead or failing.
func (m *member) bad() bool {
	return slices.ContainsFunc(m.counting(), func(t *task) bool {
		class := failover.ClassOf(t.last.Evidence.Reason)
		return t.last.Ended != 0 && (class == failover.EvidenceDead || class == failover.EvidenceFailing)
	})
}

// role is what the member is known as.
func (m *member) role() failover.Role {
	if t := m.informant(); t != nil {
		return t.facts.Role
	}
	return failover.RoleUnknown
}

// report puts together what all checks of the member say. It is the only place that moves Since.
func (m *member) report(wall failover.WallTime) Report {
	o := failover.Observation{Group: m.target.Group, Member: m.target.Member.Name, Since: m.reported.Since}
	for _, t := range m.tasks {
		o.Checks = append(o.Checks, failover.CheckState{Name: t.check.Name, Evidence: t.judge.state})
	}
	basis := m.counting()
	first := basis[0].last
	r := Report{Address: m.target.Member.Address, SpecSince: first.SpecSince, Began: first.Began, Ended: first.Ended, Towards: m.towards()}
	o.AsOf = first.AsOf
	for _, t := range basis[1:] {
		r.Began, r.Ended = min(r.Began, t.last.Began), min(r.Ended, t.last.Ended)
		o.AsOf, r.SpecSince = min(o.AsOf, t.last.AsOf), min(r.SpecSince, t.last.SpecSince)
	}
	if t := m.informant(); t != nil {
		o.Facts = t.facts
		r.ToldBegan, r.ToldEnded = t.told.began, t.told.ended
		o.AsOf = min(o.AsOf, t.last.AsOf)
	} else {
		o.Facts.Old = slices.ContainsFunc(m.tasks, func(t *task) bool { return t.facts.Old && t.check.Kind.TellsFacts() })
	}
	if o.Since == 0 || !failover.SameSight(m.reported, o) {
		o.Since = wall
	}
	m.reported = o
	r.Observation = o
	return r
}

// towards lists what the thresholds of the checks hold back.
func (m *member) towards() []failover.BadLooks {
	var all []failover.BadLooks
	for _, t := range m.tasks {
		if n, latest := t.judge.towards(); n > 0 {
			all = append(all, failover.BadLooks{Check: t.check.Name, Count: n, Latest: latest})
		}
	}
	return all
}

func sortTasks(tasks []*task) {
	slices.SortFunc(tasks, func(a, b *task) int { return strings.Compare(a.check.Name, b.check.Name) })
}
