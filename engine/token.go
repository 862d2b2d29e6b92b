package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// The advisory lock under which a server's token is looked at and acted on: "Arbi", 1.
const (
	lockClass  = 0x41726269
	lockObject = 1
)

// staleHolder is how long a session of the same epoch may hold the lock without asking anything, before it counts as left behind by an
// arbiter that froze or lost the connection.
const staleHolder = 250 * time.Millisecond

// readBackEvery is the pause between looks for a setting that was written.
const readBackEvery = 2 * time.Millisecond

// target is one server, locked for changes under one epoch. The lock ends when the session is given back, or breaks.
type target struct {
	conn  session
	epoch failover.Epoch
	stale time.Duration // what counts as staleHolder
	dial  func(context.Context) (*postgres.Conn, error)
}

// lockTarget connects to a member and takes its lock. It ends sessions that hold the lock under an older epoch, or that are stale, and
// gives way to a newer epoch; both whatever database they are in.
func (p *Postgres) lockTarget(
	ctx context.Context, member failover.MemberSpec, connect failover.Connect, epoch failover.Epoch,
) (*target, error) {
	conn, err := p.session(ctx, member, connect, epoch)
	if err != nil {
		return nil, err
	}
	t := &target{conn: conn, epoch: epoch, stale: p.staleHolder, dial: func(ctx context.Context) (*postgres.Conn, error) { return p.dial(ctx, conn.key) }}
	if err := t.lock(ctx); err != nil {
		t.close()
		return nil, fmt.Errorf("lock %s for changes: %w", member.Name, err)
	}
	return t, nil
}

func (t *target) close() { t.conn.close() }

func (t *target) lock(ctx context.Context) error {
	for {
		var locked bool
		row := t.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int4, $2::int4)", lockClass, lockObject)
		if err := row.Scan(&locked); err != nil {
			return err
		}
		found, err := t.rivals(ctx)
		if err != nil {
			return err
		}
		ended, err := t.endOlder(ctx, found)
		if err != nil || locked && !ended {
			return err
		}
		if clock.Pause(ctx, time.Millisecond) != nil {
			return fmt.Errorf("another session of this epoch holds the lock, or one of an older epoch does not end: %w", ctx.Err())
		}
	}
}

// rival is another session that holds the lock, or that an arbiter has in another database, where the lock is another one: the token is
// the whole server's, and the database in the spec may have changed.
type rival struct {
	PID   int32
	Name  string
	Ours  bool // a session of the arbiters' role; no other one has any business with this lock
	Holds bool
	Stale bool
}

// rivals looks after this session has connected, as every arbiter does: of two that connect at the same time one sees the other at least.
func (t *target) rivals(ctx context.Context) ([]rival, error) {
	const sessions = `
		SELECT a.pid, a.application_name, a.usename = current_user, l.pid IS NOT NULL,
		       coalesce(a.state = 'idle' AND clock_timestamp() - a.state_change > $3::float8 * interval '1 second', false)
		FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid AND a.datname = current_database()
		     AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid::int8 = $1::int8 AND l.objid::int8 = $2::int8
		WHERE a.pid <> pg_backend_pid() AND (l.pid IS NOT NULL OR a.datname <> current_database() AND a.usename = current_user)`
	rows, err := t.conn.Query(ctx, sessions, lockClass, lockObject, t.stale.Seconds())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[rival])
}

// endOlder ends the sessions that stand in the way, if this epoch goes before theirs, and says whether there were any. Once such a session
// is gone, nothing that its arbiter asked for can still happen: the server runs no statement of an ended session.
func (t *target) endOlder(ctx context.Context, found []rival) (ended bool, err error) {
	for _, r := range found {
		number, named := strings.CutPrefix(r.Name, sessionPrefix)
		epoch, err := strconv.ParseUint(number, 10, 64)
		known := r.Ours && named && err == nil
		if known && failover.Epoch(epoch) > t.epoch {
			return false, fmt.Errorf("%w: an arbiter is acting here under epoch %d, this is epoch %d", ErrNewerEpoch, epoch, t.epoch)
		}
		if r.Holds && (r.Stale || !r.Ours) || known && failover.Epoch(epoch) < t.epoch {
			if err := permit.Check(ctx); err != nil { // S6: the lease is read last
				return false, err
			}
			if _, err := t.conn.Exec(ctx, "SELECT pg_terminate_backend($1::int4)", r.PID); err != nil {
				return false, fmt.Errorf("end the session that is in the way (process %d, %q): %w", r.PID, r.Name, err)
			}
			ended = true
		}
	}
	return ended, nil
}

