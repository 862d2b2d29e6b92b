//go:build linux

package fence

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/failover/devices"
)

func deviceOf(method string, pairs ...string) failover.FenceDevice {
	return failover.FenceDevice{Method: method, Timeout: generous, Settings: literals(pairs...)}
}

// TestS3_EveryInstalledAgentIsClassed fails for an agent that came with an upgrade, until somebody has read what its status rests on.
func TestS3_EveryInstalledAgentIsClassed(t *testing.T) {
	paths, err := filepath.Glob("/usr/sbin/fence_*")
	if err != nil || len(paths) < 80 {
		t.Fatalf("fence-agents are not installed: %d agents, %v", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if devices.ClassOf(path) == devices.Unknown {
			t.Errorf("%s is in no class: read what its off does and where its status comes from, and put it into the table (failover/devices, docs/fencing.md)", name)
		}
	}
}

// The table of agents in docs/fencing.md is that of the code.
func TestDocsListTheAgents(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "fencing.md"))
	if err != nil {
		t.Fatal(err)
	}
	for row, want := range map[string][]string{
		"| `CONFIRMED_OFF` |":               devices.Agents(devices.SwitchesOff),
		"| `CONFIRMED_ISOLATED` |":          append([]string{"fence_azure_arm"}, devices.Agents(devices.Isolates)...), // with network_fencing: see fencesettings
		"| none: refused without `proof` |": devices.Agents(devices.ProvesNothing),
	} {
		_, after, found := strings.Cut(string(text), "\n"+row)
		line, _, _ := strings.Cut(after, "\n")
		got := regexp.MustCompile(`fence_[a-z0-9_]+`).FindAllString(line, -1)
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !found || !slices.Equal(got, want) {
			t.Errorf("%s\nlists %v\nand the code has %v", row, got, want)
		}
	}
	for _, agent := range devices.Agents(devices.Misreads) {
		_, message := devices.ProofFault(agent)
		_, why, _ := strings.Cut(message, ": ")
		why, _, _ = strings.Cut(why, "; use another device")
		if !regexp.MustCompile("(?m)^\\| (`fence_[a-z0-9_]+`, )*`" + agent + "`(, `fence_[a-z0-9_]+`)* \\| " + regexp.QuoteMeta(why) + " \\|$").Match(text) {
			t.Errorf("no row says of %s: %s", agent, why)
		}
	}
}

func TestFenceDummy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := New(Options{})
	m := member(level(deviceOf("fence_dummy", "proof", "off", "status_file", file)))
	if path := f.PathStatus(t.Context(), m); !path.Armed {
		t.Fatalf("not armed: %+v", path)
	}
	proof, _ := f.ReadBack(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, unknown, "still on")
	began := time.Now()
	proof, _ = f.Isolate(t.Context(), m, failover.Policy{}, nil)
	t.Logf("off and read back in %v", time.Since(began))
	wantProof(t, proof, off)
	proof, _ = f.ReadBack(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, off)
	if problems := f.Validate(t.Context(), m); len(problems) != 0 {
		t.Errorf("problems %+v", problems)
	}
	bad := member(level(deviceOf("fence_dummy", "proof", "off", "status_fil", file)))
	if problems := f.Validate(t.Context(), bad); len(problems) != 1 || !strings.Contains(problems[0].Message, `did you mean "status_file"`) {
		t.Errorf("problems %+v", problems)
	}
}

func TestFenceDummyThatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := deviceOf("fence_dummy", "proof", "off", "status_file", file)
	failing := deviceOf("fence_dummy", "proof", "off", "type", "fail", "power_timeout", "1")
	proof, _ := New(Options{}).Isolate(t.Context(), member(level(failing), level(good)), failover.Policy{}, nil)
	wantProof(t, proof, off, "level 2", "level 1: fence_dummy: off: the device reports an error")
	proof, _ = New(Options{}).Isolate(t.Context(), member(level(failing, good)), failover.Policy{}, nil)
	wantProof(t, proof, unknown)
}

func TestFenceDummyThatIsSlowLosesTheRace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	slow := deviceOf("fence_dummy", "proof", "off", "status_file", file, "delay", "600")
	proof, _ := New(Options{}).Isolate(t.Context(), member(level(slow), level(r.device("1", "good", generous))),
		failover.Policy{RaceFences: true}, nil)
	wantProof(t, proof, off, "level 2")
	if content, err := os.ReadFile(file); err != nil || string(content) != "on" {
		t.Errorf("the loser went on: %q, %v", content, err)
	}
}
