package config

import (
	"reflect"
	"strings"
	"testing"
)

const tenLines = `node: az-a
zone: az-a
data: /var/lib/arbiter
raft: {listen: "[::]:7400"}
grpc: {listen: "[::]:7401"}
arbiters:
  az-a: {raft: az-a.internal:7400, grpc: az-a.internal:7401}
  az-b: {raft: az-b.internal:7400, grpc: az-b.internal:7401}
  az-c: {raft: az-c.internal:7400, grpc: az-c.internal:7401, zone: z3}
tls: {ca: /etc/arbiter/tls/ca.crt, cert: /etc/arbiter/tls/az-a.crt, key: /etc/arbiter/tls/az-a.key}
`

func TestParseArbiterFile_TenLines(t *testing.T) {
	f, warnings, err := ParseArbiterFile("arbiter.yaml", []byte(tenLines))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	want := &ArbiterFile{
		Node: "az-a", Zone: "az-a", Data: "/var/lib/arbiter", RaftListen: "[::]:7400", GRPCListen: "[::]:7401",
		Arbiters: []Arbiter{
			{ID: "az-a", Raft: "az-a.internal:7400", GRPC: "az-a.internal:7401", Zone: "az-a"},
			{ID: "az-b", Raft: "az-b.internal:7400", GRPC: "az-b.internal:7401"},
			{ID: "az-c", Raft: "az-c.internal:7400", GRPC: "az-c.internal:7401", Zone: "z3"},
		},
		TLS:    TLSFiles{CA: "/etc/arbiter/tls/ca.crt", Cert: "/etc/arbiter/tls/az-a.crt", Key: "/etc/arbiter/tls/az-a.key"},
		Timing: "lan", LogLevel: "info", LogFormat: "text",
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
	if f.Self().GRPC != "az-a.internal:7401" {
		t.Errorf("self is %+v", f.Self())
	}
}

func TestParseArbiterFile_ReferencePoints(t *testing.T) {
	text := tenLines + "reference_points: [gw.internal:179, \"[2001:db8::1]:53\"]\n"
	f, warnings, err := ParseArbiterFile("arbiter.yaml", []byte(text))
	if err != nil || len(warnings) > 0 || !reflect.DeepEqual(f.ReferencePoints, []string{"gw.internal:179", "[2001:db8::1]:53"}) {
		t.Errorf("%v %v %+v", warnings, err, f)
	}
}

func TestParseArbiterFile_Faults(t *testing.T) {
	tests := []struct {
		name, old, replacement string
		want                   []string
	}{
		{
			"http is reserved", "zone: az-a\n", "zone: az-a\nhttp: {listen: \":80\"}\n",
			[]string{"a.yaml:3: http: is reserved for the web page and the metrics, which this release doesn't have; leave it out"},
		},
		{
			"mistyped", "raft: {listen", "raft: {lisen",
			[]string{`a.yaml:4: raft: unknown key "lisen"; did you mean "listen"?`},
		},
		{
			"node not in the list", "node: az-a", "node: az-d",
			[]string{`a.yaml:1: node: "az-d" is not in arbiters (az-a, az-b and az-c)`},
		},
		{
			"even number", "  az-c: {raft: az-c.internal:7400, grpc: az-c.internal:7401, zone: z3}\n", "",
			[]string{"a.yaml:6: arbiters: there are 2; use 3, which bear the loss of one, or 5, which bear the loss of two (an even number bears no more than the odd one below it)"},
		},
		{
			"same port twice", "grpc: {listen: \"[::]:7401\"}", "grpc: {listen: \"[::]:7400\"}",
			[]string{"a.yaml:5: grpc.listen: [::]:7400 is raft.listen too; each needs a port of its own"},
		},
		{
			"unreachable address", "grpc: az-b.internal:7401", "grpc: \"[::]:7401\"",
			[]string{"a.yaml:8: arbiters.az-b.grpc: [::]:7401 is no address that others can reach; name the host"},
		},
		{
			"address twice", "raft: az-c.internal:7400", "raft: az-b.internal:7400",
			[]string{"a.yaml:9: arbiters.az-c.raft: az-b.internal:7400 is arbiters.az-b.raft too"},
		},
		{
			"no tls", "tls: {ca: /etc/arbiter/tls/ca.crt, cert: /etc/arbiter/tls/az-a.crt, key: /etc/arbiter/tls/az-a.key}\n", "",
			[]string{"a.yaml:1: tls: is missing; make certificates with `arbiterctl pki init` and `arbiterctl pki issue`, and name ca, cert and key"},
		},
		{
			"half a tls", "cert: /etc/arbiter/tls/az-a.crt, ", "",
			[]string{"a.yaml:10: tls.cert: is missing"},
		},
		{
			"plaintext beside tls", "zone: az-a\n", "zone: az-a\ninsecure_plaintext: true\n",
			[]string{"a.yaml:3: insecure_plaintext: can't be true beside tls; leave one of them out"},
		},
		{
			"relative data", "data: /var/lib/arbiter", "data: here",
			[]string{`a.yaml:3: data: "here" must be an absolute path`},
		},
		{
			"reference points that are none", "zone: az-a\n",
			"zone: az-a\nreference_points:\n- gw.internal\n- az-b.internal:7401\n- az-a.internal:7400\n- ns.internal:53\n- ns.internal:53\n- \"[::1]:22\"\n- 127.0.0.9:22\n- localhost:22\n- \"0.0.0.0:22\"\n- ns.internal:0\n",
			[]string{
				`a.yaml:4: reference_points[0]: "gw.internal" is no host:port; want for example ns.internal:53 or [2001:db8::1]:53`,
				"a.yaml:5: reference_points[1]: az-b.internal:7401 is arbiters.az-b.grpc; the other arbiters are reference points anyway, and this one is none; leave it out",
				"a.yaml:6: reference_points[2]: az-a.internal:7400 is arbiters.az-a.raft; the other arbiters are reference points anyway, and this one is none; leave it out",
				"a.yaml:8: reference_points[4]: ns.internal:53 is reference_points[3] too",
				"a.yaml:9: reference_points[5]: [::1]:22 is this machine, which it reaches whatever has become of its network; name another one",
				"a.yaml:10: reference_points[6]: 127.0.0.9:22 is this machine, which it reaches whatever has become of its network; name another one",
				"a.yaml:11: reference_points[7]: localhost:22 is this machine, which it reaches whatever has become of its network; name another one",
				"a.yaml:12: reference_points[8]: 0.0.0.0:22 is this machine, which it reaches whatever has become of its network; name another one",
				`a.yaml:13: reference_points[9]: "0" is no port; want a number from 1 to 65535`,
			},
		},
		{
			"choices, all listed", "zone: az-a\n", "zone: az-a\ntiming: moon\nlog: {level: loud, format: xml}\n",
			[]string{
				`a.yaml:3: timing: "moon" can't be used here; it can be lan or wan`,
				`a.yaml:4: log.level: "loud" can't be used here; it can be debug or info or warn or error`,
				`a.yaml:4: log.format: "xml" can't be used here; it can be text or json`,
			},
		},
		{
			"wrong types", "node: az-a", "node: [az-a]\nfence_agent_dirs: /usr/sbin",
			[]string{
				"a.yaml:1: node: want one word, not a list",
				"a.yaml:2: fence_agent_dirs: want a list (- item, or [item, item]), not \"/usr/sbin\"",
			},
		},
		{
			"reference points by another type and name", "node: az-a", "node: az-a\nreference_points: gw.internal:53\nreference_point: [gw.internal:53]",
			[]string{
				`a.yaml:2: reference_points: want a list (- item, or [item, item]), not "gw.internal:53"`,
				`a.yaml:3: unknown key "reference_point"; did you mean "reference_points"?`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(tenLines, test.old) {
				t.Fatalf("the file has no %q", test.old)
			}
			text := strings.Replace(tenLines, test.old, test.replacement, 1)
			f, _, err := ParseArbiterFile("a.yaml", []byte(text))
			if err == nil || f != nil {
				t.Fatalf("got %+v and error %v", f, err)
			}
			if got, want := err.Error(), strings.Join(test.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestParseArbiterFile_AllowedButUnwise(t *testing.T) {
	single := "node: a\narbiters: {a: {raft: \"127.0.0.1:1\", grpc: \"127.0.0.1:2\"}}\ninsecure_plaintext: true\ndata: /tmp/x\n"
	f, warnings, err := ParseArbiterFile("a.yaml", []byte(single))
	if err != nil {
		t.Fatal(err)
	}
	if !f.InsecurePlaintext || len(warnings) != 2 || !strings.Contains(warnings.Error(), "a single arbiter protects against nothing") ||
		!strings.Contains(warnings.Error(), "everybody who reaches these ports may fence and promote") {
		t.Errorf("warnings are %v", warnings)
	}
	if !strings.Contains(warnings.Error(), "without reference_points can't tell its own trouble") {
		t.Errorf("warnings are %v", warnings)
	}
	_, warnings, err = ParseArbiterFile("a.yaml", []byte(single+"reference_points: [\"gw.internal:179\"]\n"))
	if err != nil || len(warnings) != 2 || strings.Contains(warnings.Error(), "trouble") {
		t.Errorf("with a reference point: %v, warnings are %v", err, warnings)
	}
	same := strings.Replace(tenLines, "zone: z3", "zone: az-a", 1)
	if _, warnings, err = ParseArbiterFile("a.yaml", []byte(same)); err != nil || !strings.Contains(warnings.Error(), "losing that zone loses both votes") {
		t.Errorf("%v, warnings are %v", err, warnings)
	}
}

// An arbiter's name must also be one that a certificate can be for.
func TestParseArbiterFile_NamesAreThoseOfCertificates(t *testing.T) {
	for _, name := range []string{"zürich", "az-a-"} {
		text := strings.ReplaceAll(tenLines, "az-a:", name+":")
		if _, _, err := ParseArbiterFile("a.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "is no name to use here") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContexts_ReadBack(t *testing.T) {
	c := &Contexts{Current: "prod"}
	c.Set(Context{Name: "prod", Addresses: []string{"az-a.internal:7401", "[2001:db8::1]:7401"}, TLS: TLSFiles{CA: "ca.crt", Cert: "dana.crt", Key: `C:\keys\dana.key`}})
	c.Set(Context{Name: "1", Addresses: []string{"127.0.0.1:7401"}, InsecurePlaintext: true})
	again, err := ParseContexts("c.yaml", FormatContexts(c))
	if err != nil || !reflect.DeepEqual(c, again) {
		t.Errorf("%v\n%s", err, FormatContexts(c))
	}
	for text, want := range map[string]string{
		"current: x\ncontexts: {prod: {addresses: [\"a:1\"], insecure_plaintext: true}}": `c.yaml:1: current: there is no context "x"; there are prod`,
		"contexts:\n  two words: {addresses: [\"a:1\"], insecure_plaintext: true}":       `c.yaml:1: contexts: "two words" is no name to use here: letters a to z, digits, '-', '_', '.' and '@', up to 64, with a letter or digit at both ends`,
		"contexts:\n  prod: {adresses: []}":                                              `c.yaml:2: contexts.prod: unknown key "adresses"; did you mean "addresses"?`,
		"contexts:\n  prod: {addresses: [a]}": "c.yaml:2: contexts.prod.addresses[0]: \"a\" is no host:port; want for example az-a.internal:7401 or [2001:db8::1]:7401\n" +
			"c.yaml:2: contexts.prod.tls: all three of ca, cert and key are needed (`arbiterctl pki issue` makes them)",
	} {
		if _, err := ParseContexts("c.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q:\n%v\nwant\n%s", text, err, want)
		}
	}
}

// A file that was taken by mistake is named, and not printed.
func TestWhatIsNoYAMLIsNotQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"\x7fELF\x02\x01\x01\x00": "g.yaml:1: this is no text; want YAML in UTF-8",
		"\xff\xfe":                "g.yaml:1: this is no text; want YAML in UTF-8",
		strings.Repeat("ä", 1000): `g.yaml:1: want a mapping (key: value), not "` + strings.Repeat("ä", 60) + `..."`,
	} {
		if _, _, err := LoadGroup("g.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
