// Package virtual runs whole arbiters in virtual time (testing/synctest): hashicorp/raft, gRPC, the view streams, the loop, the runner and
// the Controller are the real ones. The network, the disks and the protected service exist in memory, and minutes pass in the time that the
// processors need. A test reads:
//
//	virtual.Run(t, func(t *testing.T) {
//		c := virtual.New(t, 3, seed)
//		c.Protect()
//		c.Partition(c.Leader())
//		c.World.Crash("db1")
//		c.Eventually("another member is the primary", ...)
//	})
//
// # What it checks
//
// World is the ground truth. It and the truth about all arbiters are compared at every change, whatever the test does, and what breaks a
// rule is in History.Breaches, with the story of it in History:
//
//   - at most one member accepts writes;
//   - S6: an effect begins only under a lease that is valid on the holder's clock, with its intent applied, and not where leadership can't have
//     been confirmed after that, since a later term had begun before; and never after a later epoch was granted;
//   - S8: what is answered as the leader holds everything that any arbiter had applied before the question, in a reign of the one that answers;
//     a lease is released only after what was done under it has ended, and an outcome is committed only after everything of it has (S15);
//   - S5: epochs only grow; S13: states are equal, byte by byte, at equal indexes;
//   - what every life recorded leads a new core to the same answers (package recording);
//   - a view never goes back to an older look; an arbiter without its disk begins no log.
//
// Search lets things go wrong by chance, and looks at the end whether a failover that is due ends once all is mended, and whether clients are
// brought back when the router forgets where they belong.
//
// # What it does not
//
// The seed fixes what goes wrong and when, not every detail: select and the scheduler have chances of their own, so a seed that failed may
// pass. The history is what there is to go by. A process is not frozen here, the clocks of all arbiters run alike, all bytes of a
// connection arrive in order, there is no TLS, and no snapshot is taken; those are for the simulator and for real machines. The members are
// simple: data that is lost is the simulator's too.
//
// # Goroutines
//
// Those of the arbiters, one for each that lives, and what a search does beside: all end with the cluster. Bubbles see to that.
package virtual
