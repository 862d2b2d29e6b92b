package arbiter

import (
	"context"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// watchSelf makes this arbiter doubt its own view when its own loops ran late, and follows what it thinks of its network. If it
// doubts itself and leads, it hands leadership on.
func (n *Node) watchSelf(ctx context.Context) error {
	last, told := n.options.Clock.Boot(), ""
	for {
		if err := clock.Pause(ctx, ownview.WatchInterval); err != nil {
			return err
		}
		now := n.options.Clock.Boot()
		lateness := n.prober.Lateness(last)
		lateness.Worst = max(lateness.Worst, now-last-ownview.WatchInterval)
		last = now
		doubt := n.view.watch(lateness)
		if doubt.Offer {
			n.loop.send(ctx, failover.Doubt{Why: doubt.Why})
		}
		if !doubt.Passing {
			n.tellDoubt(told, doubt.Why)
			told = doubt.Why
		}
	}
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
