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

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
	"github.com/arbiter-ha/arbiter/internal/secret"
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
	untold := func(why string) {
		t.Helper()
		if p := g.wantArrival(a, "clients reach a (it says that its address is "+a+"); under which epoch is not told: ERROR: "+why, nil); p.Blocks || p.Unreachable {
			t.Errorf("that the arbiters lack what they need is told by itself: %+v", p)
		}
		g.wantArrival(a, "another database system", foreign)
	}
	g.servers["a"].Exec("REVOKE SELECT ON arbiter.epoch FROM arbiter")
	untold("permission denied for table epoch")
	g.servers["a"].Exec("DROP TABLE arbiter.epoch")
	untold(`relation "arbiter.epoch" does not exist`)
	g.servers["a"].Exec("CREATE VIEW arbiter.epoch AS SELECT 1/0 AS epoch")
	g.servers["a"].Exec("GRANT SELECT ON arbiter.epoch TO arbiter")
	if p := g.wantArrival(a, "doesn't say who it is: ERROR: division by zero", nil); !p.Blocks || p.Unreachable {
		t.Errorf("an error that says nothing of the row: %+v", p)
	}
	g.servers["a"].Exec("DROP SCHEMA arbiter CASCADE")
	untold(`relation "arbiter.epoch" does not exist`)
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

// A connection pool logs clients in by itself, also without a server behind it: then nobody writes through it, and what is known of the primary excuses that.
func TestArrives_ThroughAPoolWithoutAServer(t *testing.T) {
	t.Parallel()
	lastWords := &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08P01", Message: "query_wait_timeout"}
	for want, answer := range map[string]func(net.Conn, *pgproto3.Backend){
		"and then gave no answer in time": nil,
		"and then closed the connection":  func(c net.Conn, _ *pgproto3.Backend) { c.Close() },
		"and then closed the connection: FATAL: query_wait_timeout (SQLSTATE 08P01)": func(c net.Conn, b *pgproto3.Backend) {
			b.Send(lastWords)
			_ = b.Flush()
			c.Close()
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			g := &group{t: t, engine: NewPostgres(new(secret.Reader)), spec: &failover.Spec{Engine: failover.EnginePostgres, Connect: postgrestest.Connect()}}
			t.Cleanup(func() { g.engine.Close() })
			pool := listen(t, func(c net.Conn) { logIn(c, answer) })
			whole := "through route lb clients get no answer: " + pool + " let this arbiter log in, " + want
			if p := g.wantArrival(pool, whole, nil); !p.Blocks || !p.Unreachable || p.Member != "a" || p.What != whole {
				t.Errorf("%+v", p)
			}
		})
	}
}

// A server that freezes between the two questions is no other one.
func TestArrives_FrozenAfterTheLogIn(t *testing.T) {
	g := startGroup(t)
	lock := g.servers["a"].Dial()
	for _, statement := range []string{"BEGIN", "LOCK TABLE arbiter.epoch"} {
		if _, err := lock.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if p := g.wantArrival(g.member("a").Address, "no answer in time", nil); !p.Unreachable {
		t.Errorf("%+v", p)
	}
}

// logIn lets a client log in, and answers its first question; nil: never.
func logIn(c net.Conn, answer func(net.Conn, *pgproto3.Backend)) {
	backend := pgproto3.NewBackend(c, c)
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return
		}
		if _, started := message.(*pgproto3.StartupMessage); started {
			break
		}
		if _, err := c.Write([]byte("N")); err != nil { // no encryption
			return
		}
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	// What lets a client use the simple protocol.
	backend.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	backend.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if backend.Flush() != nil {
		return
	}
	if _, err := backend.Receive(); err == nil && answer != nil {
		answer(c, backend)
	}
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
