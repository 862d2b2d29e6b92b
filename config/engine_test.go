package config

import (
	"strings"
	"testing"
)

const httpGroup = `
group: queue
engine: http
members:
  - {name: q-a, zone: a, address: "10.0.0.1:7070", fence: [[{device: fence_x, proof: off, ip: 10.1.0.1}]]}
  - {name: q-b, zone: b, address: "10.0.0.2:7070", fence: [[{device: fence_x, proof: off, ip: 10.1.0.2}]]}
`

func TestEngineHTTP_Defaults(t *testing.T) {
	for _, test := range []struct{ name, text, mode string }{
		{"on a network", httpGroup, "verify-full"},
		{"on loopback", strings.ReplaceAll(httpGroup, "10.0.0.", "127.0.0."), "disable"},
	} {
		spec, _, err := LoadGroup("g.yaml", []byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		full := Defaults(spec)
		if c := full.Health.Checks; len(c) != 1 || c[0].Kind != "service" || c[0].Name != "service" || !c[0].GetRequired() {
			t.Errorf("%s: checks %v", test.name, c)
		}
		if full.Connect.GetSslmode() != test.mode || full.Connect.Database != nil {
			t.Errorf("%s: connect %v, want sslmode %s and no database", test.name, full.Connect, test.mode)
		}
		if twice := Defaults(full); len(Validate(twice)) != 0 {
			t.Errorf("%s: with defaults: %v", test.name, Validate(twice))
		}
	}
}

func TestEngineHTTP_Faults(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"mode of libpq", httpGroup + "connect: {sslmode: prefer}\n", `g.yaml:7: connect.sslmode: "prefer" can't be used with engine http; use verify-full, or disable for plain HTTP`},
		{"database", httpGroup + "connect: {database: orders}\n", `g.yaml:7: connect.database: is for engine postgres; leave it out with engine http`},
		{"check of postgres", httpGroup + "health: {checks: [{kind: postgres}]}\n", `g.yaml:7: health.checks[0].kind: "postgres" is not for engine http; use service`},
		{
			"check of http", strings.Replace(httpGroup, "engine: http", "engine: postgres", 1) + "health: {checks: [{kind: service}]}\n",
			`g.yaml:7: health.checks[0].kind: "service" is not for engine postgres; use postgres`,
		},
	} {
		_, _, err := LoadGroup("g.yaml", []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", test.name, err, test.want)
		}
	}
}

func TestEngineHTTP_WarnsOfAPasswordInTheClear(t *testing.T) {
	_, warnings, err := LoadGroup("g.yaml", []byte(httpGroup+"connect: {sslmode: disable, password: {env: P}}\n"))
	if err != nil || !strings.Contains(warnings.Error(), "in the clear") {
		t.Errorf("warnings %v, %v", warnings, err)
	}
}
