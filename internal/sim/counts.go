package sim

import "fmt"

// counts say what a run reached.
type counts struct {
	entries, refused, elections, snapshots, restores, halts, unknown, steps, confirms, looks int
	starts, fences, promotions, stale, rogues, writes, acks, done, held, reads, losses       int
	routeLooks, reroutes, lateRoutes                                                         int // looks at routers; operations that bring routes back; what came late at a router
	unseenReroutes                                                                           int // refused since no majority saw the writer accept writes
	contradicted, disbelieved                                                                int // devices that were seen to be wrong; outcomes that rested on the word of such
	recoveries                                                                               int // primaries that somebody restarted as standbys
	mended                                                                                   int // groups made anew by hand, since no command that explain names helped
	unseen                                                                                   int // committed though the proposer was told that leadership was lost
}

func (c *counts) add(o counts) {
	c.entries, c.refused, c.elections, c.snapshots = c.entries+o.entries, c.refused+o.refused, c.elections+o.elections, c.snapshots+o.snapshots
	c.restores, c.halts, c.unknown, c.steps = c.restores+o.restores, c.halts+o.halts, c.unknown+o.unknown, c.steps+o.steps
	c.confirms, c.looks, c.starts, c.fences = c.confirms+o.confirms, c.looks+o.looks, c.starts+o.starts, c.fences+o.fences
	c.promotions, c.stale, c.rogues, c.writes = c.promotions+o.promotions, c.stale+o.stale, c.rogues+o.rogues, c.writes+o.writes
	c.acks, c.done, c.held, c.reads, c.losses = c.acks+o.acks, c.done+o.done, c.held+o.held, c.reads+o.reads, c.losses+o.losses
	c.routeLooks, c.reroutes, c.lateRoutes = c.routeLooks+o.routeLooks, c.reroutes+o.reroutes, c.lateRoutes+o.lateRoutes
	c.unseenReroutes += o.unseenReroutes
	c.recoveries += o.recoveries
	c.contradicted, c.disbelieved = c.contradicted+o.contradicted, c.disbelieved+o.disbelieved
	c.unseen, c.mended = c.unseen+o.unseen, c.mended+o.mended
}

func (c counts) String() string {
	return fmt.Sprintf("%d entries (%d refused, %d of unknown fate, %d committed unseen), %d elections, %d snapshots (%d restored), %d arbiters ended themselves, "+
		"%d actions, %d fences, %d promotions, %d old epochs refused at targets, %d rogues, %d operations done, %d times held, %d answers read, "+
		"%d writes acknowledged, %d times a loss was accepted, %d groups mended by hand, %d looks at routers, %d reroutes (%d refused beside an unseen writer), %d late effects at routers, %d devices contradicted (%d times not believed), %d primaries taken into recovery",
		c.entries, c.refused, c.unknown, c.unseen, c.elections, c.snapshots, c.restores, c.halts, c.starts, c.fences, c.promotions, c.stale, c.rogues,
		c.done, c.held, c.reads, c.acks, c.losses, c.mended, c.routeLooks, c.reroutes, c.unseenReroutes, c.lateRoutes, c.contradicted, c.disbelieved, c.recoveries)
}
