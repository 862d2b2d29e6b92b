package probe

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/supervise"
)

// Options are what a Scheduler needs.
type Options struct {
	Node  failover.NodeID
	Clock clock.Clock // nil: the machine's
	// Applied is the index of the last log entry applied here. It is read before each look, and must not block.
	Applied func() failover.Index
	// Report is called after every look, one call at a time and in order, by the scheduler's own goroutine: it must
	// return at once. The slices in the observation are shared and must not be changed.
	Report   func(Report)
	Checkers map[failover.CheckKind]Checker
	Logger   hclog.Logger // nil: nothing is logged
	// RecheckDelay is the pause between a refusal and the look that confirms it; 0 means 10 ms.
	RecheckDelay time.Duration
}

// noticeableStall is from when on an operator is told that this process ran late.
const noticeableStall = 250 * time.Millisecond

// Scheduler starts the looks of all checks at all targets. Its methods may be called from any goroutine.
type Scheduler struct {
	options Options
	clock   clock.Clock
	log     hclog.Logger
	stalls  stalls
	mailbox mailbox
	work    *supervise.Group

	// Everything below belongs to the loop's goroutine.

	groups   map[failover.GroupName]*group
	queue    queue
	underWay int // looks
}

// NewScheduler returns a Scheduler without targets. It does nothing before Run.
func NewScheduler(options Options) *Scheduler {
	if options.Clock == nil {
		options.Clock = clock.System()
	}
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
	}
	if options.Applied == nil {
		options.Applied = func() failover.Index { return 0 }
	}
	if options.Report == nil {
		options.Report = func(Report) {}
	}
	if options.RecheckDelay <= 0 {
		options.RecheckDelay = recheckDelay
	}
	return &Scheduler{
		options: options, clock: options.Clock, log: options.Logger.Named("probe"),
		mailbox: mailbox{wake: make(chan struct{}, 1)}, groups: map[failover.GroupName]*group{},
	}
}

// SetTargets replaces the targets. A check that is watched already keeps what it has counted, unless the member's address
// or the kind of check changed.
func (s *Scheduler) SetTargets(targets []Target) {
	targets = append([]Target(nil), targets...)
	s.mailbox.post(func() { s.setTargets(targets) })
}

// LookAgain starts a look of every check at every member of a group at once. Where as many looks as may be are under way
// already, those answer the request. A group that is not watched is left alone.
func (s *Scheduler) LookAgain(name failover.GroupName) {
	s.mailbox.post(func() {
		if g, watched := s.groups[name]; watched {
			for _, m := range g.members {
				s.lookAgain(m)
			}
		}
	})
}

// Lateness says how well the scheduler kept up since a moment on the boot-time clock, of the last minute.
func (s *Scheduler) Lateness(since time.Duration) Lateness {
	return s.stalls.lateness(since, s.clock.Boot())
}

// Run looks at the targets until ctx ends, then ends all looks and held connections and waits for them. It returns nil,
// or the error of a checker that panicked. It may be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	s.work = supervise.NewGroup(ctx)
	s.work.Go("probe loop", s.loop)
	err := s.work.Wait()
	for _, c := range s.options.Checkers {
		if closer, ok := c.(Closer); ok {
			closer.Close()
		}
	}
	return err
}

func (s *Scheduler) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.mailbox.wake:
		}
		now := s.clock.Boot()
		if late := s.stalls.woke(now, s.clock.Wall()); late > 0 {
			level := hclog.Debug // a busy machine does this all the time
			if late >= noticeableStall {
				level = hclog.Warn
			}
			s.log.Log(level, "woke late: looks during this time count as this arbiter's own trouble", "late", late)
		}
		for _, handle := range s.mailbox.take() {
			handle()
		}
		s.startDue(ctx, s.clock.Boot())
		now = s.clock.Boot()
		next := s.nextWake(now)
		s.stalls.sleep(next)
		timer.Reset(next - now)
	}
}

// nextWake is when the loop wants to wake if nothing happens before.
func (s *Scheduler) nextWake(now time.Duration) time.Duration {
	next := now + idleHeartbeat
	if s.underWay > 0 {
		next = now + heartbeat
	}
	if len(s.queue) > 0 {
		next = min(next, s.queue[0].due())
	}
	return next
}

// startDue starts the looks that are due.
func (s *Scheduler) startDue(ctx context.Context, now time.Duration) {
	for len(s.queue) > 0 && s.queue[0].due() <= now {
		t := s.queue[0]
		start := t.start(now)
		s.queue.set(t)
		switch {
		case start:
			s.startLook(ctx, t, now)
		case t.hung(now):
			s.noteHung(t, now)
		}
	}
}

