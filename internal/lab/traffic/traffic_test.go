package traffic

import (
	"context"
	"errors"
	"testing"
	"time"
)

// acked is an acknowledged attempt; times are in ms.
func acked(number int64, member string, began, ended time.Duration) Attempt {
	return Attempt{Number: number, Member: member, Began: began * time.Millisecond, Ended: ended * time.Millisecond, Acked: true}
}

func failed(number int64, began, ended time.Duration) Attempt {
	return Attempt{Number: number, Began: began * time.Millisecond, Ended: ended * time.Millisecond, Err: "reset"}
}

func TestOutage(t *testing.T) {
	const ms = time.Millisecond
	tests := map[string]struct {
		attempts []Attempt
		ended    bool
		length   time.Duration
		gap      time.Duration
	}{
		"no attempt": {},
		"before the fault only": {
			attempts: []Attempt{acked(1, "pg-a", 80, 90)},
		},
		"plain failover": {
			attempts: []Attempt{acked(1, "pg-a", 80, 95), failed(2, 101, 102), failed(3, 104, 110), acked(4, "pg-b", 300, 331)},
			ended:    true, length: 231 * ms, gap: 236 * ms,
		},
		"the failed member still acknowledges after the fault": {
			attempts: []Attempt{acked(1, "pg-a", 99, 120), failed(2, 121, 140), acked(3, "pg-b", 150, 160), acked(4, "pg-b", 170, 180)},
			ended:    true, length: 60 * ms, gap: 40 * ms,
		},
		"the failed member comes back": {
			attempts: []Attempt{acked(1, "pg-a", 80, 90), failed(2, 101, 102), acked(3, "pg-a", 200, 210)},
		},
		"another member acknowledged before the fault": {
			attempts: []Attempt{acked(1, "pg-b", 80, 90), failed(2, 101, 102), acked(3, "pg-b", 200, 210)},
			ended:    true, length: 110 * ms, gap: 120 * ms,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ended := outageOf(test.attempts, 100*ms, "pg-a")
			if ended != test.ended || got.Length != test.length || got.Gap != test.gap {
				t.Errorf("ended %v, %+v", ended, got)
			}
		})
	}
}

func TestLongestGap(t *testing.T) {
	w := &Writer{attempts: []Attempt{
		acked(1, "pg-a", 0, 1), acked(2, "pg-a", 70, 71), acked(3, "pg-a", 80, 81), failed(4, 90, 91), acked(5, "pg-a", 120, 121),
		acked(6, "pg-a", 130, 131),
	}}
	if gap := w.LongestGap(100 * time.Millisecond); gap != 40*time.Millisecond {
		t.Errorf("since 100 ms: %v", gap)
	}
	if gap := w.LongestGap(0); gap != 70*time.Millisecond {
		t.Errorf("since the beginning: %v", gap)
	}
}

// span is a member's span with an accept of 1 ms length ending at each of the times.
func span(member string, ends ...time.Duration) Span {
	s := Span{Member: member}
	for _, end := range ends {
		s.Accepts = append(s.Accepts, Accept{Member: member, Executed: (end - 1) * time.Millisecond, Ended: end * time.Millisecond})
	}
	return s
}

func TestDoubles(t *testing.T) {
	tests := map[string]struct {
		spans []Span
		want  int
	}{
		"one writer":        {[]Span{span("pg-a", 10, 20, 30)}, 0},
		"one after another": {[]Span{span("pg-a", 10, 20), span("pg-b", 40, 50)}, 0},
		"there and back":    {[]Span{span("pg-a", 10, 20), span("pg-b", 40, 50), span("pg-a", 70, 80)}, 0},
		"frozen and woken":  {[]Span{span("pg-a", 10, 60), span("pg-b", 40, 50, 70, 80)}, 3},
		"rogue in between":  {[]Span{span("pg-b", 10, 20, 30), span("pg-a", 25)}, 1},
		"ends overlap":      {[]Span{span("pg-a", 10, 20, 30), span("pg-b", 25, 35)}, 2},
		"at the same moment": {
			[]Span{span("pg-a", 10, 20), span("pg-b", 20, 30)}, 0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			truth := &Truth{spans: test.spans}
			if got := truth.Doubles(); len(got) != test.want {
				t.Errorf("%d doubles, want %d: %v", len(got), test.want, got)
			}
			if err := truth.Check(); (err != nil) != (test.want > 0) || err != nil && !errors.Is(err, ErrTwoWriters) {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func TestWritersCountInDoubles(t *testing.T) {
	truth := &Truth{spans: []Span{span("pg-b", 10, 20, 30)}}
	w := &Writer{attempts: []Attempt{
		acked(1, "pg-a", 5, 15),  // began before pg-b was seen writable
		acked(2, "pg-b", 12, 13), // by the writable member itself
		failed(3, 14, 15),
		acked(4, "pg-a", 21, 22),
	}}
	if got := truth.Doubles(w); len(got) != 1 || got[0].Accept.Member != "pg-a" || got[0].Beside != "pg-b" {
		t.Errorf("doubles: %v", got)
	}
}

func TestCheckAmong(t *testing.T) {
	truth := &Truth{spans: []Span{span("pg-a", 10, 20, 30), span("pg-b", 40, 50), span("pg-c", 10, 20, 30), span("pg-d", 25)}}
	if err := truth.CheckAmong([]string{"pg-a", "pg-b"}); err != nil {
		t.Errorf("pg-b follows pg-a: %v", err)
	}
	if err := truth.CheckAmong([]string{"pg-c", "pg-d"}); !errors.Is(err, ErrTwoWriters) {
		t.Errorf("pg-d wrote beside pg-c: %v", err)
	}
}

func TestTruthClosesSpansOnRefusalOnly(t *testing.T) {
	truth := &Truth{open: map[string]int{}, news: make(chan struct{})}
	truth.refused("pg-a", "in recovery")
	truth.accepted(Accept{Member: "pg-a", Ended: 1})
	truth.accepted(Accept{Member: "pg-a", Ended: 2})
	truth.refused("pg-b", "in recovery")
	truth.refused("pg-a", "reset")
	truth.refused("pg-a", "refused")
	truth.accepted(Accept{Member: "pg-a", Ended: 3})
	spans := truth.Spans()
	if len(spans) != 2 || len(spans[0].Accepts) != 2 || spans[0].Closed != "reset" || spans[1].Closed != "" {
		t.Errorf("spans %+v", spans)
	}
}

func TestAwaitEndsWithItsContextAndWithTheWriter(t *testing.T) {
	tries := make(chan struct{})
	w := StartWriter(WriterOptions{Name: "w", Open: func(ctx context.Context) (Session, error) {
		select {
		case tries <- struct{}{}:
		case <-ctx.Done():
		}
		return nil, errors.New("nobody is there")
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := w.AwaitAcked(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await of a writer that can't write: %v", err)
	}
	<-tries
	<-tries // so the first one has come to its end
	w.Stop()
	if err := w.AwaitAcked(t.Context(), 1); !errors.Is(err, ErrStopped) {
		t.Errorf("await of a stopped writer: %v", err)
	}
	if attempts := w.Attempts(); attempts[0].Acked || attempts[0].Err == "" {
		t.Errorf("attempts %+v", attempts)
	}
}
