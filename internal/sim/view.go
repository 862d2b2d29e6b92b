package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// view runs an arbiter's own view, as arbiter/view.go and arbiter/self.go do, without goroutines: what is wanted of them is done at once.
type view struct {
	node     *node
	own      *ownview.View
	watching bool
}

type memberKey = ownview.Key

func newView(n *node) *view { return &view{node: n, own: ownview.New(n.id)} }

// now is what the view judges by. The looks that were not made since they would see nothing new come first.
func (v *view) now() ownview.Moment {
	n := v.node
	now := ownview.Moment{Boot: n.boot(), State: n.state, Points: n.prober.points()}
	n.prober.tellUnmade(func(r ownview.Report) { v.own.Observe(now, r) })
	return now
}

// observe takes the report of a look.
func (v *view) observe(r ownview.Report) {
	now := v.now()
	wanted := v.own.Observe(now, r)
	if wanted.Points {
		v.node.prober.askReferences()
	}
	if wanted.Changes {
		v.node.sender.kick()
	}
	v.watchOn(now)
}

// setPath takes what is known of the way to a fence.
func (v *view) setPath(p failover.FencePath) {
	if v.own.SetPath(v.now(), p) {
		v.node.sender.kick()
	}
}

func (v *view) askAgain(a ownview.Ask) { v.own.AskAgain(a, v.node.boot()) }

func (v *view) applied() { v.own.Applied() }

func (v *view) whole() failover.Batch { return v.own.Whole(v.now(), v.node.wall()) }

func (v *view) changes(incarnation uint64) (b failover.Batch, some bool, again time.Duration) {
	return v.own.Changes(v.now(), incarnation)
}

func (v *view) troubled() bool { return v.own.Troubled(v.now()) }

// watch is how an arbiter looks at itself. It does so every ownview.WatchInterval, in effect: while nothing could come of it, it doesn't.
func (v *view) watch(l ownview.Lateness) {
	now := v.now()
	doubt := v.own.Watch(now, l)
	if doubt.Offer {
		v.node.input(failover.Doubt{Why: doubt.Why})
	}
	if doubt.Changes {
		v.node.sender.kick()
	}
	v.watchOn(now)
}

// watchOn plans the next look at itself, if the doubt may begin or end by then.
func (v *view) watchOn(now ownview.Moment) {
	if v.watching || v.own.Doubts() == "" && !v.own.Troubled(now) {
		return
	}
	v.watching = true
	v.node.post(ownview.WatchInterval, func() {
		v.watching = false
		v.watch(ownview.Lateness{})
	})
}
