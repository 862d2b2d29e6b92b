package config

import (
	"slices"
	"strings"
	"testing"
)

func TestReferences(t *testing.T) {
	text := strings.NewReplacer(
		"sslmode: verify-full", "sslmode: verify-full, sslcert: /tls/me.crt, sslkey: /tls/me.key, sslrootcert: /tls/ca.crt",
		"bmc-b.internal, username: fence", "bmc-b.internal, username: {env: BMC_USER}",
		"health: {profile: fast}", "health: {checks: [{kind: postgres}, {name: web, kind: http, port: 443, http: {path: /, ca_file: /tls/web.crt, headers: {Authorization: {file: /token}}, headers_contain: {X-Shard: {env: SHARD}}}}]}",
		"  promised_outage: 30s      # validate adds up what the worst case takes, fence time limits included\n", "",
	).Replace(onePage(t))
	want := []string{
		"file /etc/arbiter/secrets/bmc-a", "file /etc/arbiter/secrets/bmc-b", "file /tls/ca.crt", "file /tls/me.crt", "file /tls/me.key",
		"file /tls/web.crt", "file /token", "variable ARBITER_PG_PASSWORD", "variable BMC_USER", "variable SHARD",
	}
	if got := References(mustLoad(t, text)); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