// raise makes this epoch the server's token, together with further settings if there are any, and returns when a new connection shows
// them. A newer token is left alone: ErrNewerEpoch. A token that is already this epoch costs one look.
func (t *target) raise(ctx context.Context, changes ...setting) error {
	written, err := t.write(ctx, changes)
	if err != nil || len(written) == 0 {
		return err
	}
	return t.readBack(ctx, written)
}

// adjust is raise for changes whose effect is proven by something else than a new connection: only a token that had to be raised is
// read back.
func (t *target) adjust(ctx context.Context, changes ...setting) error {
	written, err := t.write(ctx, changes)
	if err != nil || !slices.ContainsFunc(written, func(s setting) bool { return s.name == epochSetting }) {
		return err
	}
	return t.readBack(ctx, written)
}

// epochSetting is the fencing token of a server.
const epochSetting = "arbiter.epoch"

// write writes the changes, and this epoch unless it is the server's token already, and reloads. It says what it wrote.
func (t *target) write(ctx context.Context, changes []setting) (written []setting, err error) {
	token, err := t.token(ctx)
	if err != nil {
		return nil, err
	}
	if token.newest() > t.epoch {
		return nil, fmt.Errorf("%w: its token is %d, this is epoch %d", ErrNewerEpoch, token.newest(), t.epoch)
	}
	written = slices.Clone(changes)
	epoch := setting{name: epochSetting, value: strconv.FormatUint(uint64(t.epoch), 10)}
	if token.OnDisk != t.epoch || token.InForce != t.epoch {
		written = append(written, epoch)
	}
	if len(written) == 0 {
		return nil, nil
	}
	if token.OnDisk != t.epoch {
		if err := t.writeToken(ctx, epoch); err != nil {
			return nil, fmt.Errorf("write the token: %w", err)
		}
	}
	for _, change := range changes {
		// The error is cut down to its code: its text may repeat the statement, and with it a password.
		if err := t.act(ctx, change.alterSystem()); err != nil {
			return nil, fmt.Errorf("write %s: %w", change.name, withoutStatement(err))
		}
	}
	if err := t.act(ctx, "SELECT pg_reload_conf()"); err != nil {
		return nil, fmt.Errorf("reload the configuration: %w", err)
	}
	return written, nil
}

// act runs one statement that changes the server, with the lease read right before it (S6): the one before may have taken long.
func (t *target) act(ctx context.Context, statement string) error {
	if err := permit.Check(ctx); err != nil {
		return err
	}
	_, err := t.conn.Exec(ctx, statement)
	return err
}

func (t *target) writeToken(ctx context.Context, epoch setting) error {
	// PostgreSQL 15 and 16 refuse ALTER SYSTEM for a parameter that this session has never heard of.
	if _, err := t.conn.Exec(ctx, "SET arbiter.epoch = "+epoch.quoted()); err != nil {
		return err
	}
	if err := t.act(ctx, epoch.alterSystem()); err != nil {
		return err
	}
	_, err := t.conn.Exec(ctx, "RESET arbiter.epoch") // the session must see the server's value again
	return err
}

