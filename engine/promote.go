package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// askEvery is the time after which a promotion is asked for again: a request that lands while the walreceiver is starting is slept out for
// up to wal_retrieve_retry_interval (5 s), and the next one ends that sleep.
const askEvery = 50 * time.Millisecond

// pollEvery is the pause between looks whether the server has left recovery.
const pollEvery = 2 * time.Millisecond

// errNotSignalled says that pg_promote took the request, but could not pass it on.
var errNotSignalled = errors.New("ask for the promotion: the server's main process did not get the signal; the server's log says why")

// RaiseToken makes an epoch the token of one server, so that it refuses whoever acts under an older one (S9). A takeover does this on
// every standby that it can reach.
func (p *Postgres) RaiseToken(ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch) failover.Outcome {
	r := startRecorder()
	t, err := p.lockTarget(ctx, member, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("raise the token of %s: %w", member.Name, err))
	}
	defer t.close()
	if err := t.raise(ctx); err != nil {
		return r.failedUnless(!errors.Is(err, ErrNewerEpoch), fmt.Errorf("raise the token of %s: %w", member.Name, err))
	}
	return r.outcome(failover.ResultDone, fmt.Sprintf("%s has token %d", member.Name, epoch))
}

// Promote makes a.Member primary under a.Epoch (S9): it raises the server's token and reads it back, asks for the promotion on the condition
// that the token is still this epoch and the server is in recovery, repeats that until the server has left recovery, and proves the end by
// writing the epoch row with the server's own disk as the only witness. A server that is not in recovery, because an earlier try succeeded or, with
// a.Reinstate, because it never left primary, only gets its token and the row. With a.EpochOnly nothing else is done: a server in recovery is left there.
//
// Failed means that the server was not asked; whatever happens afterwards, and is not a success, is unknown.
func (p *Postgres) Promote(ctx context.Context, a failover.Action) failover.Outcome {
	r := startRecorder()
	member, known := a.Spec.Member(a.Member)
	if !known {
		return r.failed(fmt.Errorf("promote %s: the group has no such member", a.Member))
	}
	ctx = failpoint.Pass(ctx, "before-connect-promote")
	t, err := p.lockTarget(ctx, member, a.Spec.Connect, a.Epoch)
	if err != nil {
		return r.failed(fmt.Errorf("promote %s: %w", a.Member, err))
	}
	defer t.close()
	r.step("connected", "")
	if err := t.raise(ctx); err != nil {
		return r.failed(fmt.Errorf("promote %s: %w", a.Member, err))
	}
	r.step("token raised", "epoch "+strconv.FormatUint(uint64(a.Epoch), 10))
	asked, err := t.leaveRecovery(ctx, a, r)
	if err != nil {
		return r.failedUnless(asked, fmt.Errorf("promote %s: %w", a.Member, err))
	}
	ctx = failpoint.Pass(ctx, "before-row-promote")
	row, err := t.writeEpochRow(ctx, a)
	if err != nil {
		// Without an answer the row may have been written.
		answered := errors.Is(err, ErrNewerEpoch) || errors.Is(err, permit.ErrExpired) || postgres.SQLState(err) != ""
		return r.failedUnless(asked || !answered, fmt.Errorf("promote %s: %w", a.Member, err))
	}
	r.step("epoch row written", "")
	return row.done(r, a)
}

// leaveRecovery asks for the promotion until the server is not in recovery any more. asked says that a request may have reached it.
func (t *target) leaveRecovery(ctx context.Context, a failover.Action, r *recorder) (asked bool, err error) {
	state, err := t.askOnce(ctx, a, !a.EpochOnly)
	if err != nil {
		return state.sent, err
	}
	if err := state.refusal(a); err != nil {
		return false, err
	}
	if a.EpochOnly && state.inRecovery {
		return false, ErrNotPrimary
	}
	if !state.inRecovery {
		r.step("not in recovery", "nothing to promote")
		return false, nil
	}
	requests := 1
	for last := time.Now(); state.inRecovery; {
		if clock.Pause(ctx, pollEvery) != nil {
			return true, fmt.Errorf("the server has not left recovery, asked %d times: %w", requests, ctx.Err())
		}
		again := time.Since(last) >= askEvery
		if again {
			last, requests = time.Now(), requests+1
		}
		if state, err = t.askOnce(ctx, a, again); err != nil {
			return true, err
		}
		if err := state.refusal(a); err != nil {
			return true, err
		}
	}
	r.step("left recovery", fmt.Sprintf("asked %d times", requests))
	return true, nil
}

