package route

import (
	"fmt"
	"slices"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// A wrong route would show only after the old primary is off, so all that can be known of it is said before.
func TestCheckSettingsNamesEveryFault(t *testing.T) {
	later := failover.Setting{Key: "socket", Env: "SOCKET"}
	for name, test := range map[string]struct {
		route failover.Route
		want  []string
	}{
		"right": {haproxyRoute("socket", "tcp://lb:9999", "backend", "orders", "server.pg-a", "a", "address.pg-b", "[::1]:6432"), nil},
		"all wrong": {
			haproxyRoute("socket", "lb:9999", "backend", "my backend", "addresses", "maybe", "server.pg-z", "a", "address.pg-a", ":5432", "bakend", "o"),
			[]string{
				`bakend: unknown setting; known are socket, backend, addresses, server., address.`,
				`socket: "lb:9999" must be unix:///path or tcp://host:port, for example tcp://lb-1.internal:9999`,
				`backend: "my backend" is no name in HAProxy: use letters, digits and . : _ -`,
				`addresses: can be "set" or "keep", not "maybe"`,
				`address.pg-a: ":5432" is no host:port`,
				`server.pg-z: the group has no member "pg-z"`,
			},
		},
		"not known yet": {failover.Route{Router: "haproxy", Settings: append(literals("backend", "o"), later)}, nil},
		"missing":       {failover.Route{Router: "haproxy", Settings: literals("backend", "o")}, []string{"socket: is missing"}},
		"command":       {failover.Route{Router: "command", Settings: literals("command", "/bin/true", "server.x", "y")}, nil},
		"relative": {
			failover.Route{Router: "command", Settings: literals("command", "bin/move")},
			[]string{`command: "bin/move" must be an absolute path, because arbiters don't search for it`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range CheckSettings(test.route, []failover.MemberName{"pg-a", "pg-b"}) {
				got = append(got, fmt.Sprintf("%s: %s", p.Key, p.Message))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
