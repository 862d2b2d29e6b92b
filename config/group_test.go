package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

const noSecret = "a secret can't stand in a spec, because specs are replicated and shown; write {file: /path} or {env: NAME}"

// manySettings are so many settings that no agent has.
func manySettings(n int) string {
	settings := make([]string, n)
	for i := range settings {
		settings[i] = fmt.Sprintf("x%d: 1", i)
	}
	return strings.Join(settings, ", ")
}

// A spec is bounded as a whole, too: each of its parts may be within its bounds.
func TestValidate_WholeSpec(t *testing.T) {
	spec := mustLoad(t, onePage(t))
	device := spec.Members[0].Fence[0].Devices[0]
	for i := range 25 {
		device.Settings[fmt.Sprintf("x%d", i)] = &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: strings.Repeat("x", 4000)}}
	}
	if faults := Validate(spec); len(faults) != 0 {
		t.Errorf("100 kB: %v", faults)
	}
	for range 2 {
		spec.Members[0].Fence = append(spec.Members[0].Fence, spec.Members[0].Fence[0])
	}
	spec.Policy.PromisedOutage = nil
	spec.Policy.Timeouts = &arbiterv1.Timeouts{Isolate: durationpb.New(time.Minute)}
	faults := Validate(spec)
	if len(faults) != 1 || !strings.HasPrefix(faults[0].Message, "the spec has 30") || !strings.Contains(faults[0].Message, "may have 262144") {
		t.Errorf("300 kB: %v", faults)
	}
}

// onePage is the spec of the documentation.
func onePage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustLoad(t *testing.T, text string) *arbiterv1.GroupSpec {
	t.Helper()
	spec, _, err := LoadGroup("group.yaml", []byte(text))
	if err != nil {
		t.Fatalf("load:\n%v", err)
	}
	return spec
}

// Settings of agents that are spelled a little like a key of Arbiter's are theirs: fence_openstack has project_name.
func TestLoadGroup_SettingsOfAgentsPass(t *testing.T) {
	spec := mustLoad(t, strings.Replace(onePage(t), "ip: bmc-b.internal", "ip: bmc-b.internal, project_name: a, expect_name: pg-b, proof: off, port: 3", 1))
	if len(spec.Members[1].Fence[0].Devices[0].Settings) != 8 {
		t.Errorf("device is %v", spec.Members[1].Fence[0].Devices[0])
	}
}

// What docs/group-spec.md gives a default for may be left out.
func TestLoadGroup_WhatHasADefaultMayBeLeftOut(t *testing.T) {
	text := strings.Replace(onePage(t), "engine: postgres\n", "", 1)
	mustLoad(t, strings.Replace(text, "health: {profile: fast}", "health: {profile: fast, checks: [{kind: postgres}, {kind: http, port: 80}]}", 1))
	_, _, err := LoadGroup("g.yaml", []byte(strings.Replace(text, "health: {profile: fast}", "health: {profile: fast, checks: [{required: true}]}", 1)))
	if err == nil || err.Error() != "g.yaml:14: health.checks[0].kind: is missing; it can be tcp, http, postgres, service" {
		t.Errorf("got %v", err)
	}
}

func TestLoadGroup_OnePage(t *testing.T) {
	spec := mustLoad(t, onePage(t))
	device := spec.Members[1].Fence[0].Devices[0]
	if spec.Group != "orders-db" || len(spec.Members) != 2 || spec.Members[1].Address != "pg-b.internal:5432" {
		t.Errorf("members are %v", spec.Members)
	}
	if device.Device != "fence_ipmilan" || device.Settings["lanplus"].GetLiteral() != "1" ||
		device.Settings["password"].GetFile() != "/etc/arbiter/secrets/bmc-b" || len(device.Settings) != 4 {
		t.Errorf("device is %v", device)
	}
	if spec.Connect.Password.GetEnv() != "ARBITER_PG_PASSWORD" || spec.Connect.GetSslmode() != "verify-full" {
		t.Errorf("connect is %v", spec.Connect)
	}
	if spec.Policy.MaxLossBytes == nil || spec.Policy.GetMaxLossBytes() != 0 || spec.Policy.PromisedOutage.Seconds != 30 || spec.Policy.Cooldown.Seconds != 300 {
		t.Errorf("policy is %v", spec.Policy)
	}
	if r := spec.Routes[0]; r.Router != "haproxy" || r.Settings["socket"].GetLiteral() != "tcp://lb-1.internal:9999" || r.Settings["backend"].GetLiteral() != "orders" {
		t.Errorf("route is %v", r)
	}
}

