package arbiter

import (
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// innerTransport is what a StampingTransport stands on: raft.NetworkTransport, raft.InmemTransport, or a test's own.
type innerTransport interface {
	raft.Transport
	raft.WithPreVote
}

// StampingTransport stands between Raft and the network and remembers, for each peer, when the latest AppendEntries that
// the peer has answered with success, in its own term, was sent. That is what leadership is confirmed by (S6): the time of
// an answer says nothing, since it may have been under way for long.
//
// Two more things keep that meaning. Requests are never pipelined, so that each answer belongs to its request. And a
// heartbeat takes Raft's fast path, beside its main loop, only if it can't change the term (see mayBypass).
//
// One goroutine, from NewStampingTransport to Close, hands requests on to Raft.
type StampingTransport struct {
	inner    innerTransport
	clock    clock.Clock
	requests chan raft.RPC
	closed   chan struct{}
	handed   sync.WaitGroup
	idle     *idlePause // set before Raft runs

	mu       sync.Mutex
	isClosed bool
	sends    uint64
	answered map[raft.ServerID]stamp
	changed  chan struct{} // closed at the next answer; nil while nobody waits
	bypass   func(term uint64) bool
}

// stamp is when an answered request was sent: its term, its place in the order of all sends and marks, and the boot time.
type stamp struct {
	term  uint64
	order uint64
	sent  time.Duration
}

// NewStampingTransport wraps a transport. Close ends it and closes the inner one.
func NewStampingTransport(inner innerTransport, c clock.Clock) *StampingTransport {
	t := &StampingTransport{
		inner:    inner,
		clock:    c,
		requests: make(chan raft.RPC),
		closed:   make(chan struct{}),
		answered: map[raft.ServerID]stamp{},
		idle:     newIdlePause(0),
	}
	t.handed.Go(t.handOn)
	return t
}

// AppendEntries implements raft.Transport. The stamp is taken before the request leaves, and kept only once it is answered.
func (t *StampingTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	t.idle.hold(id, request, t.closed)
	sent := t.mark()
	sent.term = request.Term
	if err := t.inner.AppendEntries(id, target, request, response); err != nil {
		return err
	}
	if response.Success && response.Term == sent.term {
		t.keep(id, sent)
		t.idle.acknowledged(id, request)
	}
	return nil
}

// AppendEntriesPipeline implements raft.Transport by declining: see the type's comment.
func (t *StampingTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AnsweredSince says when the latest request that a peer has answered in a term was sent, on the boot-time clock.
func (t *StampingTransport) AnsweredSince(id raft.ServerID, term uint64) (sent time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, ok := t.answered[id]
	return last.sent, ok && last.term == term
}

// mark is now: everything that is sent later has a higher order. The order decides, not the time: two events can fall
// on one reading of a clock.
func (t *StampingTransport) mark() stamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sends++
	return stamp{order: t.sends, sent: t.clock.Boot()}
}

// keep remembers an answered request if it is the latest. Answers overtake each other, and an old term's may come last.
func (t *StampingTransport) keep(id raft.ServerID, sent stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.answered[id]
	if sent.term < last.term || sent.term == last.term && sent.order < last.order {
		return
	}
	t.answered[id] = sent
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// answeredAfter says whether a peer has answered, in the given term, a request that was sent after the mark.
func (t *StampingTransport) answeredAfter(id raft.ServerID, term uint64, mark stamp) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.answered[id]
	return last.term == term && last.order > mark.order
}

// nextAnswer returns a channel that is closed at the next answer.
func (t *StampingTransport) nextAnswer() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// SetHeartbeatHandler implements raft.Transport. Raft asks for heartbeats to be handled beside its main loop, so that a
// slow disk doesn't silence them; only those that may take that path do.
func (t *StampingTransport) SetHeartbeatHandler(handle func(raft.RPC)) {
	if handle == nil {
		t.inner.SetHeartbeatHandler(nil)
		return
	}
	t.inner.SetHeartbeatHandler(func(rpc raft.RPC) {
		if request, ok := rpc.Command.(*raft.AppendEntriesRequest); ok && t.mayBypass(request.Term) {
			handle(rpc)
			return
		}
		t.offer(rpc)
	})
}

// letBypass sets the rule by which a heartbeat of a term may bypass Raft's main loop. Until then none may.
func (t *StampingTransport) letBypass(rule func(term uint64) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bypass = rule
}

// mayBypass says whether a heartbeat may be handled beside Raft's main loop. One that changes the term must not: Raft then
// writes the term of the heartbeat without a lock, and the main loop may be about to write a higher one, together with a
// vote. The lower one would win, and a node that has voted in a new term would go on answering the old term's leader,
// which then could confirm its leadership, and commit, beside the new one.
func (t *StampingTransport) mayBypass(term uint64) bool {
	t.mu.Lock()
	rule := t.bypass
	t.mu.Unlock()
	return rule != nil && rule(term)
}

// Consumer implements raft.Transport.
func (t *StampingTransport) Consumer() <-chan raft.RPC { return t.requests }

// handOn brings the inner transport's requests to Raft until Close.
func (t *StampingTransport) handOn() {
	for {
		select {
		case rpc := <-t.inner.Consumer():
			t.offer(rpc)
		case <-t.closed:
			return
		}
	}
}

func (t *StampingTransport) offer(rpc raft.RPC) {
	select {
	case t.requests <- rpc:
	case <-t.closed:
		rpc.Respond(nil, raft.ErrTransportShutdown)
	}
}

// LocalAddr implements raft.Transport.
func (t *StampingTransport) LocalAddr() raft.ServerAddress { return t.inner.LocalAddr() }

// RequestVote implements raft.Transport.
func (t *StampingTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	return t.inner.RequestVote(id, target, request, response)
}

// RequestPreVote implements raft.WithPreVote. Without it Raft would hold elections without a pre-vote, and a node that was
// cut off would depose a healthy leader when it comes back.
func (t *StampingTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	return t.inner.RequestPreVote(id, target, request, response)
}

// InstallSnapshot implements raft.Transport.
func (t *StampingTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, request *raft.InstallSnapshotRequest, response *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.inner.InstallSnapshot(id, target, request, response, data)
}

// TimeoutNow implements raft.Transport.
func (t *StampingTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, request *raft.TimeoutNowRequest, response *raft.TimeoutNowResponse) error {
	return t.inner.TimeoutNow(id, target, request, response)
}

// EncodePeer implements raft.Transport.
func (t *StampingTransport) EncodePeer(id raft.ServerID, address raft.ServerAddress) []byte {
	return t.inner.EncodePeer(id, address)
}

// DecodePeer implements raft.Transport.
func (t *StampingTransport) DecodePeer(peer []byte) raft.ServerAddress {
	return t.inner.DecodePeer(peer)
}

// Close implements raft.WithClose: Raft calls it at the end of its shutdown. It may be called again.
func (t *StampingTransport) Close() error {
	t.mu.Lock()
	first := !t.isClosed
	t.isClosed = true
	t.mu.Unlock()
	if !first {
		return nil
	}
	close(t.closed)
	t.handed.Wait()
	if inner, ok := t.inner.(raft.WithClose); ok {
		return inner.Close()
	}
	return nil
}

var (
	_ raft.Transport   = (*StampingTransport)(nil)
	_ raft.WithPreVote = (*StampingTransport)(nil)
	_ raft.WithClose   = (*StampingTransport)(nil)
)
