package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Postgres checks that a PostgreSQL server accepts a new session, answers what it is, and, outside recovery, commits a
// write: one autocommit statement on this arbiter's own row of arbiter.probe, which waits for the server's disk only.
//
// A standby is asked through the held session, which costs a tenth of opening one; one look in asksThroughHeld opens a session
// nevertheless, and so does every look after a bad one.
//
// A write that its look has given up on is left alone until the server ends it (a server whose disk hangs can't), or says to a
// later look that it has none, and no second one is begun on that member meanwhile.
type Postgres struct {
	options   PostgresOptions
	connector connector
	write     string // the statement

	stop    context.CancelFunc // ends the writes that were left behind
	stopped context.Context
	work    sync.WaitGroup

	mu      sync.Mutex
	members map[memberKey]*watched
}

// PostgresOptions are what a Postgres check needs.
type PostgresOptions struct {
	Node    failover.NodeID
	Clock   clock.Clock // nil: the machine's
	Secrets *secret.Reader
}

type memberKey struct {
	group  failover.GroupName
	member failover.MemberName
}

// watched is what is remembered of one member from look to look.
type watched struct {
	write *outstanding // nil if there is none
	held  *heldSession // nil if there is none
	// through counts the looks in a row that asked a standby through the held session; -1 if the last look didn't find a
	// healthy standby.
	through int
}

// member returns what is remembered of a member. The caller holds the lock.
func (p *Postgres) member(key memberKey) *watched {
	m := p.members[key]
	if m == nil {
		m = &watched{through: -1}
		p.members[key] = m
	}
	return m
}

// forget drops a member of whom there is nothing to remember. The caller holds the lock.
func (p *Postgres) forget(key memberKey) {
	if m := p.members[key]; m != nil && m.write == nil && m.held == nil {
		delete(p.members, key)
	}
}

// NewPostgres returns a check for any number of members. Close it.
func NewPostgres(options PostgresOptions) *Postgres {
	if options.Clock == nil {
		options.Clock = clock.System()
	}
	stopped, stop := context.WithCancel(context.Background())
	return &Postgres{
		options: options, connector: connector{secrets: options.Secrets, now: options.Clock.Boot},
		write: writeStatement(options.Node), stop: stop, stopped: stopped, members: map[memberKey]*watched{},
	}
}

// Close ends the writes that were left behind, and waits for them.
func (p *Postgres) Close() {
	p.stop()
	p.work.Wait()
}

func writeStatement(node failover.NodeID) string {
	return "INSERT INTO arbiter.probe AS p (arbiter, beat) VALUES (" + quote(string(node)) + ", 1)" +
		" ON CONFLICT (arbiter) DO UPDATE SET beat = p.beat + 1, written = clock_timestamp()"
}

// quote makes a text an SQL literal; sessions run with standard_conforming_strings.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// parameters are the session's settings. The lock time-out is shorter than the look, so that waiting for a lock is told from
// a disk that hangs; the statement time-out is as long, so that the server gives up, if it can, when nobody waits any more.
func (p *Postgres) parameters(purpose string, timeout time.Duration) map[string]string {
	return map[string]string{
		"application_name":            purpose + "/" + string(p.options.Node),
		"client_encoding":             "UTF8",
		"standard_conforming_strings": "on",
		"synchronous_commit":          "local",
		"idle_session_timeout":        "0", // a held session is idle on purpose
		"lock_timeout":                milliseconds(timeout / 2),
		"statement_timeout":           milliseconds(timeout),
	}
}

// milliseconds is at least one: 0 would mean no limit.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(1, d.Milliseconds()), 10)
}

const (
	purposeLook = "arbiter-probe"
	purposeHold = "arbiter-hold"
)

// Look asks the member what it is, and writes if it may.
func (p *Postgres) Look(ctx context.Context, t Target, c failover.Check) Look {
	key := memberKey{t.Group, t.Member.Name}
	look, answered := p.lookThroughHeld(ctx, key)
	if !answered {
		look = p.lookAnew(ctx, t, c)
		p.noteStandby(key, look)
	}
	return look
}

// lookAnew opens a session for the look.
func (p *Postgres) lookAnew(ctx context.Context, t Target, c failover.Check) Look {
	s, err := p.connector.open(ctx, t.Address(c), t.Spec.Connect, p.parameters(purposeLook, c.Timeout))
	if err != nil {
		return Look{Evidence: evidenceOf(err)}
	}
	row, err := s.ask(askFacts)
	if err != nil {
		s.close()
		return Look{Evidence: evidenceOf(fmt.Errorf("ask the server what it is: %w", connectedError{err}))}
	}
	facts, err := readFacts(row)
	if err != nil || facts.Role == failover.RoleStandby {
		s.close()
		return Look{Evidence: evidenceOf(err), Facts: facts}
	}
	return p.tryWrite(attempt{session: s, key: memberKey{t.Group, t.Member.Name}, timeout: c.Timeout, facts: facts})
}

// evidenceOf sorts an error, including those of this package.
func evidenceOf(err error) failover.Evidence {
	var stuck stuckError
	switch {
	case errors.As(err, &stuck):
		return failover.Evidence{Reason: failover.ReasonWriteStalled, Detail: err.Error()}
	case errors.Is(err, errNotTheServer):
		return failover.Evidence{Reason: failover.ReasonBadCredentials, Detail: err.Error()}
	case errors.Is(err, errScram), errors.Is(err, errUnexpected), errors.Is(err, errFacts):
		return failover.Evidence{Reason: failover.ReasonWrongAnswer, Detail: err.Error()}
	}
	evidence := postgres.Classify(err)
	var connected connectedError
	return acceptedIf(errors.As(err, &connected) || postgres.Accepted(err), evidence)
}

// acceptedIf notes in the evidence that no answer came whether the connection had been made.
func acceptedIf(connected bool, e failover.Evidence) failover.Evidence {
	e.Accepted = connected && e.Reason == failover.ReasonTimeout
	return e
}
