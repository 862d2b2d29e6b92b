package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// Follow points a standby at a primary, under the token of this epoch, and waits until it streams from there: Point, then
// AwaitFollowing.
func (p *Postgres) Follow(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string,
) failover.Outcome {
	pointed := p.Point(ctx, standby, primary, spec, epoch, systemID)
	if pointed.Result != failover.ResultDone {
		return pointed
	}
	following := p.AwaitFollowing(ctx, standby, primary, spec, epoch)
	following.Steps = append(pointed.Steps, following.Steps...)
	return following
}

// Point points a standby at a primary, under the token of this epoch: its part of configure. Of its primary_conninfo only the address
// changes, and the application name if the spec gives one; user, password, certificates and whatever else stands there are kept. A
// standby that points there already is left as it is. Failed means that the standby still follows whom it followed, or
// nobody; unknown, that it may point at the primary.
func (p *Postgres) Point(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string,
) failover.Outcome {
	r := startRecorder()
	t, err := p.lockTarget(ctx, standby, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	defer t.close()
	look, err := lookAtStandby(ctx, t.conn.Conn)
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
	// That the new address is in force is proven by AwaitFollowing.
	if err := t.adjust(ctx, changes...); err != nil {
		// A newer epoch is noticed before anything is written.
		certain := errors.Is(err, ErrNewerEpoch)
		return r.failedUnless(!certain, fmt.Errorf("point %s at %s: %w", standby.Name, primary.Name, err))
	}
	r.step("token raised, pointed", "")
	return r.outcome(failover.ResultDone, fmt.Sprintf("%s points at %s", standby.Name, primary.Name))
}

// AwaitFollowing waits until a standby that points at a primary streams from it, and keeps it from sleeping meanwhile. Unknown means
// that it hasn't been seen to stream in time.
func (p *Postgres) AwaitFollowing(
	ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch,
) failover.Outcome {
	r := startRecorder()
	t, err := p.lockTarget(ctx, standby, spec.Connect, epoch)
	if err != nil {
		return r.unknown(fmt.Errorf("wait for %s to follow %s: %w", standby.Name, primary.Name, err))
	}
	defer t.close()
	source, err := p.session(ctx, primary, spec.Connect, epoch)
	if err != nil {
		return r.unknown(fmt.Errorf("wait for %s to follow %s: %w", standby.Name, primary.Name, err))
	}
	defer source.close()
	if err := t.waitStreaming(ctx, source.Conn, primary.Address); err != nil {
		return r.unknown(fmt.Errorf("wait for %s to follow %s: %w", standby.Name, primary.Name, err))
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

// nudgeFirst and nudgeMost bound the pauses between nudges; they double.
const (
	nudgeFirst = 20 * time.Millisecond
	nudgeMost  = time.Second
)

// waitStreaming returns when the standby streams from the primary at this address. A standby that meets the new timeline sleeps before it
// asks for it, as after every failure, for wal_retrieve_retry_interval (5 s); a reload of its settings ends that sleep.
func (t *target) waitStreaming(ctx context.Context, primary *postgres.Conn, address string) error {
	name, err := t.replicationName(ctx)
	if err != nil {
		return err
	}
	lacks := "the primary has not answered about it"
	nudgeAfter, nudged := nudgeFirst, time.Now()
	for {
		now, err := t.lacksToStream(ctx, primary, name, address)
		switch {
		case err != nil && !clock.Over(ctx):
			return err
		case err == nil && now == "":
			return nil
		case err == nil:
			lacks = now // what was seen last, also when time runs out in the middle of a look
		}
		if time.Since(nudged) >= nudgeAfter {
			if err := t.endRetrySleep(ctx); err != nil && !clock.Over(ctx) {
				return err
			}
			nudgeAfter, nudged = min(2*nudgeAfter, nudgeMost), time.Now()
		}
		if clock.Pause(ctx, lookEvery) != nil {
			return fmt.Errorf("%s: %w", lacks, ctx.Err())
		}
	}
}

// lacksToStream says what is missing until the standby streams from the primary, or nothing. It takes the word of both: the standby's
// walreceiver calls itself streaming before it is, and the name that the primary lists may be that of another standby too.
func (t *target) lacksToStream(ctx context.Context, primary *postgres.Conn, name, address string) (string, error) {
	state, err := replicationState(ctx, primary, name)
	switch {
	case err != nil:
		return "", err
	case state == "":
		return "the primary does not list it; the standby's log says why (often: pg_hba.conf of the primary, " +
			"a replication slot that is missing there, or a history that has diverged)", nil
	case state != "streaming":
		return fmt.Sprintf("the primary lists it as %q, not yet as streaming", state), nil
	}
	source, err := t.source(ctx)
	switch {
	case err != nil:
		return "", err
	case source == "":
		return fmt.Sprintf("the primary lists %q as streaming, but this standby receives from nobody: another one has that name; "+
			"the standby's log says what keeps it", name), nil
	case source != address:
		return fmt.Sprintf("the primary lists %q as streaming, but this standby receives from %s", name, source), nil
	}
	return "", nil
}

// source is the address that the standby's walreceiver is connected to, by its own word, or empty.
func (t *target) source(ctx context.Context) (string, error) {
	var host string
	var port int32
	const connected = `SELECT coalesce(sender_host, ''), coalesce(sender_port, 0) FROM pg_stat_wal_receiver WHERE status = 'streaming'`
	err := t.conn.QueryRow(ctx, connected).Scan(&host, &port)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask the standby whom it receives from: %w", err)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// replicationName is the name under which the standby's walreceiver turns up on its primary.
func (t *target) replicationName(ctx context.Context) (string, error) {
	var connInfo, clusterName string
	const names = "SELECT current_setting('primary_conninfo'), current_setting('cluster_name')"
	if err := t.conn.QueryRow(ctx, names).Scan(&connInfo, &clusterName); err != nil {
		return "", fmt.Errorf("read the standby's replication name: %w", err)
	}
	info, err := postgres.ParseConnInfo(connInfo)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoConnInfo, err)
	}
	return walreceiverName(info, clusterName), nil
}

// walreceiverName is the name by which a standby's walreceiver makes itself known. A fallback_application_name in its primary_conninfo never
// counts: the server puts its own in its place.
func walreceiverName(info postgres.ConnInfo, clusterName string) string {
	name, _ := info.Get("application_name")
	return cmp.Or(name, clusterName, "walreceiver")
}

func replicationState(ctx context.Context, primary *postgres.Conn, name string) (string, error) {
	const state = `SELECT coalesce((SELECT state FROM pg_stat_replication WHERE application_name = $1 ORDER BY state = 'streaming' DESC LIMIT 1), '')`
	var found string
	if err := primary.QueryRow(ctx, state, name).Scan(&found); err != nil {
		return "", fmt.Errorf("look at the primary's list of standbys: %w", err)
	}
	return found, nil
}

// endRetrySleep wakes a startup process that sleeps before it tries again.
func (t *target) endRetrySleep(ctx context.Context) error {
	const wake = `SELECT pg_reload_conf() FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval'`
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return fmt.Errorf("wake the standby: %w", err)
	}
	if _, err := t.conn.Exec(ctx, wake); err != nil {
		return fmt.Errorf("wake the standby: %w", err)
	}
	return nil
}
