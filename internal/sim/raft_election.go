package sim

import (
	"github.com/arbiter-ha/arbiter/failover"
)

// hears says whether heartbeats of a leader come.
func (r *raft) hears() bool {
	if r.leader == "" || r.leader == r.node.id {
		return false
	}
	l := r.node.sim.node(r.leader)
	return l.runs() && l.raft.role == leader && l.raft.term == r.term && r.node.sim.net.open(string(l.id), string(r.node.id))
}

// reaches says whether a leader's heartbeats to a peer are answered.
func (r *raft) reaches(id failover.NodeID) bool {
	s := r.node.sim
	return s.net.bothWays(string(r.node.id), string(id)) && s.node(id).runs()
}

// disturbed is called when anything about machines or links changed: heartbeats that came may not come any more, or again.
func (r *raft) disturbed() {
	if r.role != leader {
		r.arm()
		return
	}
	for _, p := range r.peers {
		p.fresh = false
	}
	r.node.post(r.node.dice.between(0, beatPause), r.beat)
	r.node.post(r.node.dice.between(leaderLease, 2*leaderLease), func() { r.do(r.checkLease) })
}

// checkLease ends the leadership of a server that does not hear of a majority.
func (r *raft) checkLease() {
	if r.role == leader && !r.majority(func(id failover.NodeID) bool { return id == r.node.id || r.reaches(id) }) {
		r.stepDown("it does not hear of a majority")
	}
}

// beat sends heartbeats until everybody who can has answered; what follows them can then be asked of the network.
func (r *raft) beat() {
	if r.role != leader || r.beating {
		return
	}
	again := false
	for _, id := range sortedKeys(r.peers) {
		if p := r.peers[id]; !p.fresh && r.reaches(id) {
			r.heartbeat(id)
			again = true
		}
		r.replicate(id)
	}
	if again {
		r.beating = true
		r.node.post(beatPause, func() { r.beating = false; r.beat() })
	}
}

// arm starts an election time-out, if none is under way.
func (r *raft) arm() {
	if r.armed {
		return
	}
	r.armed = true
	r.node.post(r.node.dice.between(heartbeatTimeout, 2*heartbeatTimeout), func() {
		r.armed = false
		r.do(r.timeOut)
	})
}

func (r *raft) timeOut() {
	if r.role == leader || !r.votes() || r.hears() {
		return
	}
	r.leader = ""
	r.campaign(true, false)
	r.arm()
}

// campaign asks for votes: first whether they would be given (a cut-off server must not raise the term), then in earnest.
func (r *raft) campaign(pre, transfer bool) {
	if pre {
		r.ballot = ballot{pre: true, term: r.term + 1, votes: map[failover.NodeID]bool{}}
		r.askForVotes()
		return
	}
	r.write(func() {
		r.term++
		r.voted, r.role, r.leader = r.node.id, candidate, ""
		r.ballot = ballot{transfer: transfer, term: r.term, votes: map[failover.NodeID]bool{}}
		r.askForVotes()
		r.arm()
	})
}

type voteRequest struct {
	pre, transfer bool
	term          failover.Term
	from          failover.NodeID
	last          failover.Index
	lastTerm      failover.Term
}

func (r *raft) askForVotes() {
	q := voteRequest{r.ballot.pre, r.ballot.transfer, r.ballot.term, r.node.id, r.last(), r.lastTerm()}
	r.vote(r.node.id, q.pre, q.term)
	for _, id := range r.voters {
		if id == r.node.id {
			continue
		}
		peer := r.node.sim.node(id)
		r.node.sim.net.datagram(string(r.node.id), string(id), func() {
			peer.enter(func() { peer.raft.do(func() { peer.raft.voteFor(q) }) })
		})
	}
}

// voteFor answers a request for a vote.
func (r *raft) voteFor(q voteRequest) {
	answer := func(granted bool) {
		term, asker := r.term, r.node.sim.node(q.from)
		r.node.sim.net.datagram(string(r.node.id), string(q.from), func() {
			asker.enter(func() {
				asker.raft.do(func() {
					asker.raft.newerTerm(term, func() {
						if granted {
							asker.raft.vote(r.node.id, q.pre, q.term)
						}
					})
				})
			})
		})
	}
	upToDate := q.lastTerm > r.lastTerm() || q.lastTerm == r.lastTerm() && q.last >= r.last()
	other := r.role == leader || r.hears() && r.leader != q.from
	switch {
	case q.term < r.term, other && !q.transfer:
		answer(false)
		return
	case q.pre:
		answer(upToDate && q.term > r.term)
		return
	}
	r.newerTerm(q.term, func() {
		if !upToDate || r.voted != "" && r.voted != q.from {
			answer(false)
			return
		}
		r.write(func() {
			r.voted = q.from
			answer(true)
		})
	})
}

// vote counts a vote.
func (r *raft) vote(from failover.NodeID, pre bool, term failover.Term) {
	if r.ballot.votes == nil || r.ballot.pre != pre || r.ballot.term != term || !pre && (r.role != candidate || r.term != term) {
		return
	}
	r.ballot.votes[from] = true
	if !r.majority(func(id failover.NodeID) bool { return r.ballot.votes[id] }) {
		return
	}
	r.ballot = ballot{}
	if pre {
		if !r.hears() {
			r.campaign(false, false)
		}
		return
	}
	r.lead()
}

// lead begins a reign of Raft. An entry of its own commits what earlier leaders left.
func (r *raft) lead() {
	r.role, r.leader, r.handing = leader, r.node.id, ""
	r.node.sim.note("%s is elected in term %d, log up to %d", r.node.id, r.term, r.last())
	r.node.sim.counts.elections++
	r.peers = map[failover.NodeID]*peerProgress{}
	r.knowPeers()
	r.node.sim.checkElection(r)
	e := &entry{Entry: failover.Entry{Index: r.last() + 1, Term: r.term, Proposer: r.node.id}}
	r.node.tellLeadership(true)
	r.node.sim.disturb()
	r.beat()
	r.write(func() {
		r.log = append(r.log, e)
		r.advanceCommit()
		r.replicateAll()
	})
}

// transfer hands leadership to another server. It fails if that one does not lead in time.
func (r *raft) transfer(to failover.NodeID, failed func()) {
	r.do(func() {
		if r.role != leader {
			failed()
			return
		}
		best := failover.NodeID("")
		for _, id := range sortedKeys(r.peers) {
			if to == id || to == "" && (best == "" || r.peers[id].match > r.peers[best].match) {
				best = id
			}
		}
		if best == "" {
			failed()
			return
		}
		r.handing = best
		r.handOver++
		count, term := r.handOver, r.term
		r.node.post(4*electionTimeout, func() {
			if r.role == leader && r.term == term && r.handOver == count && r.handing != "" {
				r.handing = ""
				failed()
			}
		})
		r.replicate(best)
		r.timeoutNow()
	})
}

// timeoutNow tells the one that leadership is handed to to begin its election, once it has all of the log.
func (r *raft) timeoutNow() {
	if r.handing == "" || r.peers[r.handing] == nil || r.peers[r.handing].match < r.last() {
		return
	}
	peer, term := r.node.sim.node(r.handing), r.term
	r.node.sim.net.datagram(string(r.node.id), string(peer.id), func() {
		peer.enter(func() {
			peer.raft.do(func() {
				if peer.raft.term == term && peer.raft.role == follower {
					peer.raft.campaign(false, true)
				}
			})
		})
	})
}
