package probe

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

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

// What hangs on this arbiter, whatever the deadline, is its own trouble, and keeps no more goroutines than looks may be under way.
func TestLooksThatNeverComeBackAreThisArbitersTrouble(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		back := make(chan struct{})
		r.checker.look = func(_ context.Context, name failover.MemberName, n int) Look {
			if name == "a" && n > 5 {
				<-back
				return answers(failover.ReasonTimeout) // of what was left of its time
			}
			return answers(failover.ReasonAnswered)
		}
		r.scheduler.SetTargets(targets(fastCheck(), "a", "b"))
		time.Sleep(10 * time.Second)
		r.wantState("a", failover.ReasonArbiterTrouble)
		r.wantState("b", failover.ReasonAnswered)
		if r.checker.most > 3 { // ceil(250 ms / 200 ms) + 1
			t.Errorf("looks under way at once: got %d, want 3 at most", r.checker.most)
		}
		r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(failover.ReasonAnswered) }
		close(back)
		time.Sleep(time.Second)
		r.wantState("a", failover.ReasonAnswered)
		for _, report := range r.reports {
			if failover.ClassOf(report.Observation.Checks[0].Evidence.Reason) == failover.EvidenceDead {
				t.Fatalf("the member was called dead: %+v", report.Observation.Checks[0].Evidence)
			}
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

func TestReportTellsWhatTheThresholdHoldsBack(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		const looks = 5
		looked := make(chan struct{})
		r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
			switch n {
			case 3:
				return answers(failover.ReasonTimeout)
			case looks:
				close(looked)
			}
			return answers(failover.ReasonAnswered)
		}
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		<-looked
		synctest.Wait()
		failed := 0
		for _, report := range r.reports {
			bad := report.Look.Evidence.Reason == failover.ReasonTimeout
			if bad {
				failed++
			}
			if told := len(report.Towards) == 1 && report.Towards[0].Count == 1 && report.Towards[0].Check == report.Check; told != bad {
				t.Errorf("%s: the report holds %+v", report.Look.Evidence.Reason, report.Towards)
			}
		}
		if failed != 1 {
			t.Errorf("%d reports of the look that failed", failed)
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

// That a silent service's machine accepts a connection in one look, and none in the next, is reported, and doesn't begin the silence anew.
func TestSinceIsThatOfTheSilence(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		var accepts, alive atomic.Bool
		alive.Store(true)
		r.checker.look = func(context.Context, failover.MemberName, int) Look {
			if alive.Load() {
				return answers(failover.ReasonAnswered)
			}
			look := answers(failover.ReasonTimeout)
			look.Evidence.Accepted = accepts.Load()
			return look
		}
		r.scheduler.SetTargets(targets(fastCheck(), "a"))
		seen := func() (failover.WallTime, failover.Evidence) {
			time.Sleep(2 * time.Second)
			o := r.last("a").Observation
			return o.Since, o.Checks[0].Evidence
		}
		well, _ := seen()
		alive.Store(false)
		accepts.Store(true)
		silent, frozen := seen()
		accepts.Store(false)
		still, gone := seen()
		if silent == well || !frozen.Accepted || gone.Accepted || gone.Reason != failover.ReasonTimeout {
			t.Fatalf("since %d, then %d: %+v, then %+v", well, silent, frozen, gone)
		}
		if still != silent {
			t.Errorf("since %d, and once nothing is accepted since %d", silent, still)
		}
	})
}

