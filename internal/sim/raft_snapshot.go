package sim

import (
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
)

// snapshot is the whole state at an index, as bytes.
type snapshot struct {
	index  failover.Index
	term   failover.Term
	voters []failover.NodeID
	data   []byte // empty: the log begins at its beginning
}

// trailing is how many entries a snapshot leaves in the log for followers that lag a little.
const trailing = 6

// snapshotWhenLong shortens the log.
func (r *raft) snapshotWhenLong() {
	if int(r.applied-r.base) < r.node.sim.plan.SnapshotEvery {
		return
	}
	data, err := r.node.state.CanonicalBytes()
	if err != nil {
		r.node.sim.fail("encoding", "%s can't encode its state: %v", r.node.id, err)
		return
	}
	voters := r.snapshot.voters
	for i := r.base + 1; i <= r.applied; i++ {
		if e := r.at(i); e.voters != nil {
			voters = e.voters
		}
	}
	keep := max(r.base, r.applied-trailing)
	term, _ := r.termAt(r.applied)
	r.snapshot = snapshot{index: r.applied, term: term, voters: voters, data: data}
	r.baseTerm, _ = r.termAt(keep)
	r.log = append([]*entry(nil), r.log[keep-r.base:]...)
	r.base = keep
	r.node.sim.counts.snapshots++
}

// takeSnapshot replaces log and state by what a leader sent.
func (r *raft) takeSnapshot(q appendRequest) {
	taken := *q.install
	if taken.index <= r.commit {
		r.answerAppend(q, true, taken.index)
		return
	}
	r.write(func() {
		r.snapshot, r.log, r.base, r.baseTerm = taken, nil, taken.index, taken.term
		r.readVoters()
		r.commit, r.applied = taken.index, taken.index
		r.node.sim.counts.restores++
		r.node.restore(taken.data)
		r.answerAppend(q, true, taken.index)
	})
}

// reload is what a new process finds on its disk. The log after the snapshot is there, but how far it was committed is not known.
func (r *raft) reload() *failover.State {
	state := failover.NewState()
	first := r.snapshot.index
	if len(r.snapshot.data) > 0 {
		var err error
		if state, err = failover.StateFromBytes(r.snapshot.data); err != nil {
			r.node.sim.fail("encoding", "%s can't read its snapshot: %v", r.node.id, err)
		}
	}
	*r = raft{
		node: r.node, term: r.term, voted: r.voted, log: r.log, base: r.base, baseTerm: r.baseTerm, snapshot: r.snapshot,
		commit: first, applied: first, pending: map[failover.Index]func(*entry, error){},
	}
	r.readVoters()
	return &state
}

func (r *raft) String() string {
	return fmt.Sprintf("%s term %d log %d..%d commit %d applied %d", r.node.id, r.term, r.base+1, r.last(), r.commit, r.applied)
}
