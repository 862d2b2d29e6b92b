package arbiter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// RaftOptions says what a Raft node is made of. The node owns Storage and Transport from StartRaft on, also when that fails.
type RaftOptions struct {
	ID        raft.ServerID
	Timing    Timing
	Storage   *Storage
	Transport *StampingTransport
	// FSM also hears who votes, by StoreConfiguration, in the order of the log: the state machine must not learn that from
	// anywhere else. It must not be a raft.BatchingFSM, since Raft then calls ApplyBatch instead of StoreConfiguration.
	FSM   raft.ConfigurationStore
	Clock clock.Clock
	Log   hclog.Logger
	// StorageFailed is told of every write of entries that failed. A node whose log can't be written looks well to its peers, and
	// counts for nothing.
	StorageFailed func(error)
}

// RaftNode is one running Raft server and the questions that this program asks it. Its methods may be called from any
// goroutine; after Shutdown they fail with ErrStopped.
//
// Goroutines: Raft's own, one that relays leadership, one per call of Apply and its like until Raft answers (a call
// that gave up leaves it waiting), and at most one that nudges for Confirm. Shutdown stops Raft and the relay, and waits for the
// others for a while only: some questions that it overtakes are never answered, and who asked one stays until the process ends.
type RaftNode struct {
	options   RaftOptions
	raft      *raft.Raft
	confirmer *Confirmer
	relay     *leadershipRelay

	mu      sync.Mutex
	stopped bool
	calls   sync.WaitGroup
}

// StartRaft starts a node on a storage that belongs to a cluster (see Bootstrap). It becomes a follower, and a candidate soon.
func StartRaft(options RaftOptions) (_ *RaftNode, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start Raft: %w", err), options.Transport.Close(), options.Storage.Close())
		}
	}()
	if err := options.check(); err != nil {
		return nil, err
	}
	options.Transport.idle = newIdlePause(options.Timing.Idle)
	options.Storage.appending = options.Transport.idle.appending
	if options.StorageFailed != nil {
		options.Storage.failed = options.StorageFailed
	}
	relay := newLeadershipRelay(options.Clock)
	server, err := newRaft(options, relay)
	if err != nil {
		return nil, err
	}
	// Only a heartbeat that changes nothing may bypass the main loop: same term, and this node follows already.
	options.Transport.letBypass(func(term uint64) bool {
		return server.CurrentTerm() == term && server.State() == raft.Follower
	})
	relay.start(server)
	return &RaftNode{
		options:   options,
		raft:      server,
		confirmer: newConfirmer(server, options.ID, options.Transport, options.Timing.confirmRetry()),
		relay:     relay,
	}, nil
}

func (o RaftOptions) check() error {
	if err := o.Timing.Validate(); err != nil {
		return err
	}
	if _, batching := o.FSM.(raft.BatchingFSM); batching {
		return errors.New("the state machine takes batches, so Raft would not tell it who votes; remove ApplyBatch")
	}
	cluster, err := o.Storage.clusterID()
	if err != nil {
		return err
	}
	if cluster == "" {
		return fmt.Errorf("%w: %s; form or join one first", ErrStorageEmpty, o.Storage.Path)
	}
	return nil
}

// newRaft makes the server. Raft panics on a log that it can't follow, before it starts any goroutine.
func newRaft(options RaftOptions, relay *leadershipRelay) (server *raft.Raft, err error) {
	defer recoverCorrupt(options.Storage.Path, &err)()
	config := raft.DefaultConfig()
	config.LocalID = options.ID
	config.Logger = options.Log.Named("raft")
	config.NotifyCh = relay.notify
	config.SnapshotInterval = snapshotInterval
	config.SnapshotThreshold = snapshotThreshold
	config.TrailingLogs = trailingLogs
	config.NoLegacyTelemetry = true
	config.PreVoteDisabled = false
	// A node that was removed stays up as a follower without a vote: it can still say what happened to it.
	config.ShutdownOnRemove = false
	options.Timing.apply(config)
	server, err = raft.NewRaft(config, options.FSM, options.Storage.Log, options.Storage.Stable, options.Storage.Snapshots, options.Transport)
	if err != nil {
		return nil, storageError(options.Storage.Path, err)
	}
	return server, nil
}

// Apply proposes an entry and waits until it is applied here, for at most the timeout on the boot-time clock. It returns
// the entry's index and what the state machine answered. Every error is an ErrOutcomeUnknown (S4).
func (n *RaftNode) Apply(entry []byte, timeout time.Duration) (index uint64, response any, err error) {
	var future raft.ApplyFuture
	err = n.call(timeout, func() error {
		future = n.raft.Apply(entry, timeout)
		return future.Error()
	})
	if err != nil {
		return 0, nil, applyError("apply entry", err)
	}
	return future.Index(), future.Response(), nil
}

