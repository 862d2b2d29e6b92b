package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// door is how clients reach the group.
type door struct {
	address                  string // routed
	user, password, database string
	dial                     func(ctx context.Context, network, address string) (net.Conn, error)
}

// session is a client's connection. It dials once: pgx would otherwise ask the server to cancel what it gave up on, and
// PostgreSQL answers a cancelled wait for a standby by showing a commit that may be lost.
type session struct{ conn *pgx.Conn }

var errDialsOnce = errors.New("a session dials once")

func (d door) open(ctx context.Context) (*session, error) {
	address, err := netip.ParseAddrPort(d.address)
	if err != nil {
		return nil, fmt.Errorf("parse routed address: %w", err)
	}
	// Named settings keep pgx from reading the environment of this process.
	config, err := pgx.ParseConfig("host=x sslmode=disable application_name=chaos")
	if err != nil {
		return nil, fmt.Errorf("configure client: %w", err)
	}
	config.Host, config.Port = address.Addr().String(), address.Port()
	config.User, config.Password, config.Database = d.user, d.password, d.database
	var dialled atomic.Bool
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errDialsOnce
		}
		return d.dial(ctx, network, address)
	}
	config.Fallbacks = nil
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &session{conn}, nil
}

// ask runs one statement, which is a transaction of its own, and scans its single row.
func (s *session) ask(ctx context.Context, into []any, sql string, args ...any) error {
	return s.conn.QueryRow(ctx, sql, args...).Scan(into...)
}

// Drop closes the connection without a farewell.
func (s *session) Drop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.conn.Close(ctx) // the socket is closed in any case
}
