package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// Errors that name why a server refused. The text of an outcome carries them; they can be matched in the errors of this package.
var (
	// ErrNewerEpoch says that the server has seen a newer epoch than the action carries: another arbiter has taken over.
	ErrNewerEpoch = errors.New("the server has seen a newer epoch")
	// ErrWrongSystem says that another database system than the group's answers at the member's address.
	ErrWrongSystem = errors.New("another database system answers here")
	// ErrNotStandby says that the server is not in recovery, although the action is for standbys.
	ErrNotStandby = errors.New("the server is not in recovery")
	// ErrTokenNotTaken says that the server doesn't show the token that was written.
	ErrTokenNotTaken = errors.New("the server does not take up its token")
	// ErrNoConnInfo says that a standby has no usable primary_conninfo to start from.
	ErrNoConnInfo = errors.New("no usable primary_conninfo")
)

// Postgres acts on PostgreSQL servers, version 15 or later, by SQL alone. It keeps no state: what it needs to remember is on the
// servers.
type Postgres struct {
	resolve postgres.Resolver
}

// NewPostgres returns an engine that resolves references to passwords with resolve.
func NewPostgres(resolve postgres.Resolver) *Postgres { return &Postgres{resolve: resolve} }

// session opens a connection for acting under an epoch.
func (p *Postgres) session(ctx context.Context, address string, connect failover.Connect, epoch failover.Epoch) (*postgres.Conn, error) {
	return postgres.NewConnector(connect, p.resolve).Dial(ctx, address, sessionOptions(ctx, epoch))
}

// sessionOptions make a session independent of what is set for the role or the database.
func sessionOptions(ctx context.Context, epoch failover.Epoch) postgres.Options {
	options := postgres.Options{
		ApplicationName: sessionName(epoch),
		LocalCommit:     true,
		Parameters: map[string]string{
			"default_transaction_read_only": "off",
			"idle_session_timeout":          "0",
			"lock_timeout":                  "0",
			"search_path":                   "pg_catalog",
			"statement_timeout":             "0",
		},
	}
	if deadline, limited := ctx.Deadline(); limited {
		// The server gives up a little after the caller did: it gets no cancel request.
		delete(options.Parameters, "statement_timeout")
		options.StatementTimeout = max(time.Until(deadline), 0) + 100*time.Millisecond
	}
	return options
}

const sessionPrefix = "arbiter epoch "

// sessionName shows others under which epoch a session acts: see lockTarget.
func sessionName(epoch failover.Epoch) string { return fmt.Sprintf("%s%d", sessionPrefix, epoch) }
