package route

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/permit"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

const (
	generous = 20 * time.Second
	// haproxyPatience is what HAProxy gives a server to take a connection, four times, before it drops the client. With 2 s that was a test that
	// failed after 8 s of a busy machine.
	haproxyPatience = "20s"
)

// namedServer accepts connections, says its name on each, and keeps it open. left hears of each whose other side says no more.
func namedServer(t *testing.T, name string, left chan<- string) string {
	t.Helper()
	return namedServerAt(t, "127.0.0.1:0", name, left)
}

func namedServerAt(t *testing.T, address, name string, left chan<- string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { connection.Close() })
			go func() {
				fmt.Fprintln(connection, name)
				if _, err := io.Copy(io.Discard, connection); err == nil {
					left <- name
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// lab is a real HAProxy in front of three servers.
type lab struct {
	t        *testing.T
	unix     string // stats sockets
	tcp      string
	frontend string
	members  []failover.MemberSpec
	left     chan string // by servers: the other side of a connection says no more
	process  *exec.Cmd
}

// newLab starts HAProxy. Servers pg-a and pg-b are in its configuration under their addresses, pg-c with a wrong one; options
// are added to each server line, and "backup" to those of backups.
func newLab(t *testing.T, options string, backups ...string) *lab {
	t.Helper()
	dir := t.TempDir()
	l := &lab{t: t, unix: filepath.Join(dir, "s"), tcp: freeport.Address(t), frontend: freeport.Address(t), left: make(chan string, 1000)}
	for _, name := range []string{"pg-a", "pg-b", "pg-c"} {
		l.members = append(l.members, failover.MemberSpec{Name: failover.MemberName(name), Address: namedServer(t, name, l.left)})
	}
	of := func(server string) string {
		if slices.Contains(backups, server) {
			return options + " backup"
		}
		return options
	}
	configuration := fmt.Sprintf(`global
  stats socket %s mode 600 level admin
  stats socket ipv4@%s level admin
  stats socket %s.poor mode 600 level user
defaults
  mode tcp
  timeout connect %s
  timeout client 1m
  timeout server 1m
backend followed
  server first 127.0.0.1:1 check inter 500ms
  server nameless nosuch.invalid:5432 init-addr none
listen orders
  bind %s
  server pg-a %s %s
  server pg-b %s %s disabled
  server third 127.0.0.1:1 %s disabled
listen other
  bind %s
  server pg-a %s
`, l.unix, l.tcp, l.unix, haproxyPatience, l.frontend, l.members[0].Address, of("pg-a"), l.members[1].Address, of("pg-b"), of("third"), freeport.Address(t), l.members[0].Address)
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	l.process = exec.Command("haproxy", "-db", "-f", file)
	l.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	l.process.Stderr = &said
	if err := l.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.process.Process.Kill()
		_ = l.process.Wait()
		if t.Failed() {
			t.Logf("HAProxy said\n%s", &said)
		}
	})
	l.eventually("HAProxy answers", func() bool {
		_, err := l.router("unix://"+l.unix).State(t.Context(), l.request())
		return err == nil
	})
	return l
}

func (l *lab) eventually(what string, condition func() bool) {
	l.t.Helper()
	for end := time.Now().Add(generous); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (l *lab) request() Request {
	return Request{Group: "orders-db", Epoch: 5, Members: l.members}
}

func routers() *Routers { return NewRouters(new(secret.Reader)) }

// inVain gives what goes on until its time is over ever more time, until it tells why. On a busy machine a short time is over before one try was.
func inVain(t *testing.T, why string, try func(context.Context) error) {
	t.Helper()
	var err error
	for given := 200 * time.Millisecond; given < 2*generous; given *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		err = try(ctx)
		cancel()
		if err == nil {
			t.Fatalf("it was done; want the error that %s", why)
		}
		if errors.Is(err, ErrNotProven) && strings.Contains(err.Error(), why) {
			return
		}
	}
	t.Fatalf("got %v; want the error that %s", err, why)
}

func (l *lab) router(socket string, more ...string) Router {
	l.t.Helper()
	router, err := routers().Of(l.t.Context(), haproxyRoute(append([]string{"socket", socket, "backend", "orders", "server.pg-c", "third"}, more...)...))
	if err != nil {
		l.t.Fatal(err)
	}
	return router
}

func haproxyRoute(pairs ...string) failover.Route {
	return failover.Route{Router: "haproxy", Name: "haproxy-1", Settings: literals(pairs...)}
}

func literals(pairs ...string) []failover.Setting {
	var settings []failover.Setting
	for i := 0; i < len(pairs); i += 2 {
		settings = append(settings, failover.Setting{Key: pairs[i], Value: pairs[i+1]})
	}
	return settings
}

// session is a client's connection through HAProxy.
type session struct {
	net.Conn
	server string // which one answered
}

