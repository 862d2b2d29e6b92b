package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// Follow points a standby at a primary, under the token of this epoch, and waits until it streams from there: its part of configure. Of its
// primary_conninfo only the address changes, and the application name if the spec gives one; user, password, certificates and whatever else
// stands there are kept. A standby that already streams from this primary is left as it is. Failed means that the standby still follows
// whom it followed, or nobody; unknown, that it was pointed at the primary but hasn't been seen to stream.
func (p *Postgres) Follow(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string,
) failover.Outcome {
	r := startRecorder()
	t, err := p.lockTarget(ctx, standby, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	defer t.close()
	look, err := lookAtStandby(ctx, t.conn)
	if err == nil {
		err = checkStandby(look, systemID)
	}
	var changes []setting
	if err == nil {
		changes, err = followChanges(look.ConnInfo, standby, primary)
	}
	if err != nil {
		return r.failed(fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	r.step("connected", "")
	if err := t.raise(ctx, changes...); err != nil {
		// A newer epoch is noticed before anything is written.
		certain := errors.Is(err, ErrNewerEpoch)
		return r.failedUnless(!certain, fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	r.step("token raised, pointed", "")
	if err := t.waitStreaming(ctx, primary); err != nil {
		return r.unknown(fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	r.step("streams", "")
	return r.outcome(failover.ResultDone, fmt.Sprintf("%s follows %s", standby.Name, primary.Name))
}

// followChanges are the settings that point a standby with this primary_conninfo at a primary: none if it points there already.
func followChanges(connInfo string, standby, primary failover.MemberSpec) ([]setting, error) {
	host, port, err := net.SplitHostPort(primary.Address)
	if err != nil {
		return nil, fmt.Errorf("split the primary's address: %w", err)
	}
	info, err := postgres.ParseConnInfo(connInfo)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoConnInfo, err)
	}
	if len(info) == 0 {
		return nil, fmt.Errorf("%w: it is empty; give it once the user (and password, sslmode, ...) to replicate with: "+
			"ALTER SYSTEM SET primary_conninfo = 'user=...'", ErrNoConnInfo)
	}
	next := info.Without("hostaddr").With("host", host).With("port", port)
	if standby.ApplicationName != "" {
		next = next.With("application_name", standby.ApplicationName)
	}
	if next.String() == info.String() {
		return nil, nil
	}
	return []setting{{name: "primary_conninfo", value: next.String()}}, nil
}

// waitStreaming returns when the standby streams from the primary.
func (t *target) waitStreaming(ctx context.Context, primary failover.MemberSpec) error {
	host, port, err := net.SplitHostPort(primary.Address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("read the primary's port: %w", err)
	}
	const streams = `SELECT coalesce(bool_or(status = 'streaming' AND sender_host = $1 AND sender_port = $2), false) FROM pg_stat_wal_receiver`
	for {
		var streaming bool
		if err := t.conn.QueryRow(ctx, streams, host, int32(number)).Scan(&streaming); err != nil && ctx.Err() == nil {
			return fmt.Errorf("look at its walreceiver: %w", err)
		}
		if streaming {
			return nil
		}
		if !pause(ctx, lookEvery) {
			return fmt.Errorf("it does not stream; its log says why (often: pg_hba.conf of the primary, "+
				"a replication slot that is missing there, or a history that has diverged): %w", ctx.Err())
		}
	}
}
