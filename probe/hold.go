package probe

import (
	"context"
	"time"
)

// hold opens the member's held connection after a good look, if there is none and the member tolerates one.
func (s *Scheduler) hold(t *task) {
	m := t.member
	now := s.clock.Boot()
	if m.held.open || now < m.held.notYet || m.holder() != t {
		return
	}
	holder := t.checker.(Holder) // member.holder chose it for this
	target, check := m.target, t.check
	ctx, cancel := context.WithCancel(t.context)
	m.held.open, m.held.cancel, m.held.began, m.held.checker = true, cancel, now, check.Name
	s.work.Go("held connection", func(context.Context) error {
		defer cancel()
		held, lost := holder.Hold(ctx, target, check)
		given := ctx.Err() != nil
		s.mailbox.post(func() { s.holdEnded(m, t, holdEnd{held: held, lost: lost, given: given, at: s.clock.Boot()}) })
		return nil
	})
}

// holdEnd is how a held connection ended.
type holdEnd struct {
	held  bool // there was a connection
	lost  error
	given bool // it was given up here
	at    time.Duration
}

// holdEnded looks at the member at once: whatever ended the connection may have ended the member.
func (s *Scheduler) holdEnded(m *member, t *task, end holdEnd) {
	m.held.open = false
	if end.given {
		return
	}
	m.held.notYet = end.at + m.held.pause(end.at-m.held.began, t.check.Interval)
	if end.held {
		t.hear(end)
		s.log.Debug("lost the held connection: looking at once", "group", m.target.Group,
			"member", m.target.Member.Name, "check", t.check.Name, "error", end.lost)
		s.lookAgain(m)
	}
}
