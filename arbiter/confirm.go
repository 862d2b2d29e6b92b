package arbiter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrNotConfirmed says that leadership could not be confirmed. It may be lost or not; no side effect may rest on it.
var ErrNotConfirmed = errors.New("leadership not confirmed")

// NotConfirmedError tells why leadership could not be confirmed. It is an ErrNotConfirmed.
type NotConfirmedError struct {
	Term     uint64          // in which confirmation was sought
	Answered []raft.ServerID // voters that confirmed it in time, this one included
	Silent   []raft.ServerID // voters that did not
	Cause    error           // why the wait ended
}

// Error names who was silent.
func (e *NotConfirmedError) Error() string {
	if len(e.Answered)+len(e.Silent) == 0 {
		return fmt.Sprintf("%v in term %d: %v", ErrNotConfirmed, e.Term, e.Cause)
	}
	return fmt.Sprintf("%v in term %d: %d of %d voters answered, silent: %s: %v", ErrNotConfirmed, e.Term,
		len(e.Answered), len(e.Answered)+len(e.Silent), joinIDs(e.Silent), e.Cause)
}

// Unwrap makes it an ErrNotConfirmed, and gives the cause.
func (e *NotConfirmedError) Unwrap() []error { return []error{ErrNotConfirmed, e.Cause} }

// Confirmation is the proof that this node was the leader: a majority of the voters answered, in Term, requests that were
// sent after At. So no leader of a later term had been elected before At. One may have been since.
type Confirmation struct {
	Term uint64
	At   time.Duration // on the boot-time clock
}

// raftView is what confirmation needs to know of Raft.
type raftView interface {
	State() raft.RaftState
	CurrentTerm() uint64
	GetConfiguration() raft.ConfigurationFuture
	VerifyLeader() raft.Future
}

// Confirmer confirms leadership as S6 defines it. It may be used by many goroutines at once, and their questions share
// their heartbeats.
//
// Raft's own VerifyLeader is used to provoke heartbeats, and its answer is thrown away: it counts every answer that arrives
// after the question, also those to heartbeats that were sent before it, however long they were under way, and so it
// can succeed while another leader has been elected and has committed entries.
type Confirmer struct {
	raft   raftView
	self   raft.ServerID
	stamps *StampingTransport
	retry  time.Duration

	mu     sync.Mutex
	asking bool // a question to Raft is open
	wanted bool // another one is wanted after it
	nudges sync.WaitGroup
}

func newConfirmer(view raftView, self raft.ServerID, stamps *StampingTransport, retry time.Duration) *Confirmer {
	return &Confirmer{raft: view, self: self, stamps: stamps, retry: retry}
}

// Confirm waits until leadership is confirmed at the moment of the call, and says in which term. It fails as soon as
// this node is no longer the leader in that term, or when the context ends: give it one with a deadline on the boot-time clock.
//
// The caller compares the term with that of the reign in which it acts: between two calls leadership may be lost and won.
func (c *Confirmer) Confirm(ctx context.Context) (Confirmation, error) {
	term := c.raft.CurrentTerm()
	asked := c.stamps.mark()
	nudges := time.NewTicker(c.retry) // not at every answer: one peer that answers at once would be asked without pause
	defer nudges.Stop()
	due := true
	for {
		answer := c.stamps.nextAnswer() // before counting, so that no answer falls in between
		answered, silent := c.count(term, asked)
		// Last, and after the count: it makes this node's own voice one that was heard after the question.
		if err := c.standing(term); err != nil {
			return Confirmation{}, &NotConfirmedError{Term: term, Cause: err}
		}
		if len(answered) > len(silent) {
			return Confirmation{Term: term, At: asked.sent}, nil
		}
		if due {
			c.nudge()
			due = false
		}
		select {
		case <-answer:
		case <-nudges.C:
			due = true
		case <-ctx.Done():
			return Confirmation{}, &NotConfirmedError{Term: term, Answered: answered, Silent: silent, Cause: context.Cause(ctx)}
		}
	}
}

// standing says whether this node still is what it was when it asked.
func (c *Confirmer) standing(term uint64) error {
	if state := c.raft.State(); state != raft.Leader {
		return fmt.Errorf("%w: this node is %s", raft.ErrNotLeader, strings.ToLower(state.String()))
	}
	if now := c.raft.CurrentTerm(); now != term {
		return fmt.Errorf("%w: the term is %d now", raft.ErrLeadershipLost, now)
	}
	return nil
}

// count sorts the voters of the current configuration by whether they answered. A configuration without voters confirms
// nothing.
func (c *Confirmer) count(term uint64, asked stamp) (answered, silent []raft.ServerID) {
	future := c.raft.GetConfiguration()
	if future.Error() != nil {
		return nil, nil
	}
	for _, server := range future.Configuration().Servers {
		switch {
		case server.Suffrage != raft.Voter:
		case server.ID == c.self, c.stamps.answeredAfter(server.ID, term, asked):
			answered = append(answered, server.ID)
		default:
			silent = append(silent, server.ID)
		}
	}
	return answered, silent
}

// nudge makes Raft send heartbeats: now, or as soon as its answer to an earlier nudge is there. It doesn't wait.
//
// One question is open at a time, however many ask and however long Raft's main loop hangs, on a slow disk say. For Raft queues questions
// beside the votes on them, 64 in all, and waits under a lock where there is no more room: a queue full of questions would stop its
// heartbeats, so that a leader that is merely slow is deposed, and its shutdown for ever, as nobody empties the queue any more.
func (c *Confirmer) nudge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = true
	if c.asking {
		return
	}
	c.asking = true
	c.nudges.Go(func() {
		for c.next() {
			_ = c.raft.VerifyLeader().Error() // only that it is answered matters; what a shutdown overtakes never is
		}
	})
}

// next says whether another question is wanted.
func (c *Confirmer) next() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking, c.wanted = c.wanted, false
	return c.asking
}

// wait waits for the last nudge, which may never end where Raft was shut down meanwhile. Nobody may ask any more.
func (c *Confirmer) wait() { c.nudges.Wait() }

func joinIDs(ids []raft.ServerID) string {
	sorted := slices.Sorted(slices.Values(ids))
	names := make([]string, len(sorted))
	for i, id := range sorted {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}