// askState is what the server was when it was asked, or only looked at.
type askState struct {
	sent       bool // the request may have reached the server
	inRecovery bool
	token      string
	systemID   string
}

// lookStatement says what a server is. Unlike a request it needs none of the privileges of a promotion.
const lookStatement = `
		SELECT pg_is_in_recovery() AS recovering, coalesce(current_setting('arbiter.epoch', true), '') AS token,
		       (SELECT system_identifier::text FROM pg_control_system()) AS id`

// look looks at the server, and asks for nothing.
func (t *target) look(ctx context.Context) (askState, error) {
	var state askState
	if err := t.conn.QueryRow(ctx, lookStatement).Scan(&state.inRecovery, &state.token, &state.systemID); err != nil {
		return state, fmt.Errorf("look whether it is in recovery: %w", err)
	}
	return state, nil
}

// askOnce looks at the server and, if ask is set, asks for the promotion, both in one statement: the server itself compares the token.
// The lock keeps the token from changing between the comparison and the request.
func (t *target) askOnce(ctx context.Context, a failover.Action, ask bool) (askState, error) {
	if !ask {
		return t.look(ctx)
	}
	const request = `
		SELECT s.recovering, s.token, s.id, CASE WHEN s.recovering AND s.token = $1 AND ($2 = '' OR s.id = $2) THEN pg_promote(false) END
		FROM (` + lookStatement + `) s`
	var state askState
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return state, fmt.Errorf("ask for the promotion: %w", err)
	}
	ctx = failpoint.Pass(ctx, "before-statement-promote")
	var signalled *bool
	row := t.conn.QueryRow(ctx, request, strconv.FormatUint(uint64(a.Epoch), 10), a.SystemID)
	if err := row.Scan(&state.inRecovery, &state.token, &state.systemID, &signalled); err != nil {
		return t.notAsked(ctx, state, fmt.Errorf("ask for the promotion: %w", err))
	}
	if signalled != nil && !*signalled {
		state.sent = true // only the log of the server tells how far it got
		return state, errNotSignalled
	}
	return state, nil
}

// notAsked is the state after a request that the server answered with an error, or not at all.
func (t *target) notAsked(ctx context.Context, state askState, err error) (askState, error) {
	code := postgres.SQLState(err)
	switch code {
	case "55000": // it left recovery between the two halves of the statement: an earlier request, or somebody else's, did it
		return t.look(ctx)
	case missingGrant: // which is refused out of recovery too, where nothing is left to ask for: a person may have promoted it
		if now, lookErr := t.look(ctx); lookErr == nil && !now.inRecovery {
			return now, nil
		}
	}
	// A refusal for a missing grant or the like is certain; an ended session or an internal error is not.
	state.sent = code == "" || strings.HasPrefix(code, "57") || strings.HasPrefix(code, "58") || strings.HasPrefix(code, "XX")
	return state, err
}

// refusal says why the server didn't take the request, if it did not.
func (s askState) refusal(a failover.Action) error {
	if a.SystemID != "" && s.systemID != a.SystemID {
		return fmt.Errorf("%w: its identifier is %s, the group's is %s", ErrWrongSystem, s.systemID, a.SystemID)
	}
	token, err := parseEpoch(s.token)
	switch {
	case err != nil:
		return err
	case token > a.Epoch:
		return fmt.Errorf("%w: its token is %d, this is epoch %d", ErrNewerEpoch, token, a.Epoch)
	case token < a.Epoch:
		return fmt.Errorf("%w: it shows %d instead of %d", ErrTokenNotTaken, token, a.Epoch)
	}
	return nil
}

// epochRow is the row that a promotion ends with.
type epochRow struct {
	epoch    failover.Epoch
	member   failover.MemberName
	timeline uint32
	position failover.LSN // where the timeline began, or the present position if this server never was a standby
}

