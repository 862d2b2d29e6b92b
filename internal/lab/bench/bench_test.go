package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// programs builds what is tested, into a directory that goes with the test.
func programs(t *testing.T) string {
	t.Helper()
	site, err := hosts.Open(t.Context(), hosts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = site.Close() })
	binaries := filepath.Join(site.Dir(), "bin")
	if err := lab.Build(t.Context(), binaries); err != nil {
		t.Fatal(err)
	}
	return binaries
}

// TestBenchMakesItsRuns times two failovers and checks what every run must hold to.
func TestBenchMakesItsRuns(t *testing.T) {
	binaries := programs(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var progress strings.Builder
	result, err := Run(ctx, Options{
		Lab: lab.Options{Binaries: binaries}, Fault: lab.LeaderAndPrimary, Runs: 2, Profile: "fast", Progress: &progress,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if len(result.Runs) != 2 || strings.Count(progress.String(), "\n") != 2 {
		t.Fatalf("%d runs, progress:\n%s", len(result.Runs), progress.String())
	}
	for i, run := range result.Runs {
		if run.LostAcked != 0 || run.DoubleWritable != 0 || run.PhasesMS == nil || run.Machine == nil {
			t.Errorf("run %d: %+v", i, run)
			continue
		}
		p := *run.PhasesMS
		sum := p.Detect + p.Decide + p.Fence + p.Promote + p.Route + p.FirstWrite
		if sum < run.OutageMS-0.1 || sum > run.OutageMS+0.1 {
			t.Errorf("run %d: phases sum to %v, outage %v", i, sum, run.OutageMS)
		}
	}
	var table strings.Builder
	if err := result.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
}

// Who lost more than time, or took too long, leaves evidence.
func TestOddRunsAreTold(t *testing.T) {
	for name, test := range map[string]struct {
		outage time.Duration
		run    report.Run
		want   string
	}{
		"nothing":     {outage: time.Second},
		"a write":     {outage: time.Second, run: report.Run{LostAcked: 1}, want: "1 acknowledged writes were lost"},
		"two writers": {outage: time.Minute, run: report.Run{DoubleWritable: 2}, want: "2 writes were accepted by two members"},
		"time":        {outage: time.Minute, want: "too long for this fault"},
	} {
		if got := oddity(test.outage, lab.Now(), test.run); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestStoppedBenchReturnsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Fault: lab.Crash, Runs: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped bench: %v", err)
	}
}

// A follower that is restarted sends its view anew: that is what the log grew by.
func TestIdleTellsWhatTheLogGrewBy(t *testing.T) {
	var progress strings.Builder
	idle, follower := report.Idle{}, ""
	err := trial(t.Context(), lab.Options{Binaries: programs(t), Service: lab.Builtin, Groups: 1}, time.Minute, &progress, func(ctx context.Context, l *lab.Lab) error {
		if err := protectMany(ctx, l, IdleOptions{Lab: lab.Options{Service: lab.Builtin}, Groups: 1, Profile: "normal", Progress: &progress}); err != nil {
			return err
		}
		before, err := read(ctx, l)
		if err != nil {
			return err
		}
		restarted, err := restartOne(ctx, l, &idle)
		if err != nil {
			return err
		}
		follower = restarted.Name()
		after := before
		for after.status.GetFreshness().GetAppliedIndex() < before.status.GetFreshness().GetAppliedIndex()+2 { // a silent view, a whole one
			if after, err = read(ctx, l); err != nil {
				return err
			}
		}
		return tellGrowth(ctx, l, restarted, growthBetween(before, after), &idle)
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	t.Cleanup(func() { _ = os.RemoveAll(idle.LogsKept) })
	if _, err := os.Stat(filepath.Join(idle.LogsKept, follower, "arbiterd.log")); err != nil {
		t.Errorf("the logs were not kept: %v", err)
	}
	// Leadership may have changed meanwhile, which has every view sent anew; why one is, is logkinds' to test.
	if len(idle.Entries) < 2 || !slices.ContainsFunc(idle.WholeViews, func(w report.IdleWhole) bool { return w.Arbiter == follower && w.Views > 0 && w.Bytes > 0 }) {
		t.Errorf("the view of %s, which was restarted: got %+v", follower, idle)
	}
}

// TestIdleMeasuresEveryArbiter has two groups, with databases of their own: they share nothing that the report would have to name.
func TestIdleMeasuresEveryArbiter(t *testing.T) {
	var progress strings.Builder
	result, err := Idle(t.Context(), IdleOptions{
		Lab: lab.Options{Binaries: programs(t)}, Groups: 2, Profile: "normal", Duration: 6 * time.Second, Progress: &progress, // the kernel counts in 10 ms
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if len(result.Idle) != 1 || result.Idle[0].Groups != 2 || len(result.Idle[0].Arbiters) != 3 {
		t.Fatalf("%+v", result.Idle)
	}
	if one := result.Idle[0]; one.ServingMS <= 0 || one.AgainMS <= 0 || one.Shared != "" || one.Machine == nil {
		t.Errorf("serving after %v and %v ms, shared %q, machine %v", one.ServingMS, one.AgainMS, one.Shared, one.Machine)
	}
	leaders := 0
	for _, a := range result.Idle[0].Arbiters {
		if a.Leader {
			leaders++
		}
		if a.CPUPercent <= 0 || a.RSSMB <= 1 {
			t.Errorf("%+v costs nothing", a)
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}
}

// A false failover is one whose fence was intended. A lease that was given back is counted apart, however often it was granted.
func TestQuietTellsFencesFromLeasesGivenBack(t *testing.T) {
	event := func(operation, kind string) *arbiterv1.Event {
		return &arbiterv1.Event{Operation: operation, Kind: kind}
	}
	operation := func(steps ...*arbiterv1.Step) *arbiterv1.Operation {
		return &arbiterv1.Operation{Id: "2", Steps: steps}
	}
	isolate := &arbiterv1.Step{Name: "isolate", IntentIndex: 7}
	for name, test := range map[string]struct {
		events          []*arbiterv1.Event
		heard           bool // of the fence, in time
		newest          *arbiterv1.Operation
		failovers, back int
	}{
		"a lease that was given back": {
			events: []*arbiterv1.Event{event("2", "views-failing"), event("2", "lease-granted"), event("2", "lease-granted"), event("2", "views-recovered")},
			newest: operation(&arbiterv1.Step{Name: "lease", IntentIndex: 6}), back: 1,
		},
		"a fence": {
			events: []*arbiterv1.Event{event("1", "lease-granted"), event("2", "lease-granted"), event("2", fenceIntended), event("2", "lease-granted")},
			heard:  true, newest: operation(isolate), failovers: 1, back: 1,
		},
		"a fence that no event told of": {newest: operation(isolate), failovers: 1},
		"a fence before the newest operation": {
			events: []*arbiterv1.Event{event("1", "lease-granted"), event("1", fenceIntended), event("2", "lease-granted")},
			heard:  true, newest: operation(), failovers: 1, back: 1,
		},
	} {
		var out strings.Builder
		s := &spell{QuietOptions: QuietOptions{Progress: &out}, result: &report.Quiet{}, events: test.events, failover: make(chan struct{})}
		if test.heard {
			close(s.failover)
		}
		counted := s.judge(test.newest)
		s.count()
		if s.result.FalseFailovers != test.failovers || s.result.LeasesReturned != test.back || counted != (test.failovers > 0) || strings.Contains(out.String(), "FALSE FAILOVER") != counted {
			t.Errorf("%s: %v, %+v, %q", name, counted, s.result, out.String())
		}
	}
}

// Events that are missing make a quiet time fail: what it counts would be too little.
func TestQuietFailsIfEventsAreMissing(t *testing.T) {
	s := &spell{}
	if err := s.heardAll(); err != nil {
		t.Errorf("all were heard: %v", err)
	}
	lost := errors.New("the connection is lost")
	s.missed(lost)
	s.missed(errMissed)
	if err := s.heardAll(); !errors.Is(err, lost) || !errors.Is(err, errMissed) {
		t.Errorf("missed twice: %v", err)
	}
}

func TestQuietCountsWhatNothingMayBreak(t *testing.T) {
	for _, test := range []struct {
		lost, doubles int
	}{{0, 0}, {2, 0}, {0, 3}} {
		var out strings.Builder
		s := &spell{QuietOptions: QuietOptions{Progress: &out}, result: &report.Quiet{LostAcked: 1, DoubleWritable: 1}}
		bad := test.lost+test.doubles > 0
		if s.broke(test.lost, test.doubles) != bad || (out.Len() > 0) != bad || s.result.LostAcked != 1+test.lost || s.result.DoubleWritable != 1+test.doubles {
			t.Errorf("%+v: %+v, %q", test, s.result, out.String())
		}
	}
}

// TestQuietCountsAndTellsFalseFailovers makes the stalls so long that a failover is due, which the bench must count and
// explain.
func TestQuietCountsAndTellsFalseFailovers(t *testing.T) {
	binaries := programs(t)
	if os.Geteuid() != 0 {
		if _, err := Quiet(t.Context(), QuietOptions{Lab: lab.Options{Binaries: binaries}, Profile: "fast", Duration: time.Second, Progress: io.Discard}); !errors.Is(err, hosts.ErrNeedsRoot) {
			t.Errorf("loss of packets without root: %v", err)
		}
		return
	}
	for name, test := range map[string]struct {
		stall  time.Duration
		loss   int
		jitter time.Duration
		want   bool
	}{
		"long stalls": {stall: 20 * time.Second, want: true},
		"no stalls":   {stall: time.Millisecond, loss: 10, jitter: 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var progress strings.Builder
			result, err := Quiet(t.Context(), QuietOptions{
				Lab: lab.Options{Binaries: binaries}, Profile: "fast", Duration: 4 * time.Second, Seed: primarySeed, Loss: test.loss,
				Jitter: test.jitter, Stall: test.stall, Progress: &progress,
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			for _, line := range strings.Split(progress.String(), "\n") {
				if kept, found := strings.CutPrefix(line, "--- logs were kept in "); found {
					t.Cleanup(func() { _ = os.RemoveAll(kept) })
				}
			}
			q := result.Quiet
			if (q.FalseFailovers > 0) != test.want || q.WritesTried == 0 || q.Minutes < 4.0/60 || q.LostAcked != 0 || q.DoubleWritable != 0 {
				t.Errorf("%+v\n%s", q, progress.String())
			}
			if test.want && !strings.Contains(progress.String(), "pg-a stood still") {
				t.Errorf("the stall is not told:\n%s", progress.String())
			}
		})
	}
}

// primarySeed makes the primary the first to stall.
const primarySeed = 1
