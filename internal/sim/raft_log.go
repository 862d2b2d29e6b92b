package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// appendRequest is AppendEntries; without entries and a previous index it is a heartbeat.
type appendRequest struct {
	heartbeat bool
	stamp     uint64
	term      failover.Term
	from      failover.NodeID
	previous  failover.Index
	prevTerm  failover.Term
	entries   []*entry
	commit    failover.Index
	install   *snapshot // instead of entries
}

// mostEntries is how many entries go into one request.
const mostEntries = 64

func (r *raft) replicateAll() {
	for _, id := range sortedKeys(r.peers) {
		r.replicate(id)
	}
}

func (r *raft) heartbeat(id failover.NodeID) {
	r.sends++
	r.send(id, appendRequest{heartbeat: true, stamp: r.sends, term: r.term, from: r.node.id})
}

// replicate sends a peer what it lacks, if there is anything and nothing is under way.
func (r *raft) replicate(id failover.NodeID) {
	p := r.peers[id]
	if r.role != leader || p == nil || p.inFlight != 0 || p.match == r.last() && p.told == r.commit {
		return
	}
	r.sends++
	q := appendRequest{stamp: r.sends, term: r.term, from: r.node.id, commit: r.commit}
	if term, ok := r.termAt(p.next - 1); ok {
		q.previous, q.prevTerm = p.next-1, term
		first := min(int(p.next-1-r.base), len(r.log))
		q.entries = r.log[first:min(first+mostEntries, len(r.log)):len(r.log)]
	} else {
		q.install = &r.snapshot
		install := r.snapshot
		q.install = &install
	}
	p.inFlight = q.stamp
	r.send(id, q)
	term := r.term
	r.node.post(rpcTimeout, func() {
		if r.role == leader && r.term == term && p.inFlight == q.stamp {
			p.inFlight = 0
			if r.reaches(id) { // else the next disturbance tells
				r.replicate(id)
			}
		}
	})
}

func (r *raft) send(id failover.NodeID, q appendRequest) {
	peer := r.node.sim.node(id)
	r.node.sim.net.datagram(string(r.node.id), string(id), func() {
		peer.enter(func() {
			if q.heartbeat && q.term == peer.raft.term && peer.raft.role == follower { // beside the main loop
				peer.raft.follow(q.from)
				peer.raft.answerAppend(q, true, 0)
				return
			}
			peer.raft.do(func() { peer.raft.takeAppend(q) })
		})
	})
}

func (r *raft) follow(id failover.NodeID) {
	if r.leader != id {
		r.leader = id
		r.node.leaderChanged()
		r.arm() // it may have gone silent meanwhile
	}
}

func (r *raft) answerAppend(q appendRequest, ok bool, match failover.Index) {
	term, l := r.term, r.node.sim.node(q.from)
	commit := r.commit
	r.node.sim.net.datagram(string(r.node.id), string(q.from), func() {
		l.enter(func() { l.raft.appendAnswered(r.node.id, q, term, ok, match, commit) })
	})
}

func (r *raft) takeAppend(q appendRequest) {
	if q.term < r.term {
		r.answerAppend(q, false, 0)
		return
	}
	r.newerTerm(q.term, func() {
		if r.role == candidate {
			r.stepDown("another server leads")
		}
		r.follow(q.from)
		switch {
		case q.heartbeat:
			r.answerAppend(q, true, 0)
		case q.install != nil:
			r.takeSnapshot(q)
		default:
			r.takeEntries(q)
		}
	})
}

func (r *raft) takeEntries(q appendRequest) {
	if term, ok := r.termAt(q.previous); q.previous > r.base && (!ok || term != q.prevTerm) {
		r.answerAppend(q, false, min(r.last(), q.previous-1))
		return
	}
	match := q.previous + failover.Index(len(q.entries))
	fresh := q.entries
	for len(fresh) > 0 {
		term, ok := r.termAt(fresh[0].Index)
		if fresh[0].Index > r.base && (!ok || term != fresh[0].Term) {
			break
		}
		fresh = fresh[1:]
	}
	finish := func() {
		if commit := min(q.commit, match); commit > r.commit {
			r.commit = commit
			r.apply()
		}
		r.answerAppend(q, true, match)
	}
	if len(fresh) == 0 {
		finish()
		return
	}
	r.write(func() {
		r.log = append(r.log[:fresh[0].Index-r.base-1:fresh[0].Index-r.base-1], fresh...)
		r.readVoters()
		finish()
	})
}

// appendAnswered runs beside the main loop, as replication does.
func (r *raft) appendAnswered(from failover.NodeID, q appendRequest, term failover.Term, ok bool, match, commit failover.Index) {
	if term > r.term {
		r.do(func() { r.newerTerm(term, func() {}) })
		return
	}
	p := r.peers[from]
	if r.role != leader || q.term != r.term || p == nil {
		return
	}
	if term == r.term {
		p.answered, p.fresh = max(p.answered, q.stamp), true
		r.checkConfirms()
	}
	if q.heartbeat {
		return
	}
	if p.inFlight == q.stamp {
		p.inFlight = 0
	}
	if ok {
		p.match = max(p.match, match)
		p.next, p.told = p.match+1, max(p.told, min(q.commit, commit))
		r.do(r.advanceCommit)
		r.timeoutNow()
	} else {
		p.next = max(min(p.next-1, match+1), p.match+1)
	}
	r.replicate(from)
}

// advanceCommit commits what a majority has on disk, up to an entry of the present term.
func (r *raft) advanceCommit() {
	if r.role != leader {
		return
	}
	for i := r.last(); i > r.commit; i-- {
		if term, _ := r.termAt(i); term != r.term {
			return
		}
		if r.majority(func(id failover.NodeID) bool { return id == r.node.id || r.peers[id] != nil && r.peers[id].match >= i }) {
			r.commit = i
			r.apply()
			// The others are told a little later, if nothing else is sent to them meanwhile.
			r.node.post(r.node.dice.between(time.Millisecond, 12*time.Millisecond), r.replicateAll)
			return
		}
	}
}

// apply hands committed entries to the state machine, which runs beside the main loop and may lag.
func (r *raft) apply() {
	if r.applying {
		return
	}
	r.applying = true
	r.node.post(r.node.lag+r.node.dice.between(20*time.Microsecond, 300*time.Microsecond), func() {
		r.applying = false
		for r.applied < r.commit {
			r.applied++
			e := r.at(r.applied)
			r.node.applyEntry(e)
			if done := r.pending[e.Index]; done != nil {
				delete(r.pending, e.Index)
				done(e, nil)
			}
			if !r.node.alive {
				return
			}
		}
		r.snapshotWhenLong()
	})
}
