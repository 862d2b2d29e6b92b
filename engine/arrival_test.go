package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// wantArrival looks where a route leads and compares the finding; empty: there must be none.
func (g *group) wantArrival(address, want string, change func(*Arrival)) Problem {
	g.t.Helper()
	arrival := Arrival{Primary: "a", Epoch: 5, SystemID: g.systemID}
	if change != nil {
		change(&arrival)
	}
	return wantOneProblem(g.t, g.engine.Arrives(limit(g.t, plenty), failover.Route{Name: "lb", VerifyAddress: address}, g.spec, arrival), want)
}

func wantOneProblem(t testing.TB, found []Problem, want string) Problem {
	t.Helper()
	switch {
	case want == "" && len(found) == 0:
		return Problem{}
	case want == "" || len(found) != 1 || !strings.Contains(found[0].What, want) || found[0].Fix == "":
		t.Errorf("found %+v, want %q", found, want)
		return Problem{}
	}
	return found[0]
}

func TestArrives(t *testing.T) {
	g := startGroup(t, "b")
	a, b := g.member("a").Address, g.member("b").Address
	g.wantArrival(forwardTo(t, a), "", nil) // by another address than the primary's own
	if p := g.wantArrival(b, "clients reach a standby", nil); !p.Blocks || p.Unreachable || p.Member != "a" {
		t.Errorf("a standby: %+v", p)
	}
	g.wantArrival(a, "another database system", func(w *Arrival) { w.SystemID = "7" })
	other := postgrestest.Start(t) // a copy of the same system, as a primary that was cloned or left behind
	g.wantArrival(other.Address, "another server that accepts writes", nil)
	if p := g.wantArrival(a, "whether it is b can't be told", func(w *Arrival) { w.Primary = "b"; g.spec.Members[1].Address = nobody(t) }); p.Blocks {
		t.Errorf("that the primary can't be asked is told by itself: %+v", p)
	}
	g.servers["a"].Exec("INSERT INTO arbiter.epoch (epoch, member) VALUES (9, 'a')")
	g.wantArrival(a, "epoch row says 9, and the group's epoch is 5", nil)
	g.wantArrival(a, "", func(w *Arrival) { w.Epoch = 9 })
	if got := g.servers["a"].Query("SELECT count(*) FROM arbiter.route_proof"); got != "0" {
		t.Errorf("%s rows were written", got)
	}
}

// A server of another system may lack the arbiters' table or their grant on it: it is known by its identifier all the same.
func TestArrives_WithoutTheEpochRow(t *testing.T) {
	g := startGroup(t)
	a := g.member("a").Address
	foreign := func(w *Arrival) { w.SystemID = "7" }
	g.servers["a"].Exec("REVOKE SELECT ON arbiter.epoch FROM arbiter")
	g.wantArrival(a, "another database system", foreign)
	g.wantArrival(a, "", nil)
	g.servers["a"].Exec("DROP SCHEMA arbiter CASCADE")
	g.wantArrival(a, "another database system", foreign)
	g.servers["a"].Exec("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	if p := g.wantArrival(a, "clients reach a server that doesn't say who it is", nil); !p.Blocks || p.Unreachable {
		t.Errorf("it let the arbiter log in: %+v", p)
	}
}

func TestArrives_Nowhere(t *testing.T) {
	g := startGroup(t)
	unknown := func(w *Arrival) { *w = Arrival{} }
	if p := g.wantArrival(nobody(t), "nobody listens at 127.0.0.1", nil); !p.Blocks || !p.Unreachable || p.Member != "a" {
		t.Errorf("refused: %+v", p)
	}
	if p := g.wantArrival(nobody(t), "nobody listens at", unknown); p.Blocks {
		t.Errorf("without a primary: %+v", p)
	}
	closing := listen(t, func(c net.Conn) { c.Close() })
	g.wantArrival(closing, "was taken and closed again", nil)
	g.wantArrival(closing, "", unknown) // as a router does that has nobody to send them to
	g.wantArrival("nowhere.invalid:5432", "nowhere.invalid:5432", nil)
	g.spec.Connect.User = "nobody"
	g.wantArrival(g.member("a").Address, `role "nobody" does not exist`, nil)
}

