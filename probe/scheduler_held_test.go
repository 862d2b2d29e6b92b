package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestRefusalsAreConfirmedWithinTensOfMilliseconds(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		var crashed time.Time
		r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
			if n == 4 {
				crashed = time.Now()
			}
			if n >= 4 {
				return answers(failover.ReasonRefused)
			}
			return answers(failover.ReasonAnswered)
		}
		check := fastCheck()
		check.Failures = 3
		r.scheduler.SetTargets(targets(check, "a"))
		for r.stateOf("a") != failover.ReasonRefused {
			time.Sleep(ms)
		}
		if took := time.Since(crashed); took > 22*ms {
			t.Fatalf("claimed after %v, want two rechecks of 10 ms", took)
		}
		before := len(r.checker.begins("a"))
		time.Sleep(time.Second)
		if more := len(r.checker.begins("a")) - before; more > 6 {
			t.Fatalf("looks in the second after the claim: got %d, want the ordinary five", more)
		}
	})
}

func TestLostConnectionMeansALookAtOnce(t *testing.T) {
	inBubble(t, holding, func(r *rig) {
		lose := make(chan struct{})
		r.checker.hold = func(ctx context.Context) (bool, error) {
			select {
			case <-lose:
				return true, fmt.Errorf("reset")
			case <-ctx.Done():
				return true, ctx.Err()
			}
		}
		dead := false
		var mu sync.Mutex
		r.checker.look = func(context.Context, failover.MemberName, int) Look {
			mu.Lock()
			defer mu.Unlock()
			if dead {
				return answers(failover.ReasonRefused)
			}
			return answers(failover.ReasonAnswered)
		}
		check := fastCheck()
		check.Interval, check.Timeout = time.Hour, time.Second
		r.scheduler.SetTargets(targets(check, "a"))
		time.Sleep(10 * time.Second)
		mu.Lock()
		dead = true
		mu.Unlock()
		lost := time.Now()
		close(lose)
		for r.stateOf("a") != failover.ReasonRefused {
			time.Sleep(ms)
		}
		if took := time.Since(lost); took > 12*ms {
			t.Fatalf("claimed after %v, want one recheck of 10 ms", took)
		}
	})
}

// TestLastWordsOfAHeldConnection: the word that a server shuts down comes before the refusals that follow it, and doesn't make them count
// later; it means nothing where the next look is answered.
func TestLastWordsOfAHeldConnection(t *testing.T) {
	shutdown := &pgconn.PgError{Code: "57P01", Message: "terminating connection due to administrator command"}
	orphaned := &pgconn.PgError{Code: "57P01", Message: "terminating connection due to unexpected postmaster exit"}
	for _, test := range []struct {
		name     string
		words    error
		next     failover.Reason
		failures int
		want     []failover.Reason
	}{
		{"a shutdown", shutdown, failover.ReasonRefused, 3, []failover.Reason{failover.ReasonShuttingDown, failover.ReasonRefused}},
		{"a shutdown, two failures", shutdown, failover.ReasonRefused, 2, []failover.Reason{failover.ReasonShuttingDown, failover.ReasonRefused}},
		{"a shutdown, one failure", shutdown, failover.ReasonReset, 1, []failover.Reason{failover.ReasonShuttingDown, failover.ReasonReset}},
		{"the session was ended", shutdown, failover.ReasonAnswered, 1, nil},
		{"the machine is lost", shutdown, failover.ReasonTimeout, 1, []failover.Reason{failover.ReasonTimeout}},
		{"a crash", orphaned, failover.ReasonRefused, 2, []failover.Reason{failover.ReasonRefused}},
		{"no word", io.EOF, failover.ReasonRefused, 2, []failover.Reason{failover.ReasonRefused}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, holding, func(r *rig) {
				var ended atomic.Bool
				r.checker.hold = func(ctx context.Context) (bool, error) {
					if ended.Load() {
						<-ctx.Done()
						return true, ctx.Err()
					}
					time.Sleep(10*time.Second + 50*ms) // between two looks: one that begins at that very moment may be heard before the words
					ended.Store(true)
					return true, fmt.Errorf("%w: %w", errEndedByServer, test.words)
				}
				r.checker.look = func(context.Context, failover.MemberName, int) Look {
					if !ended.Load() {
						return answers(failover.ReasonAnswered)
					}
					return answers(test.next)
				}
				check := fastCheck()
				check.Failures = test.failures
				r.scheduler.SetTargets(targets(check, "a"))
				time.Sleep(time.Minute)
				r.last("a")
				var claims []failover.Reason
				for _, report := range r.reports {
					reason := report.Observation.Checks[0].Evidence.Reason
					if reason != failover.ReasonAnswered && !slices.Contains(claims, reason) {
						claims = append(claims, reason)
					}
				}
				if !slices.Equal(claims, test.want) {
					t.Errorf("claimed %v, want %v", claims, test.want)
				}
			})
		})
	}
}

