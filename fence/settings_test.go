//go:build linux

package fence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/failover/devices"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

func TestRebootIsNeverAFence(t *testing.T) {
	cycle := filepath.Join(t.TempDir(), "method")
	if err := os.WriteFile(cycle, []byte("cycle\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		setting failover.Setting
		word    string
	}{
		"action":                 {failover.Setting{Key: "action", Value: "reboot"}, "must not be set"},
		"action off":             {failover.Setting{Key: "action", Value: "off"}, "must not be set"},
		"old name of action":     {failover.Setting{Key: "option", Value: "reboot"}, "must not be set"},
		"upper case":             {failover.Setting{Key: "Action", Value: "reboot"}, "must not be set"},
		"method cycle":           {failover.Setting{Key: "method", Value: "cycle"}, "use method=onoff"},
		"method cycle in a file": {failover.Setting{Key: "method", File: cycle}, "use method=onoff"},
		"missing as off":         {failover.Setting{Key: "missing_as_off", Value: "1"}, "misspelt"},
		"missing-as-off":         {failover.Setting{Key: "missing-as-off", Value: "TRUE"}, "misspelt"},
		"two lines":              {failover.Setting{Key: "login", Value: "x\naction=on"}, "more than one line"},
		"key with two lines":     {failover.Setting{Key: "x\naction", Value: "on"}, "is not a name"},
		"key with equals sign":   {failover.Setting{Key: "action=on", Value: "1"}, "is not a name"},
		"twice":                  {failover.Setting{Key: "plug", Value: "2"}, "there twice"},
		"bad proof":              {failover.Setting{Key: "proof", Value: "trust me"}, `"off" or "isolated"`},
		"expect_name from env":   {failover.Setting{Key: "expect_name", Env: "HOME"}, "plain value"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			device := r.device("1", "good", generous)
			if test.setting.Key == fencesettings.Proof {
				device.Settings = without(device.Settings, fencesettings.Proof)
			}
			device.Settings = append(device.Settings, test.setting)
			f := New(Options{})
			proof, _ := f.Isolate(t.Context(), member(level(device)), failover.Policy{}, nil)
			wantProof(t, proof, unknown, test.word)
			if path := f.PathStatus(t.Context(), member(level(device))); path.Armed {
				t.Error("armed")
			}
			if r.calls("off", "1")+r.calls("status", "1") != 0 {
				t.Error("the agent was asked all the same")
			}
			if problems := f.Validate(t.Context(), member(level(device))); !hasProblem(problems, test.word) {
				t.Errorf("validate says %+v", problems)
			}
		})
	}
}

func without(settings []failover.Setting, key string) []failover.Setting {
	return slices.DeleteFunc(settings, func(s failover.Setting) bool { return s.Key == key })
}

func hasProblem(problems []Problem, word string) bool {
	for _, p := range problems {
		if strings.Contains(p.Message, word) {
			return true
		}
	}
	return false
}

