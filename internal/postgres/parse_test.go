package postgres

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestParseLSN(t *testing.T) {
	for text, want := range map[string]failover.LSN{
		"":                  0,
		"0/0":               0,
		"0/5A11F28":         0x5A11F28,
		"16/B374D848":       0x16_B374D848,
		"FFFFFFFF/FFFFFFFF": 0xFFFFFFFF_FFFFFFFF,
	} {
		got, err := ParseLSN(text)
		if err != nil || got != want {
			t.Errorf("ParseLSN(%q) = %v, %v; want %v", text, got, err, want)
		}
		if text != "" && got.String() != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	for _, text := range []string{"5", "/", "1/", "/1", "0/123456789", "-1/0", "G/0", "0/0/0", " 0/0"} {
		if got, err := ParseLSN(text); !errors.Is(err, ErrLSN) {
			t.Errorf("ParseLSN(%q) = %v, %v; want ErrLSN", text, got, err)
		}
	}
}

func TestParseSyncRule(t *testing.T) {
	rule := func(need int, names ...string) failover.SyncRule { return failover.SyncRule{Need: need, Names: names} }
	for text, want := range map[string]failover.SyncRule{
		"":                           {},
		" \t\n":                      {},
		"a":                          rule(1, "a"),
		"a, b":                       rule(1, "a", "b"),
		"a,b , C":                    rule(1, "a", "b", "C"),
		"*":                          rule(1, "*"),
		"a, *":                       rule(1, "*"),
		"2 (a, b, c)":                rule(2, "a", "b", "c"),
		"FIRST 2 (a, b)":             rule(2, "a", "b"),
		"first 1(a)":                 rule(1, "a"),
		"ANY 2 (s1, s2, s3)":         rule(2, "s1", "s2", "s3"),
		"any 3 (a)":                  rule(3, "a"),
		"ANY 1 (*)":                  rule(1, "*"),
		`ANY 1 ("pg-b", "x ""y"" ")`: rule(1, "pg-b", `x "y" `),
		`"any", "("`:                 rule(1, "any", "("),
		`"*"`:                        rule(1, "*"), // the server compares the name, however it was quoted
		"12, 3":                      rule(1, "12", "3"),
		"2 (1, 2)":                   rule(2, "1", "2"),
		"stündlich":                  rule(1, "stündlich"),
	} {
		if got, err := ParseSyncRule(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseSyncRule(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"pg-b", "a b", "a,", ",a", "ANY 2", "ANY (a)", "ANY x (a)", "FIRST 0 (a)", "-1 (a)", "2 ()", "(a)", "2 (a", "2 a)", "2 (a,)",
		"2 (*,)", "2 (* a)", `"a`, "2 (a, (b))", "FIRST", "a, any", "FIRST 1 (a) b", "2 (a))", "FIRST ANY 1 (a)",
	} {
		if got, err := ParseSyncRule(text); !errors.Is(err, ErrSyncRule) {
			t.Errorf("ParseSyncRule(%q) = %+v, %v; want ErrSyncRule", text, got, err)
		}
	}
}

func TestParseConnInfo(t *testing.T) {
	for text, want := range map[string]ConnInfo{
		"":                           nil,
		"host=a port=5432":           {{"host", "a"}, {"port", "5432"}},
		" host = a  user= b":         {{"host", "a"}, {"user", "b"}},
		`password='it''s'`:           nil, // refused below
		`password='a b' host=c`:      {{"password", "a b"}, {"host", "c"}},
		`password='it\'s \\' host=c`: {{"password", `it's \`}, {"host", "c"}},
		`password=a\ b host=''`:      {{"password", "a b"}, {"host", ""}},
		"postgresql://u:p%40@h:1/d?application_name=x%20y&sslmode=require": {
			{"host", "h"},
			{"port", "1"},
			{"user", "u"},
			{"password", "p@"},
			{"dbname", "d"},
			{"application_name", "x y"},
			{"sslmode", "require"},
		},
		"postgres://[::1]/":           {{"host", "::1"}},
		"postgres://u:p@a:1,[::2]:3/": {{"host", "a,::2"}, {"port", "1,3"}, {"user", "u"}, {"password", "p"}},
	} {
		got, err := ParseConnInfo(text)
		if strings.Contains(text, "it''s") {
			if !errors.Is(err, ErrConnInfo) {
				t.Errorf("ParseConnInfo(%q) = %v, %v; want ErrConnInfo: libpq doesn't double quotes", text, got, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseConnInfo(%q) = %v, %v; want %v", text, got, err, want)
		}
		again, err := ParseConnInfo(got.String())
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q written as %q is read as %v, %v", text, got.String(), again, err)
		}
	}
	const secret = "s3cret"
	for _, text := range []string{"host", "host a=b", "=a", "password='" + secret, "postgres://u:" + secret + "@a/?x=%zz"} {
		_, err := ParseConnInfo(text)
		if !errors.Is(err, ErrConnInfo) {
			t.Errorf("ParseConnInfo(%q): %v; want ErrConnInfo", text, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}

func TestConnInfoChanges(t *testing.T) {
	info := ConnInfo{{"host", "a"}, {"port", "1"}, {"host", "b"}, {"user", "u"}}
	if got, _ := info.Get("host"); got != "b" {
		t.Errorf("host = %q; want the last one, b", got)
	}
	if got := info.With("host", "c d").String(); got != "host='c d' port=1 user=u" {
		t.Errorf("With replaced: %q", got)
	}
	if got := info.Without("host", "port").With("sslmode", "").String(); got != "user=u sslmode=''" {
		t.Errorf("Without and With appended: %q", got)
	}
	if len(info) != 4 || info[0].Value != "a" {
		t.Errorf("the original changed: %v", info)
	}
}

func TestSchemaNamesTheRole(t *testing.T) {
	text, err := Schema("watch-dog")
	if err != nil || strings.Contains(text, `"arbiter"`) || !strings.Contains(text, `to_regrole('"watch-dog"')`) {
		t.Errorf("the role is not named: %v", err)
	}
	for _, role := range []string{"", `a"b`, "a'b", "a$do$", "1a", strings.Repeat("a", 64)} {
		if _, err := Schema(role); !errors.Is(err, ErrRoleName) {
			t.Errorf("Schema(%q): %v; want ErrRoleName", role, err)
		}
	}
}
