package probe

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
			Checkers: map[failover.CheckKind]Checker{failover.CheckTCP: wrap(r.checker), failover.CheckService: wrap(r.checker)},
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

// begun is how many looks at a member have been begun.
func (r *rig) begun(name failover.MemberName) int {
	synctest.Wait()
	return len(r.checker.begins(name))
}
