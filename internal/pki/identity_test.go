package pki

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestIdentity_RoundTrip(t *testing.T) {
	tests := map[string]Identity{
		"arbiter://prod/arbiter/az-a":                                       {Cluster: "prod", Role: RoleArbiter, Name: "az-a"},
		"arbiter://prod.example/operator/dana@example.org":                  {Cluster: "prod.example", Role: RoleOperator, Name: "dana@example.org"},
		"arbiter://prod/operator/bot?group=billing&group=orders&verb=pause": {Cluster: "prod", Role: RoleOperator, Name: "bot", Groups: []string{"billing", "orders"}, Verbs: []string{"pause"}},
		"arbiter://prod/agent/pg-a":                                         {Cluster: "prod", Role: RoleAgent, Name: "pg-a"},
	}
	for text, identity := range tests {
		if got := identity.String(); got != text {
			t.Errorf("String() = %q, want %q", got, text)
		}
		got, err := ParseIdentity(text)
		if err != nil || !reflect.DeepEqual(got, identity) {
			t.Errorf("ParseIdentity(%q) = %+v, %v; want %+v", text, got, err, identity)
		}
	}
}

func TestParseIdentity_RefusesWhatItDoesNotKnow(t *testing.T) {
	tests := map[string]string{
		"https://prod/arbiter/az-a":                           "is needed",
		"arbiter://prod/arbiter":                              "is needed",
		"arbiter://root@prod/arbiter/az-a":                    "is needed",
		"arbiter://prod/arbiter/az-a#x":                       "is needed",
		"arbiter://prod/king/arthur":                          "unknown role",
		"arbiter://Prod/arbiter/az-a":                         "cluster name",
		"arbiter:///arbiter/az-a":                             "cluster name",
		"arbiter://prod/arbiter/az a":                         "name",
		"arbiter://prod/arbiter/a/b":                          "name",
		"arbiter://prod/arbiter/":                             "name",
		"arbiter://prod/operator/bot?until=tuesday":           "does not know",
		"arbiter://prod/operator/bot?group=":                  "limit",
		"arbiter://prod/operator/bot?group=%zz":               "limits",
		"arbiter://" + strings.Repeat("a", 64) + "/arbiter/x": "cluster name",
	}
	for text, want := range tests {
		_, err := ParseIdentity(text)
		if !errors.Is(err, ErrBadIdentity) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseIdentity(%q) = %v, want ErrBadIdentity that says %q", text, err, want)
		}
	}
}
