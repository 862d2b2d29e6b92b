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
	shown    shownDevices
}

type memberKey = ownview.Key

func newView(n *node) *view { return &view{node: n, own: ownview.New(n.id), shown: newShownDevices()} }

// now is what the view judges by. The looks that were not made since they would see nothing new come first.
func (v *view) now() ownview.Moment {
	n := v.node
	now := ownview.Moment{Boot: n.boot(), State: n.state, Points: n.prober.points()}
	n.prober.tellUnmade(func(r ownview.Report) { v.take(now, r) })
	return now
}

func (v *view) take(now ownview.Moment, r ownview.Report) ownview.Wanted {
	v.shown.look(now.State, r)
	return v.own.Observe(now, r)
}

// observe takes the report of a look.
func (v *view) observe(r ownview.Report) {
	now := v.now()
	wanted := v.take(now, r)
	if wanted.Points {
		v.node.prober.askReferences()
	}
	if wanted.Changes {
		v.node.sender.kick()
	}
	v.watchOn(now)
}

// setPath takes what is known of the way to a member's fence.
func (v *view) setPath(p failover.FencePath, m *member) {
	now := v.now()
	look, looked := v.own.Look(memberKey{Group: p.Group, Member: p.Member})
	v.shown.devices(now, p, looked && !missed(look) && m.host.powered)
	if v.own.SetPath(now, p) {
		v.node.sender.kick()
	}
}

func (v *view) askAgain(a ownview.Ask) { v.own.AskAgain(a, v.node.boot()) }

func (v *view) applied() { v.own.Applied() }

func (v *view) whole() failover.Batch {
	b := v.own.Whole(v.now(), v.node.wall())
	v.checkTold(b)
	return b
}

func (v *view) changes(incarnation uint64) (b failover.Batch, some bool, again time.Duration) {
	b, some, again = v.own.Changes(v.now(), incarnation)
	if some || again == 0 { // else what there is may be kept back
		v.checkTold(b)
	}
	return b, some, again
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
