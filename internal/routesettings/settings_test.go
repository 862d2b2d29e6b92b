package routesettings

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// literals are settings as they stand in a spec, from pairs.
func literals(pairs ...string) Settings {
	s := Settings{Values: map[string]string{}, Later: map[string]bool{}}
	for i := 0; i < len(pairs); i += 2 {
		s.Values[pairs[i]] = pairs[i+1]
	}
	return s
}

// A wrong route would show only after the old primary is off, so all that can be known of it is said before.
func TestCheckNamesEveryFault(t *testing.T) {
	later := literals("backend", "o", "socket", "")
	later.Later["socket"] = true
	for name, test := range map[string]struct {
		router   string
		settings Settings
		want     []string
	}{
		"right": {HAProxy, literals("socket", "tcp://lb:9999", "backend", "orders", "server.pg-a", "a", "address.pg-b", "[::1]:6432"), nil},
		"all wrong": {
			HAProxy, literals("socket", "lb:9999", "backend", "my backend", "addresses", "maybe", "server.pg-z", "a", "address.pg-a", ":5432", "bakend", "o"),
			[]string{
				`bakend: unknown setting; known are socket, backend, addresses, server., address.`,
				`socket: "lb:9999" must be unix:///path or tcp://host:port, for example tcp://lb-1.internal:9999`,
				`backend: "my backend" is no name in HAProxy: use letters, digits and . : _ -`,
				`addresses: can be "set" or "keep", not "maybe"`,
				`address.pg-a: ":5432" is no host:port`,
				`server.pg-z: the group has no member "pg-z"`,
			},
		},
		"not known yet":      {HAProxy, later, nil},
		"missing":            {HAProxy, literals("backend", "o"), []string{"socket: is missing; router haproxy needs it"}},
		"empty":              {HAProxy, literals("backend", "", "socket", "unix:///run/h"), []string{"backend: is empty"}},
		"relative socket":    {HAProxy, literals("backend", "o", "socket", "unix://run/h"), []string{`socket: "unix://run/h" must be unix:///path or tcp://host:port, for example tcp://lb-1.internal:9999`}},
		"command":            {Command, literals("command", "/bin/true", "server.x", "y"), nil},
		"no command":         {Command, literals("x", "y"), []string{"command: is missing; router command needs it"}},
		"relative":           {Command, literals("command", "bin/move"), []string{`command: "bin/move" must be an absolute path, because arbiters don't search for it`}},
		"a router not known": {"carp", literals("x", "y"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range append(Check(test.router, test.settings), CheckMembers(test.router, test.settings, []string{"pg-a", "pg-b"})...) {
				got = append(got, fmt.Sprintf("%s: %s", f.Key, f.Message))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{"": "(nothing)", "a\nb\x1b[0m": "a b [0m", strings.Repeat("ä", 200): strings.Repeat("ä", 160) + " ..."} {
		if got := OneLine(text); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
