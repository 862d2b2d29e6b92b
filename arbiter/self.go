package arbiter

import (
	"context"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

const (
	// doubtLateness is how late this process's own loops may run before its view stops counting: a stall or a suspend makes
	// healthy targets look dead.
	doubtLateness = 500 * time.Millisecond
	// doubtStep is by how much the wall clock must step to be trouble. Nothing is decided by it, but what sets a clock may have
	// done more to this machine: a snapshot that was resumed, a move to another host.
	doubtStep = time.Second
	// doubtLeast is the least that a doubt lasts after its cause.
	doubtLeast = 500 * time.Millisecond
	// selfInterval is how often this process looks at itself.
	selfInterval = 100 * time.Millisecond
	// offerInterval is how often an arbiter that doubts its view says so to its Controller, which offers its leadership.
	offerInterval = time.Second
)

// watchSelf makes this arbiter doubt its own view when its own loops ran late, and follows what it thinks of its network. If it
// doubts itself and leads, it hands leadership on.
func (n *Node) watchSelf(ctx context.Context) error {
	doubtUntil, last := time.Duration(0), n.options.Clock.Boot()
	late, told, nextOffer := "", "", time.Duration(0)
	for {
		if err := clock.Pause(ctx, selfInterval); err != nil {
			return err
		}
		now := n.options.Clock.Boot()
		trouble := n.ownTrouble(last, now)
		last = now
		switch {
		case trouble != "":
			late, doubtUntil = trouble, now+doubtFor(n.fsm.State())
		case now >= doubtUntil:
			late = ""
		}
		n.view.setLate(late)
		why, cutOff := n.view.doubts()
		if (cutOff || late != "") && now >= nextOffer {
			nextOffer = now + offerInterval
			n.loop.send(ctx, failover.Doubt{Why: why})
		}
		if why == "" || cutOff || late != "" { // not of the moment that a reference point takes to answer
			n.tellDoubt(told, why)
			told = why
		}
	}
}

// ownTrouble says what has happened to this process since the last look at itself that its looks can't be trusted for.
func (n *Node) ownTrouble(last, now time.Duration) string {
	lateness := n.prober.Lateness(last)
	late := max(now-last-selfInterval, lateness.Worst)
	switch {
	case late > doubtLateness:
		return fmt.Sprintf("ran %s late itself", late.Round(time.Millisecond))
	case lateness.Step >= doubtStep:
		return fmt.Sprintf("had its wall clock stepped by %s", lateness.Step.Round(time.Millisecond))
	}
	return ""
}

func (n *Node) tellDoubt(before, why string) {
	switch {
	case why == before:
	case why == "":
		n.log.Info("this arbiter trusts its view again")
	default:
		n.log.Warn("this arbiter doubts its own view, which counts as unknown", "why", "it "+why)
	}
}

// doubtFor is how long a doubt lasts after its cause: looks that began during the stall have ended by then.
func doubtFor(s *failover.State) time.Duration {
	longest := doubtLeast
	for _, g := range s.Groups {
		for _, c := range g.Spec.Health.Checks {
			longest = max(longest, c.Timeout)
		}
	}
	return longest
}
