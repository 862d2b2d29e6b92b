package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

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

// tryWrite writes through the session, which is bound to the look's time, and closes it or leaves it behind.
func (p *Postgres) tryWrite(a attempt) Look {
	write, earlier := p.claim(a)
	if write == nil && earlier.givenUp && a.ended() {
		p.drop(a.key, earlier)
		write, earlier = p.claim(a)
	}
	if write == nil {
		a.session.close()
		return p.behind(a, earlier)
	}
	var end answer
	err := a.session.send(&pgproto3.Query{String: p.write})
	if err == nil {
		if err = a.session.await(&end); errors.Is(err, os.ErrDeadlineExceeded) {
			p.leave(a, write, &end)
			return a.stalled("the write was not committed in time, though the server had answered")
		}
	}
	err = a.explain(err)
	a.session.close() // before another write may begin
	p.release(a.key, write)
	return a.written(err)
}

// leave goes on waiting for the end of a write whose look has given up on it.
func (p *Postgres) leave(a attempt, write *outstanding, end *answer) {
	p.giveUp(write)
	a.session.outlive()
	p.work.Go(func() {
		unbind := context.AfterFunc(p.stopped, func() { _ = a.session.conn.Close() })
		defer unbind()
		_ = a.session.await(end) // committed or not: it is no longer outstanding
		a.session.close()
		p.release(a.key, write)
	})
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
	session *session      // that it was sent through
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
func (p *Postgres) claim(a attempt) (write *outstanding, earlier outstanding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.member(a.key)
	if m.write != nil {
		return nil, *m.write
	}
	m.write = &outstanding{session: a.session, since: p.options.Clock.Boot()}
	return m.write, outstanding{}
}

// giveUp notes that a write's look has ended before it.
func (p *Postgres) giveUp(write *outstanding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	write.givenUp = true
}

// release notes that a write is no longer outstanding.
func (p *Postgres) release(key memberKey, write *outstanding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.member(key); m.write == write {
		m.write = nil
	}
	p.forget(key)
}

// drop forgets a write that the server no longer works on, and gives its connection up, over which no answer comes any more. Should the write itself
// have been late only, it is one more beat of this arbiter's own row when it arrives.
func (p *Postgres) drop(key memberKey, write outstanding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.member(key); m.write != nil && m.write.session == write.session {
		m.write = nil
	}
	p.forget(key)
	_ = write.session.socket.Close() // whoever waits for its answer gives up
}

// askOwn counts the sessions of this arbiter's other looks that the server works for. Where it doesn't say what a session does, because it is told
// not to (track_activities), that session counts.
const askOwn = `SELECT count(*) FROM pg_stat_activity
 WHERE usename = current_user AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()
 AND state IS DISTINCT FROM 'idle'`

// ended says whether the server was asked and works on none of this arbiter's writes. Then an earlier one was answered, or never arrived, and its
// connection leads nowhere: a firewall or a proxy has lost it, and the kernel goes on sending for a quarter of an hour. A server that
// can't say so may still have the write to end.
func (a attempt) ended() bool {
	row, err := a.session.ask(askOwn)
	return err == nil && len(row) == 1 && string(row[0]) == "0"
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

// explain tells apart why a lock wasn't to be had. Nobody else locks the arbiter's row, so either an operator has locked the table,
// or an own write hangs whose look is forgotten, since this process was restarted.
func (a attempt) explain(err error) error {
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
