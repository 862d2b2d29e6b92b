package route

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
)

func TestInspect_HAProxy(t *testing.T) {
	l := newLab(t, "")
	good := []string{"socket", "unix://" + l.unix, "backend", "orders", "server.pg-c", "third"}
	for name, test := range map[string]struct {
		settings []string
		member   failover.MemberName
		what     string
		fix      string
		silent   bool
	}{
		"all is right":    {good, "", "", "", false},
		"no server":       {good[:4], "pg-c", "route haproxy-1 has no server for it", "server.pg-c", false},
		"nobody listens":  {append([]string{"socket", "tcp://" + freeport.Address(t)}, good[2:]...), "", "router did not answer", "start the router", true},
		"unknown setting": {append([]string{"sokket", "x"}, good...), "", `"sokket": unknown setting`, "mend the route", false},
	} {
		t.Run(name, func(t *testing.T) {
			problems := routers().Inspect(t.Context(), haproxyRoute(test.settings...), l.request(), "")
			if test.what == "" {
				if len(problems) > 0 {
					t.Errorf("problems: %+v", problems)
				}
				return
			}
			if len(problems) != 1 {
				t.Fatalf("problems: %+v", problems)
			}
			p := problems[0]
			if p.Member != test.member || !strings.Contains(p.Message, test.what) || !strings.Contains(p.Fix, test.fix) || p.Silent != test.silent {
				t.Errorf("got %+v, want %+v", p, test)
			}
		})
	}
	l.wantServer("pg-a") // looking changed nothing
}

