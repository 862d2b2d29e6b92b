package database

import (
	"context"
	"fmt"
	"strings"
)

// State is what a server says of itself at one moment.
type State struct {
	// InRecovery is true for a standby.
	InRecovery bool
	// Timeline is the one that it writes, or last replayed a checkpoint of.
	Timeline int
	// Position is the end of what it has, in bytes: written by a primary, received or replayed by a standby, whichever
	// is greater.
	Position int64
	// Receiving is true when a standby's receiver streams.
	Receiving bool
	// SystemID is the same on all members of a group.
	SystemID string
}

// A primary's control file names the timeline of its last checkpoint, which may be that of before its promotion.
const askState = `SELECT r, CASE WHEN r THEN (SELECT timeline_id FROM pg_control_checkpoint())
	ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END,
	CASE WHEN r THEN greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0'), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'))
	ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END::bigint,
	EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),
	(SELECT system_identifier::text FROM pg_control_system())
	FROM pg_is_in_recovery() AS r`

// State asks the server.
func (s *Server) State(ctx context.Context) (State, error) {
	var st State
	err := s.Ask(ctx, []any{&st.InRecovery, &st.Timeline, &st.Position, &st.Receiving, &st.SystemID}, askState)
	return st, err
}

// AwaitStreaming waits until a standby streams and has all that primary had at the time of the call.
func (s *Server) AwaitStreaming(ctx context.Context, primary *Server) error {
	target, err := primary.State(ctx)
	if err != nil {
		return err
	}
	return s.Await(ctx, "streaming from "+primary.name, func(ctx context.Context) (bool, error) {
		now, err := s.State(ctx)
		return now.Receiving && now.Position >= target.Position, err
	})
}

// AwaitSynchronous waits until a primary counts the standby as synchronous.
func (s *Server) AwaitSynchronous(ctx context.Context, standby *Server) error {
	return s.Await(ctx, "served synchronously by "+standby.name, func(ctx context.Context) (bool, error) {
		var counted bool
		err := s.Ask(ctx, []any{&counted}, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1"+
			" AND sync_state IN ('sync', 'quorum') AND state = 'streaming')", standby.name)
		return counted, err
	})
}

// AwaitPrimary waits until the server has left recovery.
func (s *Server) AwaitPrimary(ctx context.Context) error {
	return s.Await(ctx, "a primary", func(ctx context.Context) (bool, error) {
		now, err := s.State(ctx)
		return !now.InRecovery, err
	})
}

// Missing returns which of the numbers of a writer's orders are not in the server's table.
func (s *Server) Missing(ctx context.Context, writer string, numbers []int64) ([]int64, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	rows, err := conn.Query(ctx, "SELECT number FROM unnest($2::bigint[]) AS number EXCEPT SELECT number FROM orders WHERE writer = $1"+
		" ORDER BY number", writer, numbers)
	if err != nil {
		return nil, fmt.Errorf("look for orders on %s: %w", s.name, err)
	}
	defer rows.Close()
	var missing []int64
	for rows.Next() {
		var number int64
		if err := rows.Scan(&number); err != nil {
			return nil, fmt.Errorf("look for orders on %s: %w", s.name, err)
		}
		missing = append(missing, number)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for orders on %s: %w", s.name, err)
	}
	return missing, nil
}

// withoutSetting drops every line that sets the parameter.
func withoutSetting(text, parameter string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), parameter+" ") && !strings.HasPrefix(strings.TrimSpace(line), parameter+"=") {
			b.WriteString(line)
		}
	}
	return b.String()
}
