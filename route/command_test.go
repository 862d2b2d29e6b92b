package route

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

// newSwitch makes a route that runs testdata/switch in one of its modes; clients reach pg-a at first.
func newSwitch(t *testing.T, mode string) (Router, string) {
	t.Helper()
	dir := t.TempDir()
	path, err := filepath.Abs("testdata/switch")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"open": `"pg-a"`, "password": "hunter2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := literals("command", path, "dir", dir, "mode", mode)
	settings = append(settings, failover.Setting{Key: "password", File: filepath.Join(dir, "password")})
	router, err := routers().Of(t.Context(), failover.Route{Router: "command", Name: "switch", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range commands {
			if arguments, err := os.ReadFile(file); err == nil && strings.Contains(string(arguments), dir) {
				t.Errorf("still runs: %q", arguments)
			}
		}
	})
	return router, dir
}

func switchRequest(epoch failover.Epoch) Request {
	return Request{Group: "orders-db", Operation: "orders-db/7", Epoch: epoch, Members: []failover.MemberSpec{
		{Name: "pg-a", Address: "10.0.0.1:5432", Zone: "az-a"}, {Name: "pg-b", Address: "10.0.0.2:5432"},
	}}
}

func TestCommandClosesAndOpens(t *testing.T) {
	router, dir := newSwitch(t, "good")
	if err := router.Close(t.Context(), switchRequest(5), "pg-a"); err != nil {
		t.Fatal(err)
	}
	if state, err := router.State(t.Context(), switchRequest(5)); err != nil || len(state.Open()) != 0 || len(state.Servers) != 2 {
		t.Fatalf("got %+v, %v", state, err)
	}
	for range 2 { // it can be repeated
		if err := router.Open(t.Context(), switchRequest(5), "pg-b"); err != nil {
			t.Fatal(err)
		}
	}
	state, err := router.State(t.Context(), switchRequest(5))
	if err != nil || state.ProvesOpen("pg-b") != nil {
		t.Fatalf("got %+v, %v", state, err)
	}
	requests, err := os.ReadFile(filepath.Join(dir, "requests"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(requests), "\n")
	want := `{"action":"close","route":"switch","group":"orders-db","operation":"orders-db/7","epoch":5,` +
		`"close":[{"name":"pg-a","address":"10.0.0.1:5432","zone":"az-a"}],` +
		`"members":[{"name":"pg-a","address":"10.0.0.1:5432","zone":"az-a"},{"name":"pg-b","address":"10.0.0.2:5432"}],` +
		`"settings":{"dir":"` + dir + `","mode":"good","password":"hunter2"}}`
	if first != want {
		t.Errorf("the program was told\n%s, want\n%s", first, want)
	}
	environment, err := os.ReadFile(filepath.Join(dir, "environment"))
	if err != nil || strings.Contains(string(environment), "hunter2") || !strings.Contains(string(environment), "ARBITER_EPOCH=5\n") {
		t.Errorf("the environment was %q, %v", environment, err)
	}
}

func TestS9_CommandRefusesAnOlderEpoch(t *testing.T) {
	router, _ := newSwitch(t, "good")
	if err := router.Open(t.Context(), switchRequest(6), "pg-b"); err != nil {
		t.Fatal(err)
	}
	err := router.Open(t.Context(), switchRequest(5), "pg-a")
	if !errors.Is(err, ErrStaleEpoch) || !strings.Contains(err.Error(), "epoch 5 is older than 6") {
		t.Errorf("got %v", err)
	}
	if state, err := router.State(t.Context(), switchRequest(5)); err != nil || state.ProvesOpen("pg-b") != nil {
		t.Errorf("got %+v, %v", state, err)
	}
}

func TestS6_NoCommandIsToldToChangeWithoutTheLease(t *testing.T) {
	router, dir := newSwitch(t, "good")
	ctx := permit.With(t.Context(), func() error { return permit.ErrExpired })
	for what, err := range map[string]error{
		"close": router.Close(ctx, switchRequest(5), "pg-a"),
		"open":  router.Open(ctx, switchRequest(5), "pg-b"),
	} {
		if !errors.Is(err, permit.ErrExpired) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if requests, err := os.ReadFile(filepath.Join(dir, "requests")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was told %q (%v)", requests, err)
	}
	if state, err := router.State(ctx, switchRequest(5)); err != nil || state.ProvesOpen("pg-a") != nil {
		t.Errorf("a look needs no lease: %+v, %v", state, err)
	}
}

func TestCommandThatMisbehaves(t *testing.T) {
	for mode, test := range map[string]struct {
		want error
		word string
	}{
		"fails":       {ErrRefused, "exit status 1: can't do it"},
		"lies":        {ErrNotProven, "not proven by reading back: pg-a is not closed"},
		"garbage":     {ErrBadAnswer, "want one object"},
		"unknown-key": {ErrBadAnswer, `unknown field "opened"`},
		"stranger":    {ErrBadAnswer, "pg-z"},
		"hangs":       {ErrUnreachable, "deadline"},
	} {
		t.Run(mode, func(t *testing.T) {
			router, _ := newSwitch(t, mode)
			limit := generous
			if mode == "hangs" {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := router.Open(ctx, switchRequest(5), "pg-b")
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.word) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("secret in %v", err)
			}
		})
	}
}

func TestNewRefusesBadSettings(t *testing.T) {
	for name, test := range map[string]struct {
		route failover.Route
		word  string
	}{
		"unknown router":    {failover.Route{Router: "f5", Name: "x"}, "use haproxy or command"},
		"no socket":         {haproxyRoute("backend", "orders"), `"socket": is missing`},
		"no backend":        {haproxyRoute("socket", "unix:///x"), `"backend": is missing`},
		"relative socket":   {haproxyRoute("socket", "unix://x", "backend", "orders"), "unix:///path"},
		"no port":           {haproxyRoute("socket", "tcp://x", "backend", "orders"), "tcp://host:port"},
		"plain path":        {haproxyRoute("socket", "/run/s", "backend", "orders"), "unix:///path"},
		"command injection": {haproxyRoute("socket", "unix:///x", "backend", "orders;shutdown"), "no name"},
		"in a server":       {haproxyRoute("socket", "unix:///x", "backend", "o", "server.pg-a", "a\nb"), "no name"},
		"bad address":       {haproxyRoute("socket", "unix:///x", "backend", "o", "address.pg-a", "host"), "host:port"},
		"bad addresses":     {haproxyRoute("socket", "unix:///x", "backend", "o", "addresses", "no"), `"set" or "keep", not "no"`},
		"unknown setting":   {haproxyRoute("socket", "unix:///x", "backend", "o", "bakend", "o"), `"bakend": unknown setting`},
		"twice":             {haproxyRoute("socket", "unix:///x", "socket", "unix:///y"), "there twice"},
		"missing secret": {
			failover.Route{Router: "haproxy", Name: "h", Settings: []failover.Setting{{Key: "socket", File: "/nowhere/x"}}},
			"/nowhere/x",
		},
		"no command":       {failover.Route{Router: "command", Name: "c"}, `"command": is missing`},
		"relative command": {failover.Route{Router: "command", Name: "c", Settings: literals("command", "x")}, "absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := routers().Of(t.Context(), test.route)
			if err == nil || !strings.Contains(err.Error(), test.word) || !strings.Contains(err.Error(), test.route.Name) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := routers().Of(t.Context(), haproxyRoute("socket", "tcp://[::1]:9999", "backend", "orders")); err != nil {
		t.Errorf("IPv6: %v", err)
	}
}

// A setting that is a secret, however short, may be part of a member's name: what the program says is read as it is.
func TestCommandAnswersAreReadBeforeTheyAreRedacted(t *testing.T) {
	router, dir := newSwitch(t, "good")
	site := filepath.Join(dir, "site")
	if err := os.WriteFile(site, []byte("b"), 0o600); err != nil {
		t.Fatal(err)
	}
	route := failover.Route{Router: "command", Name: "switch", Settings: append(
		literals("command", router.(*commandRouter).path, "dir", dir, "mode", "good"), failover.Setting{Key: "site", File: site})}
	reading, err := routers().Of(t.Context(), route)
	if err != nil {
		t.Fatal(err)
	}
	if err := reading.Open(t.Context(), switchRequest(7), "pg-b"); err != nil {
		t.Error(err)
	}
}

func TestRunsProgram(t *testing.T) {
	for router, want := range map[string]bool{"command": true, "haproxy": false, "unknown": false} {
		if got := RunsProgram(failover.Route{Router: router}); got != want {
			t.Errorf("%s: %v", router, got)
		}
	}
}
