package demo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// TestDemo shows the demonstration with every kind of host, and once without PostgreSQL and HAProxy, and reads what it says.
func TestDemo(t *testing.T) {
	workshop, err := hosts.Open(t.Context(), hosts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = workshop.Close() })
	binaries := filepath.Join(workshop.Dir(), "bin")
	if err := lab.Build(t.Context(), binaries); err != nil {
		t.Fatal(err)
	}
	shows := map[string]lab.Options{
		"loopback": {Kind: hosts.Loopback, Service: lab.PostgreSQL},
		"builtin":  {Kind: hosts.Loopback, Service: lab.Builtin, BuiltinRouter: true},
	}
	if os.Geteuid() == 0 {
		shows["namespaces"] = lab.Options{Kind: hosts.Namespaces, Service: lab.PostgreSQL}
	}
	for name, options := range shows {
		options.Binaries = binaries
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			file := filepath.Join(t.TempDir(), "report.json")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			err := Run(ctx, Options{Lab: options, Fault: lab.Crash, Report: file, Out: &out})
			t.Logf("\n%s", out.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				"[4/4] client writing", "verdict", "CONFIRMED_OFF", "epoch 1 → ", ", pg-a → pg-", "$ arbiterctl show orders-db\nfailover orders-db · epoch 1 → ", "░", "  catch up", "Writes stopped for", " ms. 0 of ",
				" acknowledged writes are missing on pg-", ". pg-a: off, read back off.", "KEEP=1 make demo",
			} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it doesn't say %q", want)
				}
			}
			var r report.Bench
			text, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(text, &r)
			}
			if err != nil || r.Kind != "bench" || len(r.Runs) != 1 || r.Runs[0].PhasesMS == nil || r.Runs[0].OutageMS <= 0 {
				t.Errorf("report %s, %v", text, err)
			}
		})
	}
}

// Times in the words of arbiters are written as on all screens.
func TestLine(t *testing.T) {
	began := time.Now()
	step := &arbiterv1.Step{Name: "lease", Detail: "epoch 2, az-a, 2s", Began: timestamppb.New(began.Add(33 * time.Millisecond)), Took: durationpb.New(5 * time.Millisecond)}
	if got, want := line(step, began), "    33 ms  lease        epoch 2, az-a, 2 s (5 ms)"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}

// A demo that lost a write, or had two writers, says so and writes its report, and fails.
func TestDemoFailsIfMoreThanTimeWasLost(t *testing.T) {
	site, err := hosts.Open(t.Context(), hosts.Options{Kind: hosts.Loopback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = site.Close() })
	for name, test := range map[string]struct {
		run  report.Run
		want error
		says string
	}{
		"only time":   {report.Run{OutageMS: 200}, nil, " 0 of 0 acknowledged writes are missing"},
		"a write":     {report.Run{OutageMS: 200, LostAcked: 1}, report.ErrBroken, " 1 of 0 acknowledged writes are missing"},
		"two writers": {report.Run{OutageMS: 200, DoubleWritable: 3}, report.ErrBroken, "3 WRITES WERE ACCEPTED BY TWO MEMBERS"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			file := filepath.Join(t.TempDir(), "report.json")
			s := &show{Options: Options{Fault: lab.Crash, Report: file, Out: &out}, lab: &lab.Lab{Site: site}, writer: &traffic.Writer{}}
			if err := s.conclude(traffic.Outage{}, test.run, nil); !errors.Is(err, test.want) {
				t.Errorf("it ends with %v", err)
			}
			var r report.Bench
			text, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(text, &r)
			}
			if err != nil || len(r.Runs) != 1 || r.Runs[0] != test.run || !strings.Contains(out.String(), test.says) {
				t.Errorf("it writes %s, %v, and says %s", text, err, out.String())
			}
		})
	}
}

func TestStoppedDemoLeavesNothing(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stopOnFirstLine := writer(func(text string) {
		if strings.HasPrefix(text, "[1/4]") {
			stop()
		}
	})
	if err := Run(ctx, Options{Lab: lab.Options{Dir: dir}, Fault: lab.Crash, Out: stopOnFirstLine}); err == nil {
		t.Error("a stopped demo succeeded")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// writer makes a function an io.Writer.
type writer func(string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}
