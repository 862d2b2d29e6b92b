package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// Verb is what a client does with the register.
type Verb string

// The verbs.
const (
	Read  Verb = "read"
	Write Verb = "write"
	// CompareAndSet writes Value if the register has Expected.
	CompareAndSet Verb = "cas"
)

// Operation is one operation on the register.
type Operation struct {
	Client int
	Verb   Verb
	// Value is what is written; no two operations of a history write the same one, and none writes 0.
	Value    int64
	Expected int64
	// Call and Return are when it was sent, and when it was answered or given up.
	Call, Return time.Time
	// Acked means that it was acknowledged, by Member. Otherwise it may have happened, or may happen later, or never.
	Acked  bool
	Member string
	// Before is what the register had before it, if it was acknowledged.
	Before int64
}

// registerTable has one row. Every operation writes it, reads too: with synchronous replication an acknowledgement then
// says that all that the operation saw is on a standby. A plain SELECT may see, after a crash and a restart of the same
// primary, a commit that nobody acknowledged and that a failover loses.
const registerTable = `CREATE TABLE register (value bigint NOT NULL, before bigint NOT NULL);
	INSERT INTO register VALUES (0, 0);
	GRANT SELECT, UPDATE ON register TO app`

// statements by verb; $1 and $2 are the value and what is expected. before is the row's own value in the moment in which
// it is locked.
var statements = map[Verb]string{
	Read:          "UPDATE register SET before = value WHERE $1::bigint IS NOT NULL AND $2::bigint IS NOT NULL RETURNING before, current_setting('cluster_name')",
	Write:         "UPDATE register SET before = value, value = $1::bigint WHERE $2::bigint IS NOT NULL RETURNING before, current_setting('cluster_name')",
	CompareAndSet: "UPDATE register SET before = value, value = CASE WHEN value = $2::bigint THEN $1::bigint ELSE value END RETURNING before, current_setting('cluster_name')",
}

// history collects the operations of all clients.
type history struct {
	mu         sync.Mutex
	operations []Operation
	written    int64 // the last value that was given out
	seen       int64 // the last value that somebody saw, to expect
}

func (h *history) note(o Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
	switch {
	case !o.Acked:
	case o.Verb == Write || o.Verb == CompareAndSet && o.Before == o.Expected:
		h.seen = o.Value
	default:
		h.seen = o.Before
	}
}

// next is what a client does next.
func (h *history) next(client int, dice *rand.Rand) Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := Operation{Client: client, Verb: []Verb{Read, Write, CompareAndSet, CompareAndSet}[dice.IntN(4)]}
	if o.Verb != Read {
		h.written++
		o.Value = h.written
	}
	if o.Verb == CompareAndSet {
		o.Expected = h.seen
	}
	return o
}

const (
	connectPatience = 500 * time.Millisecond
	answerPatience  = 3 * time.Second
	// betweenOperations is a client's pause after each operation, longer after one that failed.
	betweenOperations, afterFailure = 30 * time.Millisecond, 50 * time.Millisecond
)

// use makes one operation after the other until ctx ends.
func (h *history) use(ctx context.Context, d door, client int, dice *rand.Rand) {
	var s *session
	for ctx.Err() == nil {
		if s == nil {
			connecting, cancel := context.WithTimeout(ctx, connectPatience)
			opened, err := d.open(connecting)
			cancel()
			if err != nil {
				_ = clock.Pause(ctx, afterFailure)
				continue
			}
			s = opened
		}
		o := h.next(client, dice)
		err := o.perform(s)
		if !without(err) {
			h.note(o)
		}
		if err != nil {
			s.Drop()
			s = nil
			_ = clock.Pause(ctx, afterFailure)
			continue
		}
		_ = clock.Pause(ctx, betweenOperations)
	}
	if s != nil {
		s.Drop()
	}
}

// perform sends one operation and waits for its answer. The end of the run doesn't cut it short: how it ended would not
// be known.
func (o *Operation) perform(s *session) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerPatience)
	defer cancel()
	o.Call = time.Now()
	err := s.ask(ctx, []any{&o.Before, &o.Member}, statements[o.Verb], o.Value, o.Expected)
	o.Return = time.Now()
	if o.Acked = err == nil; !o.Acked {
		o.Before, o.Member = 0, ""
		return fmt.Errorf("%s the register: %w", o.Verb, err)
	}
	return nil
}

// readOnly is PostgreSQL's error code for a write on a standby.
const readOnly = "25006"

// without says that an operation surely had no effect and never will: the server itself refused it.
func without(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == readOnly
}
