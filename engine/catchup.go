package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// stoppedPort stands in a standby's primary_conninfo where the port was, while the standby must not follow anybody. libpq refuses it
// before it resolves a name or opens a socket, and logs it, so that whoever reads the server's log learns what is going on. All other
// parameters, the password among them, stay where only those who may read primary_conninfo see them; so there is nothing else to
// remember, and nothing that a crash between two steps could lose. Follow puts a port in again.
const stoppedPort = "stopped-by-arbiter"

// lookEvery is the pause between looks at a standby that is to stop. Two looks in a row must agree: in the moment in which the settings change,
// the startup process may be just asking for another walreceiver, which it then ends itself.
const lookEvery = 3 * time.Millisecond

// standbyLook is what one look at a standby shows.
type standbyLook struct {
	SystemID   string
	InRecovery bool
	Token      string
	ConnInfo   string
	Receiver   bool   // there is a walreceiver process, connected or not
	Waits      string // what the startup process, which replays, waits for
	Paused     string
	Timeline   int64 // the newest one that it holds any log of
	Received   failover.LSN
	Replayed   failover.LSN
}

const standbyLookSQL = `
	SELECT (SELECT system_identifier::text FROM pg_control_system()),
	       pg_is_in_recovery(),
	       coalesce(current_setting('arbiter.epoch', true), ''),
	       current_setting('primary_conninfo'),
	       EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver'),
	       coalesce((SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'), ''),
	       CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() ELSE '' END,
	       greatest((SELECT timeline_id FROM pg_control_checkpoint())::int8,
	                (SELECT min_recovery_end_timeline FROM pg_control_recovery())::int8,
	                (SELECT received_tli FROM pg_stat_wal_receiver)::int8,
	                (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int8) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}(\.partial)?$')),
	       coalesce(pg_last_wal_receive_lsn()::text, ''),
	       coalesce(pg_last_wal_replay_lsn()::text, '')`

func lookAtStandby(ctx context.Context, conn *postgres.Conn) (standbyLook, error) {
	var l standbyLook
	var received, replayed string
	err := conn.QueryRow(ctx, standbyLookSQL).Scan(&l.SystemID, &l.InRecovery, &l.Token, &l.ConnInfo, &l.Receiver, &l.Waits, &l.Paused,
		&l.Timeline, &received, &replayed)
	if err != nil {
		return standbyLook{}, fmt.Errorf("read the standby's position: %w", err)
	}
	if l.Received, err = postgres.ParseLSN(received); err != nil {
		return standbyLook{}, err
	}
	l.Replayed, err = postgres.ParseLSN(replayed)
	return l, err
}

// replayEnded says whether everything that the standby holds has been replayed: it has replayed what was received, to the end, or waits for
// more. The latter may never come, while replay is paused; the former, if the last record arrived in part. A standby that has replayed
// more than it received restores from an archive, or from its own disk after a restart, and is at an end only when it waits.
func (l standbyLook) replayEnded() bool {
	waits := l.Waits == "RecoveryWalStream" || l.Waits == "RecoveryRetrieveRetryInterval"
	return waits || l.Received != 0 && l.Replayed == l.Received
}

// StopFollowing makes one standby stop following its primary, under the token of this epoch, and reads how far it got: its part of
// catch_up. It returns when no walreceiver is left and replay has ended, or with what it knows when ctx ends. Answered says that the
// standby acknowledges nothing to its former primary any more and that its position is certain; Detail says why not, or what is special.
// It may be repeated.
func (p *Postgres) StopFollowing(
	ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string,
) failover.MemberPosition {
	return readPosition(member, func(position *failover.MemberPosition) error {
		t, err := p.lockTarget(ctx, member, spec.Connect, epoch)
		if err != nil {
			return err
		}
		defer t.close()
		return t.stopFollowing(ctx, systemID, position)
	})
}

