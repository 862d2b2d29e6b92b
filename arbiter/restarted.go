package arbiter

import (
	"cmp"
	"fmt"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What an arbiter knows after a restart, before it has heard from a majority: Raft keeps no commit index on disk, so nothing of the
// log is applied, and the state is that of the last snapshot, or empty. The groups are not gone, and no answer may read as if they were.

// logEnd is the newest entry of ours in a log, committed or not; the zero value is none.
type logEnd struct {
	index failover.Index
	term  failover.Term
}

// lastCommand finds that entry. Only entries of Raft's own stand behind it, and those are few: each reign begins with one of ours.
func (s *Storage) lastCommand() (logEnd, error) {
	first, err := s.Log.FirstIndex()
	if err != nil {
		return logEnd{}, storageError(s.Path, err)
	}
	last, err := s.Log.LastIndex()
	if err != nil {
		return logEnd{}, storageError(s.Path, err)
	}
	for index := last; index >= max(first, 1); index-- {
		var entry raft.Log
		if err := s.Log.GetLog(index, &entry); err != nil {
			return logEnd{}, storageError(s.Path, err)
		}
		if entry.Type == raft.LogCommand {
			return logEnd{failover.Index(entry.Index), failover.Term(entry.Term)}, nil
		}
	}
	return logEnd{}, nil
}

// pending is up to where the log on disk was when this arbiter started, as long as a state lacks what of it was committed; 0 if it
// lacks nothing. A reign of a later term settles it too: what its leader did not have was never committed.
func (n *Node) pending(s *failover.State) failover.Index {
	if s.Applied >= n.held.index || s.Reign.Term > n.held.term {
		return 0
	}
	return n.held.index
}

// notYetKnown is the answer to a question that such a state can't answer.
func (n *Node) notYetKnown(s *failover.State, what string) error {
	why := fmt.Sprintf("%s was restarted and waits for a majority of arbiters to say what of its log, up to %d, is committed: %s is not known before. Nothing of it is lost; start the other arbiters, with the disks that they had",
		n.options.Node, n.pending(s), what)
	failure, err := status.New(codes.FailedPrecondition, why).WithDetails(&arbiterv1.NotLeader{LogOnDisk: uint64(n.pending(s))})
	if err != nil {
		return status.Error(codes.FailedPrecondition, why)
	}
	return failure.Err()
}

// clusterID is the cluster's name in the log, or else in the mark: the log's is not known at once.
func (n *Node) clusterID(s *failover.State) string { return cmp.Or(s.ClusterID, n.cluster) }
