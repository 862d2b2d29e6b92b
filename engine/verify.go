package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// verifyEvery is the pause between tries of a route that may take a moment to change.
const verifyEvery = 10 * time.Millisecond

// verifyTry bounds one try: several round trips and a write to the server's disk.
const verifyTry = 2 * time.Second

// ErrRouteElsewhere says that a routed address leads to another server than the new primary.
var ErrRouteElsewhere = errors.New("the route leads elsewhere")

// VerifyThroughRoute proves that clients reach the new primary: it connects to the routed address as a client would, commits a row that
// only this try can have written, on the condition that the server there holds a.Epoch for a.Member, and reads that row on the member's own address.
// It repeats this until it succeeds or ctx ends. The commit waits for the server's own disk only. Failed means that the route did not
// lead to the new primary while it was tried; no try changes anything that counts.
func (p *Postgres) VerifyThroughRoute(ctx context.Context, routeAddress string, a failover.Action) failover.Outcome {
	r := startRecorder()
	member, known := a.Spec.Member(a.Member)
	if !known {
		return r.failed(fmt.Errorf("verify the route %s: the group has no member %s", routeAddress, a.Member))
	}
	return r.verified(ctx, routeAddress, a, func(ctx context.Context, number int) error {
		proof := rand.Text()
		if err := p.continueUnder(ctx, member, a); err != nil {
			return err
		}
		if err := p.writeThroughRoute(ctx, routeAddress, a, proof); err != nil {
			return err
		}
		r.step("written through the route", fmt.Sprintf("try %d", number))
		if err := p.seenOnMember(ctx, routeAddress, member, a, proof); err != nil {
			return err
		}
		r.writeSeen("seen on "+string(a.Member), "")
		return nil
	})
}

// verified is the outcome of a route that is tried until it leads to the new primary, or ctx ends. Each try has a limit of its own: a connection may
// have been let in before the route changed, and hang.
func (r *recorder) verified(ctx context.Context, routeAddress string, a failover.Action, try func(ctx context.Context, number int) error) failover.Outcome {
	var last error // what a try came to that was not cut short by the end of its time
	for number := 1; ; number++ {
		limited, cancel := context.WithTimeout(ctx, verifyTry)
		err := try(limited, number)
		cancel()
		if err == nil {
			return r.outcome(failover.ResultDone, fmt.Sprintf("write through %s seen on %s under epoch %d", routeAddress, a.Member, a.Epoch))
		}
		if last == nil || !clock.Over(ctx) {
			last = err
		}
		if clock.Pause(ctx, verifyEvery) != nil {
			return r.failed(fmt.Errorf("verify the route %s, %d tries: %w", routeAddress, number, last))
		}
	}
}

// continueUnder takes the epoch row of a member that the same operation promoted under an older epoch to this one: after a change of
// leader, or of a lease, the operation goes on under a newer epoch, and from then on the member refuses the older one.
func (p *Postgres) continueUnder(ctx context.Context, member failover.MemberSpec, a failover.Action) error {
	conn, err := p.session(ctx, member, a.Spec.Connect, a.Epoch)
	if err != nil {
		return err
	}
	defer conn.close()
	var epoch int64
	const look = "SELECT epoch FROM arbiter.epoch WHERE member = $1 AND operation = $2"
	err = conn.QueryRow(ctx, look, string(a.Member), string(a.Operation)).Scan(&epoch)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && failover.Epoch(epoch) == a.Epoch:
		return nil // what the route leads to decides
	case err != nil:
		return fmt.Errorf("read the epoch row of %s: %w", member.Name, err)
	case failover.Epoch(epoch) > a.Epoch:
		return fmt.Errorf("%w: the epoch row of %s says %d, this is epoch %d", ErrNewerEpoch, member.Name, epoch, a.Epoch)
	}
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return fmt.Errorf("write the epoch row: %w", err)
	}
	const raise = "UPDATE arbiter.epoch SET epoch = $1, written = clock_timestamp() WHERE epoch < $1 AND member = $2 AND operation = $3"
	if _, err := conn.Exec(ctx, raise, int64(a.Epoch), string(a.Member), string(a.Operation)); err != nil {
		return fmt.Errorf("write the epoch row of %s: %w", member.Name, err)
	}
	return nil
}

// writeThroughRoute uses neither parameters of the session nor the extended protocol, so that it also passes a connection pool.
func (p *Postgres) writeThroughRoute(ctx context.Context, routeAddress string, a failover.Action, proof string) error {
	conn, err := postgres.NewConnector(a.Spec.Connect, p.secrets).Dial(ctx, routeAddress, postgres.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = local"); err != nil {
		return fmt.Errorf("prepare the write: %w", err)
	}
	const write = `
		INSERT INTO arbiter.route_proof (route, proof, epoch)
		SELECT $1, $2, e.epoch FROM arbiter.epoch e WHERE e.epoch = $3 AND e.member = $4
		ON CONFLICT (route) DO UPDATE SET proof = excluded.proof, epoch = excluded.epoch, written = clock_timestamp()`
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return fmt.Errorf("write: %w", err)
	}
	tag, err := tx.Exec(ctx, write, pgx.QueryExecModeSimpleProtocol, routeAddress, proof, int64(a.Epoch), string(a.Member))
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%w: the server there is not %s under epoch %d", ErrRouteElsewhere, a.Member, a.Epoch)
	}
	if err := permit.Check(ctx); err != nil { // the write may have waited
		return fmt.Errorf("commit: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (p *Postgres) seenOnMember(
	ctx context.Context, routeAddress string, member failover.MemberSpec, a failover.Action, proof string,
) error {
	conn, err := p.session(ctx, member, a.Spec.Connect, a.Epoch)
	if err != nil {
		return err
	}
	defer conn.close()
	const read = `
		SELECT NOT pg_is_in_recovery() AND ($3 = '' OR (SELECT system_identifier::text FROM pg_control_system()) = $3)
		   AND EXISTS (SELECT FROM arbiter.route_proof WHERE route = $1 AND proof = $2)`
	var seen bool
	if err := conn.QueryRow(ctx, read, routeAddress, proof, a.SystemID).Scan(&seen); err != nil {
		return fmt.Errorf("read on %s what was written: %w", member.Name, err)
	}
	if !seen {
		return fmt.Errorf("%w: what was written through it is not on %s", ErrRouteElsewhere, member.Name)
	}
	return nil
}