func (l *lab) connect() (*session, error) {
	connection, err := net.DialTimeout("tcp", l.frontend, generous)
	if err != nil {
		return nil, err
	}
	l.t.Cleanup(func() { connection.Close() })
	_ = connection.SetReadDeadline(time.Now().Add(generous))
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		connection.Close()
		return nil, err
	}
	return &session{Conn: connection, server: strings.TrimSpace(line)}, nil
}

// wantCut checks that a session is ended by HAProxy.
func (s *session) wantCut(t *testing.T) {
	t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(generous))
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the session to %s was not cut: %v", s.server, err)
	}
}

// wantKept checks that a session goes on.
func (s *session) wantKept(t *testing.T) {
	t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the session to %s was ended: %v", s.server, err)
	}
}

func (l *lab) wantServer(name string) *session {
	l.t.Helper()
	s, err := l.connect()
	if err != nil || s.server != name {
		l.t.Fatalf("reached %+v, %v; want %s; HAProxy says\n%s", s, err, name, l.says())
	}
	return s
}

// says is what HAProxy says of its servers: their state, and how often a connection to each failed.
func (l *lab) says() string {
	ctx, cancel := context.WithTimeout(l.t.Context(), generous)
	defer cancel()
	answers, err := endpoint{Endpoint: routesettings.Endpoint{Network: "unix", Address: l.unix}}.exchange(ctx, []string{"show servers state", "show stat"}, false)
	if err != nil {
		return err.Error()
	}
	return strings.Join(answers, "\n")
}

// neverEnding begins a session that HAProxy can't end: its client is gone, and its server says nothing more.
func (l *lab) neverEnding(server string) {
	l.t.Helper()
	gone := l.wantServer(server)
	if err := gone.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		l.t.Fatal(err)
	}
	select {
	case <-l.left: // from here on HAProxy has done all it does for a client that is gone
	case <-time.After(generous):
		l.t.Fatal("the server never heard that the client is gone")
	}
}

func TestHAProxyClosesAndOpens(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			l := newLab(t, "")
			socket := map[string]string{"unix": "unix://" + l.unix, "tcp": "tcp://" + l.tcp}[network]
			router, r := l.router(socket), l.request()
			old := l.wantServer("pg-a")
			state, err := router.State(t.Context(), r)
			if a, _ := state.Server("pg-a"); err != nil || !a.Open || a.Closed || a.Sessions != 1 || a.Address != l.members[0].Address {
				t.Fatalf("got %+v, %v", state, err)
			}

			began := time.Now()
			if err := router.Close(t.Context(), r, "pg-a"); err != nil {
				t.Fatal(err)
			}
			t.Logf("closed by %s in %v", network, time.Since(began))
			old.wantCut(t)
			if s, err := l.connect(); err == nil {
				t.Errorf("a client reached %s", s.server)
			}

			began = time.Now()
			if err := router.Open(t.Context(), r, "pg-b"); err != nil {
				t.Fatal(err)
			}
			t.Logf("opened by %s in %v", network, time.Since(began))
			kept := l.wantServer("pg-b")
			state, err = router.State(t.Context(), r)
			if err != nil || state.ProvesOpen("pg-b") != nil || state.ProvesClosed("pg-a", "pg-c") != nil || len(state.Open()) != 1 {
				t.Errorf("got %+v, %v", state, err)
			}

			// A new leader repeats it: nothing changes, and the sessions of the new primary stay.
			if err := router.Open(t.Context(), r, "pg-b"); err != nil {
				t.Fatal(err)
			}
			if err := router.Close(t.Context(), r, "pg-a"); err != nil {
				t.Fatal(err)
			}
			kept.wantKept(t)
		})
	}
}

func TestHAProxyOpenEndsTheOldSessionsToo(t *testing.T) {
	l := newLab(t, "")
	old := l.wantServer("pg-a")
	if err := l.router("unix://"+l.unix).Open(t.Context(), l.request(), "pg-b"); err != nil {
		t.Fatal(err)
	}
	old.wantCut(t)
	l.wantServer("pg-b")
}

// HAProxy does not end a session whose client is gone while its server says nothing more. New clients don't wait for that.
func TestHAProxyOpensBesideASessionThatCannotBeEnded(t *testing.T) {
	l := newLab(t, "")
	l.neverEnding("pg-a")
	router := l.router("unix://" + l.unix)
	inVain(t, "still has 1 sessions", func(ctx context.Context) error { return router.Close(ctx, l.request(), "pg-a") })
	if err := router.Open(t.Context(), l.request(), "pg-b"); err != nil {
		t.Fatal(err)
	}
	l.wantServer("pg-b")
}

