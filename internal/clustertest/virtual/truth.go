package virtual

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// truth is what no arbiter knows: what all of them applied, who was elected when, and what is being done. It checks the rules at every
// change of it.
type truth struct {
	history *History

	mu       sync.Mutex
	entries  map[failover.Index]entry      // the newest that was stored at an index
	hashes   map[failover.Index]hashed     // of the state at an index
	newest   *failover.State               // the state that is furthest
	granted  map[failover.Epoch]time.Time  // when the first arbiter applied the grant of an epoch
	elected  map[failover.Term]time.Time   // when the first entry of a term was stored
	settled  failover.Index                // applied anywhere before this instant
	previous time.Time                     // the instant of the newest
	calls    map[*call]struct{}            // of drivers, under way
	looks    map[lookKey]failover.WallTime // when the look began that the newest state has
	reigns   map[failover.Term]failover.NodeID
	counts   Counts
}

// Counts say how much a run has seen, so that a search that sees nothing is noticed.
type Counts struct {
	Entries, Elections, Effects, Failovers, Reroutes, Reads int
}

type entry struct {
	term      failover.Term
	submitted time.Time
	proposer  failover.NodeID
	body      failover.Body
}

type hashed struct {
	sum [sha256.Size]byte
	who string
}

type lookKey struct {
	node   failover.NodeID
	member failover.MemberName
}

// call is one call of a driver.
type call struct {
	run    *run
	what   string
	epoch  failover.Epoch
	intent failover.Index // that was open at its arbiter when it began
}

func newTruth(h *History) *truth {
	empty := failover.NewState()
	return &truth{
		history: h, entries: map[failover.Index]entry{}, hashes: map[failover.Index]hashed{}, newest: &empty, granted: map[failover.Epoch]time.Time{},
		elected: map[failover.Term]time.Time{}, calls: map[*call]struct{}{}, looks: map[lookKey]failover.WallTime{}, reigns: map[failover.Term]failover.NodeID{},
	}
}

// stored hears of every entry that came to be on a disk.
func (t *truth) stored(log *raft.Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	term := failover.Term(log.Term)
	if _, known := t.elected[term]; !known {
		t.elected[term] = time.Now()
		t.counts.Elections++
		t.history.Note("raft", "term %d begins at index %d", term, log.Index)
	}
	at := failover.Index(log.Index)
	if known, ok := t.entries[at]; log.Type != raft.LogCommand || ok && known.term >= term {
		return
	}
	body, header, err := fsm.Decode(log.Data)
	if err != nil {
		t.history.Violate("log", "entry %d can't be read: %v", at, err)
		return
	}
	t.entries[at] = entry{term: term, submitted: header.Wall.Time(), proposer: header.Proposer, body: body}
}

// applied hears of every state of every run.
func (t *truth) applied(r *run, index failover.Index, state *failover.State, events []failover.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.isDead() {
		return
	}
	t.compare(r, index, state)
	r.remember(index, state)
	if index <= t.newest.Applied {
		return
	}
	if now := time.Now(); now.After(t.previous) {
		t.previous, t.settled = now, t.newest.Applied
	}
	t.counts.Entries++
	t.reigns[state.Reign.Term] = state.Reign.Leader
	for _, e := range events {
		t.history.Note(string(r.node), "%d %s %s%s %s", index, e.Kind, e.Rule, e.To, e.Text)
	}
	t.checkEnd(r, index)
	t.checkLooks(index, state)
	t.checkLease(index, state)
	t.newest = state
}

// compare holds the state against that of others at the same index (S13).
func (t *truth) compare(r *run, index failover.Index, state *failover.State) {
	data, err := state.CanonicalBytes()
	if err != nil {
		t.history.Violate("S13", "the state at index %d can't be encoded: %v", index, err)
		return
	}
	sum := sha256.Sum256(data)
	known, ok := t.hashes[index]
	if !ok {
		t.hashes[index] = hashed{sum, r.String()}
	} else if known.sum != sum {
		t.history.Violate("S13", "%s and %s have different states at index %d", known.who, r, index)
	}
}

// checkEnd looks whether something of an action still goes on although its arbiter has said that it ended (S8, S15).
func (t *truth) checkEnd(r *run, index failover.Index) {
	e := t.entries[index]
	for c := range t.calls {
		if c.run.node != e.proposer || c.run.isDead() {
			continue
		}
		switch b := e.body.(type) {
		case failover.Conclude:
			if b.Intent == c.intent {
				t.history.Violate("S15", "%s has committed the outcome of intent %d as entry %d, and %q of it is still under way", c.run, b.Intent, index, c.what)
			}
		case failover.ReleaseLease:
			if b.Holder == c.run.node && b.Epoch == c.epoch {
				t.history.Violate("S8", "%s has released epoch %d by entry %d, and %q under it is still under way", c.run, b.Epoch, index, c.what)
			}
		}
	}
}