func TestValidate(t *testing.T) {
	r := newRig(t)
	openSecret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(openSecret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(openSecret, 0o644); err != nil {
		t.Fatal(err)
	}
	misspelt := r.device("1", "good", generous)
	misspelt.Settings = append(misspelt.Settings, literals("pasword", "x", "colour", "x")...)
	careless := r.device("1", "wrong-mode", generous)
	careless.Settings = append(careless.Settings, failover.Setting{Key: "password", File: openSecret})
	written := r.device("1", "good", generous, "password", "hunter2")
	gone := r.device("1", "good", generous)
	gone.Settings = append(gone.Settings, failover.Setting{Key: "password", File: "/nowhere/secret"})
	poor := failover.FenceDevice{Method: gone.Method, Timeout: generous, Settings: literals("port", "1", "proof", "off")}
	m := member(level(misspelt, careless), level(written), level(gone, poor, deviceOf("fence_nowhere", "proof", "off")), level())
	problems := New(Options{}).Validate(t.Context(), m)
	want := []Problem{
		{Level: 0, Device: 0, Key: "pasword", Message: "written into the spec", Warning: true},
		{Level: 0, Device: 0, Key: "pasword", Message: `fence_test_device does not know the setting "pasword"; did you mean "password"?`},
		{Level: 0, Device: 0, Key: "colour", Message: `fence_test_device does not know the setting "colour"`},
		{Level: 0, Device: 1, Key: "password", Message: "can be read by everybody", Warning: true},
		{Level: 0, Device: 1, Key: "mode", Message: `"mode" must be one of good, hangs`},
		{Level: 1, Device: 0, Key: "password", Message: "written into the spec", Warning: true},
		{Level: 2, Device: 0, Key: "password", Message: "/nowhere/secret"},
		{Level: 2, Device: 1, Key: "dir", Message: `needs the setting "dir"`},
		{Level: 2, Device: 2, Message: "no such fence agent"},
		{Level: 3, Message: "the level has no devices"},
	}
	if len(problems) != len(want) {
		t.Fatalf("got %d problems: %+v", len(problems), problems)
	}
	for i, p := range problems {
		w := want[i]
		if p.Level != w.Level || p.Device != w.Device || p.Key != w.Key || p.Warning != w.Warning || !strings.Contains(p.Message, w.Message) {
			t.Errorf("got %+v, want %+v", p, w)
		}
		if strings.Contains(p.Message, "hunter2") {
			t.Errorf("secret in %q", p.Message)
		}
	}
}

func TestScenario27_WrongTargetIsNotSwitchedOff(t *testing.T) {
	for name, test := range map[string]struct {
		mode string
		more []string
		ok   bool
		word string
	}{
		"right, by list":              {mode: "good", more: []string{"alias", "db1", "expect_name", "db1"}, ok: true},
		"wrong, by list":              {mode: "good", more: []string{"alias", "db2", "expect_name", "db1"}, word: `says it is "db2", the spec expects "db1"`},
		"the plug is its name":        {mode: "good", more: []string{"alias", "", "expect_name", "1"}, ok: true},
		"right, by status":            {mode: "identity", more: []string{"alias", "db1", "expect_name", "db1"}, ok: true},
		"wrong, by status":            {mode: "identity", more: []string{"alias", "db2", "expect_name", "db1"}, word: `says it is "db2"`},
		"the agent can't tell":        {mode: "no-list", more: []string{"alias", "db1", "expect_name", "db1"}, word: "can't list its machines"},
		"other separator":             {mode: "good", more: []string{"alias", "db1", "expect_name", "db1", "separator", ";"}, word: "lists no machine"},
		"no guard, nothing to ask":    {mode: "no-list", ok: true},
		"guarded device that hangs":   {mode: "hangs", more: []string{"expect_name", "db1"}, word: "time limit"},
		"guarded device that fails":   {mode: "fails", more: []string{"expect_name", "db1"}, word: "can't list"},
		"guarded device, wild answer": {mode: "garbage", more: []string{"expect_name", "db1"}, word: "can't list"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			timeout := generous
			if test.mode == "hangs" {
				timeout = 300 * time.Millisecond
			}
			m := member(level(r.device("1", test.mode, timeout, test.more...)))
			f := New(Options{})
			path := f.PathStatus(t.Context(), m)
			if path.Armed != test.ok || !strings.Contains(path.Detail, test.word) {
				t.Errorf("path %+v", path)
			}
			proof, _ := f.Isolate(t.Context(), m, failover.Policy{}, nil)
			if test.ok {
				wantProof(t, proof, off)
				return
			}
			wantProof(t, proof, unknown, test.word, "not proven to be the member's machine")
			if r.calls("off", "1") != 0 {
				t.Error("it was switched off all the same")
			}
		})
	}
}

