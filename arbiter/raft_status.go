package arbiter

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// RaftStats is how a node stands, for status and metrics. Its fields are read one after the other and may not belong to one
// moment; nothing is decided by them.
type RaftStats struct {
	State        raft.RaftState
	Term         uint64
	Leader       raft.ServerID // empty: none known
	LastIndex    uint64        // in this node's log
	CommitIndex  uint64
	AppliedIndex uint64 // handed to the state machine
	LastContact  time.Time
	Voters       int
}

// Stats reads how the node stands.
func (n *RaftNode) Stats() RaftStats {
	stats := RaftStats{
		State:        n.raft.State(),
		Term:         n.raft.CurrentTerm(),
		LastIndex:    n.raft.LastIndex(),
		CommitIndex:  n.raft.CommitIndex(),
		AppliedIndex: n.raft.AppliedIndex(),
		LastContact:  n.raft.LastContact(),
	}
	_, stats.Leader = n.raft.LeaderWithID()
	stats.Voters = len(n.voters())
	return stats
}

// voters are those of Servers that vote.
func (n *RaftNode) voters() []failover.NodeID {
	var voters []failover.NodeID
	for _, server := range n.Servers() {
		if server.Suffrage == raft.Voter {
			voters = append(voters, failover.NodeID(server.ID))
		}
	}
	return voters
}

// ID is the node's own id.
func (n *RaftNode) ID() raft.ServerID { return n.options.ID }

// Term is the current term. Being the leader in it is another matter: see Confirm.
func (n *RaftNode) Term() uint64 { return n.raft.CurrentTerm() }

// BelievesLeader says whether Raft takes this node for the leader. That is good enough to decide where to send a caller, and
// for nothing else (S6).
func (n *RaftNode) BelievesLeader() bool { return n.raft.State() == raft.Leader }

// Leader is who leads, as far as this node has heard; empty if it doesn't know.
func (n *RaftNode) Leader() (raft.ServerID, raft.ServerAddress) {
	address, id := n.raft.LeaderWithID()
	return id, address
}

// LastIndex is the end of this node's log, committed or not.
func (n *RaftNode) LastIndex() uint64 { return n.raft.LastIndex() }

// CommitIndex is how far the log is committed, as far as this node has heard.
func (n *RaftNode) CommitIndex() uint64 { return n.raft.CommitIndex() }

// Servers is the latest configuration in this node's log, which may not be committed. The state machine learns who votes
// from its entries, not from here.
func (n *RaftNode) Servers() []raft.Server {
	future := n.raft.GetConfiguration()
	if future.Error() != nil { // it reads a copy and can't fail in raft 1.7.3
		return nil
	}
	return future.Configuration().Servers
}

// AddNonvoter lets a new node receive the log without a vote, so that it catches up before it counts. The id must never
// have been used before.
func (n *RaftNode) AddNonvoter(id raft.ServerID, address raft.ServerAddress, timeout time.Duration) error {
	return n.change(fmt.Sprintf("add %s without a vote", id), timeout, func() raft.IndexFuture { return n.raft.AddNonvoter(id, address, 0, timeout) })
}

// AddVoter gives a node its vote, or a voter a new address.
func (n *RaftNode) AddVoter(id raft.ServerID, address raft.ServerAddress, timeout time.Duration) error {
	return n.change(fmt.Sprintf("add voter %s", id), timeout, func() raft.IndexFuture { return n.raft.AddVoter(id, address, 0, timeout) })
}

// RemoveServer takes a node out of the cluster for good.
func (n *RaftNode) RemoveServer(id raft.ServerID, timeout time.Duration) error {
	return n.change(fmt.Sprintf("remove %s", id), timeout, func() raft.IndexFuture { return n.raft.RemoveServer(id, 0, timeout) })
}

func (n *RaftNode) change(what string, timeout time.Duration, ask func() raft.IndexFuture) error {
	if err := n.call(timeout, func() error { return ask().Error() }); err != nil {
		return applyError(what, err)
	}
	return nil
}