// Each case is the page with one thing replaced, and the faults that must come of it, all of them, in order.
func TestLoadGroup_Faults(t *testing.T) {
	tests := []struct {
		name, old, replacement string
		want                   []string
	}{
		{
			"unknown key", "    address: pg-b.internal:5432", "    adress: pg-b.internal:5432",
			[]string{`g.yaml:11: members[1]: unknown key "adress"; did you mean "address"?`},
		},
		{
			"key like no other", "group: orders-db", "group: orders-db\ncolour: red",
			[]string{`g.yaml:2: unknown key "colour"; the keys here are connect, engine, group, health, members, policy and routes`},
		},
		{
			"mistyped key of a device is no setting", "{device: fence_ipmilan, ip: bmc-b.internal", "{device: fence_ipmilan, timeuot: 3s, ip: bmc-b.internal",
			[]string{`g.yaml:13: members[1].fence[0][0]: unknown key "timeuot"; did you mean "timeout"?`},
		},
		{
			"key twice", "  cooldown: 5m", "  cooldown: 5m\n  cooldown: 6m",
			[]string{`g.yaml:21: policy.cooldown: the key is here twice; first in line 20`},
		},
		{
			"wrong types, all listed", "  automation: full", "  automation: [full]\n  lease: 2\n  race_fences: maybe\n  down_votes: two\n  timeouts: 5s",
			[]string{
				`g.yaml:17: policy.automation: want one word, not a list`,
				`g.yaml:18: policy.lease: 2 needs a unit, for example 2s or 2ms`,
				`g.yaml:19: policy.race_fences: want true or false, not "maybe"`,
				`g.yaml:20: policy.down_votes: want a whole number, not "two"`,
				`g.yaml:21: policy.timeouts: want a mapping (key: value), not "5s"`,
			},
		},
		{
			"size without unit", "max_loss: none ", "max_loss: 16 ",
			[]string{`g.yaml:18: policy.max_loss: read 16 as a size: it needs a unit, for example 16MB or 16B`},
		},
		{
			"no value", "engine: postgres", "engine:",
			[]string{`g.yaml:2: engine: has no value; leave the key out for the default`},
		},
		{
			"anchor", "zone: az-b", "zone: &z az-b",
			[]string{`g.yaml:10: members[1].zone: anchors (&), aliases (*) and tags (!) can't be used here; write the value itself`},
		},
		{
			"second document", "group: orders-db", "group: a\n---\ngroup: orders-db",
			[]string{`g.yaml:3: a second document begins; write one file for each`},
		},
		{
			"not YAML", "group: orders-db", "group: [orders-db",
			[]string{`g.yaml:2: ',' or ']' must be specified`},
		},
		{
			"bad name", "group: orders-db", "group: Orders DB",
			[]string{`g.yaml:1: group: "Orders DB" is no name: use lower-case letters, digits, '-' and '_', up to 63, no '-' or '_' at the ends`},
		},
		{
			"no name", "group: orders-db\n", "",
			[]string{`g.yaml:1: group: is missing; a name has lower-case letters, digits, '-' and '_', up to 63`},
		},
		{
			"engine", "engine: postgres", "engine: mysql",
			[]string{`g.yaml:2: engine: "mysql" can't be used here; it can be postgres, http`},
		},
		{
			"near choice", "automation: full", "automation: ful",
			[]string{`g.yaml:17: policy.automation: "ful" can't be used here; did you mean "full"?`},
		},
		{
			"duplicate member", "name: pg-b", "name: pg-a",
			[]string{
				`g.yaml:9: members[1].name: two members are called "pg-a" (the other is members[0])`,
				`g.yaml:9: members[1].application_name: "pg-a" is the application_name of members[0] too; the primary couldn't tell its standbys apart`,
			},
		},
		{
			"duplicate address", "pg-b.internal:5432", "PG-a.internal:5432",
			[]string{`g.yaml:11: members[1].address: pg-a.internal:5432 is the address of members[0] too; a member is one service at one address`},
		},
		{
			"address without port", "address: pg-b.internal:5432", "address: pg-b.internal",
			[]string{`g.yaml:11: members[1].address: "pg-b.internal" is no host:port; want for example pg-a.internal:5432 or [2001:db8::1]:5432`},
		},
		{
			"bare IPv6", "address: pg-b.internal:5432", `address: "2001:db8::1:5432"`,
			[]string{`g.yaml:11: members[1].address: "2001:db8::1:5432" is no host:port; write an IPv6 address in brackets, for example [2001:db8::1]:5432`},
		},
		{
			"port out of range", "address: pg-b.internal:5432", "address: pg-b.internal:54321234",
			[]string{`g.yaml:11: members[1].address: "54321234" is no port; want a number from 1 to 65535`},
		},
		{
			"no fence", "    fence:\n      - [{device: fence_ipmilan, ip: bmc-b.internal, username: fence, lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}}]\n", "",
			[]string{`g.yaml:9: members[1].fence: pg-b has no fence, so nothing could prove that it stopped writing; give it at least one level, for example - [{device: fence_ipmilan, ip: bmc.internal, ...}]`},
		},
		{
			"password in the open", "password: {env: ARBITER_PG_PASSWORD}", "password: hunter2",
			[]string{`g.yaml:14: connect.password: ` + noSecret},
		},
		{
			"secrets of a fence device in the open", "lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}",
			"community: s3cr3t, snmp_priv_passwd: hunter2, pasword: hunter2, proxy: \"http://me:hunter2@proxy:3128\", credentials: /etc/arbiter/cloud.json, password_script: /usr/bin/ask",
			[]string{
				`g.yaml:13: members[1].fence[0][0].community: ` + noSecret,
				`g.yaml:13: members[1].fence[0][0].pasword: ` + noSecret,
				`g.yaml:13: members[1].fence[0][0].proxy: a URL with a password can't stand in a spec, because specs are replicated and shown; write {file: /path} or {env: NAME} for all of it`,
				`g.yaml:13: members[1].fence[0][0].snmp_priv_passwd: ` + noSecret,
			},
		},
		{
			"secrets of a check in the open", "health: {profile: fast}",
			"health:\n  profile: fast\n  checks:\n    - {kind: postgres}\n    - kind: http\n      port: 80\n      http:\n        headers:\n          Host: db\n          Authorization: Bearer abcdef\n" +
				"          X-Api-Key: abcdef\n          Cookie: {file: /etc/arbiter/cookie}\n        headers_contain: {Server: db, Set-Cookie: abcdef}",
			[]string{
				`g.yaml:24: health.checks[1].http.headers.Authorization: ` + noSecret,
				`g.yaml:25: health.checks[1].http.headers.X-Api-Key: ` + noSecret,
				`g.yaml:27: health.checks[1].http.headers_contain.Set-Cookie: ` + noSecret,
			},
		},
		{
			"secret of a route in the open", "router: haproxy, socket: tcp://lb-1.internal:9999, backend: orders", "router: command, command: /usr/bin/move, api_token: abcdef",
			[]string{`g.yaml:22: routes[0].api_token: ` + noSecret},
		},
		{
			"too long a value", "ip: bmc-b.internal", "ip: " + strings.Repeat("b", 4097),
			[]string{`g.yaml:13: members[1].fence[0][0].ip: must be at most 4096 bytes`},
		},
		{
			"too long a name", "ip: bmc-b.internal", strings.Repeat("b", 65) + ": x",
			[]string{`g.yaml:13: members[1].fence[0][0].` + strings.Repeat("b", 65) + `: must be at most 64 bytes`},
		},
		{
			"too many settings", "ip: bmc-b.internal", manySettings(30),
			[]string{`g.yaml:13: members[1].fence[0][0].settings: map must be at most 32 entries`},
		},
		{
			"fence action", "lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}", "action: reboot",
			[]string{`g.yaml:13: members[1].fence[0][0].action: "action" must not be set: Arbiter itself says off and status; remove it`},
		},
		{
			"window too short", "health: {profile: fast}", "health: {checks: [{kind: postgres, name: pg, interval: 200ms, timeout: 500ms, failures: 3, window: 1s}]}\n#",
			[]string{`g.yaml:15: health.checks[0].window: 1s can't hold 3 failures: failures 3 x interval 200ms + timeout 500ms = 1.1s`},
		},
		{
			"no required check", "health: {profile: fast}", "health: {profile: fast, checks: [{kind: tcp, name: t, required: false}]}",
			[]string{`g.yaml:15: health.checks: no check is required, so no member could ever count as down; leave ` + "`required`" + ` out of at least one`},
		},
		{
			"nothing tells the primary", "health: {profile: fast}", "health: {profile: fast, checks: [{kind: tcp}, {kind: http, port: 80}]}",
			[]string{`g.yaml:15: health.checks: none asks a member whether it is the primary and accepts writes, so the group could never be adopted; add one of kind postgres, or leave checks out`},
		},
		{
			"a promise that a freeze breaks", "health: {profile: fast}", "health: {profile: fast, checks: [{kind: tcp}, {kind: postgres, required: false}]}",
			[]string{`g.yaml:19: policy.promised_outage: 30s can't be kept: no required check sees a freeze or a hung disk; leave ` + "`required`" + ` out of one of kind postgres`},
		},
		{
			"http check without port", "health: {profile: fast}", "health: {profile: fast, checks: [{kind: postgres}, {kind: http, name: web}]}",
			[]string{`g.yaml:15: health.checks[1].port: is missing: an http check needs the port of the HTTP server, because the member's address is the database's`},
		},
		{
			"route without backend", ", backend: orders", "",
			[]string{`g.yaml:22: routes[0].backend: is missing; router haproxy needs it`},
		},
		{
			"votes", "cooldown: 5m", "down_votes: 1",
			[]string{`g.yaml:20: policy.down_votes: 1 is not possible: it takes a majority of the arbiters, which are 3 or 5, so 2 to 5; leave it out for a majority`},
		},
		{
			"fence outlasts isolate", "cooldown: 5m", "timeouts: {isolate: 5s}",
			[]string{
				`g.yaml:7: members[0].fence: the devices may take 20s (time-out x tries, all levels one after another), longer than policy.timeouts.isolate 5s: the last ones would never finish`,
				`g.yaml:12: members[1].fence: the devices may take 20s (time-out x tries, all levels one after another), longer than policy.timeouts.isolate 5s: the last ones would never finish`,
			},
		},
		{
			"a level of nothing", "    fence:\n      - [{device: fence_ipmilan, ip: bmc-a", "    fence:\n      - []\n      - [{device: fence_ipmilan, ip: bmc-a",
			[]string{`g.yaml:8: members[0].fence[0]: needs at least 1 device`},
		},
		{
			"a proof that is none", "lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}", "proof: CONFIRMED_OFF",
			[]string{`g.yaml:13: members[1].fence[0][0].proof: "proof" must be "off" or "isolated"`},
		},
		{
			"promise", "promised_outage: 30s", "promised_outage: 2s",
			[]string{`g.yaml:19: policy.promised_outage: 2s can't be kept: detect 2 x 250ms + time-out 250ms + look again 250ms + lease 2s + ` +
				`timeouts.isolate 20s + timeouts.catch_up 500ms + timeouts.promote 2s + timeouts.configure 500ms + timeouts.route 500ms = 26.5s; ` +
				`promise 26.5s or more, or lower what makes most of it: timeout and retries of the fence devices (20s), policy.lease (2s), policy.timeouts.promote (2s)`},
		},
		{
			"promise against own limits", "promised_outage: 30s", "promised_outage: 30s\n  timeouts: {promote: 10s}",
			[]string{`g.yaml:19: policy.promised_outage: 30s can't be kept: detect 2 x 250ms + time-out 250ms + look again 250ms + lease 2s + ` +
				`timeouts.isolate 20s + timeouts.catch_up 500ms + timeouts.promote 10s + timeouts.configure 500ms + timeouts.route 500ms = 34.5s; ` +
				`promise 34.5s or more, or lower what makes most of it: timeout and retries of the fence devices (20s), policy.timeouts.promote (10s), policy.lease (2s)`},
		},
		{
			"file and env together", "password: {env: ARBITER_PG_PASSWORD}", "password: {file: /etc/pg, env: ARBITER_PG_PASSWORD}",
			[]string{`g.yaml:14: connect.password.env: can't stand beside file: the value comes from one place; keep one of them`},
		},
		{
			"relative file", "{file: /etc/arbiter/secrets/bmc-b}", "{file: ./bmc-b}",
			[]string{`g.yaml:13: members[1].fence[0][0].password.file: "./bmc-b" must be an absolute path on each arbiter, for example /etc/arbiter/secrets/bmc-a`},
		},
		{
			"no variable", "{env: ARBITER_PG_PASSWORD}", "{env: $PW}",
			[]string{`g.yaml:14: connect.password.env: "$PW" is no name of an environment variable`},
		},
		{
			"relative certificate", "sslmode: verify-full", "sslrootcert: ca.crt",
			[]string{`g.yaml:14: connect.sslrootcert: "ca.crt" must be an absolute path on each arbiter, for example /etc/arbiter/secrets/bmc-a`},
		},
		{
			"proof that nothing gives", "cooldown: 5m", "accept_proofs: [DEMOTED_CLEANLY]",
			[]string{`g.yaml:20: policy.accept_proofs: nothing in this release gives DEMOTED_CLEANLY, so every failover would be held; accept CONFIRMED_OFF or CONFIRMED_ISOLATED too`},
		},
		{
			"no proof", "cooldown: 5m", "accept_proofs: []",
			[]string{`g.yaml:20: policy.accept_proofs: is empty, and no list at all would mean the default; name at least one, or leave the key out for the default`},
		},
		{
			"form and meaning together", "    address: pg-b.internal:5432\n    fence:\n      - [{device: fence_ipmilan, ip: bmc-b.internal, username",
			"    adress: pg-b.internal:5432\n    fence:\n      - [{device: fence_ipmilan, expect_nam: pg-b, ip: bmc-b.internal, timeout: 0s, username",
			[]string{
				`g.yaml:11: members[1]: unknown key "adress"; did you mean "address"?`,
				`g.yaml:13: members[1].fence[0][0].timeout: must be longer than nothing`,
				`g.yaml:13: members[1].fence[0][0].expect_nam: unknown key; did you mean "expect_name"? Arbiter would not heed it, and the agent would not know it`,
			},
		},
		{
			"unknown key and promise", "promised_outage: 30s", "promised_outage: 2s\n  automtion: full",
			[]string{
				`g.yaml:19: policy.promised_outage: 2s can't be kept: detect 2 x 250ms + time-out 250ms + look again 250ms + lease 2s + ` +
					`timeouts.isolate 20s + timeouts.catch_up 500ms + timeouts.promote 2s + timeouts.configure 500ms + timeouts.route 500ms = 26.5s; ` +
					`promise 26.5s or more, or lower what makes most of it: timeout and retries of the fence devices (20s), policy.lease (2s), policy.timeouts.promote (2s)`,
				`g.yaml:20: policy: unknown key "automtion"; did you mean "automation"?`,
			},
		},
		{
			"a broken member keeps its place", "  - name: pg-b\n", "  - x\n  - name: pg-B\n",
			[]string{
				`g.yaml:9: members[1]: want a mapping (key: value), not "x"`,
				`g.yaml:10: members[2].name: "pg-B" is no name: use lower-case letters, digits, '-' and '_', up to 63, no '-' or '_' at the ends`,
			},
		},
		{
			"in a list", "cooldown: 5m", "accept_proofs: [ATTESTED, CONFIRMED_OF]\n  also_down: [slowly, drunk]",
			[]string{
				`g.yaml:20: policy.accept_proofs[1]: "CONFIRMED_OF" can't be used here; did you mean "CONFIRMED_OFF"?`,
				`g.yaml:21: policy.also_down[0]: "slowly" can't be used here; did you mean "slow"?`,
				`g.yaml:21: policy.also_down[1]: "drunk" can't be used here; it can be too-many-connections, starting-up, crash-recovery, shutting-down, read-only, disk-full, slow, wrong-answer`,
			},
		},
		{
			"keys of Arbiter at a device", "lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}", "expected_name: pg-b, proff: off",
			[]string{
				`g.yaml:13: members[1].fence[0][0].expected_name: unknown key; did you mean "expect_name"? Arbiter would not heed it, and the agent would not know it`,
				`g.yaml:13: members[1].fence[0][0].proff: unknown key; did you mean "proof"? Arbiter would not heed it, and the agent would not know it`,
			},
		},
		{
			"settings under which no fence proves anything", "[{device: fence_ipmilan, ip: bmc-b.internal, username: fence, lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}}]",
			"[{device: fence_ipmilan, ip: bmc-b.internal, method: cycle, missing-as-off: 1,\n         IP: x, a b: c, expect_name: {env: NAME}, proof: {file: /x}},\n" +
				"         {device: sbin/fence_ipmilan, password: {file: /x}, username: \"a\\nb\"},\n         {device: fence_own}]",
			[]string{
				`g.yaml:13: members[1].fence[0][0].ip: "ip" is there twice`,
				`g.yaml:13: members[1].fence[0][0].method: method=cycle restarts the machine instead of switching it off, and reports success too early; use method=onoff`,
				`g.yaml:13: members[1].fence[0][0].missing-as-off: missing_as_off would take a misspelt machine for one that is off; remove it`,
				`g.yaml:14: members[1].fence[0][0].a b: "a b" is not a name that fence agents can take`,
				`g.yaml:14: members[1].fence[0][0].expect_name: "expect_name" must be a plain value`,
				`g.yaml:14: members[1].fence[0][0].proof: "proof" must be a plain value`,
				`g.yaml:15: members[1].fence[0][1].device: "sbin/fence_ipmilan" is neither the name of a fence agent nor an absolute path`,
				`g.yaml:15: members[1].fence[0][1].username: the value of "username" has more than one line`,
				`g.yaml:16: members[1].fence[0][2].proof: fence_own is none of the agents whose off Arbiter knows; say what it amounts to, and answer for it: ` +
					`proof: off (the machine is switched off), or proof: isolated (it runs on, cut off from its storage or its clients)`,
			},
		},
		{
			"a proof that no device gives", "cooldown: 5m", "accept_proofs: [CONFIRMED_ISOLATED]",
			[]string{
				`g.yaml:7: members[0].fence: no level of pg-a gives a proof that policy.accept_proofs takes (fence_ipmilan: CONFIRMED_OFF), so a failover from it would be held for ever; ` +
					`accept one of these too, or add a device that gives CONFIRMED_ISOLATED`,
				`g.yaml:12: members[1].fence: no level of pg-b gives a proof that policy.accept_proofs takes (fence_ipmilan: CONFIRMED_OFF), so a failover from it would be held for ever; ` +
					`accept one of these too, or add a device that gives CONFIRMED_ISOLATED`,
			},
		},
		{
			"a proof that is misspelt", "cooldown: 5m", "accept_proofs: [CONFIRMED_OF]",
			[]string{`g.yaml:20: policy.accept_proofs[0]: "CONFIRMED_OF" can't be used here; did you mean "CONFIRMED_OFF"?`},
		},
		{
			"role", "    zone: az-b", "    role: primary\n    zone: az-b",
			[]string{"g.yaml:10: members[1]: unknown key \"role\"; who is primary isn't written down: `arbiterctl adopt` finds it, and every failover changes it; leave the key out"},
		},
		{
			"preferred zone", "cooldown: 5m", "preferred_zone: az-z",
			[]string{`g.yaml:20: policy.preferred_zone: no member is in zone "az-z"`},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			page := onePage(t)
			if !strings.Contains(page, test.old) {
				t.Fatalf("the page has no %q", test.old)
			}
			if i := strings.LastIndex(page, test.old); i >= 0 {
				page = page[:i] + test.replacement + page[i+len(test.old):]
			}
			spec, _, err := LoadGroup("g.yaml", []byte(page))
			if err == nil {
				t.Fatal("no fault was found")
			}
			if spec != nil {
				t.Error("a spec came with the faults")
			}
			if got, want := err.Error(), strings.Join(test.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// What is named as the least promise can be kept, and nothing less can.
func TestLoadGroup_LeastPromise(t *testing.T) {
	page := onePage(t)
	mustLoad(t, strings.Replace(page, "promised_outage: 30s", "promised_outage: 26.5s", 1))
	_, _, err := LoadGroup("g.yaml", []byte(strings.Replace(page, "promised_outage: 30s", "promised_outage: 26.4s", 1)))
	if err == nil || !strings.Contains(err.Error(), "promise 26.5s or more") {
		t.Errorf("26.4s: %v", err)
	}
}

func TestLoadGroup_SingleMemberAndEmptyFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "g.yaml:1: the file is empty",
		"# only\n":                "g.yaml:1: the file is empty",
		"- a\n":                   "g.yaml:1: want a mapping (key: value), not a list",
		"a:\n\t- b\n":             "g.yaml:2: a tab can't indent YAML; use spaces",
		"x:\n- a: b\n\n   c: d\n": "g.yaml:4: the line is indented too far: it would belong to the value above it",
		"a: 1\nb: c: d\n":         `g.yaml:2: a value that has ": " in it must stand in quotes`,
		"group: {a: }":            "g.yaml:1: group: want one word, not a mapping\ng.yaml:1: members: needs at least 2 members",
		"null\n":                  "g.yaml:1: the file is empty",
	} {
		if _, _, err := LoadGroup("g.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// Every field of the schema must be readable and writable: a new kind of field needs code, and this test says so.
func TestSchema_EveryFieldCanBeWrittenInYAML(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	var walk func(m protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if _, special := scalarMessages[m.FullName()]; special || seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			if field.IsMap() {
				if v := field.MapValue(); v.Message() == nil || v.Message().FullName() != valueMessage {
					t.Errorf("%s: only maps of Value are known", field.FullName())
				}
				continue
			}
			switch field.Kind() {
			case protoreflect.MessageKind:
				walk(field.Message())
			case protoreflect.StringKind, protoreflect.BoolKind, protoreflect.Uint32Kind, protoreflect.Uint64Kind:
			default:
				t.Errorf("%s: kind %v is not known", field.FullName(), field.Kind())
			}
		}
	}
	walk((&arbiterv1.GroupSpec{}).ProtoReflect().Descriptor())
}

func TestFormatGroup_ReadsBack(t *testing.T) {
	for _, spec := range []*arbiterv1.GroupSpec{mustLoad(t, onePage(t)), Defaults(mustLoad(t, onePage(t)))} {
		text := FormatGroup(spec)
		again, _, err := ParseGroup("again", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !proto.Equal(spec, again) {
			t.Errorf("another spec was read back:\n%s", text)
		}
	}
}

func TestFormatGroup_ReadsBackAnySpec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := &arbiterv1.GroupSpec{}
		drawMessage(t, spec.ProtoReflect(), 0)
		text := FormatGroup(spec)
		if len(text) == 0 {
			return // nothing was set; an empty file isn't a spec
		}
		again, _, err := ParseGroup("again", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !proto.Equal(spec, again) {
			t.Fatalf("another spec was read back:\n%s\n%s\nis not\n%s", text, again, spec)
		}
	})
}

// drawMessage fills a message with anything that YAML has to be able to carry. Messages and lists are never empty:
// YAML can't tell an empty one from one that isn't there.
func drawMessage(t *rapid.T, m protoreflect.Message, depth int) {
	name := m.Descriptor().FullName()
	if shape, special := scalarMessages[name]; special {
		millis := rapid.Int64Range(0, 1e9).Draw(t, "millis")
		if err := shape.read(formatMillis(millis), m); err != nil {
			t.Fatal(err)
		}
		return
	}
	fields := m.Descriptor().Fields()
	if name == valueMessage {
		field := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "which"))
		m.Set(field, protoreflect.ValueOfString(rapid.String().Draw(t, "text")))
		return
	}
	_, wraps := wrappers[name]
	for i := range fields.Len() {
		// The first field is always set, so that no message is empty.
		if i == 0 || wraps || rapid.Bool().Draw(t, "set") {
			drawField(t, m, fields.Get(i), depth)
		}
	}
}

func formatMillis(millis int64) string { return protoreflect.ValueOfInt64(millis).String() + "ms" }

func drawField(t *rapid.T, m protoreflect.Message, field protoreflect.FieldDescriptor, depth int) {
	switch {
	case field.IsMap():
		for _, key := range rapid.SliceOfN(rapid.StringMatching(`x[a-z0-9_.: -]{0,6}`), 1, 3).Draw(t, "keys") {
			value := m.Mutable(field).Map().NewValue()
			drawMessage(t, value.Message(), depth+1)
			m.Mutable(field).Map().Set(protoreflect.ValueOfString(key).MapKey(), value)
		}
	case field.IsList():
		list := m.Mutable(field).List()
		for range rapid.IntRange(1, 3).Draw(t, "length") {
			if field.Kind() == protoreflect.MessageKind {
				drawMessage(t, list.AppendMutable().Message(), depth+1)
			} else {
				list.Append(drawScalar(t, field))
			}
		}
	case field.Kind() == protoreflect.MessageKind:
		drawMessage(t, m.Mutable(field).Message(), depth+1)
	default:
		value := drawScalar(t, field)
		if !field.HasPresence() && value.Equal(field.Default()) {
			// A field without presence can't say that it is at its default; give it another value, so that its message isn't empty.
			if field.Kind() == protoreflect.StringKind {
				value = protoreflect.ValueOfString("x")
			} else if field.Kind() == protoreflect.BoolKind {
				value = protoreflect.ValueOfBool(true)
			}
		}
		m.Set(field, value)
	}
}

func drawScalar(t *rapid.T, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
	}
	return protoreflect.ValueOfString(rapid.String().Draw(t, "text"))
}

