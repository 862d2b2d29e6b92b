package probe

import (
	"context"
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// setTargets makes the watched groups what the targets say.
func (s *Scheduler) setTargets(targets []Target) {
	wanted := map[failover.GroupName]map[failover.MemberName]bool{}
	for _, target := range targets {
		if wanted[target.Group] == nil {
			wanted[target.Group] = map[failover.MemberName]bool{}
		}
		wanted[target.Group][target.Member.Name] = true
		s.setTarget(target)
	}
	for name, g := range s.groups {
		for memberName, m := range g.members {
			if !wanted[name][memberName] {
				s.dropMember(m)
				delete(g.members, memberName)
			}
		}
		if len(g.members) == 0 {
			delete(s.groups, name)
		}
	}
}

func (s *Scheduler) setTarget(target Target) {
	g := s.groups[target.Group]
	if g == nil {
		g = &group{members: map[failover.MemberName]*member{}}
		s.groups[target.Group] = g
	}
	m := g.members[target.Member.Name]
	if m != nil && m.target.Member.Address != target.Member.Address {
		s.dropMember(m) // another machine: nothing that was seen before says anything of it
		m = nil
	}
	if m == nil {
		m = &member{}
		g.members[target.Member.Name] = m
	}
	m.target = target
	s.setTasks(m)
}

// setTasks makes the member's tasks what its group's spec says.
func (s *Scheduler) setTasks(m *member) {
	now := s.clock.Boot()
	var tasks []*task
	for _, c := range m.target.Spec.Health.Checks {
		t := m.find(c)
		if t == nil {
			t = s.newTask(m, c)
		}
		t.adjust(s.options.Node, c, now)
		s.queue.set(t)
		tasks = append(tasks, t)
	}
	for _, old := range m.tasks {
		if !slices.Contains(tasks, old) {
			s.dropTask(old)
		}
	}
	m.tasks = tasks
	sortTasks(m.tasks)
	if t := m.holder(); m.held.open && (t == nil || t.check.Name != m.held.checker) {
		m.held.cancel()
	}
}

// find returns the member's task for a check that asks the same thing as before, nil if there is none.
func (m *member) find(c failover.Check) *task {
	for _, t := range m.tasks {
		if t.check.Name == c.Name && t.check.Kind == c.Kind && t.check.Port == c.Port {
			return t
		}
	}
	return nil
}

func (s *Scheduler) newTask(m *member, c failover.Check) *task {
	checker := s.options.Checkers[c.Kind]
	if checker == nil {
		checker = unknownKind{}
	}
	return &task{member: m, checker: checker, judge: newJudge(c), place: -1}
}

func (s *Scheduler) dropMember(m *member) {
	for _, t := range m.tasks {
		s.dropTask(t)
	}
	if m.held.open {
		m.held.cancel()
	}
}

func (s *Scheduler) dropTask(t *task) {
	t.dropped = true
	s.queue.drop(t)
	if t.cancel != nil {
		t.cancel()
	}
}

// unknownKind stands in for a kind of check that this version doesn't have.
type unknownKind struct{}

func (unknownKind) Look(_ context.Context, _ Target, c failover.Check) Look {
	return Look{Evidence: failover.Evidence{
		Reason: failover.ReasonBadConfiguration,
		Detail: "this arbiter knows no check of kind " + string(c.Kind) + "; upgrade it or change the group's spec",
	}}
}
