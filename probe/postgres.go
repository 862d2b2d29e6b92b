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
)

// Postgres checks that a PostgreSQL server accepts a new session, answers what it is, and, outside recovery, commits a
// write: one autocommit statement on this arbiter's own row of arbiter.probe, which waits for the server's disk only.
//
// A write that its look has given up on is left alone until the server ends it (a server whose disk hangs can't), and no
// second one is begun on that member meanwhile.
type Postgres struct {
	options   PostgresOptions
	connector connector
	write     string // the statement

	stop    context.CancelFunc // ends the writes that were left behind
	stopped context.Context
	work    sync.WaitGroup

	mu     sync.Mutex
	writes map[memberKey]*outstanding
}

// PostgresOptions are what a Postgres check needs.
type PostgresOptions struct {
	Node    failover.NodeID
	Clock   clock.Clock // nil: the machine's
	Resolve postgres.Resolver
}

type memberKey struct {
	group  failover.GroupName
	member failover.MemberName
}

// NewPostgres returns a check for any number of members. Close it.
func NewPostgres(options PostgresOptions) *Postgres {
	if options.Clock == nil {
		options.Clock = clock.System()
	}
	stopped, stop := context.WithCancel(context.Background())
	return &Postgres{
		options: options, connector: connector{resolve: options.Resolve, now: options.Clock.Boot},
		write: writeStatement(options.Node), stop: stop, stopped: stopped, writes: map[memberKey]*outstanding{},
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

// Look opens a session, asks, and writes if it may.
func (p *Postgres) Look(ctx context.Context, t Target, c failover.Check) Look {
	s, err := p.connector.open(ctx, t.Address(c), t.Spec.Connect, p.parameters(purposeLook, c.Timeout))
	if err != nil {
		return Look{Evidence: evidenceOf(err)}
	}
	row, err := s.ask(askFacts)
	if err != nil {
		s.end()
		return Look{Evidence: evidenceOf(fmt.Errorf("ask the server what it is: %w", err))}
	}
	facts, err := readFacts(row)
	if err != nil || facts.Role == failover.RoleStandby {
		s.end()
		return Look{Evidence: evidenceOf(err), Facts: facts}
	}
	return p.tryWrite(ctx, attempt{session: s, key: memberKey{t.Group, t.Member.Name}, timeout: c.Timeout, facts: facts})
}

// Hold keeps an idle session open.
func (p *Postgres) Hold(ctx context.Context, t Target, c failover.Check) (bool, error) {
	opening, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	s, err := p.connector.open(opening, t.Address(c), t.Spec.Connect, p.parameters(purposeHold, c.Timeout))
	if err != nil {
		return false, err
	}
	if !s.unbind() {
		s.drop()
		return false, context.Cause(opening)
	}
	return true, awaitLoss(ctx, s.conn, sessionEnds)
}

// errEndedByServer is what a held session's end is called when the server announces it.
var errEndedByServer = errors.New("the server ended the session")

// sessionEnds reads what a server sends to an idle session: changed parameters and notices mean nothing, an error ends it.
func sessionEnds(sent []byte) error {
	const errorResponse = 'E'
	if sent[0] == errorResponse {
		return errEndedByServer
	}
	return nil
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
	return postgres.Classify(err)
}
