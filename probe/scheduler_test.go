package probe

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// fakeChecker answers looks by a function of the member and of how many looks at it began before.
type fakeChecker struct {
	look func(ctx context.Context, member failover.MemberName, n int) Look
	hold func(ctx context.Context) (bool, error)

	mu       sync.Mutex
	begun    map[failover.MemberName][]time.Duration
	underWay map[failover.MemberName]int
	most     int
	start    time.Time
}

func (f *fakeChecker) Look(ctx context.Context, t Target, _ failover.Check) Look {
	name := t.Member.Name
	f.mu.Lock()
	if f.begun == nil {
		f.begun, f.underWay = map[failover.MemberName][]time.Duration{}, map[failover.MemberName]int{}
	}
	n := len(f.begun[name])
	f.begun[name] = append(f.begun[name], time.Since(f.start))
	f.underWay[name]++
	f.most = max(f.most, f.underWay[name])
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.underWay[name]--
	}()
	return f.look(ctx, name, n)
}

func (f *fakeChecker) begins(name failover.MemberName) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.begun[name])
}

// holdingChecker is a fakeChecker that can hold a connection.
type holdingChecker struct{ *fakeChecker }

func (h holdingChecker) Hold(ctx context.Context, _ Target, _ failover.Check) (bool, error) {
	return h.hold(ctx)
}

// answers returns a look that answers at once.
func answers(reason failover.Reason) Look { return Look{Evidence: failover.Evidence{Reason: reason}} }

// hangs returns a look that ends with its time-out.
func hangs(ctx context.Context) Look {
	<-ctx.Done()
	return answers(failover.ReasonTimeout)
}

// rig is a scheduler in virtual time with what it reported.
type rig struct {
	t         *testing.T
	scheduler *Scheduler
	checker   *fakeChecker
	reports   []Report
	mu        sync.Mutex
	applied   failover.Index
}

// inBubble runs a test against a scheduler in virtual time.
func inBubble(t *testing.T, wrap func(*fakeChecker) Checker, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, checker: &fakeChecker{start: time.Now()}}
		r.scheduler = NewScheduler(Options{
			Node: "az-a", Clock: clock.Monotonic(),
			Applied: func() failover.Index {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.applied
			},
			Report: func(report Report) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.reports = append(r.reports, report)
			},
			Checkers: map[failover.CheckKind]Checker{failover.CheckTCP: wrap(r.checker)},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.scheduler.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}()
		test(r)
	})
}

func plain(f *fakeChecker) Checker   { return f }
func holding(f *fakeChecker) Checker { return holdingChecker{f} }

// last returns the latest report of a member after all that is going on has settled.
func (r *rig) last(name failover.MemberName) Report {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range slices.Backward(r.reports) {
		if report.Observation.Member == name {
			return report
		}
	}
	r.t.Fatalf("no report of %s", name)
	return Report{}
}

func (r *rig) wantState(name failover.MemberName, want failover.Reason) {
	r.t.Helper()
	if got := r.last(name).Observation.Checks[0].Evidence.Reason; got != want {
		r.t.Fatalf("state of %s: got %s, want %s", name, got, want)
	}
}

// fastCheck is a check of profile fast.
func fastCheck() failover.Check {
	return failover.Check{
		Name: "port", Kind: failover.CheckTCP, Interval: 200 * ms, Timeout: 250 * ms, Failures: 2, Successes: 1, Required: true,
	}
}

// targets makes members of one group.
func targets(check failover.Check, names ...failover.MemberName) []Target {
	spec := &failover.Spec{Health: failover.Health{Checks: []failover.Check{check}}}
	var all []Target
	for _, name := range names {
		all = append(all, Target{Group: "orders", Member: failover.MemberSpec{Name: name, Address: "192.0.2.1:1"}, Spec: spec})
	}
	return all
}

