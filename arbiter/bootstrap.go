package arbiter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// How a cluster comes to be, and why so carefully: an arbiter that votes twice in one term, since it has forgotten its
// first vote, makes two leaders. So an arbiter with an empty disk runs Raft only where it is certain that it has never
// voted for anybody under its id.
//
//	empty ──all answer, none is a member──▶ prepared(id) ──all are prepared or members──▶ member(id) ──▶ Raft runs
//
// Each arbiter asks all others and moves by itself; nobody is told to. The one with the lowest name invents the cluster's
// id, the others take it over from whoever has it. Each step is on disk before it is answered for. What makes it safe:
//
//   - Raft runs only on a member, and a mark is never taken back. So as long as a member exists, whoever asks it learns that
//     there is a cluster, and an empty arbiter stops there: it may have voted. No release yet lets it
//     come back; it would be under a new id (see Join).
//   - An empty arbiter that finds all others prepared, and no member, may have been a member before its disk was
//     wiped; but since none of the others has ever run Raft, it can only have voted for itself, in vain.
//   - An arbiter that is prepared has never run Raft. A member of the same id is its proof that all were prepared once, so it
//     may go on without hearing from the rest.
//
// What it can't see: a disk that was put back from a copy looks like what it was then. Never restore one arbiter's data
// directory. And if, while a cluster forms, members are wiped so that none is left, the rest forms it anew under the same id.

// BootstrapState is how far an arbiter has come.
type BootstrapState string

// The states of an arbiter. They only go forward.
const (
	BootstrapEmpty    BootstrapState = "empty"
	BootstrapPrepared BootstrapState = "prepared"
	BootstrapMember   BootstrapState = "member"
)

// BootstrapStatus is what an arbiter answers about itself, from what is on its disk.
type BootstrapStatus struct {
	Node      failover.NodeID
	ClusterID string // empty if State is
	State     BootstrapState
	ListHash  string // of the list of arbiters that it was configured with
	List      string // the same, to be read by people
}

// bootstrapAnswer is what came back when a peer was asked.
type bootstrapAnswer struct {
	peer   failover.NodeID
	status BootstrapStatus
	err    error // it didn't answer
}

var (
	// ErrClusterExists says that this arbiter's disk is empty while its cluster exists.
	ErrClusterExists = errors.New("a cluster exists, and this arbiter's disk is empty")
	// ErrListsDiffer says that two arbiters were configured with different lists of arbiters.
	ErrListsDiffer = errors.New("lists of arbiters differ")
	// ErrOtherClusterID says that a data directory, or a peer, belongs to another cluster.
	ErrOtherClusterID = errors.New("belongs to another cluster")
	// ErrPeerOfOtherCluster says that one arbiter alone answers, and is a member of another cluster than this one: either may be the wrong one.
	ErrPeerOfOtherCluster = errors.New("this arbiter and the only one that answers are of different clusters")
	// ErrWrongPeer says that a peer's address is answered by somebody else.
	ErrWrongPeer = errors.New("wrong arbiter at a peer's address")
	// ErrNotTrusted says that a peer is there, and that its certificate and this arbiter's don't go together.
	ErrNotTrusted = errors.New("certificates don't go together")
)

type bootstrapAction int

const (
	bootstrapWait    bootstrapAction = iota // ask again later
	bootstrapPrepare                        // write a prepared mark
	bootstrapJoin                           // become a member and run Raft
	bootstrapRefuse                         // end with an error: only an operator can help
)

// bootstrapDecision is the one next step, and why.
type bootstrapDecision struct {
	action    bootstrapAction
	clusterID string // to prepare or join; empty with bootstrapPrepare: invent one
	why       string
	err       error // with bootstrapRefuse
}

// decideBootstrap decides from what this arbiter has on disk and what every other one on the list answered. It is pure,
// and total: each case below ends in exactly one step.
func decideBootstrap(self BootstrapStatus, answers []bootstrapAnswer) bootstrapDecision {
	for _, a := range answers {
		if a.err == nil && a.status.Node != a.peer {
			return refuse(fmt.Errorf("%w: the address of %s is answered by %s; check the list of arbiters and the names in DNS", ErrWrongPeer, a.peer, a.status.Node))
		}
	}
	members := inState(answers, BootstrapMember)
	switch {
	case self.State == BootstrapMember:
		return decideMember(self, members)
	case len(members) > 0:
		return decideBesideMembers(self, members)
	}
	return decideForming(self, answers)
}

// decideMember lets a member run Raft. It need not wait for anybody, but whoever answers must not all be of another cluster.
func decideMember(self BootstrapStatus, members []BootstrapStatus) bootstrapDecision {
	for _, other := range members {
		if other.ClusterID == self.ClusterID {
			return bootstrapDecision{action: bootstrapJoin, clusterID: self.ClusterID, why: fmt.Sprintf("%s is a member of the same cluster", other.Node)}
		}
	}
	if len(members) == 1 {
		return refuse(fmt.Errorf("%w: this one is of cluster %s, and %s is a member of cluster %s; check both data directories. It is tried again until another arbiter answers",
			ErrPeerOfOtherCluster, self.ClusterID, members[0].Node, members[0].ClusterID))
	}
	if len(members) > 1 {
		return refuse(fmt.Errorf("this data directory %w: it is of cluster %s, and %s is a member of cluster %s; check which directory is configured",
			ErrOtherClusterID, self.ClusterID, members[0].Node, members[0].ClusterID))
	}
	return bootstrapDecision{action: bootstrapJoin, clusterID: self.ClusterID, why: "this arbiter is a member"}
}