func TestScenario28_PathStatus(t *testing.T) {
	for name, test := range map[string]struct {
		modes [][]string // by level and device
		armed bool
		words []string
	}{
		"one good":                     {modes: [][]string{{"good"}}, armed: true, words: []string{"level 1: fence_test_device 0.0"}},
		"one fails":                    {modes: [][]string{{"fails"}}, words: []string{"level 1: fence_test_device 0.0: status: the device reports an error"}},
		"one of two in a level fails":  {modes: [][]string{{"good", "fails"}}, words: []string{"fence_test_device 0.1"}},
		"first level is gone":          {modes: [][]string{{"fails"}, {"good", "good"}}, armed: true, words: []string{"level 2:", "level 1:"}},
		"hangs":                        {modes: [][]string{{"hangs"}}, words: []string{"time limit"}},
		"says on with exit status two": {modes: [][]string{{"exit-2-says-on"}}, words: []string{"contradicts"}},
		"no level":                     {words: []string{"has no fence"}},
		"empty level":                  {modes: [][]string{{}}, words: []string{"no devices"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var levels []failover.FenceLevel
			for i, modes := range test.modes {
				var devices []failover.FenceDevice
				for j, mode := range modes {
					timeout := generous
					if mode == "hangs" {
						timeout = 300 * time.Millisecond
					}
					devices = append(devices, r.device(string(rune('0'+i))+"."+string(rune('0'+j)), mode, timeout))
				}
				levels = append(levels, level(devices...))
			}
			path := New(Options{}).PathStatus(t.Context(), member(levels...))
			if path.Armed != test.armed || path.Member != "pg-a" {
				t.Fatalf("got %+v", path)
			}
			for _, word := range test.words {
				if !strings.Contains(path.Detail, word) {
					t.Errorf("%q is not in %q", word, path.Detail)
				}
			}
			for _, plug := range []string{"0.0", "0.1", "1.0", "1.1"} {
				if r.calls("off", plug) != 0 {
					t.Error("harmless it was not")
				}
			}
		})
	}
}

// TestS3_AgentsThatCanNotBeBelievedAreNotUsed: a spec from before they were refused is still in force.
func TestS3_AgentsThatCanNotBeBelievedAreNotUsed(t *testing.T) {
	for _, method := range slices.Concat(devices.Agents(devices.ProvesNothing), devices.Agents(devices.Misreads), []string{"fence_aws_vpc_net"}) {
		here := filepath.Join(t.TempDir(), method)
		if err := os.WriteFile(here, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{}).open(t.Context(), deviceOf(here, "plug", "1")); !errors.Is(err, ErrBadSetting) {
			t.Errorf("%s: %v", method, err)
		}
		if _, err := New(Options{}).open(t.Context(), deviceOf(here, "plug", "1", "proof", "off")); err != nil {
			t.Errorf("%s, answered for: %v", method, err)
		}
	}
}

// The rules for settings know grades by name only, and are asked about a device without its secrets.
func TestLevelGrade(t *testing.T) {
	perhaps := failover.FenceDevice{Method: "fence_azure_arm", Settings: []failover.Setting{{Key: "network_fencing", Env: "NETWORK"}}}
	for name, test := range map[string]struct {
		devices []failover.FenceDevice
		want    failover.ProofGrade
	}{
		"off":                  {[]failover.FenceDevice{deviceOf("fence_ipmilan")}, off},
		"isolated":             {[]failover.FenceDevice{deviceOf("fence_ipmilan"), deviceOf("fence_ipmilan", "proof", "isolated")}, isolated},
		"from the environment": {[]failover.FenceDevice{perhaps}, isolated},
	} {
		if got := levelGrade(test.devices); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if fencesettings.Attested != failover.ProofAttested {
		t.Errorf("%s is no grade", fencesettings.Attested)
	}
}

func TestDescribeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Options{}).describe(ctx, failover.FenceDevice{Method: "fence_dummy"}); err == nil {
		t.Error("no error with an ended context")
	}
}

func TestScenario28_PathStatusTellsOff(t *testing.T) {
	r := newRig(t)
	first, second := r.device("1", "good", generous), r.device("2", "good", generous)
	switchOff := func(device failover.FenceDevice) {
		t.Helper()
		if proof, _ := New(Options{}).Isolate(t.Context(), member(level(device)), failover.Policy{}, nil); proof.Grade != failover.ProofConfirmedOff {
			t.Fatalf("got %+v", proof)
		}
	}
	off := func() bool { return New(Options{}).PathStatus(t.Context(), member(level(first, second))).Off }
	if off() {
		t.Error("both are on")
	}
	if switchOff(first); off() {
		t.Error("one of two power supplies is on")
	}
	if switchOff(second); !off() {
		t.Error("both are off")
	}
}
