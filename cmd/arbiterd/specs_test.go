package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/fence"
)

// What would show only after the old primary is off is refused when the spec is applied, by the path that it has in YAML.
func TestEffectiveRefusesSettingsThatCannotWork(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "config", "testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, replacement, want string }{
		"nothing wrong": {"", "", ""},
		"no scheme":     {"tcp://lb-1.internal:9999", "lb:9999", `routes[0].socket: "lb:9999" must be unix:///path or tcp://host:port, for example tcp://lb-1.internal:9999`},
		"backend":       {"backend: orders", "backend: my backend", `routes[0].backend: "my backend" is no name in HAProxy: use letters, digits and . : _ -`},
		"addresses":     {"backend: orders", "backend: orders, addresses: maybe", `routes[0].addresses: can be "set" or "keep", not "maybe"`},
		"said once":     {", backend: orders", "", `routes[0].backend: is missing; router haproxy needs it`},
		"command": {
			"router: haproxy, socket: tcp://lb-1.internal:9999, backend: orders", "router: command, command: bin/move",
			`routes[0].command: "bin/move" must be an absolute path, because arbiters don't search for it`,
		},
		"a secret in the open": {
			"bmc-b.internal, username: fence", "bmc-b.internal, community: s3cr3t",
			"members[1].fence[0][0].community: a secret can't stand in a spec, because specs are replicated and shown; write {file: /path} or {env: NAME}",
		},
		"no such member": {"backend: orders", "backend: orders, server.pg-c: c", `routes[0].server.pg-c: the group has no member "pg-c"`},
		"cycle": {
			"bmc-b.internal, username: fence", "bmc-b.internal, method: cycle",
			"members[1].fence[0][0].method: method=cycle restarts the machine instead of switching it off, and reports success too early; use method=onoff",
		},
		"a proof that no device gives": {
			"- [{device: fence_ipmilan, ip: bmc-b.internal, username: fence, lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}}]\nconnect: {user: arbiter, password: {env: ARBITER_PG_PASSWORD}, sslmode: verify-full}\nhealth: {profile: fast}\npolicy:\n",
			"- [{device: fence_ipmilan, ip: bmc-b.internal, proof: isolated}, {device: fence_ipmilan, ip: bmc-c.internal}]\nconnect: {user: arbiter, password: {env: ARBITER_PG_PASSWORD}, sslmode: verify-full}\nhealth: {profile: fast}\npolicy:\n  accept_proofs: [CONFIRMED_OFF]\n",
			"members[1].fence: no level of pg-b gives a proof that policy.accept_proofs takes (fence_ipmilan + fence_ipmilan: CONFIRMED_ISOLATED), so a failover from it would be held for ever; " +
				"accept one of these too, or add a device that gives CONFIRMED_OFF",
		},
		"a proof that a person gives": {"cooldown: 5m", "accept_proofs: [CONFIRMED_ISOLATED, ATTESTED]", ""},
		"a device that cuts off":      {"lanplus: 1", "proof: isolated", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(page), test.old, test.replacement, 1)
			written, _, err := config.ParseGroup("g.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if _, err := (specs{}).Effective(written); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// Arbiters say of a spec in force what validate says of it before.
func TestLongestOutage_IsWhatValidateSays(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "config", "testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	written, _, err := config.ParseGroup("g.yaml", page)
	if err != nil {
		t.Fatal(err)
	}
	full, err := (specs{}).Effective(written)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := (specs{}).LongestOutage(full), config.Meaning(written).Worst().Outage; got != want || got == 0 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A setting that an agent doesn't know is refused together with all other faults; a caller who may only compare runs no agent.
func TestEffectiveHereRefusesSettingsThatAgentsDoNotKnow(t *testing.T) {
	agents := t.TempDir()
	asked := filepath.Join(agents, "asked")
	script := "#!/bin/sh\necho x >>" + asked + "\ncat <<XML\n<resource-agent name=\"fence_ipmilan\"><parameters>" +
		"<parameter name=\"ip\"/><parameter name=\"username\"/><parameter name=\"password\"/><parameter name=\"lanplus\"/></parameters>" +
		"<actions><action name=\"off\"/><action name=\"status\"/></actions></resource-agent>\nXML\n"
	if err := os.WriteFile(filepath.Join(agents, "fence_ipmilan"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "config", "testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := specs{fence.New(fence.Options{Directories: []string{agents}})}
	right, _, err := config.ParseGroup("g.yaml", page)
	if err != nil {
		t.Fatal(err)
	}
	if _, notes, err := s.EffectiveHere(t.Context(), right); err != nil || len(notes) > 0 {
		t.Errorf("a right spec: %q, %v", notes, err)
	}
	if lines, err := os.ReadFile(asked); err != nil || string(lines) != "x\n" {
		t.Errorf("two devices with the same agent asked it %q, %v", lines, err)
	}
	if err := os.Remove(asked); err != nil {
		t.Fatal(err)
	}
	wrong, _, err := config.ParseGroup("g.yaml", []byte(strings.NewReplacer("ip: bmc-b", "adress: bmc-b", "tcp://lb-1.internal:9999", "lb:9999").Replace(string(page))))
	if err != nil {
		t.Fatal(err)
	}
	const socket = `routes[0].socket: "lb:9999" must be unix:///path or tcp://host:port, for example tcp://lb-1.internal:9999`
	if _, err := s.Effective(wrong); err == nil || err.Error() != socket {
		t.Errorf("without agents: %v", err)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("an agent was run all the same")
	}
	const adress = `members[1].fence[0][0].adress: fence_ipmilan does not know the setting "adress"; did you mean "ip"?`
	if _, _, err := s.EffectiveHere(t.Context(), wrong); err == nil || err.Error() != socket+"\n"+adress {
		t.Errorf("with agents: %v", err)
	}
}

// An agent that is not on this machine is no fault, since another arbiter may have it. It is told of: it may be a typing error.
func TestEffectiveHereNotesAgentsThatAreNotHere(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "config", "testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := config.ParseGroup("g.yaml", []byte(strings.ReplaceAll(string(page), "fence_ipmilan", "fence_ipmilann, proof: off")))
	if err != nil {
		t.Fatal(err)
	}
	_, notes, err := specs{fence.New(fence.Options{Directories: []string{"/nowhere"}})}.EffectiveHere(t.Context(), spec)
	const want = "members[0].fence[0][0].device, members[1].fence[0][0].device: fence_ipmilann is not installed on the arbiter that leads: " +
		"there is no executable /nowhere/fence_ipmilann; did you mean fence_ipmilan?"
	if err != nil || len(notes) != 1 || !strings.HasPrefix(notes[0], want) {
		t.Errorf("got %q, %v", notes, err)
	}
}
