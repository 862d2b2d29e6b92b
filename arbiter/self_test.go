package arbiter

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// troubled is a prober that had a stall of 600 ms, and a step of the wall clock, at given times, and is 25 ms late five times a
// second, as on any busy machine.
type troubled struct {
	clock       clock.Clock
	stall, step time.Duration
}

func (troubled) Run(context.Context) error    { return nil }
func (troubled) SetTargets([]Target)          {}
func (troubled) LookAgain(failover.GroupName) {}

func (p troubled) Lateness(since time.Duration) Lateness {
	l, now := Lateness{Worst: 25 * time.Millisecond}, p.clock.Boot()
	if p.stall > since && p.stall <= now {
		l.Worst = 600 * time.Millisecond
	}
	if p.step > since && p.step <= now {
		l.Step = time.Hour
	}
	return l
}

// watched runs watchSelf for half a minute and returns for how many tenths of a second it doubted, and how often leadership was
// to be handed on.
func watched(t *testing.T, stall, step time.Duration) (doubted int, offers []failover.Doubt) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := clock.Monotonic()
		n := &Node{options: Options{Clock: c}, log: quiet(), prober: troubled{c, stall, step}, fsm: fsm.New(fsm.Hooks{})}
		n.view = newView("az-a", c, n.fsm.State, newReferences(nil, nil, c, quiet()))
		n.loop = &loop{inputs: make(chan any, 1000)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- n.watchSelf(ctx) }()
		for range 300 {
			time.Sleep(100 * time.Millisecond) // of virtual time
			synctest.Wait()
			if n.view.doubts() != "" {
				doubted++
			}
		}
		cancel()
		<-ended
		close(n.loop.inputs)
		for in := range n.loop.inputs {
			offers = append(offers, in.(failover.Doubt))
		}
	})
	return doubted, offers
}

func TestWatchSelf_OneTroubleIsOneShortDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		stall, step time.Duration
		says        string
	}{
		"a stall":                  {stall: 2 * time.Second, says: "600ms late"},
		"a step of the wall clock": {step: 2 * time.Second, says: "clock stepped by 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			doubted, offers := watched(t, test.stall, test.step)
			if doubted < 4 || doubted > 8 {
				t.Errorf("doubted for %d tenths of a second, want about half a second", doubted)
			}
			if len(offers) != 1 || !strings.Contains(offers[0].Why, test.says) {
				t.Errorf("offered leadership for %v", offers)
			}
		})
	}
	if doubted, offers := watched(t, 0, 0); doubted != 0 || len(offers) != 0 {
		t.Errorf("a busy machine: doubted %d times, offered leadership for %v", doubted, offers)
	}
}
