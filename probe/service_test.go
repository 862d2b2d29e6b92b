package probe

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/lab/standin/standintest"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

func serviceCheck() failover.Check {
	return failover.Check{Name: "service", Kind: failover.CheckService, Timeout: 20 * time.Second, Interval: time.Second}
}

func serviceTarget(name failover.MemberName, address string) Target {
	return Target{
		Group: "g", Member: failover.MemberSpec{Name: name, Address: address},
		Spec: &failover.Spec{Engine: failover.EngineHTTP, Connect: serviceapi.Plain()},
	}
}

func TestServiceFactsOfPrimaryAndStandby(t *testing.T) {
	primary := standintest.Start(t, "a", "b")
	standby := primary.Standby("b")
	primary.Append(t.Context(), "w", 3)
	if refused := standby.Do(serviceapi.VerbToken, serviceapi.Order{Epoch: 7}); refused != nil {
		t.Fatal(refused)
	}
	s, c := NewService("az-a", new(secret.Reader)), serviceCheck()
	before := primary.State().Written
	f := wantLook(t, s, serviceTarget("a", primary.Address), c, failover.ReasonAnswered).Facts
	if f.Role != failover.RolePrimary || !f.AcceptsWrites || f.SystemID == "" || f.Timeline != 1 || f.Written == 0 ||
		f.SyncRule.Need != 1 || len(f.Replicas) != 1 || f.Replicas[0] != (failover.Replica{Name: "b", Streaming: true, Sync: true}) {
		t.Errorf("facts of the primary: %+v", f)
	}
	if after := primary.State().Written; after <= before {
		t.Errorf("nothing was written: the log ends at %d, as before", after)
	}
	f = wantLook(t, s, serviceTarget("b", standby.Address), c, failover.ReasonAnswered).Facts
	if f.Role != failover.RoleStandby || f.AcceptsWrites || f.Epoch != 7 || !f.Streaming || f.Received == 0 || f.Received != f.Replayed {
		t.Errorf("facts of the standby: %+v", f)
	}
}

func TestServiceEvidenceOfAProcess(t *testing.T) {
	primary := standintest.Start(t, "a")
	s, c, target := NewService("az-a", new(secret.Reader)), serviceCheck(), serviceTarget("a", primary.Address)
	short := c
	short.Timeout = 200 * time.Millisecond
	primary.Freeze()
	if e := wantLook(t, s, target, short, failover.ReasonTimeout).Evidence; !e.Accepted {
		t.Errorf("frozen, its machine accepts connections: %+v", e)
	}
	primary.Thaw()
	if f := wantLook(t, s, target, c, failover.ReasonAnswered).Facts; !f.AcceptsWrites {
		t.Errorf("after it woke: %+v", f)
	}
	primary.Kill()
	wantLook(t, s, target, c, failover.ReasonRefused)
	primary.Start()
	if f := wantLook(t, s, target, c, failover.ReasonAnswered).Facts; f.Role != failover.RolePrimary || !f.AcceptsWrites {
		t.Errorf("after kill -9 and a restart: %+v", f)
	}
}

func TestServiceEvidenceOfAnswers(t *testing.T) {
	refuse := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":%q}`, code)
		}
	}
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	primary := `{"role":"primary","system_id":"s","timeline":1}`
	// onProbe answers a probe, and anything else as a primary.
	onProbe := func(probe http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				probe(w, r)
				return
			}
			fmt.Fprint(w, primary)
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before that the server doesn't notice that the caller has gone
		<-r.Context().Done()
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    failover.Reason
	}{
		{"something else", text("hello"), failover.ReasonWrongAnswer},
		{"no role", text(`{}`), failover.ReasonWrongAnswer},
		{"not found", http.NotFound, failover.ReasonWrongAnswer},
		{"password", refuse(401, ""), failover.ReasonBadCredentials},
		{"forbidden", refuse(403, ""), failover.ReasonBadCredentials},
		{"starting up", refuse(503, "starting-up"), failover.ReasonStartingUp},
		{"shutting down", refuse(503, "shutting-down"), failover.ReasonShuttingDown},
		{"full", refuse(503, "too-many-connections"), failover.ReasonTooManyConnections},
		{"a word that is no evidence", refuse(503, "timeout"), failover.ReasonWrongAnswer},
		{"read-only", onProbe(refuse(503, "read-only")), failover.ReasonReadOnly},
		{"disk full", onProbe(refuse(503, "disk-full")), failover.ReasonDiskFull},
		{"says it wrote nothing", onProbe(text(primary)), failover.ReasonReadOnly},
		{"write hangs", onProbe(hang), failover.ReasonWriteStalled},
		{"answers a write with nothing", onProbe(text("")), failover.ReasonWrongAnswer},
		{"all hangs", hang, failover.ReasonTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			t.Cleanup(server.Close)
			c := serviceCheck()
			checker, target := NewService("az-a", new(secret.Reader)), serviceTarget("a", server.Listener.Addr().String())
			switch test.want {
			case failover.ReasonWriteStalled:
				c.Timeout = 200 * time.Millisecond
				wantStall(t, checker, target, c)
				return
			case failover.ReasonTimeout:
				c.Timeout = 200 * time.Millisecond
			}
			wantLook(t, checker, target, c, test.want)
		})
	}
}