// checkLooks looks whether what an arbiter saw of a member is overtaken by what it saw before.
func (t *truth) checkLooks(index failover.Index, state *failover.State) {
	g := state.Group(Group)
	if g == nil {
		return
	}
	for _, l := range g.Looks {
		key := lookKey{l.Node, l.Observation.Member}
		if l.Index == index && l.Observation.Since < t.looks[key] {
			t.history.Violate("views", "entry %d takes a look of %s at %s that is older than one that was taken before", index, l.Node, key.member)
		}
		t.looks[key] = max(t.looks[key], l.Observation.Since)
	}
}

// checkLease notes grants and what comes of them, and looks whether epochs only grow (S5).
func (t *truth) checkLease(index failover.Index, state *failover.State) {
	g, was := state.Group(Group), t.newest.Group(Group)
	if g == nil {
		return
	}
	if was != nil && g.Epoch < was.Epoch {
		t.history.Violate("S5", "entry %d takes the epoch from %d to %d", index, was.Epoch, g.Epoch)
	}
	if _, known := t.granted[g.Epoch]; g.Lease != nil && g.Lease.Epoch == g.Epoch && !known {
		t.granted[g.Epoch] = time.Now()
	}
	if was != nil && was.Writer() != g.Writer() && g.Writer() != "" {
		t.counts.Failovers++
	}
	if op := g.Operation; op != nil && op.Kind == failover.KindReroute && (was.Operation == nil || was.Operation.ID != op.ID) {
		t.counts.Reroutes++
	}
}

// checkEffect looks whether an arbiter may do what it is about to do (S6).
func (t *truth) checkEffect(c *call) {
	now := time.Now()
	var why string
	for _, state := range c.run.recent() {
		if why = t.mayAct(c, state, now); why == "" {
			break
		}
	}
	if why != "" {
		t.history.Violate("S6", "%s begins %q under epoch %d: %s", c.run, c.what, c.epoch, why)
	}
	for epoch, at := range t.granted {
		if c.epoch != 0 && epoch > c.epoch && at.Before(now) {
			t.history.Violate("S6", "%s begins %q under epoch %d after epoch %d was granted", c.run, c.what, c.epoch, epoch)
		}
	}
}

// mayAct says why an arbiter may not act by what it has applied; empty if it may.
func (t *truth) mayAct(c *call, state *failover.State, now time.Time) string {
	g := state.Group(Group)
	switch {
	case g == nil || g.Lease == nil || g.Lease.Holder != c.run.node:
		return "it holds no lease"
	case c.epoch != 0 && g.Lease.Epoch != c.epoch:
		return fmt.Sprintf("its lease is of epoch %d", g.Lease.Epoch)
	case g.Operation == nil || g.Operation.Intent == nil || g.Operation.Intent.Epoch != g.Lease.Epoch:
		return "no intent of its epoch is open"
	}
	if c.epoch == 0 {
		c.epoch = g.Lease.Epoch
	}
	until := t.entries[g.Lease.RenewedAt].submitted.Add(time.Duration(g.Lease.Duration))
	if !now.Before(until) {
		return fmt.Sprintf("its lease ran out %v ago", now.Sub(until))
	}
	applied := c.run.appliedAt(g.Operation.Intent.Index)
	for term, at := range t.elected {
		if term > g.Lease.Term && at.Before(applied) {
			return fmt.Sprintf("leadership in term %d can't have been confirmed after intent %d was applied: term %d had begun %v before that",
				g.Lease.Term, g.Operation.Intent.Index, term, applied.Sub(at))
		}
	}
	return ""
}

// furthest is the index that some arbiter had applied before this instant.
func (t *truth) furthest() failover.Index {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().After(t.previous) {
		return t.newest.Applied
	}
	return t.settled
}

// stuckPromotion is the candidate that an operator is asked to mend; empty if there is none.
func (t *truth) stuckPromotion() failover.MemberName {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.newest.Group(Group)
	if g == nil || g.Stage != failover.Held || g.Hold.Reason != failover.HoldPromote || g.Operation == nil {
		return ""
	}
	return g.Operation.Candidate
}

// checkAnswer looks whether what an arbiter answered as the leader was so: whatever was applied anywhere before the question is part of
// the answer, in a reign of the arbiter that answered (S8).
func (t *truth) checkAnswer(node failover.NodeID, term failover.Term, applied, least failover.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Reads++
	if applied < least {
		t.history.Violate("S8", "%s answers as the leader with what it had applied up to %d, and %d had been applied before it was asked", node, applied, least)
	}
	if leader := t.reigns[term]; leader != node {
		t.history.Violate("S8", "%s answers as the leader in term %d, which is of %q", node, term, leader)
	}
}