func (t *target) stopFollowing(ctx context.Context, systemID string, position *failover.MemberPosition) error {
	look, err := lookAtStandby(ctx, t.conn.Conn)
	if err != nil {
		return err
	}
	fillPosition(position, look)
	if err := checkStandby(look, systemID); err != nil {
		return err
	}
	changes, err := stopChanges(look.ConnInfo)
	if err != nil {
		return err
	}
	if err := t.raise(ctx, changes...); err != nil {
		return err
	}
	return t.waitStopped(ctx, position)
}

func checkStandby(look standbyLook, systemID string) error {
	if systemID != "" && look.SystemID != systemID {
		return fmt.Errorf("%w: its identifier is %s, the group's is %s", ErrWrongSystem, look.SystemID, systemID)
	}
	if !look.InRecovery {
		return ErrNotStandby
	}
	return nil
}

// stopChanges are the settings that make a standby with this primary_conninfo follow nobody: none if it follows nobody already.
func stopChanges(connInfo string) ([]setting, error) {
	info, err := postgres.ParseConnInfo(connInfo)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoConnInfo, err)
	}
	if port, _ := info.Get("port"); port == stoppedPort || len(info) == 0 {
		return nil, nil
	}
	return []setting{{name: "primary_conninfo", value: info.With("port", stoppedPort).String()}}, nil
}

// waitStopped returns when two looks in a row show the same end.
func (t *target) waitStopped(ctx context.Context, position *failover.MemberPosition) error {
	looks := twoLooks{{Receiver: true}, {Receiver: true}}
	for {
		look, err := lookAtStandby(ctx, t.conn.Conn)
		if err != nil && clock.Over(ctx) {
			return stoppedInPart(looks, position)
		}
		if err != nil {
			return err
		}
		fillPosition(position, look)
		looks = twoLooks{looks[1], look}
		if looks.ended() {
			position.Answered = true
			return nil
		}
		// Paused replay doesn't end by itself, but its walreceiver may, with the connection.
		if looks.receiveNothing() && look.Paused == "paused" || clock.Pause(ctx, lookEvery) != nil {
			return stoppedInPart(looks, position)
		}
	}
}

// twoLooks are the last two at a standby, the newer one last.
type twoLooks [2]standbyLook

// receiveNothing says whether both saw no walreceiver, and nothing received in between.
func (l twoLooks) receiveNothing() bool {
	return !l[0].Receiver && !l[1].Receiver && l[0].Received == l[1].Received
}

// ended says whether both saw the same end of everything that the standby holds.
func (l twoLooks) ended() bool {
	return l.receiveNothing() && l[0].replayEnded() && l[1].replayEnded() && l[0].Replayed == l[1].Replayed
}

// stoppedInPart judges a standby that didn't end in time. While it has log to replay, or replay is paused, the startup process doesn't end the
// walreceiver: that one goes on until its connection breaks. Once it is gone, what was received then counts, if it is certain: after a restart the received
// position is missing, or lower than what was replayed, until all of the log on disk has been replayed.
func stoppedInPart(looks twoLooks, position *failover.MemberPosition) error {
	look, why := looks[1], "replay has not ended"
	if look.Paused == "paused" {
		why = "replay is paused (SELECT pg_wal_replay_resume() goes on)"
	}
	switch {
	case look.Receiver:
		return fmt.Errorf("its walreceiver has not ended, since %s; it may still acknowledge to the former primary", why)
	case !looks.receiveNothing():
		return fmt.Errorf("%s, and its walreceiver has only just ended: one that starts again would not have been seen", why)
	case look.Received <= look.Replayed:
		return fmt.Errorf("%s: how much it holds beyond %v is not known", why, look.Replayed)
	}
	position.Answered = true
	position.Detail = fmt.Sprintf("%s: replayed %v of %v", why, look.Replayed, look.Received)
	return nil
}

func fillPosition(position *failover.MemberPosition, look standbyLook) {
	position.SystemID = look.SystemID
	position.Timeline = uint32(look.Timeline)
	position.Received = look.Received
	position.Replayed = look.Replayed
	position.Epoch, _ = parseEpoch(look.Token) // raise has read it and would have complained
}
