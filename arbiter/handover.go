package arbiter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// errKeptLead says that leadership was to be handed over and was not.
var errKeptLead = errors.New("leadership was not handed over")

// handOvers tells those who wait for a hand-over that it failed.
type handOvers struct {
	mu     sync.Mutex
	failed chan struct{} // closed and replaced at every failure
	why    error
}

func newHandOvers() *handOvers { return &handOvers{failed: make(chan struct{})} }

func (h *handOvers) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = err
	close(h.failed)
	h.failed = make(chan struct{})
}

// next is closed when the next hand-over fails.
func (h *handOvers) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

func (h *handOvers) reason() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why
}

// HandOver gives leadership to the named arbiter, else to the one that is furthest.
func (n *Node) HandOver(to failover.NodeID, failed func()) {
	n.group.Go("hand over", func(context.Context) error {
		if err := n.raft.TransferLeadership(raft.ServerID(to), n.options.Timing.Election*4); err != nil {
			n.log.Warn("leadership not handed over", "error", err)
			failed()
			n.vain.fail(err)
		}
		return nil
	})
}

// giveUpLead asks the Controller to end its actions, release its leases and hand leadership on, and waits until it has.
func (n *Node) giveUpLead(ctx context.Context, d failover.Drain) error {
	failed := n.vain.next()
	if leading, _ := n.leading.get(); !leading {
		return nil
	}
	n.loop.send(ctx, d)
	for {
		leading, changed := n.leading.get()
		if !leading {
			return nil
		}
		select {
		case <-changed:
		case <-failed:
			return fmt.Errorf("%w: %w", errKeptLead, n.vain.reason())
		case <-ctx.Done():
			return fmt.Errorf("%w in time: %w", errKeptLead, context.Cause(ctx))
		}
	}
}

// handOverAtTheEnd lets another arbiter lead before this one stops.
func (n *Node) handOverAtTheEnd(ctx context.Context) error {
	if n.group.Context().Err() != nil || len(n.options.Peers) == 1 {
		return nil
	}
	return n.giveUpLead(ctx, failover.Drain{Why: "this arbiter is shutting down"})
}
