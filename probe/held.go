package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// asksThroughHeld is how many looks at a standby in a row may go through the held session.
const asksThroughHeld = 9

var (
	// errBusy says that a question is outstanding in the held session.
	errBusy = errors.New("the held session is busy")
	// errEndedByServer is what a held session's end is called when the server announces it.
	errEndedByServer = errors.New("the server ended the session")
)

// heldSession is the session that is kept open to a member. One goroutine reads from it, so that its end is known at once;
// others may ask through it, one at a time.
type heldSession struct {
	session *session

	mu      sync.Mutex
	waiting chan answer // takes the answer to the outstanding question; nil if there is none
}

// Hold keeps a session open.
func (p *Postgres) Hold(ctx context.Context, t Target, c failover.Check) (bool, error) {
	opening, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	s, err := p.connector.open(opening, t.Address(c), t.Spec.Connect, p.parameters(purposeHold, c.Timeout))
	if err != nil {
		return false, err
	}
	defer s.close()
	if !s.outlive() {
		return false, context.Cause(opening)
	}
	h := &heldSession{session: s}
	key := memberKey{t.Group, t.Member.Name}
	p.setHeld(key, h, true)
	defer p.setHeld(key, h, false)
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	return true, h.read()
}

// read hands answers over until the session ends.
func (h *heldSession) read() error {
	var a answer
	for {
		message, err := h.session.frontend.Receive()
		if err != nil {
			return errors.Join(a.lastWords(), err)
		}
		complete, err := a.add(message)
		switch {
		case err != nil:
			return err
		case complete:
			h.hand(a)
			a = answer{}
		case a.failure != nil && !h.asked():
			return fmt.Errorf("%w: %w", errEndedByServer, a.failure)
		}
	}
}

func (h *heldSession) asked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting != nil
}

func (h *heldSession) hand(a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting != nil {
		h.waiting <- a // it has room for one
		h.waiting = nil
	}
}

// ask sends one statement and waits for its answer. A question that it stopped waiting for stays outstanding, and keeps others
// out.
func (h *heldSession) ask(ctx context.Context, statement string) ([][]byte, error) {
	query, err := (&pgproto3.Query{String: statement}).Encode(nil)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	waiting := make(chan answer, 1)
	h.mu.Lock()
	busy := h.waiting != nil
	if !busy {
		h.waiting = waiting
	}
	h.mu.Unlock()
	if busy {
		return nil, errBusy
	}
	if _, err := h.session.conn.Write(query); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	select {
	case a := <-waiting:
		return a.row, a.failure
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// setHeld notes that a session is held, or no longer.
func (p *Postgres) setHeld(key memberKey, h *heldSession, held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.member(key)
	switch {
	case held:
		m.held = h
	case m.held == h:
		m.held = nil
		p.forget(key)
	}
}

// noteStandby remembers whether a look found a healthy standby, which may be asked through the held session next time.
func (p *Postgres) noteStandby(key memberKey, look Look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.member(key)
	m.through = -1
	if look.Evidence.Reason == failover.ReasonAnswered && look.Facts.Role == failover.RoleStandby {
		m.through = 0
	}
	p.forget(key)
}

// throughHeld returns the session to ask through, nil if this look is to open one of its own.
func (p *Postgres) throughHeld(key memberKey) *heldSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[key]
	if m == nil || m.held == nil || m.through < 0 || m.through >= asksThroughHeld {
		return nil
	}
	m.through++
	return m.held
}

// lookThroughHeld looks at a standby. answered is false if that is not possible, or if the member is no longer a healthy
// standby: then a look through a session of its own must tell.
func (p *Postgres) lookThroughHeld(ctx context.Context, key memberKey) (look Look, answered bool) {
	h := p.throughHeld(key)
	if h == nil {
		return Look{}, false
	}
	row, err := h.ask(ctx, askFacts)
	if err != nil && clock.Over(ctx) {
		look = Look{Evidence: evidenceOf(fmt.Errorf("ask the server what it is: %w", err))}
		p.noteStandby(key, look)
		return look, true
	}
	if err != nil {
		return Look{}, false
	}
	facts, err := readFacts(row)
	if err != nil || facts.Role != failover.RoleStandby {
		return Look{}, false
	}
	return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: facts, Held: true}, true
}
