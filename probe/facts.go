package probe

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// errFacts says that the server's account of itself can't be read.
var errFacts = errors.New("unreadable account of the server")

// askFacts is all that a server says of itself, in one round trip. Functions that fail outside recovery or inside it stand
// behind CASE, so that a promotion in the middle of it does no harm.
//
// The timeline of a primary is the one that it writes; that of a standby the greater of the last checkpoint's and the one
// it receives, since the checkpoint's lags behind. Base backups are left out of the list of standbys, logical subscribers
// are not: PostgreSQL counts them as possible synchronous standbys too.
const askFacts = `SELECT pg_is_in_recovery(),
 (SELECT system_identifier FROM pg_control_system()),
 CASE WHEN pg_is_in_recovery() THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()), receiver.received_tli)
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
 current_setting('arbiter.epoch', true),
 CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END,
 pg_last_wal_receive_lsn(),
 pg_last_wal_replay_lsn(),
 receiver.status,
 current_setting('synchronous_standby_names'),
 CASE WHEN NOT pg_is_in_recovery() THEN
  (SELECT json_agg(json_build_array(application_name, state, sync_state)) FROM pg_stat_replication WHERE state <> 'backup') END
FROM (SELECT) AS here LEFT JOIN pg_stat_wal_receiver AS receiver ON true`

// The columns of askFacts.
const (
	columnInRecovery = iota
	columnSystemID
	columnTimeline
	columnEpoch
	columnWritten
	columnReceived
	columnReplayed
	columnReceiver
	columnSyncRule
	columnReplicas
	columnCount
)

// readFacts reads the row that askFacts answers.
func readFacts(row [][]byte) (failover.Facts, error) {
	if len(row) != columnCount {
		return failover.Facts{}, fmt.Errorf("%w: %d columns, want %d", errFacts, len(row), columnCount)
	}
	r := factsReader{row: row}
	f := failover.Facts{
		SystemID: r.text(columnSystemID),
		Timeline: uint32(r.number(columnTimeline, 32)),
		// A token that somebody wrote by hand and that is no number is none: it can't refuse anybody.
		Epoch: failover.Epoch(epochOf(r.text(columnEpoch))),
	}
	switch r.text(columnInRecovery) {
	case "t":
		f.Role = failover.RoleStandby
		f.Received, f.Replayed = r.position(columnReceived), r.position(columnReplayed)
		f.Streaming = r.text(columnReceiver) == "streaming"
	case "f":
		f.Role = failover.RolePrimary
		f.Written = r.position(columnWritten)
		f.SyncRule = r.syncRule(columnSyncRule)
		f.Replicas = r.replicas(columnReplicas)
	default:
		return failover.Facts{}, fmt.Errorf("%w: it doesn't say whether it is in recovery", errFacts)
	}
	if r.err != nil {
		return failover.Facts{}, fmt.Errorf("%w: %w", errFacts, r.err)
	}
	return f, nil
}

// factsReader reads columns and keeps the first error.
type factsReader struct {
	row [][]byte
	err error
}

func (r *factsReader) text(column int) string { return string(r.row[column]) }

func (r *factsReader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *factsReader) number(column, bits int) uint64 {
	if r.row[column] == nil {
		return 0
	}
	n, err := strconv.ParseUint(r.text(column), 10, bits)
	r.keep(err)
	return n
}

func (r *factsReader) position(column int) failover.LSN {
	lsn, err := postgres.ParseLSN(r.text(column))
	r.keep(err)
	return lsn
}

func (r *factsReader) syncRule(column int) failover.SyncRule {
	rule, err := postgres.ParseSyncRule(r.text(column))
	r.keep(err)
	return rule
}

func (r *factsReader) replicas(column int) []failover.Replica {
	if r.row[column] == nil {
		return nil
	}
	var rows [][3]*string // name, state, sync_state; the last two are null without the privilege to see them
	r.keep(json.Unmarshal(r.row[column], &rows))
	replicas := make([]failover.Replica, 0, len(rows))
	for _, row := range rows {
		name, state, sync := deref(row[0]), deref(row[1]), deref(row[2])
		replicas = append(replicas, failover.Replica{
			Name: name, Streaming: state == "streaming", Sync: sync == "sync" || sync == "quorum",
		})
	}
	slices.SortFunc(replicas, func(a, b failover.Replica) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), compareBool(a.Streaming, b.Streaming), compareBool(a.Sync, b.Sync))
	})
	return replicas
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func epochOf(token string) uint64 {
	epoch, err := strconv.ParseUint(token, 10, 64)
	if err != nil {
		return 0
	}
	return epoch
}