// A router that takes connections and lets them hang costs no more than a client's patience.
func TestArrives_InTime(t *testing.T) {
	g := startGroup(t)
	began := time.Now()
	g.wantArrival(listen(t, func(net.Conn) {}), "no answer in time", nil)
	if took := time.Since(began); took > plenty/2 {
		t.Errorf("it took %v", took)
	}
}

func TestHTTP_Arrives(t *testing.T) {
	s := startServices(t)
	look := func(address string, want Arrival) []Problem {
		return s.engine.Arrives(limit(t, plenty), failover.Route{Name: "lb", VerifyAddress: address}, s.spec, want)
	}
	primary := Arrival{Primary: "a", Epoch: 5, SystemID: s.systemID}
	wantOneProblem(t, look(s.member("a").Address, primary), "")
	wantOneProblem(t, look(s.member("b").Address, primary), "clients reach a standby")
	wantOneProblem(t, look(s.member("a").Address, Arrival{Primary: "a", SystemID: "another"}), "another database system")
	wantOneProblem(t, look(nobody(t), primary), "nobody listens")
	s.failOver("b", 6)
	wantOneProblem(t, look(s.member("b").Address, primary), "epoch row says 6, and the group's epoch is 5")
	wantOneProblem(t, look(s.member("a").Address, Arrival{Primary: "b", Epoch: 6, SystemID: s.systemID}), "another server that accepts writes")
	wantOneProblem(t, look(s.member("b").Address, Arrival{Primary: "b", Epoch: 6, SystemID: s.systemID}), "")
}

// nobody is an address at which nobody listens.
func nobody(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr().String()
}

// listen serves every connection until the test ends.
func listen(t testing.TB, serve func(net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(c)
		}
	}()
	return listener.Addr().String()
}

// forwardTo is a router that passes connections on.
func forwardTo(t testing.TB, address string) string {
	return listen(t, func(c net.Conn) {
		defer c.Close()
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
		if err != nil {
			return
		}
		defer server.Close()
		go func() { _, _ = io.Copy(server, c) }()
		_, _ = io.Copy(c, server)
	})
}

// What is wrong on the way to a routed address decides what is to be done: a name that can't be looked up is not the fault of whoever would answer there.
func TestNotThrough_SaysWhatToDo(t *testing.T) {
	lookUp := func(name net.DNSError) error {
		return fmt.Errorf("connect to %s:5000: %w", name.Name, &net.OpError{Op: "dial", Err: &name})
	}
	for name, test := range map[string]struct {
		err       error
		what, fix string
		always    bool // also without a primary
	}{
		"an unknown name":       {lookUp(net.DNSError{Err: "no such host", Name: "db.example", IsNotFound: true}), "the name of db:5000 is not found", "mend verify_address", true},
		"no name":               {lookUp(net.DNSError{Err: "no such host", Name: "10.0.0.999", IsNotFound: true}), "db:5000 has neither a name nor an IP address", "mend verify_address", true},
		"a silent name server":  {lookUp(net.DNSError{Err: "i/o timeout", Name: "db.example", IsTimeout: true}), "the name of db:5000 can't be looked up", "name server", true},
		"no way to name server": {lookUp(net.DNSError{Err: "network is unreachable", Name: "db.example"}), "the name of db:5000 can't be looked up", "name server", true},
		"no more descriptors":   {&net.OpError{Op: "dial", Err: syscall.EMFILE}, "too many open files", "the trouble is on this arbiter's machine", false},
		"nobody listens":        {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "nobody listens at db:5000", "start the router", true},
		"closed again":          {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "was taken and closed again", "does not let this arbiter in", false},
		"something else":        {errors.New("cold"), "cold", "", false},
	} {
		route := failover.Route{Name: "lb", VerifyAddress: "db:5000"}
		p := wantOneProblem(t, Arrival{Primary: "a"}.notThrough(route, test.err), test.what)
		if !strings.Contains(p.Fix, test.fix) || !p.Blocks {
			t.Errorf("%s: %+v", name, p)
		}
		if got := (Arrival{}).notThrough(route, test.err); (len(got) == 1) != test.always {
			t.Errorf("%s, without a primary: %+v", name, got)
		}
	}
}
