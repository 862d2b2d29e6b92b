package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// errUnknown is every error of Raft's Apply: the entry may be committed all the same, now or later (S4).
var errUnknown = errors.New("outcome unknown")

// The times of Raft, as in the profile for local networks. No safety rule rests on them (S10).
const (
	heartbeatTimeout = 200 * time.Millisecond
	electionTimeout  = 200 * time.Millisecond
	leaderLease      = 100 * time.Millisecond
	beatPause        = heartbeatTimeout / 5
	rpcTimeout       = 5 * heartbeatTimeout
)

type role int

const (
	follower role = iota
	candidate
	leader
)

// entry is one entry of the log. The same entry is shared by all logs that hold it.
type entry struct {
	failover.Entry
	voters []failover.NodeID // of a configuration entry
	// What it led to, once it was applied anywhere.
	before, after *failover.State
	events        []failover.Event
	first         time.Duration // true time
	givenUp       bool          // its proposer was told that its fate is unknown
}

// raft is one server. Its main loop does one thing at a time: while it writes to disk everything else waits, but the heartbeats and their
// answers, as in hashicorp/raft. What a follower knows of its leader without a message (that heartbeats come) is asked of the network, so
// that an idle cluster costs nothing.
type raft struct {
	node *node

	// On disk.
	term     failover.Term
	voted    failover.NodeID
	log      []*entry // log[i] has index base+1+i
	base     failover.Index
	baseTerm failover.Term
	snapshot snapshot

	// In memory.
	role     role
	leader   failover.NodeID
	commit   failover.Index
	applied  failover.Index
	applying bool
	voters   []failover.NodeID
	ballot   ballot
	armed    bool // an election time-out is under way
	peers    map[failover.NodeID]*peerProgress
	pending  map[failover.Index]func(*entry, error)
	confirms []*confirmation
	sends    uint64 // stamps of AppendEntries
	handing  failover.NodeID
	handOver int // counts hand-overs
	beating  bool
	writing  bool
	waiting  []func() // for the main loop
}

// peerProgress is what a leader knows of a peer.
type peerProgress struct {
	next, match failover.Index
	told        failover.Index // commit index that it has confirmed to know
	answered    uint64         // stamp of the newest request that it answered in this term
	fresh       bool           // it has answered since the last disturbance
	inFlight    uint64         // stamp; 0: none
}

type confirmation struct {
	after uint64 // the newest stamp when it was asked for
	done  func(ok bool)
}

type ballot struct {
	pre      bool
	transfer bool
	term     failover.Term
	votes    map[failover.NodeID]bool
}

// do runs something in the main loop.
func (r *raft) do(run func()) {
	if r.writing {
		r.waiting = append(r.waiting, run)
		return
	}
	run()
}

// write changes what is on disk, and goes on when that is done. Nothing else is done in the main loop meanwhile.
func (r *raft) write(change func()) {
	r.writing = true
	r.node.disk.write(func() {
		r.writing = false
		change()
		for !r.writing && len(r.waiting) > 0 {
			next := r.waiting[0]
			r.waiting = r.waiting[1:]
			next()
		}
	})
}

func (r *raft) last() failover.Index { return r.base + failover.Index(len(r.log)) }

// at returns an entry that is in the log.
func (r *raft) at(i failover.Index) *entry { return r.log[i-r.base-1] }

// termAt is the term of an entry, false if the log does not reach there, or no longer.
func (r *raft) termAt(i failover.Index) (failover.Term, bool) {
	switch {
	case i == r.base:
		return r.baseTerm, true
	case i < r.base || i > r.last():
		return 0, false
	}
	return r.at(i).Term, true
}

func (r *raft) lastTerm() failover.Term {
	term, _ := r.termAt(r.last())
	return term
}

// readVoters takes the newest configuration in the log, committed or not.
func (r *raft) readVoters() {
	r.voters = r.snapshot.voters
	for _, e := range r.log {
		if e.voters != nil {
			r.voters = e.voters
		}
	}
}

