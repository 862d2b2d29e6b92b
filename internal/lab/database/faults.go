package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

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
		return s.refusesWith(ctx, cannotConnectNow), nil
	})
}

// cannotConnectNow is PostgreSQL's error code while it starts up, recovers or shuts down.
const cannotConnectNow = "57P03"

// Unstick lets the stopped server start normally again.
func (s *Server) Unstick() error {
	delete(s.settings, "restore_command")
	return errors.Join(s.remove("recovery.signal"), s.writeSettings())
}

// HoldCrashRecovery kills one of the running server's sessions, as the kernel does when memory is short, and stops the recovery by which the
// server answers that. Release lets it come to its end.
func (s *Server) HoldCrashRecovery(ctx context.Context) (release func() error, err error) {
	for ctx.Err() == nil {
		// Enough log to recover from that the recovery is met at work.
		const writeLog = "SELECT count(pg_logical_emit_message(true, 'lab', repeat('x', 1000))) FROM generate_series(1, 20000)"
		if err := s.Exec(ctx, writeLog); err != nil {
			return nil, err
		}
		startup, err := s.crashSession(ctx)
		if err != nil {
			return nil, err
		}
		if startup != 0 && syscall.Kill(startup, syscall.SIGSTOP) == nil && s.refusesWith(ctx, cannotConnectNow) {
			return func() error { return syscall.Kill(startup, syscall.SIGCONT) }, nil
		}
		if err := s.AwaitReady(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("hold the crash recovery of %s: %w", s.name, context.Cause(ctx))
}

// crashSession kills a session of its own and returns the process that recovers, or 0 if that was done before it was seen.
func (s *Server) crashSession(ctx context.Context) (startup int, err error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer closeConn(conn)
	if err := syscall.Kill(int(conn.PgConn().PID()), syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("kill a session of %s: %w", s.name, err)
	}
	for began := time.Now(); time.Since(began) < recoverySeen; {
		if startup, err := s.child("startup"); err != nil || startup != 0 {
			return startup, err
		}
	}
	return 0, nil
}

// child is the server's process of a kind (startup, checkpointer), as its title says it; 0 if there is none.
func (s *Server) child(kind string) (int, error) {
	pids, err := s.PIDs()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(title), ": "+kind) {
			return pid, nil
		}
	}
	return 0, nil
}

// HoldShutdown shuts the running server down in order and holds it there: it says that it shuts down, since its last checkpoint is not
// written. Release lets it come to its end.
func (s *Server) HoldShutdown(ctx context.Context) (release func() error, err error) {
	checkpointer, err := s.child("checkpointer")
	if err != nil || checkpointer == 0 {
		return nil, fmt.Errorf("hold the shutdown of %s: process %d writes its checkpoints: %w", s.name, checkpointer, err)
	}
	if err := syscall.Kill(checkpointer, syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("hold the shutdown of %s: %w", s.name, err)
	}
	release = func() error {
		return errors.Join(syscall.Kill(checkpointer, syscall.SIGCONT), s.Stop(ctx, Fast))
	}
	if err := s.process.Signal(syscall.Signal(Fast)); err != nil {
		return nil, errors.Join(err, release())
	}
	err = s.Await(ctx, "shutting down", func(ctx context.Context) (bool, error) { return s.refusesWith(ctx, cannotConnectNow), nil })
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

// recoverySeen is how long a recovery is looked for.
const recoverySeen = 5 * time.Second

// refusesWith says whether a new connection is refused with an error code.
func (s *Server) refusesWith(ctx context.Context, code string) bool {
	err := s.Exec(ctx, "SELECT 1")
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == code
}