func TestHAProxyCutsManySessionsWithinReason(t *testing.T) {
	l := newLab(t, "")
	var sessions []*session
	for range 100 {
		sessions = append(sessions, l.wantServer("pg-a"))
	}
	began := time.Now()
	if err := l.router("unix://"+l.unix).Close(t.Context(), l.request(), "pg-a"); err != nil {
		t.Fatal(err)
	}
	t.Logf("100 sessions closed in %v", time.Since(began))
	for _, s := range sessions {
		s.wantCut(t)
	}
}

func TestHAProxySetsTheAddress(t *testing.T) {
	l := newLab(t, "")
	if err := l.router("unix://"+l.unix).Open(t.Context(), l.request(), "pg-c"); err != nil {
		t.Fatal(err)
	}
	l.wantServer("pg-c")

	kept := l.wantServer("pg-c")
	_, port, _ := net.SplitHostPort(l.members[2].Address)
	r := l.request()
	r.Members = slices.Clone(r.Members)
	r.Members[2].Address = "pg-c.invalid:" + port // no name makes a difference
	if err := l.router("unix://"+l.unix).Open(t.Context(), r, "pg-c"); err != nil {
		t.Fatal(err)
	}
	kept.wantKept(t)
	pooler := l.router("unix://"+l.unix, "address.pg-c", l.members[1].Address)
	if err := pooler.Open(t.Context(), r, "pg-c"); err != nil {
		t.Fatal(err)
	}
	kept.wantCut(t)
	l.wantServer("pg-b") // it is pg-b's address
	_, port, _ = net.SplitHostPort(namedServer(t, "a pooler", l.left))
	l.give("set server orders/third addr 127.0.0.1 port " + port)
	keeping := l.router("unix://"+l.unix, "addresses", "keep")
	if err := keeping.Open(t.Context(), l.request(), "pg-c"); err != nil {
		t.Fatal(err)
	}
	l.wantServer("a pooler")
}

// HAProxy's own health check may have given the new primary up while it was a standby.
func TestHAProxyOpensAServerThatItTookForDead(t *testing.T) {
	l := newLab(t, "check inter 50ms fall 1 rise 1")
	router, r := l.router("unix://"+l.unix), l.request()
	if err := router.Open(t.Context(), r, "pg-b"); err != nil {
		t.Fatal(err)
	}
	l.wantServer("pg-b")
	gone := r
	gone.Members = append([]failover.MemberSpec{}, r.Members...)
	gone.Members[2].Address = freeport.Address(t)
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	if err := router.Open(ctx, gone, "pg-c"); err != nil && !errors.Is(err, ErrNotProven) {
		t.Fatal(err)
	}
	l.eventually("HAProxy takes pg-c for dead", func() bool {
		state, err := router.State(t.Context(), gone)
		c, _ := state.Server("pg-c")
		return err == nil && !c.Open && !c.Closed
	})
	inVain(t, "pg-c takes no clients", func(ctx context.Context) error {
		if err := router.Open(ctx, gone, "pg-c"); err != nil {
			return err
		}
		t.Log("HAProxy was believed before its check ran; verification by a write will tell")
		return fmt.Errorf("%w: or pg-c takes no clients", ErrNotProven)
	})
	if err := router.Open(t.Context(), r, "pg-c"); err != nil {
		t.Fatal(err)
	}
	// A check of the old address that was under way may still take the server for dead, until the next one.
	l.eventually("clients reach pg-c", func() bool {
		c, err := l.connect()
		return err == nil && c.server == "pg-c"
	})
}

func TestHAProxyRefusals(t *testing.T) {
	l := newLab(t, "")
	good := "unix://" + l.unix
	one := func(r Router, err error) Router {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, test := range map[string]struct {
		router Router
		member failover.MemberName
		want   error
		word   string
	}{
		"no such backend":      {one(routers().Of(t.Context(), haproxyRoute("socket", good, "backend", "nope"))), "pg-a", nil, "backend"},
		"no such server":       {one(routers().Of(t.Context(), haproxyRoute("socket", good, "backend", "orders"))), "pg-c", nil, "pg-c"},
		"no such member":       {l.router(good), "pg-z", nil, "has no member pg-z"},
		"socket without admin": {l.router(good + ".poor"), "pg-b", ErrRefused, "Permission denied"},
		"nobody listens":       {l.router("tcp://" + freeport.Address(t)), "pg-a", ErrUnreachable, "connection refused"},
		"no such socket":       {l.router("unix:///nowhere/s"), "pg-a", ErrUnreachable, "/nowhere/s"},
	} {
		t.Run(name, func(t *testing.T) {
			for verb, err := range map[string]error{
				"open":  test.router.Open(t.Context(), l.request(), test.member),
				"close": test.router.Close(t.Context(), l.request(), test.member),
			} {
				if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.word) {
					t.Errorf("%s: got %v", verb, err)
				}
			}
		})
	}
	l.wantServer("pg-a") // after all that
}