func TestLooksKeepTheirInterval(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(failover.ReasonAnswered) }
		r.scheduler.SetTargets(targets(fastCheck(), "a", "b"))
		time.Sleep(10 * time.Second)
		for _, name := range []failover.MemberName{"a", "b"} {
			begun := r.checker.begins(name)
			if len(begun) < 50 || len(begun) > 51 {
				t.Fatalf("looks at %s in 10 s: got %d, want 50 and a first one", name, len(begun))
			}
			for i := 2; i < len(begun); i++ {
				if gap := begun[i] - begun[i-1]; gap != 200*ms {
					t.Fatalf("gap before look %d: got %v, want 200ms", i, gap)
				}
			}
		}
		if a, b := r.checker.begins("a")[1], r.checker.begins("b")[1]; a != b {
			t.Fatalf("the members of a group are looked at %v apart", b-a)
		}
		r.wantState("a", failover.ReasonAnswered)
	})
}

func TestPhasesSpreadAndAreStable(t *testing.T) {
	buckets := [10]int{}
	for i := range 3000 {
		group := failover.GroupName(fmt.Sprintf("group-%d", i))
		phase := phaseOf("az-a", group, time.Second)
		if phase != phaseOf("az-a", group, time.Second) || phase < 0 || phase >= time.Second {
			t.Fatalf("phase of %s: got %v", group, phase)
		}
		buckets[phase/(100*ms)]++
	}
	for i, n := range buckets {
		if n < 200 || n > 400 {
			t.Errorf("tenth %d of the interval holds %d of 3000 looks", i, n)
		}
	}
}

func TestThousandsOfChecks(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(context.Context, failover.MemberName, int) Look {
			time.Sleep(5 * ms)
			return answers(failover.ReasonAnswered)
		}
		check := fastCheck()
		check.Interval = time.Second
		var all []Target
		for i := range 1000 {
			group := targets(check, "a", "b", "c")
			for j := range group {
				group[j].Group = failover.GroupName(fmt.Sprintf("group-%d", i))
			}
			all = append(all, group...)
		}
		r.scheduler.SetTargets(all)
		time.Sleep(2 * time.Second)
		begun, most := 0, 0
		for range 50 {
			time.Sleep(100 * ms)
			most = max(most, runtime.NumGoroutine())
		}
		for _, name := range []failover.MemberName{"a", "b", "c"} {
			begun += len(r.checker.begins(name))
		}
		if begun < 21000 || begun > 24100 {
			t.Errorf("looks in 7 s: got %d, want 3000 a second and 3000 first ones", begun)
		}
		if most > 100 {
			t.Errorf("goroutines: got %d, want few: about 15 looks of 5 ms are under way", most)
		}
	})
}

func TestHangingLooksDelayNobody(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(ctx context.Context, name failover.MemberName, _ int) Look {
			if name == "a" {
				return hangs(ctx)
			}
			return answers(failover.ReasonAnswered)
		}
		check := fastCheck()
		check.Timeout = time.Second
		r.scheduler.SetTargets(targets(check, "a", "b"))
		time.Sleep(10 * time.Second)
		r.wantState("a", failover.ReasonTimeout)
		r.wantState("b", failover.ReasonAnswered)
		if n := len(r.checker.begins("a")); n < 50 {
			t.Errorf("looks at the hanging member: got %d, want one per interval", n)
		}
		if n := len(r.checker.begins("b")); n < 50 {
			t.Errorf("looks at the healthy member: got %d, want one per interval", n)
		}
		if r.checker.most > 6 { // ceil(1 s / 200 ms) + 1
			t.Errorf("looks under way at once: got %d, want 6 at most", r.checker.most)
		}
	})
}

func TestFrozenMemberIsFoundByTwoTimeouts(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		var frozen time.Time
		r.checker.look = func(ctx context.Context, _ failover.MemberName, n int) Look {
			if n < 5 {
				frozen = time.Now()
				return answers(failover.ReasonAnswered)
			}
			return hangs(ctx)
		}
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		for r.stateOf("a") != failover.ReasonTimeout {
			time.Sleep(ms)
		}
		// Two looks, 200 ms apart, of 250 ms; frozen right after a good one at worst.
		if took := time.Since(frozen); took > 655*ms {
			t.Fatalf("found after %v, want within 650 ms", took)
		}
	})
}

