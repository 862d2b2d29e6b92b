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
// about to be written, while the disk is still at work, and when any peer acknowledges one, since that may commit it.
type idlePause struct {
	limit time.Duration // zero: nothing is held

	mu    sync.Mutex
	known map[raft.ServerID]told
	stir  chan struct{} // closed and replaced when there is something new
	// written is the newest entry that this node has begun to write. A request from before it says less than there is to say, and Raft makes such
	// ones for as long as the disk takes: held, the entry would wait behind them.
	written uint64
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
	news := p.known[id] != tells(request) || request.PrevLogEntry < p.written
	stir := p.stir
	p.mu.Unlock()
	if news {
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

// appending notes that entries are about to be written, the last of them at an index.
func (p *idlePause) appending(last uint64) {
	p.mu.Lock()
	p.written = last
	p.mu.Unlock()
	p.wake()
}

// wake lets go of everything that is held.
func (p *idlePause) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.stir)
	p.stir = make(chan struct{})
}

func tells(request *raft.AppendEntriesRequest) told {
	return told{term: request.Term, previous: request.PrevLogEntry, commit: request.LeaderCommitIndex}
}
