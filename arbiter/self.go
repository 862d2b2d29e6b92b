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
	// doubtLeast is the least that a doubt lasts after its cause.
	doubtLeast = 500 * time.Millisecond
	// selfInterval is how often this process looks at itself.
	selfInterval = 50 * time.Millisecond
	// offerInterval is how often an arbiter that is cut off offers its leadership.
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
		by := n.lateness(last, now)
		last = now
		if by > doubtLateness {
			late = fmt.Sprintf("ran %s late itself", by.Round(time.Millisecond))
			doubtUntil = now + doubtFor(n.fsm.State())
			n.loop.send(ctx, failover.Drain{Why: "it " + late})
		}
		if now >= doubtUntil {
			late = ""
		}
		n.view.setLate(late)
		why, cutOff := n.view.doubts()
		if cutOff && now >= nextOffer {
			nextOffer = now + offerInterval
			n.loop.send(ctx, failover.Doubt{Why: why})
		}
		if why == "" || cutOff || late != "" { // not of the moment that a reference point takes to answer
			n.tellDoubt(told, why)
			told = why
		}
	}
}

// lateness is by how much this process's own loops ran late since the last look at itself.
func (n *Node) lateness(last, now time.Duration) time.Duration {
	late := now - last - selfInterval
	if stalls := n.prober.Lateness(); stalls.Last > last {
		late = max(late, stalls.Worst)
	}
	return late
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
