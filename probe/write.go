package probe

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// attempt is one try to write.
type attempt struct {
	session *session
	key     memberKey
	timeout time.Duration
	facts   failover.Facts // what the server said just before
}

// tryWrite writes through the session and waits until ctx ends at most. It takes the session over.
func (p *Postgres) tryWrite(ctx context.Context, a attempt) Look {
	write, earlier := p.claim(a.key)
	if write == nil {
		a.session.close()
		return p.behind(a, earlier)
	}
	if !a.session.outlive() {
		a.session.close()
		p.release(a.key)
		return Look{Evidence: evidenceOf(context.Cause(ctx)), Facts: a.facts}
	}
	result := make(chan error, 1)
	p.work.Go(func() {
		unbind := context.AfterFunc(p.stopped, func() { _ = a.session.conn.Close() })
		defer unbind()
		err := p.commit(a)
		a.session.close() // before another write may begin
		p.release(a.key)
		result <- err
	})
	select {
	case err := <-result:
		return a.written(err)
	case <-ctx.Done():
	}
	select {
	case err := <-result: // at the last moment
		return a.written(err)
	default:
		p.giveUp(write)
		return a.stalled("the write was not committed in time, though the server had answered")
	}
}

// written says what the end of a write means.
func (a attempt) written(err error) Look {
	if err != nil {
		return Look{Evidence: evidenceOf(fmt.Errorf("write to arbiter.probe: %w", err)), Facts: a.facts}
	}
	a.facts.AcceptsWrites = true
	return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: a.facts}
}

func (a attempt) stalled(detail string) Look {
	return Look{Evidence: failover.Evidence{Reason: failover.ReasonWriteStalled, Detail: detail}, Facts: a.facts}
}

// outstanding is a write that the server has not ended.
type outstanding struct {
	since   time.Duration // boot clock
	givenUp bool          // its look has reported it as stalled
}

// behind says what a look comes to that finds the write of an earlier one outstanding.
func (p *Postgres) behind(a attempt, earlier outstanding) Look {
	age := p.options.Clock.Boot() - earlier.since
	if earlier.givenUp || age >= a.timeout {
		return a.stalled("a write has not ended for " + age.Round(time.Millisecond).String())
	}
	return Look{
		Evidence: failover.Evidence{Reason: failover.ReasonAnswered, Detail: "not written: an earlier write is under way"},
		Facts:    a.facts, Partial: true,
	}
}

// claim notes that a write begins and returns it; while another one is outstanding it returns nil, and what is known of that.
func (p *Postgres) claim(key memberKey) (write *outstanding, earlier outstanding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.member(key)
	if m.write != nil {
		return nil, *m.write
	}
	m.write = &outstanding{since: p.options.Clock.Boot()}
	return m.write, outstanding{}
}

// giveUp notes that a write's look has ended before it.
func (p *Postgres) giveUp(write *outstanding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	write.givenUp = true
}

func (p *Postgres) release(key memberKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.member(key).write = nil
	p.forget(key)
}

// stuckError says that the write waited for the lock of a write that this arbiter began before it was restarted, and
// that hangs.
type stuckError struct{ waited error }

func (e stuckError) Error() string {
	return "the write waits for one that this arbiter began earlier and that the server has not ended: " + e.waited.Error()
}

func (e stuckError) Unwrap() error { return e.waited }

// askStuck counts this arbiter's own writes that are older than a time-out and wait for something else than a lock.
const askStuck = `SELECT count(*) FROM pg_stat_activity
 WHERE usename = current_user AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()
 AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock' AND clock_timestamp() - query_start > interval '1 ms' * `

// commit writes. Nobody else locks the arbiter's row, so a lock that isn't to be had is either an operator's on the table, or
// that of an own write which hangs and whose look is forgotten, since this process was restarted.
func (p *Postgres) commit(a attempt) error {
	_, err := a.session.ask(p.write)
	const lockNotAvailable = "55P03"
	if postgres.SQLState(err) != lockNotAvailable {
		return err
	}
	row, asked := a.session.ask(askStuck + strconv.FormatInt(a.timeout.Milliseconds(), 10))
	if asked == nil && len(row) == 1 && string(row[0]) != "0" {
		return stuckError{waited: err}
	}
	return err
}
