package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// Member is a database that can be asked directly.
type Member interface {
	Name() string
	// Connect opens a connection that no network fault can cut.
	Connect(ctx context.Context) (*pgx.Conn, error)
}

// Subject is a service of any kind that can be asked directly.
type Subject interface {
	Name() string
	// Door opens a connection that no network fault can cut.
	Door(ctx context.Context) (Door, error)
}

// Door is a connection to a subject.
type Door interface {
	// Beat tries a write that needs the subject's own disk only. accepted is false for a standby. executed is the wall
	// time at which the subject's process ran it, just before the commit.
	Beat(ctx context.Context) (executed time.Time, accepted bool, err error)
	// Drop closes the connection without waiting for anybody.
	Drop()
}

// Accept is one write that a member accepted. It was writable at some moment between Executed and Ended; its commit
// lies between them.
type Accept struct {
	Member string
	// Executed is when the member's own process ran the statement, just before the commit.
	Executed time.Duration
	// Ended is when the acknowledgement was read.
	Ended time.Duration
}

// Span is a time through which one member accepted writes, with no sign of a refusal in between. Silence is no
// refusal: a frozen member that wakes and accepts again was one span all along.
type Span struct {
	Member string
	// Accepts are the writes seen, in order; at least one.
	Accepts []Accept
	// Closed says why it ended, empty while it may go on.
	Closed string
}

// From is when the member was surely writable for the first time, Until for the last time.
func (s Span) From() time.Duration { return s.Accepts[0].Ended }

// Until is when the member was surely writable for the last time.
func (s Span) Until() time.Duration { return s.Accepts[len(s.Accepts)-1].Executed }

// Truth watches who accepts writes.
type Truth struct {
	clock    clock.Clock
	interval time.Duration
	end      context.CancelFunc
	work     sync.WaitGroup

	mu    sync.Mutex
	spans []Span
	open  map[string]int // index into spans of the member's open span
	news  chan struct{}  // closed and replaced at each change of a span's begin or end
}

// WatchTruth asks each PostgreSQL server every interval (10 ms if 0) until Stop.
func WatchTruth[M Member](members []M, interval time.Duration) *Truth {
	var subjects []Subject
	for _, m := range members {
		subjects = append(subjects, pgSubject{m})
	}
	return WatchSubjects(subjects, interval)
}

// WatchSubjects is WatchTruth for services of any kind.
func WatchSubjects[S Subject](subjects []S, interval time.Duration) *Truth {
	setDefault(&interval, 10*time.Millisecond)
	ctx, end := context.WithCancel(context.Background())
	t := &Truth{clock: clock.System(), interval: interval, end: end, open: map[string]int{}, news: make(chan struct{})}
	for _, s := range subjects {
		t.work.Go(func() { t.watch(ctx, s) })
	}
	return t
}

// Stop ends the watch and waits for it. What it saw stays readable.
func (t *Truth) Stop() {
	t.end()
	t.work.Wait()
}

// watch asks one member for as long as it answers, over and over. There are no time-outs: what a frozen member has
// been asked it will answer when it wakes, and that answer is what matters most.
func (t *Truth) watch(ctx context.Context, s Subject) {
	for ctx.Err() == nil {
		door, err := s.Door(ctx)
		if err == nil {
			for err == nil {
				err = t.ask(ctx, s.Name(), door)
				sleepUntil(ctx, t.clock, t.clock.Boot()+t.interval)
			}
			door.Drop()
		}
		if ctx.Err() != nil {
			return
		}
		t.refused(s.Name(), err.Error())
		sleepUntil(ctx, t.clock, t.clock.Boot()+t.interval)
	}
}

// ask tries one write.
func (t *Truth) ask(ctx context.Context, member string, door Door) error {
	executed, accepted, err := door.Beat(ctx)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if !accepted {
		t.refused(member, "in recovery")
		return nil
	}
	ended := t.clock.Boot()
	// The member's clock is this machine's clock.
	t.accepted(Accept{Member: member, Executed: ended - t.clock.Wall().Sub(executed), Ended: ended})
	return nil
}

