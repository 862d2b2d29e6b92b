package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// WriterOptions describe a client. Zero values have defaults where one is named.
type WriterOptions struct {
	// Name tells writers apart in the table of orders.
	Name string
	// Address is the routed address, host:port; or those of PostgreSQL servers with commas between, of which the first that accepts writes is
	// taken.
	Address string
	// Dial connects from the client's host; from this process's own network if nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Open opens a session at the routed address; nil opens one of PostgreSQL.
	Open func(ctx context.Context) (Session, error)
	// User, Password and Database log in to PostgreSQL.
	User, Password, Database string
	// Interval is the time from the begin of a write to the begin of the next; 10 ms.
	Interval time.Duration
	// ConnectTimeout and WriteTimeout are when an attempt is given up; 250 ms and 2 s.
	ConnectTimeout, WriteTimeout time.Duration
	// Pause is the time after a failed attempt; 2 ms.
	Pause time.Duration
}

// Session is a client's connection to whatever service the routed address leads to.
type Session interface {
	// Append commits one row and returns the name of the member that acknowledged it.
	Append(ctx context.Context, writer string, number int64) (member string, err error)
	// Drop closes the connection without waiting for anybody.
	Drop()
}

// Attempt is one try to write one row, connecting included where there was no connection.
type Attempt struct {
	// Number is the row's; each attempt has its own.
	Number int64
	// Began and Ended are on the boot-time clock.
	Began, Ended time.Duration
	// Acked means that the commit was acknowledged. Otherwise the row may exist all the same.
	Acked bool
	// Member is who acknowledged.
	Member string
	// Err says why it was not.
	Err string
}

// Writer is a client that writes row after row.
type Writer struct {
	options WriterOptions
	clock   clock.Clock
	end     context.CancelFunc
	done    chan struct{}

	mu       sync.Mutex
	attempts []Attempt
	acked    int
	news     chan struct{} // closed and replaced at each acknowledgement
}

// StartWriter begins to write at once and goes on until Stop.
func StartWriter(options WriterOptions) *Writer {
	setDefault(&options.Interval, 10*time.Millisecond)
	setDefault(&options.ConnectTimeout, 250*time.Millisecond)
	setDefault(&options.WriteTimeout, 2*time.Second)
	setDefault(&options.Pause, 2*time.Millisecond)
	if options.Open == nil {
		options.Open = options.openPostgres
	}
	ctx, end := context.WithCancel(context.Background())
	w := &Writer{options: options, clock: clock.System(), end: end, done: make(chan struct{}), news: make(chan struct{})}
	go w.run(ctx)
	return w
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Stop ends the writer and waits for it. What it noted stays readable.
func (w *Writer) Stop() {
	w.end()
	<-w.done
}

// Name is the writer's name in the table of orders.
func (w *Writer) Name() string { return w.options.Name }

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	var session Session
	drop := func() {
		if session != nil {
			session.Drop()
		}
		session = nil
	}
	defer drop()
	for number := int64(1); ctx.Err() == nil; number++ {
		attempt := Attempt{Number: number, Began: w.clock.Boot()}
		var err error
		if session == nil {
			session, err = w.connect(ctx)
		}
		if err == nil {
			attempt.Member, err = w.write(ctx, session, number)
		}
		attempt.Ended, attempt.Acked = w.clock.Boot(), err == nil
		next := attempt.Began + w.options.Interval
		if err != nil {
			if ctx.Err() != nil {
				break // cut short by Stop: says nothing about the service
			}
			attempt.Err = err.Error()
			drop()
			next = attempt.Ended + w.options.Pause
		}
		w.note(attempt)
		sleepUntil(ctx, w.clock, next)
	}
}

// sleepUntil is finer than clock.WaitUntil needs to be: no suspend is to be expected within an interval.
func sleepUntil(ctx context.Context, c clock.Clock, deadline time.Duration) {
	timer := time.NewTimer(deadline - c.Boot())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (w *Writer) connect(ctx context.Context) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.ConnectTimeout)
	defer cancel()
	return w.options.Open(ctx)
}

func (w *Writer) write(ctx context.Context, session Session, number int64) (member string, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.WriteTimeout)
	defer cancel()
	if member, err = session.Append(ctx, w.options.Name, number); err != nil {
		return "", fmt.Errorf("write: %w", err)
	}
	return member, nil
}

func (w *Writer) note(a Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, a)
	if a.Acked {
		w.acked++
		close(w.news)
		w.news = make(chan struct{})
	}
}

// Attempts returns all attempts so far, in order.
func (w *Writer) Attempts() []Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.attempts)
}

// Acked is how many writes were acknowledged so far.
func (w *Writer) Acked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// AckedNumbers are the rows that must exist for ever.
func (w *Writer) AckedNumbers() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	numbers := make([]int64, 0, w.acked)
	for _, a := range w.attempts {
		if a.Acked {
			numbers = append(numbers, a.Number)
		}
	}
	return numbers
}

// AwaitAcked waits until n more writes were acknowledged.
func (w *Writer) AwaitAcked(ctx context.Context, n int) error {
	target := w.Acked() + n
	return w.await(ctx, "acknowledged writes", func() bool { return w.acked >= target })
}

// AwaitOutage waits until the outage after the fault has ended, as Outage defines it, and returns it.
func (w *Writer) AwaitOutage(ctx context.Context, fault time.Duration, failed string) (Outage, error) {
	var found Outage
	err := w.await(ctx, "a write on another member than "+failed, func() (ended bool) {
		found, ended = outageOf(w.attempts, fault, failed)
		return ended
	})
	return found, err
}

// await asks holds, which runs under the lock, after every acknowledgement.
func (w *Writer) await(ctx context.Context, what string, holds func() bool) error {
	for {
		w.mu.Lock()
		yes, news := holds(), w.news
		last := Attempt{}
		if len(w.attempts) > 0 {
			last = w.attempts[len(w.attempts)-1]
		}
		w.mu.Unlock()
		if yes {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last attempt: %s)", what, context.Cause(ctx), last.Err)
		case <-w.done:
			return fmt.Errorf("wait for %s: %w", what, ErrStopped)
		}
	}
}

// ErrStopped says that a Writer or Truth was stopped while something was awaited of it.
var ErrStopped = errors.New("stopped")
