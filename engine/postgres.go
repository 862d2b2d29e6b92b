package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Errors that name why a server refused. The text of an outcome carries them; they can be matched in the errors of this package.
var (
	// ErrNewerEpoch says that the server has seen a newer epoch than the action carries: another arbiter has taken over.
	ErrNewerEpoch = errors.New("the server has seen a newer epoch")
	// ErrWrongSystem says that another database system than the group's answers at the member's address.
	ErrWrongSystem = errors.New("another database system answers here")
	// ErrNotStandby says that the server is not in recovery, although the action is for standbys.
	ErrNotStandby = errors.New("the server is not in recovery")
	// ErrNotPrimary says that the server is in recovery, although the action is for a primary that is one already.
	ErrNotPrimary = errors.New("the server is in recovery, and this promotes nobody")
	// ErrTokenNotTaken says that the server doesn't show the token, or another setting, that was written.
	ErrTokenNotTaken = errors.New("the server does not take up what was written")
	// ErrNoConnInfo says that a standby has no usable primary_conninfo to start from.
	ErrNoConnInfo = errors.New("no usable primary_conninfo")
)

// Postgres acts on PostgreSQL servers, version 15 or later, by SQL alone. What it needs to remember is on the servers; it keeps
// nothing but sessions that are open, for some seconds. Close it.
type Postgres struct {
	secrets     *secret.Reader
	kept        keptSessions
	staleHolder time.Duration // the constant, but in tests
}

// NewPostgres returns an engine that reads passwords and TLS files with secrets.
func NewPostgres(secrets *secret.Reader) *Postgres {
	return &Postgres{
		secrets:     secrets,
		kept:        keptSessions{keepFor: keepFor, wakeBound: wakeBound, idle: map[sessionKey][]keptSession{}},
		staleHolder: staleHolder,
	}
}

// Close closes the sessions that are kept, within a moment even of servers that don't answer. What an action still has open is closed when it is
// done with it.
func (p *Postgres) Close() { p.kept.close() }

// session is one for acting on a member under an epoch: a kept one if there is one, else a new one.
type session struct {
	*postgres.Conn
	key  sessionKey
	kept *keptSessions
}

// close gives the session back.
func (s session) close() { s.kept.put(s.key, s.Conn) }

func (p *Postgres) session(ctx context.Context, member failover.MemberSpec, connect failover.Connect, epoch failover.Epoch) (session, error) {
	s := session{key: sessionKey{address: member.Address, connect: connect, epoch: epoch}, kept: &p.kept}
	if s.Conn = p.kept.take(ctx, s.key); s.Conn != nil {
		return s, nil
	}
	var err error
	s.Conn, err = p.dial(ctx, s.key)
	return s, err
}

// dial opens a new session, which shows what the server does now.
func (p *Postgres) dial(ctx context.Context, key sessionKey) (*postgres.Conn, error) {
	return postgres.NewConnector(key.connect, p.secrets).Dial(ctx, key.address, sessionOptions(ctx, key.epoch))
}

// sessionOptions make a session independent of what is set for the role or the database.
func sessionOptions(ctx context.Context, epoch failover.Epoch) postgres.Options {
	return postgres.Options{
		ApplicationName: sessionName(epoch),
		LocalCommit:     true,
		Parameters: map[string]string{
			"default_transaction_read_only": "off",
			"idle_session_timeout":          "0",
			"lock_timeout":                  "0",
			"search_path":                   "pg_catalog",
			"statement_timeout":             statementTimeout(ctx),
		},
	}
}

// statementTimeout lets the server give up a little after the caller did: it gets no cancel request.
func statementTimeout(ctx context.Context) string {
	deadline, limited := ctx.Deadline()
	if !limited {
		return "0"
	}
	return strconv.FormatInt((max(time.Until(deadline), 0) + 100*time.Millisecond).Milliseconds(), 10)
}

const sessionPrefix = "arbiter epoch "

// sessionName shows others under which epoch a session acts: see lockTarget.
func sessionName(epoch failover.Epoch) string { return fmt.Sprintf("%s%d", sessionPrefix, epoch) }