func (t *Truth) accepted(a Accept) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, going := t.open[a.Member]
	if going {
		t.spans[i].Accepts = append(t.spans[i].Accepts, a)
		return
	}
	t.open[a.Member] = len(t.spans)
	t.spans = append(t.spans, Span{Member: a.Member, Accepts: []Accept{a}})
	t.tell()
}

func (t *Truth) refused(member, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, going := t.open[member]; going {
		t.spans[i].Closed = why
		delete(t.open, member)
		t.tell()
	}
}

func (t *Truth) tell() {
	close(t.news)
	t.news = make(chan struct{})
}

// Spans returns what was seen so far, in the order of their begins.
func (t *Truth) Spans() []Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := slices.Clone(t.spans)
	for i := range spans {
		spans[i].Accepts = slices.Clone(spans[i].Accepts)
	}
	return spans
}

// AwaitWritable waits until the member accepts writes, in a span that is still open.
func (t *Truth) AwaitWritable(ctx context.Context, member string) error {
	for {
		t.mu.Lock()
		_, writable := t.open[member]
		news := t.news
		t.mu.Unlock()
		if writable {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to accept writes: %w", member, context.Cause(ctx))
		}
	}
}

// Double is one write that a member accepted while another one was writable.
type Double struct {
	Accept Accept
	// Beside is the member that accepted writes before and after it, without a refusal in between.
	Beside string
}

// ErrTwoWriters says that two members accepted writes at the same time: the split brain that must never be.
var ErrTwoWriters = errors.New("two members accepted writes at the same time")

// Doubles returns every accepted write that lies inside a span of another member, the watch's own and those of the
// given writers. None means that no two members were seen writable at the same time.
func (t *Truth) Doubles(writers ...*Writer) []Double {
	return doublesIn(t.Spans(), t.accepts(writers))
}

// accepts are the watch's own accepted writes and those of the writers.
func (t *Truth) accepts(writers []*Writer) []Accept {
	var accepts []Accept
	for _, s := range t.Spans() {
		accepts = append(accepts, s.Accepts...)
	}
	for _, w := range writers {
		for _, a := range w.Attempts() {
			if a.Acked {
				accepts = append(accepts, Accept{Member: a.Member, Executed: a.Began, Ended: a.Ended})
			}
		}
	}
	return accepts
}

func doublesIn(spans []Span, accepts []Accept) []Double {
	var doubles []Double
	for _, a := range accepts {
		for _, s := range spans {
			if s.Member != a.Member && s.From() <= a.Executed && a.Ended <= s.Until() {
				doubles = append(doubles, Double{Accept: a, Beside: s.Member})
				break
			}
		}
	}
	return doubles
}

// CheckBut is Check for a scenario that makes one member a second writer itself: what that member accepts, and what others
// accept beside it, does not count. Any other pair of writers does.
func (t *Truth) CheckBut(rogue string, writers ...*Writer) error {
	is := func(member string) bool { return member == rogue }
	return check(doublesIn(without(is, t.Spans(), t.accepts(writers))))
}

// CheckAmong is Check within one of several groups that share a watch: only what these members accept counts.
func (t *Truth) CheckAmong(members []string, writers ...*Writer) error {
	other := func(member string) bool { return !slices.Contains(members, member) }
	return check(doublesIn(without(other, t.Spans(), t.accepts(writers))))
}

// without leaves out the members that are named by out.
func without(out func(member string) bool, spans []Span, accepts []Accept) ([]Span, []Accept) {
	spans = slices.DeleteFunc(spans, func(s Span) bool { return out(s.Member) })
	return spans, slices.DeleteFunc(accepts, func(a Accept) bool { return out(a.Member) })
}

// Check returns an error that names the first double, if there is any.
func (t *Truth) Check(writers ...*Writer) error {
	return check(t.Doubles(writers...))
}

func check(doubles []Double) error {
	if len(doubles) == 0 {
		return nil
	}
	first := doubles[0]
	return fmt.Errorf("%w: %d writes; the first by %s at %v, while %s was writable", ErrTwoWriters, len(doubles),
		first.Accept.Member, first.Accept.Ended, first.Beside)
}