// writeEpochRow commits the epoch on the primary's own disk. A newer one there refuses it.
func (t *target) writeEpochRow(ctx context.Context, a failover.Action) (epochRow, error) {
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return epochRow{}, fmt.Errorf("write the epoch row: %w", err)
	}
	const upsert = `
		INSERT INTO arbiter.epoch AS e (epoch, member, operation) VALUES ($1, $2, $3)
		ON CONFLICT (only_row) DO UPDATE
		SET epoch = excluded.epoch, member = excluded.member, operation = excluded.operation, written = clock_timestamp()
		WHERE e.epoch <= excluded.epoch
		RETURNING ` + epochRowColumns
	row, err := scanEpochRow(t.conn.QueryRow(ctx, upsert, int64(a.Epoch), string(a.Member), string(a.Operation)))
	if errors.Is(err, pgx.ErrNoRows) {
		return epochRow{}, fmt.Errorf("write the epoch row: %w", ErrNewerEpoch)
	}
	if err != nil {
		return epochRow{}, fmt.Errorf("write the epoch row: %w", err)
	}
	return row, nil
}

func (row epochRow) done(r *recorder, a failover.Action) failover.Outcome {
	done := r.outcome(failover.ResultDone, fmt.Sprintf("%s is primary under epoch %d", a.Member, a.Epoch))
	done.Timeline, done.Position = row.timeline, row.position
	return done
}

const epochRowColumns = `e.epoch, e.member, ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int8,
		coalesce(pg_last_wal_replay_lsn(), pg_current_wal_insert_lsn())::text`

func scanEpochRow(row pgx.Row) (epochRow, error) {
	var epoch, timeline int64
	var member, position string
	if err := row.Scan(&epoch, &member, &timeline, &position); err != nil {
		return epochRow{}, err
	}
	lsn, err := postgres.ParseLSN(position)
	return epochRow{
		epoch: failover.Epoch(epoch), member: failover.MemberName(member), timeline: uint32(timeline), position: lsn,
	}, err
}

// Promoted looks, without changing anything, whether Promote has already reached its end: the server is out of recovery, and holds both
// the token and the row of this epoch and member. Failed means that it can't have been asked under this epoch; unknown, that it can't be seen,
// or that a part is missing, so that Promote must be repeated.
func (p *Postgres) Promoted(ctx context.Context, a failover.Action) failover.Outcome {
	r := startRecorder()
	member, known := a.Spec.Member(a.Member)
	if !known {
		return r.failed(fmt.Errorf("look at %s: the group has no such member", a.Member))
	}
	conn, err := p.session(ctx, member, a.Spec.Connect, a.Epoch)
	if err != nil {
		return r.unknown(fmt.Errorf("look at %s: %w", a.Member, err))
	}
	defer conn.close()
	t := &target{conn: conn, epoch: a.Epoch}
	state, err := t.look(ctx)
	if err != nil {
		return r.unknown(fmt.Errorf("look at %s: %w", a.Member, err))
	}
	if err := state.refusal(a); err != nil {
		// Without the token of this epoch the server has never been asked under it; out of recovery, somebody else's request was served.
		untouched := state.inRecovery || !errors.Is(err, ErrTokenNotTaken)
		return r.failedUnless(!untouched, fmt.Errorf("look at %s: %w", a.Member, err))
	}
	if state.inRecovery {
		return r.outcome(failover.ResultUnknown, fmt.Sprintf("%s is still in recovery; it may have been asked", a.Member))
	}
	row, err := scanEpochRow(conn.QueryRow(ctx, "SELECT "+epochRowColumns+" FROM arbiter.epoch e"))
	if err != nil {
		return r.unknown(fmt.Errorf("read the epoch row of %s: %w", a.Member, err))
	}
	return row.judge(r, a)
}

func (row epochRow) judge(r *recorder, a failover.Action) failover.Outcome {
	switch {
	case row.epoch > a.Epoch:
		return r.failed(fmt.Errorf("look at %s: %w: its epoch row says %d, this is epoch %d", a.Member, ErrNewerEpoch, row.epoch, a.Epoch))
	case row.epoch < a.Epoch || row.member != a.Member:
		return r.outcome(failover.ResultUnknown,
			fmt.Sprintf("%s has left recovery, but its epoch row says %s under epoch %d", a.Member, row.member, row.epoch))
	}
	return row.done(r, a)
}