// stateOf is wantState without a wish; unknown members are not yet seen.
func (r *rig) stateOf(name failover.MemberName) failover.Reason {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range slices.Backward(r.reports) {
		if report.Observation.Member == name {
			return report.Observation.Checks[0].Evidence.Reason
		}
	}
	return failover.ReasonNotYetSeen
}

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
					time.Sleep(10 * time.Second)
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

func TestLookThatIsOvertakenDoesNotCount(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(ctx context.Context, _ failover.MemberName, n int) Look {
			if n == 3 {
				return hangs(ctx) // and ends after the next one, which is good
			}
			return answers(failover.ReasonAnswered)
		}
		check := fastCheck()
		check.Failures = 1
		r.scheduler.SetTargets(targets(check, "a"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for i, report := range r.reports {
			if got := report.Observation.Checks[0].Evidence.Reason; got != failover.ReasonAnswered {
				t.Fatalf("report %d: got %s, want the overtaken look not to count", i, got)
			}
		}
		if !slices.ContainsFunc(r.reports, func(report Report) bool { return report.Look.Evidence.Reason == failover.ReasonTimeout }) {
			t.Fatal("the overtaken look was not reported")
		}
	})
}

func TestLookAgainStartsAtOnceAndIsAnswered(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(failover.ReasonAnswered) }
		check := fastCheck()
		check.Interval = time.Hour
		r.scheduler.SetTargets(targets(check, "a", "b"))
		time.Sleep(time.Minute)
		asked := r.scheduler.clock.Boot()
		r.scheduler.LookAgain("orders")
		r.scheduler.LookAgain("nobody")
		for _, name := range []failover.MemberName{"a", "b"} {
			if report := r.last(name); report.Began < asked || report.Ended < asked {
				t.Errorf("report of %s: got a look from %v to %v, want one after %v", name, report.Began, report.Ended, asked)
			}
		}
	})
}

func TestS12_AsOfIsReadBeforeTheLook(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
			r.mu.Lock()
			r.applied = failover.Index(100 + n) // applied while the look is under way
			r.mu.Unlock()
			return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: failover.Facts{
				Role: failover.RolePrimary, AcceptsWrites: true,
			}}
		}
		r.applied = 42
		check := fastCheck()
		check.Interval = time.Hour
		r.scheduler.SetTargets(targets(check, "a"))
		time.Sleep(time.Minute)
		if got := r.last("a").Observation.AsOf; got != 42 {
			t.Fatalf("as of: got %d, want the 42 from before the look", got)
		}
	})
}

func TestS12_AsOfIsTheOldestOfAllChecks(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(failover.ReasonAnswered) }
		slow, quick := fastCheck(), fastCheck()
		slow.Name, slow.Interval = "slow", time.Hour
		all := targets(slow, "a")
		all[0].Spec.Health.Checks = append(all[0].Spec.Health.Checks, quick)
		r.applied = 7
		r.scheduler.SetTargets(all)
		time.Sleep(time.Second)
		r.mu.Lock()
		r.applied = 8
		r.mu.Unlock()
		asked := r.scheduler.clock.Boot()
		time.Sleep(time.Second)
		if report := r.last("a"); report.Observation.AsOf != 7 || report.Ended >= asked {
			t.Fatalf("as of and ended: got %d and %v, want those of the slow check", report.Observation.AsOf, report.Ended)
		}
		r.scheduler.LookAgain("orders")
		if report := r.last("a"); report.Observation.AsOf != 8 || report.Ended < asked {
			t.Fatalf("as of and ended after looking again: got %d and %v", report.Observation.AsOf, report.Ended)
		}
	})
}

func TestFactsOutliveTheMemberButItsClaimsDont(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
			if n > 3 {
				return answers(failover.ReasonRefused)
			}
			return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: failover.Facts{
				Role: failover.RolePrimary, AcceptsWrites: true, Written: 500, SyncRule: failover.SyncRule{Need: 1, Names: []string{"b"}},
			}}
		}
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		time.Sleep(5 * time.Second)
		f := r.last("a").Observation.Facts
		if f.AcceptsWrites || f.Role != failover.RolePrimary || f.Written != 500 || f.SyncRule.Need != 1 {
			t.Fatalf("facts of a dead primary: got %+v", f)
		}
	})
}

