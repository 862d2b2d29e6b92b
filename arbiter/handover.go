package arbiter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// errKeptLead says that leadership was to be handed over and was not.
var errKeptLead = errors.New("leadership was not handed over")

// errReplaced is why a hand-over may never be heard of.
var errReplaced = errors.New("another hand-over was asked for since, or this arbiter is ending")

// handOverLimit is longer than an orderly hand-over that waits for another one to fail first, and shorter than what systemd gives a stop:
// TimeoutStopSec in deploy/arbiterd.service.
const handOverLimit = 20 * time.Second

// handOvers tells those who asked for a hand-over that theirs failed; that of somebody else may fail before it.
type handOvers struct {
	mu      sync.Mutex
	waiting []waiting
}

type waiting struct {
	handOver failover.Drain
	failed   chan error // has room for the one that comes
}

func newHandOvers() *handOvers { return &handOvers{} }

// await returns what gets the error if the hand-over fails, and what ends the wait.
func (h *handOvers) await(o failover.Drain) (failed <-chan error, stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := waiting{o, make(chan error, 1)}
	h.waiting = append(h.waiting, w)
	return w.failed, func() { h.remove(func(other waiting) bool { return other == w }) }
}

func (h *handOvers) fail(o failover.Drain, err error) {
	h.remove(func(w waiting) bool {
		if w.handOver != o {
			return false
		}
		w.failed <- err
		return true
	})
}

func (h *handOvers) remove(ended func(waiting) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = slices.DeleteFunc(h.waiting, ended)
}

// HandOver gives leadership to the named arbiter, else to the one that is furthest.
func (n *Node) HandOver(o failover.HandOver, failed func()) {
	n.group.Go("hand over", func(context.Context) error {
		if err := n.raft.TransferLeadership(raft.ServerID(o.To), n.options.Timing.Election*4); err != nil {
			n.log.Warn("leadership not handed over", "error", err)
			failed()
			n.vain.fail(failover.Drain{Why: o.Why, To: o.To}, err)
		}
		return nil
	})
}

// giveUpLead asks the Controller to end its actions, release its leases and hand leadership on, and waits until it has.
func (n *Node) giveUpLead(ctx context.Context, d failover.Drain) error {
	failed, stop := n.vain.await(d)
	defer stop()
	ctx, end := context.WithTimeoutCause(ctx, handOverLimit, errReplaced)
	defer end()
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
		case err := <-failed:
			return fmt.Errorf("%w: %w", errKeptLead, err)
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
