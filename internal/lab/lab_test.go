package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
)

// workshop is a site without hosts, a directory that even a crash doesn't leave behind; shared is the template of all
// labs of this package's tests. TestMain makes both.
var (
	workshop *hosts.Site
	shared   *database.Template
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if workshop, err = hosts.Open(context.Background(), hosts.Options{}); err != nil {
			panic(err)
		}
		defer workshop.Close()
		if shared, err = database.NewTemplate(context.Background(), filepath.Join(workshop.Dir(), "template")); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

func open(t *testing.T, options Options) *Lab {
	t.Helper()
	if options.Template == nil {
		options.Template = shared
	}
	begin := time.Now()
	l, err := Open(patient(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("lab open after %v", time.Since(begin))
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// failOverByHand does what arbiters do: close the route, promote, open the route.
func failOverByHand(t *testing.T, l *Lab, from, to *database.Server) {
	t.Helper()
	ctx := patient(t)
	if err := l.Proxy.Close(ctx, from.Name()); err != nil {
		t.Fatal(err)
	}
	if err := to.Exec(ctx, "SELECT pg_promote(false)"); err != nil {
		t.Fatal(err)
	}
	if err := to.AwaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Proxy.Open(ctx, to.Name()); err != nil {
		t.Fatal(err)
	}
}

func kinds() []hosts.Kind {
	if os.Geteuid() != 0 {
		return []hosts.Kind{hosts.Loopback}
	}
	return []hosts.Kind{hosts.Namespaces, hosts.Loopback}
}

func TestCrashAndFailoverByHandIsMeasured(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) {
			l := open(t, Options{Kind: kind})
			ctx := patient(t)
			a, b := l.Members[0], l.Members[1]
			w, truth := l.StartWriter(), l.WatchTruth()
			if err := w.AwaitAcked(ctx, 50); err != nil {
				t.Fatal(err)
			}
			fault, err := l.Inject(ctx, Crash, a)
			if err != nil {
				t.Fatal(err)
			}
			failOverByHand(t, l, a, b)
			outage, err := w.AwaitOutage(ctx, fault.Boot, a.Name())
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.AwaitAcked(ctx, 20), truth.AwaitWritable(ctx, b.Name())); err != nil {
				t.Fatal(err)
			}
			w.Stop()
			truth.Stop()
			t.Logf("outage %v, gap %v", outage.Length, outage.Gap)
			if outage.First.Member != b.Name() || outage.Length <= 0 || outage.Length > time.Minute || outage.LastAck > outage.First.Began {
				t.Errorf("outage %+v", outage)
			}
			if lost, err := l.Lost(ctx, w, b); err != nil || lost != 0 {
				t.Errorf("lost %d, %v", lost, err)
			}
			if err := truth.Check(w); err != nil {
				t.Error(err)
			}
			if spans := truth.Spans(); len(spans) != 2 || spans[0].Member != a.Name() || spans[0].Closed == "" {
				t.Errorf("%d spans: %+v", len(spans), spans)
			}
		})
	}
}