func TestStandbyThatGrowsIsAWitness(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		position := failover.LSN(1000)
		var mu sync.Mutex
		r.checker.look = func(ctx context.Context, name failover.MemberName, n int) Look {
			if name == "b" {
				mu.Lock()
				defer mu.Unlock()
				position += 8
				return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: failover.Facts{
					Role: failover.RoleStandby, Received: position, Streaming: true,
				}}
			}
			if n > 3 {
				return hangs(ctx)
			}
			return Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: failover.Facts{Role: failover.RolePrimary}}
		}
		check := fastCheck()
		check.Interval = time.Second
		r.scheduler.SetTargets(targets(check, "a", "b"))
		for r.scheduler.clock.Boot() < 3*time.Second || r.last("a").Look.Evidence.Reason != failover.ReasonTimeout {
			time.Sleep(ms)
		}
		if r.last("b").Observation.Facts.ReceivingGrows {
			t.Fatal("growth was claimed before the primary was seen failing")
		}
		time.Sleep(30 * ms)
		if !r.last("b").Observation.Facts.ReceivingGrows {
			t.Fatal("growth was not known 30 ms after the primary was first seen failing")
		}
	})
}

func TestPartialLooksCountForNothing(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
			look := Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: failover.Facts{
				Role: failover.RolePrimary, AcceptsWrites: true, Written: failover.LSN(n),
			}}
			switch {
			case n > 2 && n%2 == 1:
				look.Evidence.Reason, look.Facts.AcceptsWrites = failover.ReasonWriteStalled, false
			case n > 2:
				look.Partial, look.Facts.AcceptsWrites = true, false
			}
			return look
		}
		r.applied = 5
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		for r.begun("a") < 2 {
			time.Sleep(ms)
		}
		r.wantState("a", failover.ReasonAnswered)
		time.Sleep(900 * ms) // after looks 3, 4 and 5: stalled, partial, stalled
		r.wantState("a", failover.ReasonWriteStalled)
		if f := r.last("a").Observation.Facts; f.AcceptsWrites || f.Written < 5 {
			t.Fatalf("facts: got %+v", f)
		}
	})
}

// begun is how many looks at a member have been begun.
func (r *rig) begun(name failover.MemberName) int {
	synctest.Wait()
	return len(r.checker.begins(name))
}

func TestChangedTargets(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(failover.ReasonRefused) }
		all := targets(fastCheck(), "a", "b")
		r.scheduler.SetTargets(all)
		time.Sleep(time.Second)
		r.wantState("a", failover.ReasonRefused)

		slower := fastCheck()
		slower.Failures = 5
		r.scheduler.SetTargets(targets(slower, "a"))
		time.Sleep(time.Second)
		r.wantState("a", failover.ReasonRefused)
		before := len(r.checker.begins("b"))
		time.Sleep(time.Second)
		if len(r.checker.begins("b")) != before {
			t.Fatal("a member that was taken out is still looked at")
		}

		moved := targets(slower, "a")
		moved[0].Member.Address = "192.0.2.2:1"
		r.mu.Lock()
		r.reports = nil
		r.mu.Unlock()
		r.scheduler.SetTargets(moved)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := r.reports[0].Observation.Checks[0].Evidence.Reason; got != failover.ReasonNotYetSeen {
			t.Fatalf("state of a member at a new address: got %s, want not yet seen", got)
		}
	})
}

func TestUnknownKindOfCheckCannotTell(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		check := fastCheck()
		check.Kind = "gopher"
		r.scheduler.SetTargets(targets(check, "a"))
		time.Sleep(5 * time.Second)
		r.wantState("a", failover.ReasonBadConfiguration)
	})
}

func TestPanickingCheckerEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := &fakeChecker{start: time.Now(), look: func(context.Context, failover.MemberName, int) Look { panic("boom") }}
		s := NewScheduler(Options{Clock: clock.Monotonic(), Checkers: map[failover.CheckKind]Checker{failover.CheckTCP: checker}})
		s.SetTargets(targets(fastCheck(), "a"))
		if err := s.Run(t.Context()); err == nil {
			t.Fatal("run: got no error, want the panic")
		}
	})
}
