package arbiter

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/supervise"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// startRaft finds or forms the cluster, then starts Raft on what is on disk.
func (n *Node) startRaft(ctx context.Context) error {
	storage, err := n.openStorage()
	if err != nil {
		return err
	}
	n.setReadiness(arbiterv1.Readiness_READINESS_BOOTSTRAPPING)
	cluster, err := n.findCluster(ctx, storage)
	if err != nil {
		return errors.Join(err, storage.Close())
	}
	n.cluster = cluster
	if n.held, err = storage.lastCommand(); err != nil {
		return errors.Join(err, storage.Close())
	}
	self, _ := n.peers.peer(n.options.Node)
	inner, err := NewNetworkTransport(NetworkOptions{
		Listen: n.options.RaftListen, Advertise: self.Raft, ClusterID: cluster, TLS: n.options.TLS,
		Insecure: n.options.Insecure, Network: n.options.Network, Timing: n.options.Timing, Log: n.log,
	})
	if err != nil {
		return errors.Join(err, storage.Close())
	}
	n.stamps = NewStampingTransport(inner, n.options.Clock)
	n.raft, err = StartRaft(RaftOptions{
		ID: raft.ServerID(n.options.Node), Timing: n.options.Timing, Storage: storage, Transport: n.stamps, FSM: n.machine(),
		Clock: n.options.Clock, Log: n.log, StorageFailed: n.halt,
	})
	return err
}

// machine is the state machine as Raft knows it.
func (n *Node) machine() raft.ConfigurationStore {
	if n.options.Record == nil {
		return n.fsm
	}
	return n.options.Record.Around(n.fsm)
}

func (n *Node) openStorage() (*Storage, error) {
	if n.options.OpenStorage != nil {
		return n.options.OpenStorage()
	}
	if err := checkLogLost(n.options.Data); err != nil {
		return nil, err
	}
	return OpenStorage(filepath.Join(n.options.Data, raftFolder), n.log)
}

func (n *Node) findCluster(ctx context.Context, storage *Storage) (string, error) {
	b, err := NewBootstrap(BootstrapOptions{
		Node: n.options.Node, List: n.options.Peers, Folder: n.options.Data, Storage: storage, Peers: n.peers, TLS: n.options.TLS,
		Clock: n.options.Clock, Log: n.log,
	})
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.boot = b
	n.mu.Unlock()
	return b.Run(ctx)
}

func (n *Node) bootstrapping() *Bootstrap {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.boot
}

// Limits of the steps of an orderly end.
const (
	drainLimit = 5 * time.Second
	raftLimit  = 5 * time.Second
	restLimit  = 5 * time.Second
	// haltLimit is that of each step when this process ended itself: as long as its Raft runs it may keep others from leading.
	haltLimit = 500 * time.Millisecond
)

// drain ends the node in an order that leaves nothing half done.
func (n *Node) drain(ctx context.Context) error {
	cause := context.Cause(n.group.Context())
	raftLimit, restLimit := raftLimit, restLimit
	if errors.Is(cause, ErrHalted) {
		raftLimit, restLimit = haltLimit, haltLimit
	}
	n.setReadiness(arbiterv1.Readiness_READINESS_DRAINING)
	err := supervise.Drain(ctx, []supervise.Step{
		{Name: "hand leadership over", Why: "first, while everything works: the successor need not wait for leases", Limit: drainLimit, Do: n.handOverAtTheEnd},
		{Name: "stop the loops", Why: "before Raft: they must not see it end as an error", Limit: restLimit, Do: func(ctx context.Context) error {
			n.group.Stop(supervise.ErrStopped)
			n.runner.drain()
			return ignoreCause(n.group.WaitFor(ctx), cause)
		}},
		{Name: "stop Raft", Why: "nobody uses it any more", Limit: raftLimit, Do: n.raft.Shutdown},
		{Name: "close connections to peers", Why: "last: the loops used them", Limit: restLimit, Do: func(context.Context) error { return n.peers.close() }},
	}, func(step supervise.Step, took time.Duration, err error) {
		n.log.Info("shutdown", "step", step.Name, "why", step.Why, "took", took, "error", err)
	})
	if cause != nil {
		return cause
	}
	return err
}

// ignoreCause passes over the error that made the node end: it is reported by itself.
func ignoreCause(err, cause error) error {
	if cause != nil {
		return nil
	}
	return err
}
