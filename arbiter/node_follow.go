package arbiter

import (
	"context"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// followLeadership tells the loop of every change of leadership, in order.
func (n *Node) followLeadership(ctx context.Context) error {
	for {
		select {
		case t, ok := <-n.raft.Leadership():
			if !ok {
				return nil
			}
			if t.Leader {
				n.loop.send(ctx, failover.Elected{Term: failover.Term(t.Term)})
			} else {
				n.loop.send(ctx, failover.Deposed{})
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// followLeader tells all who wait that the leader may be another one.
func (n *Node) followLeader(ctx context.Context) error {
	for {
		select {
		case <-n.raft.LeaderChanged():
			n.mu.Lock()
			close(n.leader)
			n.leader = make(chan struct{})
			n.mu.Unlock()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leaderWatch returns the arbiter that leads as far as this one knows, and a channel that closes when that may have changed.
func (n *Node) leaderWatch() (failover.NodeID, <-chan struct{}) {
	n.mu.Lock()
	changed := n.leader // taken first: a change in between is seen
	n.mu.Unlock()
	leader, _ := n.raft.Leader()
	return failover.NodeID(leader), changed
}

// followSpecs follows what is applied; it may miss states in between.
func (n *Node) followSpecs(ctx context.Context) error {
	seen := ownview.Specs{}
	for {
		n.follow(seen, n.fsm.State())
		select {
		case <-n.specs:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follow tells the prober what to watch, and whose fence paths there are, when a spec has changed, and of fences that were not proven.
func (n *Node) follow(seen ownview.Specs, s *failover.State) {
	specs := seen.Follow(s)
	if specs {
		n.prober.SetTargets(targets(s))
	}
	if specs || anyUnprovenFence(s) {
		n.paths.wake()
	}
}