// noteHung counts a look that can't be begun, since those before it hang on this arbiter, as one that saw this arbiter's trouble: else the view would
// stay for ever what it was.
func (s *Scheduler) noteHung(t *task, now time.Duration) {
	evidence := failover.Evidence{
		Reason: failover.ReasonArbiterTrouble,
		Detail: "looks hang on this arbiter's machine: the file system of the check's passwords or certificates may not answer",
	}
	s.settle(t, Look{Evidence: evidence, Began: now, Ended: now, AsOf: s.options.Applied(), SpecSince: t.member.target.SpecSince})
}

func (s *Scheduler) startLook(ctx context.Context, t *task, began time.Duration) {
	if t.context == nil {
		t.context, t.cancel = context.WithCancel(ctx)
	}
	s.underWay++
	target, check, parent := t.member.target, t.check, t.context
	asOf := s.options.Applied() // before the look begins (S12)
	s.work.Go("look", func(context.Context) error {
		ctx, cancel := context.WithTimeout(parent, check.Timeout)
		defer cancel()
		look := t.checker.Look(ctx, target, check)
		look.Began, look.Ended, look.AsOf, look.SpecSince = began, s.clock.Boot(), asOf, target.SpecSince
		s.mailbox.post(func() { s.lookEnded(t, look) })
		return nil
	})
}

// lookEnded takes one look into account and reports.
func (s *Scheduler) lookEnded(t *task, look Look) {
	t.ended(look.Began)
	s.underWay--
	if t.dropped || t.context.Err() != nil {
		return // what the look saw is that it was given up
	}
	look = bounded(look)
	look.Evidence = ownTrouble(look, t.check.Timeout, s.stalls.within(look.Began, look.Ended))
	s.settle(t, look)
}

// settle takes what a look saw into account and reports.
func (s *Scheduler) settle(t *task, look Look) {
	if !t.overtaken(look) {
		if t.heed(look) {
			s.report(t, t.last) // what they came to must not be overtaken by what the look comes to
		}
		s.count(t, &look)
	}
	s.report(t, look)
}

func (s *Scheduler) report(t *task, look Look) {
	report := t.member.report(failover.WallTimeOf(s.clock.Wall()))
	report.Check, report.Look = t.check.Name, look
	s.options.Report(report)
}

// count lets a look change what is thought and known, and asks for the looks that it calls for.
func (s *Scheduler) count(t *task, look *Look) {
	m := t.member
	before := t.judge.state
	if look.Evidence.Accepted {
		look.Evidence.AcceptedAt = failover.WallTimeOf(s.clock.Wall().Add(look.Began - s.clock.Boot()))
	}
	if !look.Partial {
		t.judge.count(look.Evidence, look.Ended)
		t.last = *look
	}
	s.witness(t, look)
	t.learn(*look)
	if t.judge.state.Reason != before.Reason {
		s.log.Info("check changed", "group", m.target.Group, "member", m.target.Member.Name, "check", t.check.Name,
			"from", before.Reason, "to", t.judge.state.Reason, "detail", t.judge.state.Detail)
	}
	if t.judge.pressing() {
		s.lookAgainAt(t, look.Ended+s.options.RecheckDelay)
	}
	switch failover.ClassOf(look.Evidence.Reason) {
	case failover.EvidenceGood:
		s.hold(t)
	case failover.EvidenceDead:
		m.held.excuse()
	}
}

// witness compares what primary and standbys of the group say.
func (s *Scheduler) witness(t *task, look *Look) {
	m := t.member
	g := s.groups[m.target.Group]
	grows, first := g.growth.standbyLook(m.target.Member.Name, *look, t.check.Interval)
	look.Facts.ReceivingGrows = grows
	if first {
		s.lookAgainAt(t, look.Ended+growthRecheck)
	}
	failed := g.growth.primaryLook(sight{
		member: m.target.Member.Name, role: m.role(), says: look.Facts.Role, bad: m.bad(), ended: look.Ended,
	})
	if !failed {
		return
	}
	for _, other := range g.members {
		if informant := other.informant(); other != m && informant != nil && informant.facts.Streaming {
			s.lookAgainAt(informant, look.Ended)
		}
	}
}

// lookAgain starts all checks of a member at once.
func (s *Scheduler) lookAgain(m *member) {
	now := s.clock.Boot()
	for _, t := range m.tasks {
		s.lookAgainAt(t, now)
	}
}

// lookAgainAt asks for an additional look, unless nobody wants to know any more.
func (s *Scheduler) lookAgainAt(t *task, at time.Duration) {
	if !t.dropped {
		t.lookAgainAt(at)
		s.queue.set(t)
	}
}

// mailbox hands work to the loop without ever blocking the sender.
type mailbox struct {
	mu     sync.Mutex
	posted []func()
	wake   chan struct{} // holds one token while there is something to take
}

func (m *mailbox) post(handle func()) {
	m.mu.Lock()
	m.posted = append(m.posted, handle)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // the loop is going to look anyway
	}
}

func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	posted := m.posted
	m.posted = nil
	return posted
}