// TestServiceStalledDisk freezes the file system under a real service: it says what it is as before, but nothing commits.
func TestServiceStalledDisk(t *testing.T) {
	disk := newFreezableDisk(t)
	t.Setenv("TMPDIR", disk.folder)
	primary := standintest.Start(t, "a")
	s, c, target := NewService("az-a", new(secret.Reader)), serviceCheck(), serviceTarget("a", primary.Address)
	wantLook(t, s, target, c, failover.ReasonAnswered)
	disk.freeze()
	for i := range 3 { // the first waits for its own write; the others are told how old it is
		c.Timeout = time.Duration(300-50*i) * time.Millisecond
		if look := wantStall(t, s, target, c); look.Facts.Role != failover.RolePrimary || look.Facts.AcceptsWrites {
			t.Fatalf("facts of a primary whose disk hangs: %+v", look.Facts)
		}
	}
	disk.thaw()
	primary.Await("committing again", func(serviceapi.State) bool { return lookAt(s, target, serviceCheck()).Facts.AcceptsWrites })
}

// An earlier write of the same arbiter that is still under way is no failure until it is older than a time-out.
func TestServiceEarlierWriteUnderWay(t *testing.T) {
	for _, test := range []struct {
		age     time.Duration
		want    failover.Reason
		partial bool
	}{{time.Second, failover.ReasonAnswered, true}, {time.Minute, failover.ReasonWriteStalled, false}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprintf(w, `{"error":"write-under-way","age_ms":%d}`, test.age.Milliseconds())
				return
			}
			fmt.Fprint(w, `{"role":"primary"}`)
		}))
		t.Cleanup(server.Close)
		look := wantLook(t, NewService("az-a", new(secret.Reader)), serviceTarget("a", server.Listener.Addr().String()), serviceCheck(), test.want)
		if look.Partial != test.partial || look.Facts.AcceptsWrites {
			t.Errorf("a write %v old: %+v", test.age, look)
		}
	}
}

// heldTo holds a connection to a target until the test ends, and returns when looks can use it.
func heldTo(t testing.TB, s *Service, target Target) <-chan error {
	t.Helper()
	return holdWhile(t, s, target, serviceCheck(), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.held[memberKey{target.Group, target.Member.Name}] != nil
	})
}

func TestServiceHeldConnectionEndsWithTheProcess(t *testing.T) {
	primary := standintest.Start(t, "a")
	lost := heldTo(t, NewService("az-a", new(secret.Reader)), serviceTarget("a", primary.Address))
	primary.Kill()
	select {
	case err := <-lost:
		if err == nil {
			t.Error("it was lost without a reason")
		}
	case <-time.After(time.Minute):
		t.Error("the death of the process was not noticed")
	}
}

func TestServiceStandbyIsAskedThroughTheHeldConnection(t *testing.T) {
	primary := standintest.Start(t, "a")
	standby := primary.Standby("b")
	s, target, c := NewService("az-a", new(secret.Reader)), serviceTarget("b", standby.Address), serviceCheck()
	lost := heldTo(t, s, target)
	key := memberKey{target.Group, target.Member.Name}
	for i := range 2*asksThroughHeld + 3 {
		look := wantLook(t, s, target, c, failover.ReasonAnswered)
		if look.Facts.Role != failover.RoleStandby {
			t.Fatalf("facts of look %d: got %+v", i, look.Facts)
		}
		if got, want := s.held[key].through, i%(asksThroughHeld+1); got != want || look.Held != (want > 0) {
			t.Errorf("after look %d: %d looks through the held connection, want %d; it says that it went through it: %t", i, got, want, look.Held)
		}
	}
	select {
	case err := <-lost:
		t.Errorf("the held connection was lost: %v", err)
	default:
	}
	if refused := standby.Do(serviceapi.VerbStop, serviceapi.Order{Epoch: 2}); refused != nil {
		t.Fatal(refused)
	}
	if refused := standby.Do(serviceapi.VerbPromote, serviceapi.Order{Epoch: 2}); refused != nil {
		t.Fatal(refused)
	}
	// The next look finds a primary on the held connection, and opens one of its own to have it write.
	if look := wantLook(t, s, target, c, failover.ReasonAnswered); look.Facts.Role != failover.RolePrimary || !look.Facts.AcceptsWrites {
		t.Errorf("facts after the promotion: %+v", look.Facts)
	}
}

// BenchmarkServiceLook gives, as cpu-µs/look, what one look costs this process: at a primary a new connection, the question and the write; at a
// standby the question over the held connection, and now and then a new one.
func BenchmarkServiceLook(b *testing.B) {
	primary := standintest.Start(b, "a")
	standby := primary.Standby("b")
	for name, server := range map[failover.MemberName]*standintest.Server{"primary": primary, "standby": standby} {
		b.Run(string(name), func(b *testing.B) {
			s, c, target := NewService("az-a", new(secret.Reader)), serviceCheck(), serviceTarget(name, server.Address)
			heldTo(b, s, target)
			began := processCPU(b)
			b.ReportAllocs()
			for b.Loop() {
				if look := s.Look(b.Context(), target, c); look.Evidence.Reason != failover.ReasonAnswered {
					b.Fatalf("look: got %+v", look)
				}
			}
			b.ReportMetric(float64((processCPU(b)-began).Microseconds())/float64(b.N), "cpu-µs/look")
		})
	}
}
