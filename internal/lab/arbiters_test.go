package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// built makes the programs under test, once per run of the tests.
var built = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(workshop.Dir(), "bin")
	return dir, Build(context.Background(), dir)
})

// protected opens a lab whose arbiters run and whose group is ready for a failover.
func protected(t *testing.T, options Options, spec Spec) *Lab {
	t.Helper()
	var err error
	if options.Binaries, err = built(); err != nil {
		t.Fatal(err)
	}
	l := open(t, options)
	t.Cleanup(func() {
		if t.Failed() {
			showLogs(t, l)
		}
	})
	if err := l.StartArbiters(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.Protect(patient(t), spec); err != nil {
		t.Fatal(err)
	}
	return l
}

func showLogs(t *testing.T, l *Lab) {
	t.Helper()
	for _, question := range [][]string{{"status"}, {"show", Group}, {"explain", Group}} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := l.Ctl(ctx, question...)
		cancel()
		t.Logf("arbiterctl %s: %v\n%s", question[0], err, out)
	}
	for _, a := range l.Arbiters {
		if text, err := os.ReadFile(a.LogFile()); err == nil {
			t.Logf("log of %s:\n%s", a.Name(), text[max(0, len(text)-4000):])
		}
	}
}

func TestArbitersFailOver(t *testing.T) {
	for _, fault := range Faults() {
		t.Run(string(fault), func(t *testing.T) {
			if fault == Partition && kinds()[0] == hosts.Loopback {
				return // nothing can be cut at loopback addresses, as hosts' own tests show
			}
			l := protected(t, Options{}, Spec{})
			ctx := patient(t)
			w, truth := l.StartWriter(), l.WatchTruth()
			if err := w.AwaitAcked(ctx, 50); err != nil {
				t.Fatal(err)
			}
			began, err := l.Inject(ctx, fault, l.Members[0])
			if err != nil {
				t.Fatal(err)
			}
			outage, run, err := l.Measure(ctx, w, truth, began, l.Members[0].Name(), 20)
			if err != nil {
				t.Fatal(err)
			}
			if run.LostAcked != 0 || run.DoubleWritable != 0 || outage.First.Member == l.Members[0].Name() {
				t.Errorf("run %+v, first write on %s", run, outage.First.Member)
			}
			op, err := l.Operation(ctx, Group, "")
			if err != nil {
				t.Fatal(err)
			}
			phases, err := PhasesOf(op, began, outage)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("outage %v, phases %+v", outage.Length, *phases)
			if l.Members[0].Host().On() {
				t.Error("the failed primary still has power")
			}
		})
	}
}

func TestCtlRunsAsTheOperator(t *testing.T) {
	l := protected(t, Options{}, Spec{})
	out, err := l.Ctl(patient(t), "status")
	if err != nil || !strings.Contains(string(out), Group) {
		t.Errorf("%s, %v", out, err)
	}
	tools, err := l.WriteTools()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"arbiterctl", "explain", Group}, {"fence_lab", "-o", "status", "-n", l.Members[0].Name()}} {
		if out, err := exec.CommandContext(patient(t), filepath.Join(tools, command[0]), command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %s, %v", command, out, err)
		}
	}
}
