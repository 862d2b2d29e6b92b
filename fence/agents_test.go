//go:build linux

package fence

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

func deviceOf(method string, pairs ...string) failover.FenceDevice {
	return failover.FenceDevice{Method: method, Timeout: generous, Settings: literals(pairs...)}
}

// switching are the agents that are known to switch a machine off and to read that back from what supplies it: its management controller, a
// power strip, a blade centre, a hypervisor, a cloud.
var switching = []string{
	// management controllers
	"fence_alom", "fence_amt", "fence_drac", "fence_drac5", "fence_idrac", "fence_ilo", "fence_ilo2", "fence_ilo3", "fence_ilo3_ssh", "fence_ilo4",
	"fence_ilo4_ssh", "fence_ilo5", "fence_ilo5_ssh", "fence_ilo_mp", "fence_ilo_ssh", "fence_imm", "fence_ipmilan", "fence_ipmilanplus",
	"fence_redfish", "fence_rsa", "fence_rsb",
	// power strips, and what controls them
	"fence_apc", "fence_apc_snmp", "fence_cdu", "fence_cyberpower_ssh", "fence_eaton_snmp", "fence_emerson", "fence_eps", "fence_ipdu",
	"fence_lindypdu", "fence_netio", "fence_powerman", "fence_raritan", "fence_raritan_px3", "fence_tripplite_snmp", "fence_wti",
	// blade centres and partitioned machines
	"fence_bladecenter", "fence_cisco_ucs", "fence_hds_cb", "fence_hpblade", "fence_ibmblade", "fence_ibmz", "fence_ilo_moonshot",
	"fence_intelmodular", "fence_ldom", "fence_lpar",
	// hypervisors and clouds
	"fence_aliyun", "fence_aws", "fence_azure_arm", "fence_docker", "fence_ecloud", "fence_gce", "fence_ibm_powervs", "fence_ibm_vpc", "fence_ironic",
	"fence_kubevirt", "fence_openstack", "fence_pve", "fence_rhevm", "fence_vbox", "fence_virsh", "fence_vmware", "fence_vmware_rest",
	"fence_vmware_soap", "fence_vmware_vcloud", "fence_xenapi", "fence_zvmip",
}

// TestS3_EveryInstalledAgentIsClassed fails for an agent that came with an upgrade, until somebody has read what its status rests on.
func TestS3_EveryInstalledAgentIsClassed(t *testing.T) {
	paths, err := filepath.Glob("/usr/sbin/fence_*")
	if err != nil || len(paths) < 80 {
		t.Fatalf("fence-agents are not installed: %d agents, %v", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		_, proves := unproving[name]
		classes := 0
		for _, is := range []bool{proves, slices.Contains(isolating, name), slices.Contains(switching, name)} {
			if is {
				classes++
			}
		}
		if classes != 1 {
			t.Errorf("%s is in %d classes: read what its off does and where its status comes from, and put it into isolating or unproving "+
				"(settings.go, docs/fencing.md), or into switching here", name, classes)
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
		"| `CONFIRMED_ISOLATED` |":          append([]string{"fence_azure_arm"}, isolating...), // with network_fencing: see cutsNetworkOnly
		"| none: refused without `proof` |": slices.Collect(maps.Keys(unproving)),
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