func TestInspect_Command(t *testing.T) {
	route := func(t *testing.T, mode string) failover.Route {
		router, dir := newSwitch(t, mode)
		command := router.(*commandRouter)
		if err := os.WriteFile(filepath.Join(dir, "epoch"), []byte("7\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		settings := append(literals("command", command.path, "dir", dir, "mode", mode), failover.Setting{Key: "password", File: filepath.Join(dir, "password")})
		return failover.Route{Router: "command", Name: "switch", Settings: settings}
	}
	for _, mode := range []string{"good", "strict"} { // strict asks even a look for its epoch
		if problems := routers().Inspect(t.Context(), route(t, mode), switchRequest(0), ""); len(problems) > 0 {
			t.Errorf("a router that remembers epochs, mode %s: %+v", mode, problems)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	problems := routers().Inspect(ctx, route(t, "hangs"), switchRequest(0), "")
	if len(problems) != 1 || !problems[0].Silent || time.Since(began) > generous {
		t.Errorf("a router that hangs: %+v after %v", problems, time.Since(began))
	}
	gone := route(t, "good")
	gone.Settings = append(gone.Settings, failover.Setting{Key: "token", File: "/nowhere/token"})
	if problems := routers().Inspect(t.Context(), gone, switchRequest(0), ""); len(problems) != 1 || !strings.Contains(problems[0].Message, "/nowhere/token") || !strings.Contains(problems[0].Fix, "secrets") {
		t.Errorf("a secret that isn't there: %+v", problems)
	}
	for _, p := range routers().Inspect(t.Context(), route(t, "fails"), switchRequest(0), "") {
		if strings.Contains(p.Message, "hunter2") {
			t.Errorf("secret in %+v", p)
		}
	}
}

// HAProxy's "backup" servers get clients only where no other server is usable.
func TestInspect_HAProxyBackups(t *testing.T) {
	for name, test := range map[string]struct {
		backups  []string
		stranger bool // pg-a left the group, and is still usable
		ready    string
		reached  string
		want     []string
	}{
		"a stranger that stands in": {
			backups: []string{"pg-a"}, stranger: true, ready: "pg-b", reached: "pg-b",
			want: []string{" warning=true: route haproxy-1 sends clients to server pg-a, which is no member's, while no member takes any: in the middle of a failover, say"},
		},
		"a stranger that may come before the primary": {
			backups: []string{"pg-a", "pg-b"}, stranger: true, ready: "pg-b", reached: "pg-a",
			want: []string{" warning=false: route haproxy-1 sends clients to server pg-a too, which is no member's"},
		},
		"a primary that only stands in": {
			backups: []string{"pg-b"}, ready: "pg-b", reached: "pg-a",
			want: []string{
				"pg-b warning=false: route haproxy-1 sends no clients to it, and it is the primary",
				"pg-a warning=true: route haproxy-1 may send clients to it, and the primary is pg-b",
			},
		},
		"a standby that stands in": {backups: []string{"pg-a"}, ready: "pg-b", reached: "pg-b"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "", test.backups...)
			front := haproxyRoute("socket", "unix://"+l.unix, "backend", "orders", "server.pg-c", "third")
			r := l.request()
			if test.stranger {
				r.Members = r.Members[1:]
			}
			socket, err := parseEndpoint("unix://" + l.unix)
			if err != nil {
				t.Fatal(err)
			}
			if answers, err := socket.exchange(t.Context(), []string{"set server orders/" + test.ready + " state ready"}, true); err != nil || answers[0] != "" {
				t.Fatal(answers, err)
			}
			l.wantServer(test.reached)
			var found []string
			for _, p := range routers().Inspect(t.Context(), front, r, "pg-b") {
				found = append(found, fmt.Sprintf("%s warning=%v: %s", p.Member, p.Warning, p.Message))
			}
			if !slices.Equal(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

// inWords are problems in one line.
func inWords(found []Problem) string {
	var words []string
	for _, p := range found {
		words = append(words, fmt.Sprintf("%s: %s", p.Member, p.Message))
	}
	return strings.Join(words, "; ")
}

// A router that was changed by hand, or has forgotten over a reload what it was told, is found before clients have to find it.
func TestInspect_ClientsAstray(t *testing.T) {
	l := newLab(t, "") // it comes up with pg-a open and the others closed
	front := haproxyRoute("socket", "unix://"+l.unix, "backend", "orders", "server.pg-c", "third")
	look := func(primary failover.MemberName) (found []string) {
		for _, p := range routers().Inspect(t.Context(), front, l.request(), primary) {
			found = append(found, fmt.Sprintf("%s warning=%v: %s", p.Member, p.Warning, p.Message))
		}
		return found
	}
	for primary, want := range map[failover.MemberName][]string{
		"":     nil,
		"pg-a": nil,
		"pg-b": {
			"pg-b warning=false: route haproxy-1 sends no clients to it, and it is the primary (maintenance)",
			"pg-a warning=true: route haproxy-1 may send clients to it, and the primary is pg-b",
		},
	} {
		if found := look(primary); !slices.Equal(found, want) {
			t.Errorf("the primary is %q: %q, want %q", primary, found, want)
		}
	}
	for primary, want := range map[failover.MemberName]string{
		"pg-a": "",
		"pg-b": "pg-b: route haproxy-1 sends no clients to it, and it is the primary (maintenance); pg-a: route haproxy-1 may send clients to it, and the primary is pg-b",
	} {
		if found, unread := routers().Astray(t.Context(), front, l.request(), primary); unread != nil || inWords(found) != want {
			t.Errorf("the primary is %q: %+v, %v, want %q", primary, found, unread, want)
		}
	}
	nobody := freeport.Address(t)
	found, unread := routers().Astray(t.Context(), haproxyRoute("socket", "tcp://"+nobody, "backend", "orders"), l.request(), "pg-b")
	want := Problem{Silent: true, Message: "look by haproxy tcp://" + nobody + ", backend orders: dial tcp " + nobody + ": connect: connection refused", Fix: "start the router, or open the way to its socket from this arbiter"}
	if len(found) > 0 || unread == nil || *unread != want {
		t.Errorf("nobody listens: %+v, %+v", found, unread)
	}
	foreign := haproxyRoute("socket", "unix://"+l.unix, "backend", "elsewhere")
	if found, unread := routers().Astray(t.Context(), foreign, l.request(), "pg-b"); len(found) > 0 || unread == nil || unread.Silent || !strings.Contains(unread.Message, "Can't find backend") {
		t.Errorf("it answers that it has no such backend: %+v, %+v", found, unread)
	}
	without := l.request()
	without.Members = without.Members[1:] // pg-a left the group
	if problems := routers().Inspect(t.Context(), front, without, ""); len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, "server pg-a too, which is no member's") {
		t.Errorf("a member that left the group: %+v", problems)
	}
	if err := l.router("unix://"+l.unix).Open(t.Context(), l.request(), "pg-b"); err != nil {
		t.Fatal(err)
	}
	if found := look("pg-b"); len(found) > 0 {
		t.Errorf("after it was opened: %q", found)
	}
}

// give gives HAProxy a command, as somebody may by hand.
func (l *lab) give(command string) {
	l.t.Helper()
	socket, err := parseEndpoint("unix://" + l.unix)
	if err != nil {
		l.t.Fatal(err)
	}
	answers, err := socket.exchange(l.t.Context(), []string{command}, true)
	if err != nil || !succeeded(command, answers[0]) {
		l.t.Fatal(answers, err)
	}
}

// Whatever a router was told that keeps clients away from the primary, or sends them to another address, is found, and Open undoes it.
func TestAstray_WhatOpenMends(t *testing.T) {
	for name, test := range map[string]struct{ command, check, astray string }{
		"drain":  {"set server orders/pg-a state drain", "sends no clients to it, and it is the primary (drain)", "(drain)"},
		"weight": {"set weight orders/pg-a 0", "sends no clients to it, and it is the primary (weight 0)", "(weight 0)"},
		"address": {
			"set server orders/pg-a addr 127.0.0.1 port 9", "has it at 127.0.0.1:9, and its address is 127.0.0.1:", "has it at 127.0.0.1:9",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, "")
			front := haproxyRoute("socket", "unix://"+l.unix, "backend", "orders", "server.pg-c", "third")
			l.wantServer("pg-a")
			l.give(test.command)
			problems := routers().Inspect(t.Context(), front, l.request(), "pg-a")
			if len(problems) != 1 || !strings.Contains(problems[0].Message, test.check) || strings.Contains(problems[0].Message, "alive") {
				t.Errorf("check: %+v", problems)
			}
			if found, unread := routers().Astray(t.Context(), front, l.request(), "pg-a"); unread != nil || !strings.Contains(inWords(found), test.astray) {
				t.Errorf("astray: %+v, %v", found, unread)
			}
			if err := l.router("unix://"+l.unix).Open(t.Context(), l.request(), "pg-a"); err != nil {
				t.Fatal(err)
			}
			l.wantServer("pg-a")
			if found, unread := routers().Astray(t.Context(), front, l.request(), "pg-a"); unread != nil || len(found) > 0 {
				t.Errorf("after it was opened: %+v, %v", found, unread)
			}
		})
	}
}

// What keeps clients away from the primary and no command to its server takes back is told as it is, and begins nothing.
func TestAstray_WhatNoCommandMends(t *testing.T) {
	for name, test := range map[string]struct{ options, backend, server, command, check string }{
		"drain of another":    {"track followed/first", "orders", "pg-a", "set server followed/first state drain", "(maintenance or drain of the server that it tracks)"},
		"maintenance of one":  {"track followed/first", "orders", "pg-a", "set server followed/first state maint", "(maintenance or drain of the server that it tracks)"},
		"configured weight":   {"weight 0", "orders", "pg-a", "set server orders/pg-a state ready", "(weight 0 in the configuration)"},
		"a name not resolved": {"", "followed", "nameless", "set server followed/nameless state ready", "(no address: its name was not found)"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.options)
			l.give(test.command)
			front := haproxyRoute("socket", "unix://"+l.unix, "backend", test.backend, "server.pg-a", test.server)
			if found, unread := routers().Astray(t.Context(), front, l.request(), "pg-a"); unread != nil || len(found) > 0 {
				t.Errorf("astray: %+v, %v", found, unread)
			}
			problems := slices.DeleteFunc(routers().Inspect(t.Context(), front, l.request(), "pg-a"), func(p Problem) bool { return p.Member != "pg-a" })
			if len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, "keeps them away by itself "+test.check) {
				t.Errorf("check: %+v", problems)
			}
		})
	}
}

// A server that its line in the configuration keeps without clients is not taken for an open one.
func TestHAProxyOpensNobodyOfWeightZero(t *testing.T) {
	l := newLab(t, "weight 0")
	inVain(t, "weight 0", func(ctx context.Context) error { return l.router("unix://"+l.unix).Open(ctx, l.request(), "pg-b") })
}

// What leads clients astray is brought back by hand where automation leaves the routes alone, and why is said.
func TestInspect_WhoBringsClientsBack(t *testing.T) {
	route := failover.Route{Name: "front"}
	state := State{Servers: []Server{{Member: "pg-a", Told: "drain", Address: "127.0.0.1:9", Wanted: "127.0.0.1:5432"}, {Member: "pg-b", Open: true}}}
	const why = "orders is paused"
	for _, leftAlone := range []string{"", why} {
		problems := astray(route, state, "pg-a", leftAlone)
		if len(problems) != 3 {
			t.Fatalf("%+v", problems)
		}
		for _, p := range problems {
			if byHand := strings.Contains(p.Fix, "by hand: automation leaves the routes alone, since "+why); byHand != (leftAlone != "") || strings.HasPrefix(p.Fix, "automation ") == byHand {
				t.Errorf("left alone %q: %s", leftAlone, p.Fix)
			}
		}
	}
}
