package fencesettings

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/failover/devices"
)

// deviceOf is a device with plain settings, from pairs.
func deviceOf(agent string, pairs ...string) Device {
	d := Device{Agent: agent}
	for i := 0; i < len(pairs); i += 2 {
		d.Settings = append(d.Settings, Setting{Key: pairs[i], Value: pairs[i+1]})
	}
	return d
}

// What docs/fencing.md lists as refused is refused before a spec is in force, not when the fence is needed. No value is named: each may be a
// secret.
func TestCheckNamesEveryFault(t *testing.T) {
	const secret = "hunter2"
	later := func(d Device, keys ...string) Device {
		for _, key := range keys {
			d.Settings = append(d.Settings, Setting{Key: key, Later: true})
		}
		return d
	}
	for name, test := range map[string]struct {
		device Device
		want   []string
	}{
		"right":                  {later(deviceOf("fence_ipmilan", "ip", "bmc", "method", "onoff", "proof", "isolated", "expect_name", "db1", "missing_as_off", "no"), "password"), nil},
		"method, from elsewhere": {later(deviceOf("/opt/fence", "proof", "off"), "method", "missing_as_off"), nil},
		"name of the agent": {deviceOf("sbin/fence_ipmilan", "ip", "bmc"), []string{
			`device: "sbin/fence_ipmilan" is neither the name of a fence agent nor an absolute path`,
		}},
		"no agent": {deviceOf("", "ip", "bmc"), []string{`device: "" is neither the name of a fence agent nor an absolute path`}},
		"keys": {deviceOf("fence_ipmilan", "a b", secret, "x\naction", secret, "action=on", secret, strings.Repeat("ä", 40), secret), []string{
			`a b: "a b" is not a name that fence agents can take`,
			"x\naction: \"x; action\" is not a name that fence agents can take",
			`action=on: "action=on" is not a name that fence agents can take`,
			strings.Repeat("ä", 40) + `: "` + strings.Repeat("ä", 28) + ` ..." is not a name that fence agents can take`,
		}},
		"twice, as agents compare keys": {deviceOf("fence_ipmilan", "User-Name", secret, "user_name", secret), []string{`user_name: "user_name" is there twice`}},
		"actions": {deviceOf("fence_ipmilan", "action", "reboot", "Option", "off"), []string{
			`action: "action" must not be set: Arbiter itself says off and status; remove it`,
			`Option: "Option" must not be set: Arbiter itself says off and status; remove it`,
		}},
		"values": {deviceOf("fence_ipmilan", "Method", " Cycle", "missing-as-off", "TRUE", "password", secret+"\naction=on", "ip", "a\x00"), []string{
			`Method: method=cycle restarts the machine instead of switching it off, and reports success too early; use method=onoff`,
			`missing-as-off: missing_as_off would take a misspelt machine for one that is off; remove it`,
			`password: the value of "password" has more than one line`,
			`ip: the value of "ip" has more than one line`,
		}},
		"Arbiter's own, not said": {deviceOf("fence_ipmilan", "proof", "", "expect_name", ""), []string{
			`proof: "proof" must be "off" or "isolated"`, `expect_name: "expect_name" must be a plain value`,
		}},
		"Arbiter's own, from elsewhere": {later(deviceOf("fence_ipmilan"), "proof", "expect_name"), []string{
			`proof: "proof" must be a plain value`, `expect_name: "expect_name" must be a plain value`,
		}},
		"a proof that is none": {deviceOf("fence_ipmilan", "proof", secret), []string{`proof: "proof" must be "off" or "isolated"`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := texts(Check(test.device))
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Errorf("a value is in %q", got)
			}
		})
	}
}

func texts(faults []Fault) []string {
	var list []string
	for _, f := range faults {
		list = append(list, fmt.Sprintf("%s: %s", f.Key, f.Message))
	}
	return list
}

// TestS3_CheckRefusesAgentsThatProveNothing: each of them says "off" of machines that may go on writing.
func TestS3_CheckRefusesAgentsThatProveNothing(t *testing.T) {
	for _, agent := range devices.Agents(devices.ProvesNothing) {
		for _, name := range []string{agent, "/usr/sbin/" + agent} {
			if faults := Check(deviceOf(name, "plug", "1")); len(faults) != 1 || faults[0].Key != "device" || !strings.Contains(faults[0].Message, agent+" can't prove") {
				t.Errorf("%s: %+v", name, faults)
			}
		}
		wantAnsweredFor(t, agent)
	}
}

// TestS3_CheckRefusesAgentsThatMisread: they take for off what is on, suspended, or not there at all.
func TestS3_CheckRefusesAgentsThatMisread(t *testing.T) {
	for _, agent := range devices.Agents(devices.Misreads) {
		if faults := Check(deviceOf("/usr/sbin/"+agent, "plug", "1")); len(faults) != 1 || faults[0].Key != "proof" || !strings.Contains(faults[0].Message, agent+" doesn't prove") {
			t.Errorf("%s: %+v", agent, faults)
		}
		wantAnsweredFor(t, agent)
	}
}

// TestS3_CheckRefusesUnknownAgents: one that only isolates would be taken for one that switches off.
func TestS3_CheckRefusesUnknownAgents(t *testing.T) {
	for _, agent := range []string{"fence_aws_vpc_net", "/opt/fence_own"} {
		if faults := Check(deviceOf(agent, "plug", "1")); len(faults) != 1 || faults[0].Key != "proof" ||
			!strings.Contains(faults[0].Message, "proof: off (") || !strings.Contains(faults[0].Message, "proof: isolated (") {
			t.Errorf("%s: %+v", agent, faults)
		}
		wantAnsweredFor(t, agent)
	}
}

// wantAnsweredFor checks that an agent is accepted by what its spec says that its off amounts to, and gives that.
func wantAnsweredFor(t *testing.T, agent string) {
	t.Helper()
	for proof, grade := range map[string]string{"off": ConfirmedOff, "isolated": ConfirmedIsolated} {
		device := deviceOf(agent, "plug", "1", "proof", proof)
		if faults, got := Check(device), LevelGrade([]Device{device}); len(faults) != 0 || got != grade {
			t.Errorf("%s, proof %s: %s, %+v", agent, proof, got, faults)
		}
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{"": "", " a\nb\x1b[0m": "a; b [0m", strings.Repeat("ä", 30): strings.Repeat("ä", 8) + " ..."} {
		if got := OneLine(text, 20); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