// A look that is under way when the words are heard, and is turned away, is no earlier news than they are: with a threshold of one failure the member
// would be claimed dead without a word of its restart.
func TestLastWordsDuringALook(t *testing.T) {
	for _, next := range []failover.Reason{failover.ReasonRefused, failover.ReasonReset} {
		inBubble(t, holding, func(r *rig) {
			began, late := time.Now(), make(chan struct{})
			var words, looks sync.Once
			r.checker.hold = func(ctx context.Context) (held bool, err error) {
				<-late
				err = errors.New("refused")
				words.Do(func() {
					held, err = true, fmt.Errorf("%w: %w", errEndedByServer, &pgconn.PgError{Code: "57P01", Message: "terminating connection due to administrator command"})
				})
				time.Sleep(10 * ms)
				return held, err
			}
			r.checker.look = func(context.Context, failover.MemberName, int) Look {
				if time.Since(began) < 10*time.Second {
					return answers(failover.ReasonAnswered)
				}
				looks.Do(func() { close(late) })
				time.Sleep(100 * ms) // the first of these begins before the words are heard, and ends after
				return answers(next)
			}
			check := fastCheck()
			check.Failures = 1
			r.scheduler.SetTargets(targets(check, "a"))
			time.Sleep(12 * time.Second)
			r.last("a")
			var claims []failover.Reason
			for _, report := range r.reports {
				if reason := report.Observation.Checks[0].Evidence.Reason; reason != failover.ReasonAnswered && !slices.Contains(claims, reason) {
					claims = append(claims, reason)
				}
			}
			if want := []failover.Reason{failover.ReasonShuttingDown, next}; !slices.Equal(claims, want) {
				t.Errorf("claimed %v, want %v", claims, want)
			}
		})
	}
}

func TestConnectionsAreHeldAgainAfterEachCrash(t *testing.T) {
	inBubble(t, holding, func(r *rig) {
		holds := 0
		r.checker.hold = func(ctx context.Context) (bool, error) {
			holds++
			time.Sleep(500 * ms)
			return true, fmt.Errorf("crashed")
		}
		r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
			if n%20 < 10 {
				return answers(failover.ReasonRefused)
			}
			return answers(failover.ReasonAnswered)
		}
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if crashes := len(r.checker.begins("a")) / 20; holds < crashes {
			t.Fatalf("held %d times in %d crashes", holds, crashes)
		}
	})
}

func TestConnectionsThatDontLastAreHeldLessOften(t *testing.T) {
	inBubble(t, holding, func(r *rig) {
		holds := 0
		r.checker.hold = func(context.Context) (bool, error) {
			holds++
			return true, fmt.Errorf("closed at once")
		}
		r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(failover.ReasonAnswered) }
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if holds > 20 {
			t.Fatalf("held %d times in 10 minutes, want about one a minute", holds)
		}
		r.wantState("a", failover.ReasonAnswered)
	})
}
