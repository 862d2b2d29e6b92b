package engine

import (
	"context"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

// EndSessions ends the sessions of clients on a member that is being isolated, so that none of them goes on committing: as well as it can, since only
// the fence proves anything. Sessions of superusers, which its role may not end, and of arbiters are left; Detail counts the former. A server
// that has seen a newer epoch refuses.
func (p *Postgres) EndSessions(
	ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch,
) failover.Outcome {
	r := startRecorder()
	conn, err := p.session(ctx, member, spec.Connect, epoch)
	if err != nil {
		return r.failed(fmt.Errorf("end the sessions on %s: %w", member.Name, err))
	}
	defer conn.close()
	r.step("connected", "")
	t := &target{conn: conn, epoch: epoch}
	token, err := t.token(ctx)
	if err != nil {
		return r.failed(fmt.Errorf("end the sessions on %s: %w", member.Name, err))
	}
	if token.newest() > epoch {
		return r.failed(fmt.Errorf("end the sessions on %s: %w: its token is %d, this is epoch %d",
			member.Name, ErrNewerEpoch, token.newest(), epoch))
	}
	const end = `
		SELECT count(*) FILTER (WHERE CASE WHEN NOT s.protected THEN pg_terminate_backend(s.pid) END),
		       count(*) FILTER (WHERE s.protected)
		FROM (SELECT a.pid, r.rolsuper AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS protected
		      FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
		      WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.usename <> current_user) s
		WHERE coalesce(nullif(current_setting('arbiter.epoch', true), ''), '0')::int8 <= $1`
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return r.failed(fmt.Errorf("end the sessions on %s: %w", member.Name, err))
	}
	var ended, left int64
	if err := conn.QueryRow(ctx, end, int64(epoch)).Scan(&ended, &left); err != nil {
		return r.unknown(fmt.Errorf("end the sessions on %s: %w", member.Name, err))
	}
	detail := fmt.Sprintf("ended %d sessions on %s", ended, member.Name)
	if left > 0 {
		detail += fmt.Sprintf("; %d of superusers can't be ended", left)
	}
	r.step("sessions ended", detail)
	return r.outcome(failover.ResultDone, detail)
}