// Whatever is in a file, reading it ends with a spec or with faults, never with a crash.
func TestLoadGroup_SurvivesAnyText(t *testing.T) {
	page := onePage(t)
	rapid.Check(t, func(t *rapid.T) {
		cut := rapid.IntRange(0, len(page)).Draw(t, "cut")
		skip := rapid.IntRange(cut, len(page)).Draw(t, "skip")
		text := page[:cut] + rapid.StringOfN(rapid.RuneFrom([]rune("abc:-[]{}&*!|>'\"#\n\t 0.~?%@,")), 0, 12, -1).Draw(t, "put") + page[skip:]
		spec, _, err := LoadGroup("g.yaml", []byte(text))
		if (spec == nil) == (err == nil) {
			t.Fatalf("spec %v and error %v", spec, err)
		}
	})
}

// The agents for shared storage have a setting that is one letter away from the key for the agent itself.
func TestFenceDevices_IsPassedOn(t *testing.T) {
	const text = "group: g\nmembers:\n" +
		"  - {name: pg-a, zone: a, address: \"10.0.0.1:5432\", fence: [[{device: fence_scsi, proof: off, devices: \"/dev/sdb,/dev/sdc\", plug: pg-a}]]}\n" +
		"  - {name: pg-b, zone: b, address: \"10.0.0.2:5432\", fence: [[{device: fence_mpath, proof: off, devices: /dev/mapper/a, key: 2}]]}\n"
	spec := mustLoad(t, text)
	for i, want := range []string{"/dev/sdb,/dev/sdc", "/dev/mapper/a"} {
		if got := spec.Members[i].Fence[0].Devices[0].Settings["devices"].GetLiteral(); got != want {
			t.Errorf("member %d: devices %q, want %q", i, got, want)
		}
	}
	if again := mustLoad(t, string(FormatGroup(spec))); !proto.Equal(again, spec) {
		t.Errorf("written and read back: %v", again)
	}
	if _, _, err := LoadGroup("g.yaml", []byte(strings.Replace(text, "devices: /dev/mapper/a", "devise: /dev/mapper/a", 1))); err == nil || !strings.Contains(err.Error(), `did you mean "device"?`) {
		t.Errorf("devise: %v", err)
	}
}
