package route

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// silentNames asks a name server that never answers.
func silentNames(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// A name server that never answers is told apart from a router that doesn't, by the name: the name may be wrong.
func TestNamesThatAreNotResolvedAreNamed(t *testing.T) {
	silent := silentNames(t)
	for name, ask := range map[string]func(context.Context) error{
		"lb-1.example": func(ctx context.Context) error {
			_, err := endpoint{Endpoint: routesettings.Endpoint{Network: "tcp", Address: "lb-1.example:9999"}, resolver: silent}.exchange(ctx, []string{"show info"}, false)
			return err
		},
		"pg-a.example": func(ctx context.Context) error {
			h := &haproxy{backend: "orders", names: silent}
			_, err := h.readdress(ctx, Request{}, failover.MemberSpec{Name: "pg-a", Address: "pg-a.example:5432"}, map[string]serverState{"pg-a": {name: "pg-a"}})
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := ask(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "the name "+name+" could not be resolved within ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fixedNames are those that this arbiter's name server knows.
type fixedNames map[string][]string

func (f fixedNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var ips []netip.Addr
	for _, text := range f[host] {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips, nil
}

// namedPrimary is a group whose primary's address is a name that stands for one address where HAProxy is and for another one here.
type namedPrimary struct {
	*lab
	routers *Routers
	route   failover.Route
	request Request
	port    string // of the primary
}

func newNamedPrimary(t *testing.T, here ...string) *namedPrimary {
	l := newLab(t, "")
	_, port, _ := net.SplitHostPort(l.members[0].Address)
	n := &namedPrimary{
		lab: l, routers: NewRouters(new(secret.Reader)), request: l.request(), port: port,
		route: haproxyRoute("socket", "unix://"+l.unix, "backend", "orders", "server.pg-c", "third", "address.pg-b", "127.0.0.7:"+port),
	}
	n.routers.names = fixedNames{"vm": here}
	n.request.Members = slices.Clone(l.members)
	n.request.Members[0].Address = "vm:" + port
	return n
}

func (n *namedPrimary) astray() string {
	n.t.Helper()
	found, unread := n.routers.Astray(n.t.Context(), n.route, n.request, "pg-a")
	if unread != nil {
		n.t.Fatal(unread)
	}
	return inWords(found)
}

func (n *namedPrimary) open() {
	n.t.Helper()
	router, err := n.routers.Of(n.t.Context(), n.route)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := router.Open(n.t.Context(), n.request, "pg-a"); err != nil {
		n.t.Fatal(err)
	}
}

// What a name stands for where this arbiter is neither leads a healthy primary's clients away nor those of a new primary astray: check tells of it.
func TestANameIsTheRoutersToLookUp(t *testing.T) {
	for name, here := range map[string][]string{"another address": {"127.0.0.9", "127.0.0.8"}, "no address": nil, "the same among others": {"127.0.0.9", "127.0.0.1"}} {
		t.Run(name, func(t *testing.T) {
			n := newNamedPrimary(t, here...)
			kept := n.wantServer("pg-a")
			if found := n.astray(); found != "" {
				t.Errorf("astray: %q", found)
			}
			n.open()
			kept.wantKept(t)
			n.wantServer("pg-a")
			problems := n.routers.Inspect(t.Context(), n.route, n.request, "pg-a")
			if name != "another address" {
				if len(problems) > 0 {
					t.Errorf("check: %+v", problems)
				}
				return
			}
			want := "route haproxy-1 has it at 127.0.0.1:" + n.port + ", and from here vm is 127.0.0.8, 127.0.0.9"
			if len(problems) != 1 || !problems[0].Warning || problems[0].Member != "pg-a" || problems[0].Message != want || !strings.Contains(problems[0].Fix, "addresses: keep") {
				t.Errorf("check: %+v, want %q", problems, want)
			}
			n.route.Settings = append(n.route.Settings, literals("addresses", "keep")...)
			if problems := n.routers.Inspect(t.Context(), n.route, n.request, "pg-a"); len(problems) > 0 {
				t.Errorf("check of a router whose addresses are its own: %+v", problems)
			}
		})
	}
}

// Another port than the spec's, and the address of another member, are wrong whatever a name stands for.
func TestANamedPrimaryAtACertainlyWrongAddressIsLedBack(t *testing.T) {
	for name, test := range map[string]struct{ command, astray, here string }{
		"another port":             {"addr 127.0.0.1 port 9", "has it at 127.0.0.1:9, and its address is vm:", "127.0.0.9"},
		"another member's address": {"addr 127.0.0.7 port PORT", "has it at 127.0.0.7:PORT, and its address is vm:", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNamedPrimary(t, test.here)
			n.give("set server orders/pg-a " + strings.ReplaceAll(test.command, "PORT", n.port))
			if found, want := n.astray(), strings.ReplaceAll(test.astray, "PORT", n.port); !strings.Contains(found, want) {
				t.Errorf("astray: %q, want %q", found, want)
			}
			n.open()
			n.wantServer("pg-a")
			if found := n.astray(); found != "" {
				t.Errorf("after it was opened: %q", found)
			}
		})
	}
}

// A router elsewhere can't reach a member by an address that stands for this machine only, as that of its own name often does.
func TestNoRouterElsewhereIsSentToThisMachine(t *testing.T) {
	at := func(network, address string) endpoint {
		return endpoint{Endpoint: routesettings.Endpoint{Network: network, Address: address}}
	}
	away, here := at("tcp", "192.0.2.1:9999"), at("tcp", "[::1]:9999")
	for name, test := range map[string]struct {
		socket endpoint
		ips    []string
		want   string
	}{
		"elsewhere, one that is no use": {away, []string{"127.0.1.1", "10.0.0.1"}, "10.0.0.1"},
		"elsewhere, none of use":        {away, []string{"127.0.1.1", "::1"}, ""},
		"here":                          {here, []string{"127.0.1.1", "10.0.0.1"}, "127.0.1.1"},
		"here by a file":                {at("unix", "/run/haproxy"), []string{"127.0.1.1"}, "127.0.1.1"},
	} {
		h := &haproxy{socket: test.socket, names: fixedNames{"vm": test.ips}}
		ip, _, err := h.wantedIP(t.Context(), Request{}, "pg-a", "vm", "5432", nil)
		if test.want == "" && (err == nil || !strings.Contains(err.Error(), "use an IP address")) || test.want != "" && (err != nil || ip.String() != test.want) {
			t.Errorf("%s: got %v, %v, want %q", name, ip, err, test.want)
		}
	}
}
