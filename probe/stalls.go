package probe

import (
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

const (
	// heartbeat is the longest that the loop sleeps while looks are under way, so that it notices stalls which could turn
	// answers into time-outs. idleHeartbeat is the same for when none is; a stall is then noticed once it is over.
	heartbeat     = 50 * time.Millisecond
	idleHeartbeat = time.Second
	// lateFrom is how late a wake-up must be to count as a stall; less is ordinary scheduling.
	lateFrom = 20 * time.Millisecond
	// stepFrom is by how much the wall clock must leave the boot-time clock between two heartbeats to count as a step.
	stepFrom = 100 * time.Millisecond
	// latenessWindow is how long a stall or a step is remembered.
	latenessWindow = 60 * time.Second
	// mostStalls bounds the memory of stalls; of more, the latest count.
	mostStalls = 256
)

// Lateness is how well this process kept up with its own loop since some moment, for an arbiter that doubts itself.
type Lateness struct {
	// Worst is the longest stall that ended since then or still lasts, whatever caused it: overload, a frozen process or
	// machine, a suspend. Zero if there was none of lateFrom or more.
	Worst time.Duration
	// Step is the largest step of the wall clock since then, forwards or backwards.
	Step time.Duration
}

// stalls notes when the loop woke later than it had planned. Only the loop calls woke and sleep.
type stalls struct {
	mu      sync.Mutex
	planned time.Duration // when the loop means to wake, boot clock; 0 before the first sleep
	late    []span        // oldest first
	steps   []step
	offset  time.Duration // of the wall clock from the boot clock
	started bool
}

// span is a time during which the loop didn't run.
type span struct{ from, to time.Duration }

type step struct{ at, by time.Duration }

// sleep says until when the loop is going to sleep.
func (s *stalls) sleep(until time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned = until
}

// woke notes a wake-up; it returns by how much it was late, zero if it wasn't noticeably.
func (s *stalls) woke(boot time.Duration, wall time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	offset := time.Duration(wall.UnixNano()) - boot
	if by := (offset - s.offset).Abs(); s.started && by >= stepFrom {
		s.steps = append(s.steps, step{at: boot, by: by})
	}
	s.offset, s.started = offset, true
	s.forget(boot)
	late := boot - s.planned
	if s.planned == 0 || late < lateFrom {
		return 0
	}
	s.late = append(s.late, span{s.planned, boot})
	return late
}

func (s *stalls) forget(boot time.Duration) {
	for len(s.late) > 0 && (boot-s.late[0].to > latenessWindow || len(s.late) >= mostStalls) {
		s.late = s.late[1:]
	}
	for len(s.steps) > 0 && (boot-s.steps[0].at > latenessWindow || len(s.steps) >= mostStalls) {
		s.steps = s.steps[1:]
	}
}

// within is how much of the time between two instants the loop was stalled.
func (s *stalls) within(from, to time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum time.Duration
	for _, l := range s.late {
		sum += max(0, min(to, l.to)-max(from, l.from))
	}
	return sum
}

func (s *stalls) lateness(since, boot time.Duration) Lateness {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l Lateness
	for _, late := range s.late {
		if late.to > since {
			l.Worst = max(l.Worst, late.to-late.from)
		}
	}
	if now := boot - s.planned; s.planned != 0 && now >= lateFrom {
		l.Worst = max(l.Worst, now)
	}
	for _, step := range s.steps {
		if step.at > since {
			l.Step = max(l.Step, step.by)
		}
	}
	return l
}

// ownTrouble replaces the evidence of a look that timed out only because this process was not awake to see the answer: it
// was awake for less than three quarters of the time-out, or asleep for longer than the time-out, after which nothing that
// was under way can be relied on.
func ownTrouble(look Look, timeout, asleep time.Duration) failover.Evidence {
	if r := look.Evidence.Reason; r != failover.ReasonTimeout && r != failover.ReasonWriteStalled || asleep < lateFrom {
		return look.Evidence
	}
	if awake := look.Ended - look.Began - asleep; awake >= timeout*3/4 && asleep <= timeout {
		return look.Evidence
	}
	return failover.Evidence{
		Reason: failover.ReasonArbiterTrouble,
		Detail: "this arbiter itself was held up for " + asleep.Round(time.Millisecond).String() + " during the look",
	}
}
