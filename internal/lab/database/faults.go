package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tooManyConnections is PostgreSQL's error code for a server without a free slot.
const tooManyConnections = "53300"

// FillConnections takes every connection that an ordinary role can get, and returns how to give them back.
func (s *Server) FillConnections(ctx context.Context) (release func(), err error) {
	var held []*pgx.Conn
	release = func() {
		for _, conn := range held {
			closeConn(conn)
		}
	}
	for {
		conn, err := s.ConnectAs(ctx, App)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == tooManyConnections {
			return release, nil
		}
		if err != nil {
			release()
			return nil, fmt.Errorf("fill connections of %s after %d: %w", s.name, len(held), err)
		}
		held = append(held, conn)
	}
}

// SetReadOnly makes every new transaction read-only, or ends that. Superusers can still override it by hand.
func (s *Server) SetReadOnly(ctx context.Context, on bool) error {
	sql := "ALTER SYSTEM RESET default_transaction_read_only"
	if on {
		sql = "ALTER SYSTEM SET default_transaction_read_only = on"
	}
	if err := s.Exec(ctx, sql); err != nil {
		return err
	}
	return s.Reload(ctx)
}

// ChangePassword gives a role another password; the template still knows the old one.
func (s *Server) ChangePassword(ctx context.Context, role, password string) error {
	var quoted string
	if err := s.Ask(ctx, []any{&quoted}, "SELECT quote_literal($1::text)", password); err != nil {
		return err
	}
	return s.Exec(ctx, "ALTER ROLE "+role+" PASSWORD "+quoted)
}

// BreakConfig writes a configuration with which the server can't start again; MendConfig takes it back.
func (s *Server) BreakConfig() error { return s.writeFile("member.conf", "no_such_parameter = on\n") }

// MendConfig undoes BreakConfig.
func (s *Server) MendConfig() error { return s.writeSettings() }

// LockOrders makes every append by clients wait, and returns how to let them go on.
func (s *Server) LockOrders(ctx context.Context) (release func(), err error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = conn.Exec(ctx, "BEGIN"); err == nil {
		_, err = conn.Exec(ctx, "LOCK TABLE orders IN EXCLUSIVE MODE")
	}
	if err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("lock orders on %s: %w", s.name, err)
	}
	return func() { closeConn(conn) }, nil
}

// StartStuck starts the stopped server so that it stays "starting up" for ever: it waits for a piece of its log that
// an archive never brings. Stop and Unstick end that.
func (s *Server) StartStuck(ctx context.Context) error {
	if err := s.Set(map[string]string{"restore_command": "sleep 1000000"}); err != nil {
		return err
	}
	if err := s.touch("recovery.signal"); err != nil {
		return err
	}
	if err := s.Launch(); err != nil {
		return err
	}
	return s.Await(ctx, "stuck in starting up", func(ctx context.Context) (bool, error) {
		err := s.Exec(ctx, "SELECT 1")
		var refused *pgconn.PgError
		return errors.As(err, &refused) && refused.Code == cannotConnectNow, nil
	})
}

// cannotConnectNow is PostgreSQL's error code while it starts up, recovers or shuts down.
const cannotConnectNow = "57P03"

// Unstick lets the stopped server start normally again.
func (s *Server) Unstick() error {
	delete(s.settings, "restore_command")
	return errors.Join(s.remove("recovery.signal"), s.writeSettings())
}