func (r *raft) votes() bool { return slices.Contains(r.voters, r.node.id) }

// majority says whether those for whom something holds are more than half of the voters.
func (r *raft) majority(holds func(failover.NodeID) bool) bool {
	n := 0
	for _, id := range r.voters {
		if holds(id) {
			n++
		}
	}
	return 2*n > len(r.voters)
}

// propose is Apply: done gets the entry once it is applied here, or an error, which says nothing of its fate.
func (r *raft) propose(body failover.Body, voters []failover.NodeID, done func(*entry, error)) {
	r.do(func() {
		if r.role != leader || r.handing != "" {
			done(nil, errUnknown)
			return
		}
		e := &entry{voters: voters, Entry: failover.Entry{
			Index: r.last() + 1, Term: r.term, Wall: r.node.wall(), Proposer: r.node.id, Body: body,
		}}
		if voters != nil {
			e.Body = failover.SetVoters{Voters: voters}
		}
		r.write(func() {
			r.log = append(r.log, e)
			if done != nil {
				r.pending[e.Index] = done
			}
			if voters != nil {
				r.readVoters()
				r.knowPeers()
			}
			r.advanceCommit()
			r.replicateAll()
		})
	})
}

func (r *raft) knowPeers() {
	for _, id := range r.voters {
		if r.peers[id] == nil && id != r.node.id {
			r.peers[id] = &peerProgress{next: r.last() + 1}
		}
	}
}

// failPending tells everybody who waits for an entry that its fate is unknown.
func (r *raft) failPending() {
	pending := r.pending
	r.pending = map[failover.Index]func(*entry, error){}
	for _, i := range sortedKeys(pending) {
		if i > r.base && i <= r.last() {
			r.at(i).givenUp = true
		}
		pending[i](nil, errUnknown)
	}
	confirms := r.confirms
	r.confirms = nil
	for _, c := range confirms {
		c.done(false)
	}
}

// stepDown ends leadership, or an election.
func (r *raft) stepDown(why string) {
	was := r.role
	r.role, r.handing, r.ballot = follower, "", ballot{}
	if was != leader {
		return
	}
	r.node.sim.note("%s no longer leads in term %d: %s", r.node.id, r.term, why)
	r.leader = ""
	r.failPending()
	r.node.tellLeadership(false)
	r.node.sim.disturb()
}

// newerTerm takes over a higher term, if it is one, and goes on.
func (r *raft) newerTerm(term failover.Term, then func()) {
	if term <= r.term {
		then()
		return
	}
	r.write(func() {
		r.term, r.voted = term, ""
		r.stepDown("there is a higher term")
		r.leader = ""
		then()
	})
}

// confirm asks whether this server still leads at some time after now (S6): a majority answers, in this term, AppendEntries that are sent
// after now.
func (r *raft) confirm(done func(ok bool)) {
	if r.role != leader {
		done(false)
		return
	}
	r.confirms = append(r.confirms, &confirmation{after: r.sends, done: done})
	for _, id := range sortedKeys(r.peers) {
		r.heartbeat(id)
	}
	r.checkConfirms()
	r.node.post(beatPause, r.nudge)
}

// nudge sends heartbeats as long as a confirmation waits for an answer.
func (r *raft) nudge() {
	if r.role != leader || len(r.confirms) == 0 {
		return
	}
	for _, id := range sortedKeys(r.peers) {
		if r.node.sim.net.open(string(r.node.id), string(id)) {
			r.heartbeat(id)
		}
	}
	r.node.post(beatPause, r.nudge)
}

func (r *raft) checkConfirms() {
	confirms := r.confirms
	r.confirms = nil
	for _, c := range confirms {
		if r.majority(func(id failover.NodeID) bool {
			return id == r.node.id || r.peers[id] != nil && r.peers[id].answered > c.after
		}) {
			c.done(true)
			continue
		}
		r.confirms = append(r.confirms, c)
	}
}