// By which spec the looks were made is that of the oldest, and of each when it began.
func TestSpecSinceIsTheOldestOfAllChecks(t *testing.T) {
	inBubble(t, plain, func(r *rig) {
		var under atomic.Bool
		begun, free := make(chan struct{}), make(chan struct{})
		r.checker.look = func(context.Context, failover.MemberName, int) Look {
			if under.Load() {
				begun <- struct{}{}
				<-free
			}
			return answers(failover.ReasonAnswered)
		}
		slow, quick := fastCheck(), fastCheck()
		slow.Name, slow.Interval, slow.Timeout = "slow", time.Hour, time.Minute
		all := targets(slow, "a")
		all[0].Spec.Health.Checks = append(all[0].Spec.Health.Checks, quick)
		all[0].SpecSince = 7
		r.scheduler.SetTargets(all)
		time.Sleep(time.Second)
		next := slices.Clone(all)
		next[0].SpecSince = 8
		r.scheduler.SetTargets(next)
		time.Sleep(time.Second)
		if got := r.last("a").SpecSince; got != 7 {
			t.Errorf("spec version %d, want that of the slow check", got)
		}
		under.Store(true)
		r.scheduler.LookAgain("orders")
		<-begun
		<-begun
		next = slices.Clone(next)
		next[0].SpecSince = 9
		r.scheduler.SetTargets(next)
		synctest.Wait()
		under.Store(false)
		close(free)
		synctest.Wait()
		if got := r.last("a").SpecSince; got != 8 {
			t.Errorf("spec version %d, want that of when the looks began", got)
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
		if f.AcceptsWrites || !f.Stale || f.Role != failover.RolePrimary || f.Written != 500 || f.SyncRule.Need != 1 {
			t.Fatalf("facts of a dead primary: got %+v", f)
		}
	})
}

// What a primary told is old once it could not be asked for a minute, and might have written anything since: not while it is dead, fails or restarts. Nor
// does a single time-out in between say that it was dead.
func TestFactsGetOldWhileAMemberCannotBeAsked(t *testing.T) {
	for _, test := range []struct {
		first, then failover.Reason
		old         bool
	}{
		{failover.ReasonBadCredentials, failover.ReasonBadCredentials, true},
		{failover.ReasonTooManyConnections, failover.ReasonTooManyConnections, false},
		{failover.ReasonBadCredentials, failover.ReasonRefused, true}, // nobody knows what it wrote before
		{failover.ReasonRefused, failover.ReasonRefused, false},
		{failover.ReasonCrashRecovery, failover.ReasonRefused, false},
		{failover.ReasonBadCredentials, failover.ReasonAnswered, false},
	} {
		inBubble(t, plain, func(r *rig) {
			began := time.Now()
			r.checker.look = func(_ context.Context, _ failover.MemberName, n int) Look {
				primary := Look{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Facts: failover.Facts{Role: failover.RolePrimary, Written: 500}}
				reason := failover.ReasonAnswered
				if past := time.Since(began); past > 2*time.Minute {
					reason = test.then
				} else if past > 3*time.Second {
					reason = test.first
				}
				if reason == failover.ReasonAnswered {
					return primary
				}
				if n%100 == 0 && reason == failover.ReasonBadCredentials {
					reason = failover.ReasonTimeout
				}
				return answers(reason)
			}
			c := fastCheck()
			c.Failures = 2
			r.scheduler.SetTargets(targets(c, "a"))
			time.Sleep(30 * time.Second)
			if f := r.last("a").Observation.Facts; f.Old || !f.Stale {
				t.Errorf("%+v: after half a minute %+v", test, f)
			}
			time.Sleep(2 * time.Minute)
			if f := r.last("a").Observation.Facts; f.Old != test.old || f.Written != 500 {
				t.Errorf("%+v: at the end %+v", test, f)
			}
		})
	}
}

// An arbiter that was never told anything knows that, too: what others, or the log, have of the primary is no newer.
func TestFactsAreOldOfAMemberThatCouldNeverBeAsked(t *testing.T) {
	for reason, old := range map[failover.Reason]bool{failover.ReasonBadCredentials: true, failover.ReasonTimeout: false} {
		inBubble(t, plain, func(r *rig) {
			r.checker.look = func(context.Context, failover.MemberName, int) Look { return answers(reason) }
			c := fastCheck()
			c.Kind = failover.CheckService
			r.scheduler.SetTargets(targets(c, "a"))
			time.Sleep(2 * time.Minute)
			if f := r.last("a").Observation.Facts; f.Old != old || f.Stale {
				t.Errorf("%s: %+v", reason, f)
			}
		})
	}
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
