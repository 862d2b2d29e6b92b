package database

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// Committer is a session that commits again and again, and goes on when its postmaster has been killed: it never waits for anything but a
// program of its own, so it doesn't notice. What it commits waits for no standby. Nobody can ask an orphan, so it tells of each commit itself.
type Committer struct {
	pid  int
	stop context.CancelFunc
	gone chan struct{} // closed when the session has ended
	end  error         // why, when it has

	mu      sync.Mutex
	commits int
	last    time.Time
}

// commitForever says the time after each commit. A backend that sleeps by pg_sleep would be woken by the death of its postmaster.
const commitForever = `DO $$ BEGIN
	LOOP
		COPY committed FROM PROGRAM 'sleep 0.02; date';
		COMMIT;
		RAISE NOTICE '%', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
	END LOOP;
END $$`

// StartCommitter starts one on a primary, and returns when it has committed for the first time. The caller closes it.
func (s *Server) StartCommitter(ctx context.Context) (*Committer, error) {
	if err := s.Exec(ctx, "CREATE TABLE IF NOT EXISTS committed (at text)"); err != nil {
		return nil, err
	}
	config, err := s.connConfig(Superuser)
	if err != nil {
		return nil, err
	}
	c := &Committer{gone: make(chan struct{})}
	config.RuntimeParams["synchronous_commit"] = "local"
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.told(n.Message) }
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return nil, fmt.Errorf("connect a committer to %s: %w", s.name, err)
	}
	c.pid = int(conn.PID())
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	go func() {
		defer close(c.gone)
		_, c.end = conn.Exec(running, commitForever).ReadAll()
		_ = conn.Close(running)
	}()
	if err := c.begun(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("commit on %s: %w", s.name, err)
	}
	return c, nil
}

// begun waits for the first commit.
func (c *Committer) begun(ctx context.Context) error {
	for c.Commits() == 0 {
		select {
		case <-c.gone:
			return c.end
		default:
		}
		if err := clock.Pause(ctx, pollEvery); err != nil {
			return err
		}
	}
	return nil
}

func (c *Committer) told(text string) {
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return // the server says something of its own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits, c.last = c.commits+1, time.UnixMicro(micros)
}

// PID is the process of the session.
func (c *Committer) PID() int { return c.pid }

// Commits is how often it has committed.
func (c *Committer) Commits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

// Last is when it had just committed for the last time.
func (c *Committer) Last() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Gone is closed when the session has ended, and all that it has told was heard.
func (c *Committer) Gone() <-chan struct{} { return c.gone }

// Close hangs up, which the session notices when it tells of its next commit.
func (c *Committer) Close() {
	c.stop()
	<-c.gone
}