// TestTruthSeesTwoWriters makes the split brain that arbiters must rule out, and expects to be told.
func TestTruthSeesTwoWriters(t *testing.T) {
	for _, fault := range []Fault{Freeze, Partition} {
		t.Run(string(fault), func(t *testing.T) {
			l := open(t, Options{Kind: kinds()[0]})
			if fault == Partition && !l.Site.Host(ClientHost).Isolated() {
				return // nothing can be cut at loopback addresses, as hosts' own tests show
			}
			ctx := patient(t)
			a, b := l.Members[0], l.Members[1]
			w, truth := l.StartWriter(), l.WatchTruth()
			if err := errors.Join(w.AwaitAcked(ctx, 20), truth.AwaitWritable(ctx, a.Name())); err != nil {
				t.Fatal(err)
			}
			began, err := l.Inject(ctx, fault, a)
			if err != nil {
				t.Fatal(err)
			}
			failOverByHand(t, l, a, b) // without a fence
			if _, err := w.AwaitOutage(ctx, began.Boot, a.Name()); err != nil {
				t.Fatal(err)
			}
			if err := truth.AwaitWritable(ctx, b.Name()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(a.Host().Thaw(), l.Site.Heal(ctx)); err != nil {
				t.Fatal(err)
			}
			if err := await(ctx, "the truth", func() error {
				if truth.Check(w) != nil {
					return nil
				}
				return errors.New("two members accept writes and nobody noticed")
			}); err != nil {
				t.Fatal(err)
			}
			if err := truth.Check(w); !errors.Is(err, traffic.ErrTwoWriters) {
				t.Error(err)
			}
		})
	}
}

// TestFenceBeforePromotionLeavesOneWriter does the same with a fence, and expects no double.
func TestFenceBeforePromotionLeavesOneWriter(t *testing.T) {
	for _, fault := range []Fault{Freeze, HostLoss} {
		t.Run(string(fault), func(t *testing.T) {
			l := open(t, Options{})
			ctx := patient(t)
			a, b := l.Members[0], l.Members[1]
			l.AutoStart(a)
			w, truth := l.StartWriter(), l.WatchTruth()
			if err := errors.Join(w.AwaitAcked(ctx, 20), truth.AwaitWritable(ctx, a.Name())); err != nil {
				t.Fatal(err)
			}
			began, err := l.Inject(ctx, fault, a)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Host().PowerOff(ctx); err != nil {
				t.Fatal(err)
			}
			failOverByHand(t, l, a, b)
			outage, err := w.AwaitOutage(ctx, began.Boot, a.Name())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("outage %v", outage.Length)
			if err := errors.Join(w.AwaitAcked(ctx, 20), truth.Check(w)); err != nil {
				t.Error(err)
			}
			// Its power comes back, and it starts what it always ran: a rogue.
			if err := a.Host().PowerOn(ctx); err != nil {
				t.Fatal(err)
			}
			if err := truth.AwaitWritable(ctx, a.Name()); err != nil {
				t.Fatal(err)
			}
			if err := await(ctx, "the rogue to be seen", func() error {
				if truth.Check() == nil {
					return errors.New("not seen")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLostWritesAreCounted(t *testing.T) {
	l := open(t, Options{Asynchronous: true})
	ctx := patient(t)
	a, b := l.Members[0], l.Members[1]
	w := l.StartWriter()
	if err := w.AwaitAcked(ctx, 10); err != nil {
		t.Fatal(err)
	}
	// What is acknowledged while the standby is down is only on the primary; of what is acknowledged while it stops, nobody knows.
	before := w.Acked()
	if err := b.Stop(ctx, database.Fast); err != nil {
		t.Fatal(err)
	}
	if err := w.AwaitAcked(ctx, 30); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if err := errors.Join(a.Crash(ctx), b.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := b.Exec(ctx, "SELECT pg_promote(false)"); err != nil {
		t.Fatal(err)
	}
	if err := b.AwaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if lost, err := l.Lost(ctx, w, b); err != nil || lost < 30 || lost > w.Acked()-before+1 {
		t.Errorf("lost %d of at most %d, and of 30 at least: %v", lost, w.Acked()-before, err)
	}
}

func TestParseFault(t *testing.T) {
	for _, f := range Faults() {
		if got, err := ParseFault(string(f)); err != nil || got != f {
			t.Errorf("%s: %v, %v", f, got, err)
		}
	}
	if _, err := ParseFault("earthquake"); err == nil {
		t.Error("an unknown fault was accepted")
	}
}

func TestGroupSpecIsValid(t *testing.T) {
	l := open(t, Options{Binaries: fakeBinaries(t)})
	if err := l.PrepareArbiters(); err != nil {
		t.Fatal(err)
	}
	spec, warnings, err := config.LoadGroup("lab.yaml", []byte(l.YAML(Spec{Policy: []string{"max_loss: none"}})))
	if err != nil {
		t.Fatalf("%v\n%s", err, l.YAML(Spec{}))
	}
	t.Logf("warnings: %v", warnings)
	if len(spec.GetMembers()) != 3 || spec.GetMembers()[2].GetZone() != "az-c" {
		t.Errorf("spec %v", spec)
	}
	for _, a := range l.Arbiters {
		text, err := os.ReadFile(a.Config())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := config.ParseArbiterFile(a.Config(), text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	text, err := os.ReadFile(filepath.Join(l.Home(), ".config", "arbiter", "contexts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if contexts, err := config.ParseContexts("contexts.yaml", text); err != nil || len(contexts.Contexts[0].Addresses) != 3 {
		t.Errorf("contexts: %v", err)
	}
}

// fakeBinaries is a directory in which the programs seem to be.
func fakeBinaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"arbiterd", "arbiterctl", "fence_lab"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
