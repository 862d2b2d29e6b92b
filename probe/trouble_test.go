package probe

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// jumpingClock is a clock of virtual time whose machine can be suspended: Go's timers don't notice, its boot time does.
type jumpingClock struct {
	clock.Clock
	slept atomic.Int64
}

func (c *jumpingClock) Boot() time.Duration { return c.Clock.Boot() + time.Duration(c.slept.Load()) }

func (c *jumpingClock) Wall() time.Time { return c.Clock.Wall().Add(time.Duration(c.slept.Load())) }

func TestSuspendIsOwnTrouble(t *testing.T) {
	for _, test := range []struct {
		name  string
		sleep time.Duration
		want  failover.Reason
	}{
		{"not suspended", 0, failover.ReasonTimeout},
		{"a hiccup, then all of the time-out", 150 * ms, failover.ReasonTimeout},
		{"suspended for 30 s", 30 * time.Second, failover.ReasonArbiterTrouble},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				boot := &jumpingClock{Clock: clock.Monotonic()}
				looks := make(chan Look, 100)
				checker := &fakeChecker{start: time.Now(), look: func(ctx context.Context, _ failover.MemberName, n int) Look {
					if n == 2 {
						return hangs(ctx)
					}
					return answers(failover.ReasonAnswered)
				}}
				s := NewScheduler(Options{
					Clock: boot, Checkers: map[failover.CheckKind]Checker{failover.CheckTCP: checker},
					Report: func(r Report) { looks <- r.Look },
				})
				check := fastCheck()
				check.Interval = time.Second
				s.SetTargets(targets(check, "a"))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- s.Run(ctx) }()
				<-looks
				<-looks
				for len(checker.begins("a")) < 3 {
					time.Sleep(ms)
				}
				boot.slept.Store(int64(test.sleep))
				look := <-looks
				for look.Evidence.Reason == failover.ReasonAnswered { // of a later look, which was due at once
					look = <-looks
				}
				if look.Evidence.Reason != test.want {
					t.Errorf("look during %v of suspend: got %+v, want %s", test.sleep, look.Evidence, test.want)
				}
				if l := s.Lateness(0); test.sleep >= lateFrom && (l.Worst < test.sleep-heartbeat || l.Worst > test.sleep+heartbeat) {
					t.Errorf("lateness: got %+v, want about %v", l, test.sleep)
				}
				cancel()
				if err := <-done; err != nil {
					t.Errorf("run: %v", err)
				}
			})
		})
	}
}

func TestOwnTrouble(t *testing.T) {
	for _, test := range []struct {
		name           string
		seen           failover.Reason
		elapsed, slept time.Duration
		want           failover.Reason
	}{
		{"awake", failover.ReasonTimeout, 250 * ms, 0, failover.ReasonTimeout},
		{"noticed late", failover.ReasonTimeout, 400 * ms, 0, failover.ReasonTimeout},
		{"a hiccup", failover.ReasonTimeout, 250 * ms, 60 * ms, failover.ReasonTimeout},
		{"asleep for half of it", failover.ReasonTimeout, 250 * ms, 125 * ms, failover.ReasonArbiterTrouble},
		{"asleep until after it", failover.ReasonTimeout, 400 * ms, 350 * ms, failover.ReasonArbiterTrouble},
		{"asleep, then awake for all of it", failover.ReasonTimeout, 450 * ms, 200 * ms, failover.ReasonTimeout},
		{"asleep for long, then awake for all of it", failover.ReasonTimeout, 30250 * ms, 30000 * ms, failover.ReasonArbiterTrouble},
		{"a stalled write", failover.ReasonWriteStalled, 250 * ms, 125 * ms, failover.ReasonArbiterTrouble},
		{"a stalled write that is known already", failover.ReasonWriteStalled, 5 * ms, 0, failover.ReasonWriteStalled},
		{"refused all the same", failover.ReasonRefused, 250 * ms, 200 * ms, failover.ReasonRefused},
		{"answered all the same", failover.ReasonAnswered, 250 * ms, 200 * ms, failover.ReasonAnswered},
	} {
		t.Run(test.name, func(t *testing.T) {
			look := Look{Evidence: failover.Evidence{Reason: test.seen}, Began: time.Second, Ended: time.Second + test.elapsed}
			if got := ownTrouble(look, 250*ms, test.slept); got.Reason != test.want {
				t.Fatalf("got %+v, want %s", got, test.want)
			}
		})
	}
}
