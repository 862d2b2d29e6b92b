package lab

import (
	"errors"
	"strings"
	"testing"
)

func TestMakeDo(t *testing.T) {
	there, missing := func() error { return nil }, func() error { return errors.New("missing: install it") }
	for _, test := range []struct {
		name            string
		options         Options
		database, proxy func() error
		want            Options
		lines           int
	}{
		{"all is there", Options{}, there, there, Options{Service: PostgreSQL}, 0},
		{"no PostgreSQL", Options{}, missing, there, Options{Service: Builtin}, 1},
		{"no HAProxy", Options{}, there, missing, Options{Service: PostgreSQL, BuiltinRouter: true}, 1},
		{"neither", Options{}, missing, missing, Options{Service: Builtin, BuiltinRouter: true}, 2},
		{"asked for the built-in one", Options{Service: Builtin}, there, there, Options{Service: Builtin}, 0},
		{"asked for what is missing", Options{Service: PostgreSQL}, missing, there, Options{Service: PostgreSQL}, 0},
	} {
		got := test.options
		lines := makeDo(&got, test.database, test.proxy)
		if got.Service != test.want.Service || got.BuiltinRouter != test.want.BuiltinRouter || len(lines) != test.lines {
			t.Errorf("%s: %+v, %q", test.name, got, lines)
		}
		for _, line := range lines {
			if !strings.Contains(line, "missing: install it") {
				t.Errorf("%s: %q doesn't say why", test.name, line)
			}
		}
	}
}
