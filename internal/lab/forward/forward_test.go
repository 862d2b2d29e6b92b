package forward

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// site is one host with a router, and members that answer every line with their name.
func site(t *testing.T, open string, names ...string) (*Router, map[string]string) {
	t.Helper()
	s, err := hosts.Open(t.Context(), hosts.Options{Kind: hosts.Loopback, Names: []string{"lb"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	addresses := map[string]string{}
	for _, name := range names {
		l, err := s.Host("lb").Listen("tcp", net.JoinHostPort(s.Host("lb").Addr().String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		addresses[name] = l.Addr().String()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					for lines := bufio.NewScanner(conn); lines.Scan(); {
						fmt.Fprintln(conn, name)
					}
				}()
			}
		}()
	}
	r, err := Start(Options{Host: s.Host("lb"), Socket: filepath.Join(s.Dir(), "router.sock"), Open: open, Address: addresses[open]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, addresses
}

// session is a client's connection.
type session struct {
	net.Conn
	lines *bufio.Scanner
}

func connect(t *testing.T, r *Router) *session {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", r.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &session{Conn: conn, lines: bufio.NewScanner(conn)}
}

// who asks a line, and returns the answer, empty if the connection has ended.
func (s *session) who() string {
	fmt.Fprintln(s, "who")
	s.lines.Scan()
	return s.lines.Text()
}

// run runs the program with a request.
func run(t *testing.T, r *Router, request Request) (status int, answer Answer, said string) {
	t.Helper()
	request.Set = map[string]string{"socket": r.Socket()}
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	status = Run(strings.NewReader(string(text)), &out, &errs)
	if status == 0 {
		if err := json.Unmarshal([]byte(out.String()), &answer); err != nil {
			t.Fatalf("%q: %v", out.String(), err)
		}
	}
	return status, answer, errs.String()
}

func TestClientsFollowTheOpenMember(t *testing.T) {
	r, addresses := site(t, "a", "a", "b")
	before := connect(t, r)
	if who := before.who(); who != "a" {
		t.Fatalf("clients reach %q", who)
	}
	if status, answer, _ := run(t, r, Request{Action: "close", Epoch: 2, Close: []Member{{Name: "a"}}}); status != 0 || len(answer.Open) != 0 {
		t.Errorf("close: %d, %+v", status, answer)
	}
	if who := before.who(); who != "" {
		t.Errorf("a session with a closed member goes on: %q", who)
	}
	if who := connect(t, r).who(); who != "" {
		t.Errorf("with no member open clients reach %q", who)
	}
	status, answer, _ := run(t, r, Request{Action: "open", Epoch: 2, Open: &Member{"b", addresses["b"]}, Close: []Member{{Name: "a"}}})
	if status != 0 || len(answer.Open) != 1 || answer.Open[0] != "b" {
		t.Errorf("open: %d, %+v", status, answer)
	}
	if who := connect(t, r).who(); who != "b" {
		t.Errorf("clients reach %q", who)
	}
}

func TestS9_OlderEpochIsRefused(t *testing.T) {
	r, addresses := site(t, "a", "a", "b")
	if status, _, said := run(t, r, Request{Action: "open", Epoch: 3, Open: &Member{"b", addresses["b"]}}); status != 0 {
		t.Fatal(said)
	}
	if status, _, said := run(t, r, Request{Action: "open", Epoch: 2, Open: &Member{"a", addresses["a"]}}); status != exitStale || !strings.Contains(said, "3") {
		t.Errorf("status %d, %q", status, said)
	}
	if status, answer, _ := run(t, r, Request{Action: "status"}); status != 0 || answer.Open[0] != "b" {
		t.Errorf("status says %+v", answer)
	}
}

func TestRouterThatIsGone(t *testing.T) {
	r, _ := site(t, "a", "a")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, said := run(t, r, Request{Action: "status"}); status != 1 || said == "" {
		t.Errorf("status %d, %q", status, said)
	}
}
