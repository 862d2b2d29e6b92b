package arbiter

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// idlePause holds back the requests by which a leader tells its followers, over and over, what they know already. Raft sends
// one every CommitTimeout to each follower, so that they learn soon of what was committed last; at a CommitTimeout of
// some milliseconds that alone keeps an idle arbiter busy.
//
// A request is held only if it carries nothing that its peer has not acknowledged: no entry, and no newer commit index. It is
// really sent in the end, so that Raft is never told of an answer that nobody gave. It is let go at once when an entry is
// about to be written, while the disk is still at work, when any peer acknowledges one, since that may commit it, and when one has
// been committed.
//
// A peer forgets what is committed when it is restarted. Its connections break with that, so of a peer that a request, most often a heartbeat,
// didn't reach nothing is taken for known, and whatever is held is let go.
type idlePause struct {
	limit time.Duration // zero: nothing is held

	mu        sync.Mutex
	known     map[raft.ServerID]told
	committed uint64        // what is known here to be; a request that says less was made before
	stir      chan struct{} // closed and replaced when there is something new
	over      bool          // nothing is held any more
}

// told is what a request without entries says.
type told struct {
	term, previous, commit uint64
}

func newIdlePause(limit time.Duration) *idlePause {
	return &idlePause{limit: limit, known: map[raft.ServerID]told{}, stir: make(chan struct{})}
}

// hold waits while a request tells nothing new, for at most the limit or until closed.
func (p *idlePause) hold(id raft.ServerID, request *raft.AppendEntriesRequest, closed <-chan struct{}) {
	if p.limit == 0 || len(request.Entries) > 0 || request.LeaderCommitIndex == 0 { // heartbeats carry no commit index
		return
	}
	p.mu.Lock()
	known := p.known[id] == tells(request) && request.LeaderCommitIndex >= p.committed
	stir, over := p.stir, p.over
	p.mu.Unlock()
	if !known || over {
		return
	}
	timer := time.NewTimer(p.limit)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stir:
	case <-closed:
	}
}

// acknowledged notes that a peer knows what a request said.
func (p *idlePause) acknowledged(id raft.ServerID, request *raft.AppendEntriesRequest) {
	if p.limit == 0 || request.LeaderCommitIndex == 0 {
		return
	}
	if len(request.Entries) > 0 {
		p.wake()
		return
	}
	p.mu.Lock()
	p.known[id] = tells(request)
	p.mu.Unlock()
}

// unreached notes that a request got no answer from a peer.
func (p *idlePause) unreached(id raft.ServerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.known[id]; known {
		delete(p.known, id)
		p.stirAll()
	}
}

// noteCommitted notes that an entry has been committed.
func (p *idlePause) noteCommitted(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed = max(p.committed, index)
	p.stirAll()
}

// wake lets go of everything that is held.
func (p *idlePause) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stirAll()
}

// end lets go of everything for good: Raft's shutdown waits for what is held.
func (p *idlePause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.stirAll()
}

// stirAll is wake for who holds the lock.
func (p *idlePause) stirAll() {
	close(p.stir)
	p.stir = make(chan struct{})
}

func tells(request *raft.AppendEntriesRequest) told {
	return told{term: request.Term, previous: request.PrevLogEntry, commit: request.LeaderCommitIndex}
}

// listenedFSM tells the pause what is committed, which Raft says to the state machine first.
type listenedFSM struct {
	raft.ConfigurationStore
	pause *idlePause
}

// Apply implements raft.FSM.
func (f listenedFSM) Apply(log *raft.Log) any {
	f.pause.noteCommitted(log.Index)
	return f.ConfigurationStore.Apply(log)
}

// StoreConfiguration implements raft.ConfigurationStore.
func (f listenedFSM) StoreConfiguration(index uint64, configuration raft.Configuration) {
	f.pause.noteCommitted(index)
	f.ConfigurationStore.StoreConfiguration(index, configuration)
}