func TestHAProxyThatHangsKeepsTheDeadline(t *testing.T) {
	l := newLab(t, "")
	if err := l.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l.eventually("every thread of HAProxy is stopped", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", l.process.Process.Pid))
		for _, file := range threads {
			stat, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(stat), ") T ") {
				return false
			}
		}
		return len(threads) > 0
	})
	for _, socket := range []string{"unix://" + l.unix, "tcp://" + l.tcp} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		err := l.router(socket).Close(ctx, l.request(), "pg-a")
		if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > generous {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		cancel()
	}
}

func TestHAProxySessionsThatDoNotEndAreNotProof(t *testing.T) {
	router, r := stubborn(t, func(int) bool { return true })
	inVain(t, "pg-a still has 1 sessions", func(ctx context.Context) error { return router.Close(ctx, r, "pg-a") })
}

// What HAProxy said before counts, if it is only the time that was up; if not, what it says now.
func TestHAProxyThatFallsSilentHidesNoAnswer(t *testing.T) {
	for what, late := range map[string]bool{"its time was up": true, "there was time": false} {
		ctx := clock.NewLate(t.Context())
		router, r := stubborn(t, func(asked int) bool {
			if asked == 2 && late {
				ctx.Pass()
			}
			return asked == 1
		})
		if err := router.Close(ctx, r, "pg-a"); errors.Is(err, ErrNotProven) != late || !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// stubborn is a router whose HAProxy, a double, takes every command and never ends the session of pg-a. answers says whether it answers the line of
// this number, or only closes the connection.
func stubborn(t *testing.T, answers func(number int) bool) (Router, Request) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for number := 1; ; number++ {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(connection).ReadString('\n')
			if answers(number) {
				takeAll(connection, line)
			}
			connection.Close()
		}
	}()
	router, err := routers().Of(t.Context(), haproxyRoute("socket", "tcp://"+listener.Addr().String(), "backend", "orders"))
	if err != nil {
		t.Fatal(err)
	}
	return router, Request{Group: "orders-db", Members: []failover.MemberSpec{{Name: "pg-a", Address: "10.0.0.1:5432"}}}
}

// takeAll answers the commands of a line.
func takeAll(connection net.Conn, line string) {
	for command := range strings.SplitSeq(strings.TrimSpace(line), ";") {
		answer := "\n"
		switch {
		case strings.HasPrefix(command, "show servers state"):
			answer = "1\n# be_name srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port\norders pg-a 10.0.0.1 0 1 1 1 - 5432\n\n"
		case strings.HasPrefix(command, "show stat"):
			answer = "# pxname,svname,scur\norders,pg-a,1\n\n"
		}
		_, _ = io.WriteString(connection, answer)
	}
}

// Reaching HAProxy may take long: the lease is read only then, and without it nothing is said.
func TestS6_TheLeaseIsReadOnceHAProxyIsReached(t *testing.T) {
	l := newLab(t, "")
	asked := 0
	ctx := permit.With(t.Context(), func() error { asked++; return permit.ErrExpired })
	away := l.router("tcp://" + freeport.Address(t))
	if err := away.Close(ctx, l.request(), "pg-a"); !errors.Is(err, ErrUnreachable) || asked > 0 {
		t.Errorf("nobody was reached: %v, asked %d times", err, asked)
	}
	router := l.router("unix://" + l.unix)
	if err := router.Close(ctx, l.request(), "pg-a"); !errors.Is(err, permit.ErrExpired) || asked != 1 {
		t.Errorf("without the lease: %v, asked %d times", err, asked)
	}
	if _, err := router.State(ctx, l.request()); err != nil || asked != 1 {
		t.Errorf("a look needs no lease: %v, asked %d times", err, asked)
	}
	l.wantServer("pg-a")
}

// A leader that was frozen finds, when it wakes, that its lease has run out, whatever it was about to tell HAProxy: the route stays where the next one
// has moved it.
func TestS6_ALeaderThatWakesDoesNotMoveTheRoute(t *testing.T) {
	for what, frozen := range map[string]int{"before it sets the address": 1, "before it says again what was not done yet": 2} {
		t.Run(what, func(t *testing.T) {
			l := newLab(t, "")
			l.neverEnding("pg-a")
			router, asked := l.router("unix://"+l.unix), 0
			ctx := permit.With(t.Context(), func() error {
				if asked++; asked < frozen {
					return nil
				}
				next := l.request()
				next.Epoch++
				if err := router.Open(t.Context(), next, "pg-b"); err != nil {
					t.Error(err)
				}
				return permit.ErrExpired
			})
			if err := router.Open(ctx, l.request(), "pg-c"); !errors.Is(err, permit.ErrExpired) || asked != frozen {
				t.Errorf("asked %d times, ended with %v", asked, err)
			}
			l.wantServer("pg-b")
		})
	}
}
