package arbiter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
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

// followSpecs tells the prober what to watch whenever a spec changes.
func (n *Node) followSpecs(ctx context.Context) error {
	versions := map[failover.GroupName]uint64{}
	for {
		state := n.fsm.State()
		if changed(versions, state) {
			n.prober.SetTargets(targets(state))
		}
		select {
		case <-n.specs:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// changed says whether the groups or their spec versions differ from those seen before, and remembers them.
func changed(seen map[failover.GroupName]uint64, s *failover.State) bool {
	different := len(seen) != len(s.Groups)
	for _, g := range s.Groups {
		different = different || seen[g.Name] != g.SpecVersion
	}
	if different {
		clear(seen)
		for _, g := range s.Groups {
			seen[g.Name] = g.SpecVersion
		}
	}
	return different
}

// fencePathsLook is how often watchFencePaths looks whether anything is due.
const fencePathsLook = 250 * time.Millisecond

// fencePathsAtOnce bounds how many status requests run at the same time: a fence agent is a process.
const fencePathsAtOnce = 4

// watchFencePaths asks every device of every member for its status, again and again; that harms nobody, and says before it is
// needed whether a fence would work.
func (n *Node) watchFencePaths(ctx context.Context) error {
	versions := map[failover.GroupName]uint64{}
	next := n.options.Clock.Boot()
	for {
		state := n.fsm.State()
		if changed(versions, state) || n.options.Clock.Boot() >= next {
			n.askFencePaths(ctx, state)
			next = n.options.Clock.Boot() + n.options.FencePathEvery
		}
		if err := clock.Pause(ctx, fencePathsLook); err != nil {
			return err
		}
	}
}

func (n *Node) askFencePaths(ctx context.Context, state *failover.State) {
	var wait sync.WaitGroup
	places := make(chan struct{}, fencePathsAtOnce)
	for _, g := range state.Groups {
		for _, m := range g.Spec.Members {
			wait.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				if ctx.Err() != nil {
					return
				}
				path := n.options.Drivers.Fencer.PathStatus(ctx, m)
				path.Group, path.Member = g.Name, m.Name
				n.view.setPath(path)
			})
		}
	}
	wait.Wait()
}

const (
	// doubtLateness is how late this process's own loops may run before its view stops counting: a stall or a suspend makes
	// healthy targets look dead.
	doubtLateness = 500 * time.Millisecond
	// doubtLeast is the least that a doubt lasts after its cause.
	doubtLeast = 500 * time.Millisecond
	// selfInterval is how often this process looks at itself.
	selfInterval = 50 * time.Millisecond
)

// watchSelf makes this arbiter doubt its own view when its own loops ran late. If it leads, it hands leadership on.
func (n *Node) watchSelf(ctx context.Context) error {
	doubtUntil, last := time.Duration(0), n.options.Clock.Boot()
	why := ""
	for {
		if err := clock.Pause(ctx, selfInterval); err != nil {
			return err
		}
		now := n.options.Clock.Boot()
		late := now - last - selfInterval
		if stalls := n.prober.Lateness(); stalls.Last > last {
			late = max(late, stalls.Worst)
		}
		last = now
		if late > doubtLateness {
			why = fmt.Sprintf("its own loops ran %s late", late.Round(time.Millisecond))
			doubtUntil = now + doubtFor(n.fsm.State())
			n.loop.send(ctx, failover.Drain{Why: why})
		}
		if now >= doubtUntil {
			why = ""
		}
		n.view.setDoubt(why)
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