// decideBesideMembers: a cluster exists.
func decideBesideMembers(self BootstrapStatus, members []BootstrapStatus) bootstrapDecision {
	if self.State == BootstrapEmpty {
		return refuse(fmt.Errorf("%w: %s is a member of cluster %s. If the disk of %s was lost or replaced, it may have voted before and must not vote again: %s",
			ErrClusterExists, members[0].Node, members[0].ClusterID, self.Node, fsm.LostArbiter))
	}
	for _, other := range members {
		if other.ClusterID != self.ClusterID {
			return refuse(fmt.Errorf("this data directory %w: it was prepared for cluster %s, and %s is a member of cluster %s; remove it if it is a left-over",
				ErrOtherClusterID, self.ClusterID, other.Node, other.ClusterID))
		}
	}
	return bootstrapDecision{action: bootstrapJoin, clusterID: self.ClusterID, why: fmt.Sprintf("%s is a member, so all were prepared", members[0].Node)}
}

// decideForming: nobody who answered is a member.
func decideForming(self BootstrapStatus, answers []bootstrapAnswer) bootstrapDecision {
	ids := map[string]failover.NodeID{}
	if self.State == BootstrapPrepared {
		ids[self.ClusterID] = self.Node
	}
	var silent, empty, untrusted []string
	lowest := self.Node
	for _, a := range answers {
		lowest = min(lowest, a.peer)
		switch {
		case errors.Is(a.err, ErrNotTrusted):
			untrusted = append(untrusted, fmt.Sprintf("%s (%v)", a.peer, a.err))
			silent = append(silent, fmt.Sprintf("%s (%v)", a.peer, ErrNotTrusted))
			continue
		case a.err != nil:
			silent = append(silent, fmt.Sprintf("%s (%s)", a.peer, inWords(a.err)))
			continue
		case a.status.ListHash != self.ListHash:
			return refuse(fmt.Errorf("%w; make them the same on all and start again.\n%s has %s\n%s has %s", ErrListsDiffer, self.Node, self.List, a.peer, a.status.List))
		case a.status.State == BootstrapPrepared:
			ids[a.status.ClusterID] = a.peer
		default:
			empty = append(empty, string(a.peer))
		}
	}
	switch {
	case len(ids) > 1:
		return refuseTwoIDs(ids)
	case len(untrusted) > 0 && len(untrusted) == len(answers):
		// It is this arbiter whose certificate is wrong, or all others'. A new start reads the files anew; waiting would not.
		return refuse(fmt.Errorf("%w with those of any other arbiter: %s", ErrNotTrusted, strings.Join(untrusted, "; ")))
	case len(silent) > 0:
		return bootstrapDecision{why: "waiting for an answer of " + strings.Join(silent, ", ")}
	case self.State == BootstrapPrepared && len(empty) > 0:
		return bootstrapDecision{why: "waiting until prepared: " + strings.Join(empty, ", ")}
	case self.State == BootstrapPrepared:
		return bootstrapDecision{action: bootstrapJoin, clusterID: self.ClusterID, why: "all arbiters are prepared"}
	}
	for id, from := range ids {
		return bootstrapDecision{action: bootstrapPrepare, clusterID: id, why: fmt.Sprintf("%s is prepared for it, and nobody is a member yet", from)}
	}
	if lowest == self.Node {
		return bootstrapDecision{action: bootstrapPrepare, why: "all arbiters are empty, and this one has the lowest name"}
	}
	return bootstrapDecision{why: fmt.Sprintf("waiting for %s, which has the lowest name, to name the cluster", lowest)}
}

// refuseTwoIDs: two ids are under way, since a disk was wiped or two processes share a name. A prepared mark is a promise
// that others may have acted on by now, so none of them gives way by itself.
func refuseTwoIDs(ids map[string]failover.NodeID) bootstrapDecision {
	var holders []string
	for id, node := range ids {
		holders = append(holders, fmt.Sprintf("%s for %s", node, id))
	}
	slices.Sort(holders)
	return refuse(fmt.Errorf("%w: the arbiters are prepared for different clusters: %s. No cluster has been formed; stop all arbiters, empty their data directories and start again",
		ErrOtherClusterID, strings.Join(holders, ", ")))
}

func refuse(err error) bootstrapDecision {
	return bootstrapDecision{action: bootstrapRefuse, why: err.Error(), err: err}
}

func inState(answers []bootstrapAnswer, state BootstrapState) []BootstrapStatus {
	var found []BootstrapStatus
	for _, a := range answers {
		if a.err == nil && a.status.State == state {
			found = append(found, a.status)
		}
	}
	return found
}
