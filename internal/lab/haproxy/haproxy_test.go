package haproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// greeter answers each connection on the host with the host's name and keeps it open.
func greeter(t *testing.T, h *hosts.Host) string {
	t.Helper()
	listener, err := h.Listen("tcp", net.JoinHostPort(h.Addr().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, h.Name())
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1))
			}()
		}
	}()
	return listener.Addr().String()
}

// greeting connects through the proxy and returns who answers; the connection stays open until the test ends.
func greeting(t *testing.T, from *hosts.Host, p *Proxy) (string, net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := from.Dial(ctx, "tcp", p.Address())
	if err != nil {
		return "", nil, err
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return line, conn, err
}

func start(t *testing.T) (*Proxy, *hosts.Host) {
	t.Helper()
	site, err := hosts.Open(t.Context(), hosts.Options{Names: []string{"pg-a", "pg-b", "lb", "client"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := Start(ctx, Options{
		Host: site.Host("lb"), Backend: "orders", Open: "pg-a",
		Servers: []Server{{"pg-a", greeter(t, site.Host("pg-a"))}, {"pg-b", greeter(t, site.Host("pg-b"))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, site.Host("client")
}

func TestSwitchingServersMovesClientsAndEndsSessions(t *testing.T) {
	p, client := start(t)
	who, session, err := greeting(t, client, p)
	if err != nil || who != "pg-a\n" {
		t.Fatalf("first greeting %q, %v", who, err)
	}
	if err := p.Close(t.Context(), "pg-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the old session goes on: %v", err)
	}
	if who, _, err := greeting(t, client, p); err == nil {
		t.Errorf("%q answers through a closed proxy", who)
	}
	if err := p.Open(t.Context(), "pg-b"); err != nil {
		t.Fatal(err)
	}
	if who, _, err := greeting(t, client, p); err != nil || who != "pg-b\n" {
		t.Errorf("greeting after the switch %q, %v", who, err)
	}
	if open, err := p.Opened(t.Context()); err != nil || !slices.Equal(open, []string{"pg-b"}) {
		t.Errorf("open: %v, %v", open, err)
	}
}

func TestRuntimeAPIAnswersOverTCPAndRefusesNonsense(t *testing.T) {
	p, client := start(t)
	conn, err := client.Dial(t.Context(), "tcp", p.RuntimeAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "show version")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || len(line) < 3 {
		t.Errorf("over TCP: %q, %v", line, err)
	}
	if err := p.Open(t.Context(), "pg-z"); !errors.Is(err, ErrRefused) {
		t.Errorf("unknown server: %v", err)
	}
}

func TestRestartForgetsWhatTheRuntimeAPIChanged(t *testing.T) {
	p, client := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(p.Close(ctx, "pg-a"), p.Open(ctx, "pg-b"), p.Stop(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := p.Launch(ctx); err != nil {
		t.Fatal(err)
	}
	if who, _, err := greeting(t, client, p); err != nil || who != "pg-a\n" {
		t.Errorf("greeting after the restart %q, %v", who, err)
	}
}