// readBack waits until new connections show the settings. The main process tells its children of new settings before it accepts
// another connection, so that then older sessions have them too. Only a new connection proves it; but this one, which costs the server no
// process, tells when it is time for that.
func (t *target) readBack(ctx context.Context, settings []setting) error {
	missing := "" // when last looked
	for {
		now, err := t.notShownAnywhere(ctx, settings)
		switch {
		case err == nil && now == "":
			return nil
		case err == nil:
			missing = now
		case !clock.Over(ctx) || missing == "":
			return fmt.Errorf("read the settings back: %w", err)
		}
		if clock.Pause(ctx, readBackEvery) != nil {
			return fmt.Errorf("%w: %s was written and reloaded, but a new connection shows another value; look for %s: %w",
				ErrTokenNotTaken, missing, hiding(missing), ctx.Err())
		}
	}
}

// notShownAnywhere names a setting of which this session, or else a new one, shows another value.
func (t *target) notShownAnywhere(ctx context.Context, settings []setting) (name string, err error) {
	if name, err = notShown(ctx, t.conn.Conn, settings); err != nil || name != "" {
		return name, err
	}
	return t.notShownToOthers(ctx, settings)
}

// hiding is what can keep a server from showing a setting that was written: only the token is one that a session may set.
func hiding(name string) string {
	const everywhere = "one given on the command line, or for an error in the server's files (SELECT * FROM pg_file_settings WHERE error IS NOT NULL)"
	if name == epochSetting {
		return "one given by ALTER ROLE or by ALTER DATABASE, " + everywhere
	}
	return everywhere
}

func (t *target) notShownToOthers(ctx context.Context, settings []setting) (name string, err error) {
	conn, err := t.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return notShown(ctx, conn, settings)
}

// notShown names a setting of which a session shows another value.
func notShown(ctx context.Context, conn *postgres.Conn, settings []setting) (name string, err error) {
	for _, s := range settings {
		var value string
		if err := conn.QueryRow(ctx, "SELECT coalesce(current_setting($1, true), '')", s.name).Scan(&value); err != nil {
			return "", err
		}
		if value != s.value {
			return s.name, nil
		}
	}
	return "", nil
}

// tokens are the places where a server has its token.
type tokens struct {
	OnDisk  failover.Epoch
	InForce failover.Epoch
}

func (t tokens) newest() failover.Epoch { return max(t.OnDisk, t.InForce) }

// token reads the server's token. The one on disk may be newer than the one in force: an arbiter may have died, or frozen, before it
// had the configuration reloaded.
func (t *target) token(ctx context.Context) (tokens, error) {
	const both = `
		SELECT coalesce((SELECT setting FROM pg_file_settings WHERE name = 'arbiter.epoch' ORDER BY seqno DESC LIMIT 1), ''),
		       coalesce(current_setting('arbiter.epoch', true), '')`
	var onDisk, inForce string
	if err := t.conn.QueryRow(ctx, both).Scan(&onDisk, &inForce); err != nil {
		return tokens{}, fmt.Errorf("read the token: %w", err)
	}
	disk, diskErr := parseEpoch(onDisk)
	force, forceErr := parseEpoch(inForce)
	return tokens{OnDisk: disk, InForce: force}, errors.Join(diskErr, forceErr)
}

// parseEpoch reads a token; a server that has none has seen epoch 0.
func parseEpoch(text string) (failover.Epoch, error) {
	if text == "" {
		return 0, nil
	}
	epoch, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("read the token: arbiter.epoch is %q, want a number; set it right with ALTER SYSTEM SET arbiter.epoch: %w",
			text, err)
	}
	return failover.Epoch(epoch), nil
}

// setting is a parameter to write with ALTER SYSTEM.
type setting struct {
	name  string // a constant of this package, never from outside
	value string
}

func (s setting) quoted() string { return quoteLiteral(s.value) }

func (s setting) alterSystem() string { return "ALTER SYSTEM SET " + s.name + " = " + s.quoted() }

// quoteLiteral writes a string constant that means the same whatever standard_conforming_strings is.
func quoteLiteral(value string) string {
	quoted := "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(value) + "'"
	if strings.Contains(value, `\`) {
		return " E" + quoted
	}
	return quoted
}

// withoutStatement keeps of a server's error what cannot hold the statement.
func withoutStatement(err error) error {
	if state := postgres.SQLState(err); state != "" {
		return fmt.Errorf("refused with SQLSTATE %s", state)
	}
	return err
}