// Barrier waits until everything that was committed before the call is applied here. It writes an entry to the log.
func (n *RaftNode) Barrier(timeout time.Duration) error {
	if err := n.call(timeout, func() error { return n.raft.Barrier(timeout).Error() }); err != nil {
		return applyError("wait for a barrier", err)
	}
	return nil
}

// Confirm confirms leadership as S6 defines it; see Confirmer.Confirm.
func (n *RaftNode) Confirm(ctx context.Context) (Confirmation, error) {
	if !n.enter() {
		return Confirmation{}, &NotConfirmedError{Term: n.Term(), Cause: ErrStopped}
	}
	defer n.calls.Done()
	return n.confirmer.Confirm(ctx)
}

// TransferLeadership hands leadership to the given node, or to the one that is furthest if the id is empty. Until it ends,
// Raft refuses proposals. With a hung disk it fails by its timeout, and the node should end itself.
func (n *RaftNode) TransferLeadership(to raft.ServerID, timeout time.Duration) error {
	err := n.call(timeout, func() error {
		if to == "" {
			return n.raft.LeadershipTransfer().Error()
		}
		for _, server := range n.Servers() {
			if server.ID == to {
				return n.raft.LeadershipTransferToServer(to, server.Address).Error()
			}
		}
		return fmt.Errorf("%q is not in the cluster", to)
	})
	if err != nil {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	return nil
}

// TakeSnapshot writes a snapshot now and lets Raft cut the log. A node with nothing new to write succeeds.
func (n *RaftNode) TakeSnapshot(timeout time.Duration) error {
	err := n.call(timeout, func() error { return n.raft.Snapshot().Error() })
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return fmt.Errorf("take a snapshot: %w", storageError(n.options.Storage.Path, err))
	}
	return nil
}

// enter counts a call, so that Shutdown can wait for it. It says no once Shutdown has begun.
func (n *RaftNode) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return false
	}
	n.calls.Add(1)
	return true
}

// call asks Raft something that may never be answered, a disk that hangs being enough, and gives up at the timeout. The
// question stays: its goroutine ends when Raft answers or shuts down.
func (n *RaftNode) call(timeout time.Duration, ask func() error) error {
	if timeout <= 0 {
		return fmt.Errorf("%w: no timeout given", raft.ErrEnqueueTimeout)
	}
	if !n.enter() {
		return ErrStopped
	}
	ctx, cancel := clock.WithTimeout(context.Background(), n.options.Clock, timeout)
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		defer n.calls.Done()
		answer <- ask()
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %v: %w", timeout, context.Cause(ctx))
	}
}

// Shutdown stops the node, in an order that leaves nothing half done, and returns when it is gone or the context ends. It
// doesn't hand over leadership; the caller does that first, while it can still say what it is doing. It may be called
// once.
func (n *RaftNode) Shutdown(ctx context.Context) error {
	n.mu.Lock()
	again := n.stopped
	n.stopped = true
	n.mu.Unlock()
	if again {
		return ErrStopped
	}
	// First let those finish who wait for an answer: an entry that is committed but not yet applied when Raft stops is never
	// answered. With a quorum that takes a round trip, without one until the lease of a leader has run out, and a handing over
	// of leadership takes an election at most.
	n.settle(ctx, n.options.Timing.Election+n.options.Timing.Lease)
	// Then Raft, whose last act is to close the transport: peers must hear nothing from a node that forgets what it says.
	// Once it has stopped nobody sends to the relay, which ends then, also if that is too late for the caller.
	if err := waitFor(ctx, func() { _ = n.raft.Shutdown().Error(); n.relay.stop() }); err != nil {
		return fmt.Errorf("stop Raft (its disk may hang; the storage stays open): %w", err)
	}
	// Now every question has been answered that ever will be: Raft drops some without a word.
	n.settle(ctx, n.options.Timing.Lease)
	// The storage last: until Raft had stopped it might have written to it.
	return n.options.Storage.Close()
}

// settle waits, for at most a while, for the calls that are under way.
func (n *RaftNode) settle(ctx context.Context, atMost time.Duration) {
	limited, cancel := clock.WithTimeout(ctx, n.options.Clock, atMost)
	defer cancel()
	_ = waitFor(limited, func() { n.calls.Wait(); n.confirmer.wait() }) // who is left belongs to a Raft that is gone
}

// waitFor waits for a function that can't be interrupted; one that is given up on ends by itself or with the process.
func waitFor(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
