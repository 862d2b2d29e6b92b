//go:build linux

package fence

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover/devices"
)

// stand is a fake of whatever agents ask: a console behind ssh, and programs that print the answer.
type stand struct{ dir string }

func newStand(t *testing.T, answer string) stand {
	s := stand{t.TempDir()}
	file := filepath.Join(s.dir, "answer")
	commands := "printf '\\r\\nPROMPT> '; while read -r line; do printf '%s\\r\\n' \"$line\"; cat '" + file + "'; printf '\\r\\nPROMPT> '; done\n"
	for name, content := range map[string]string{
		"answer": answer,
		"says":   "#!/bin/sh\ncat '" + file + "'\n",
		// Consoles that let anybody in and give one answer to every command.
		"console": "#!/bin/sh\nprintf 'login: Password: '; read -r _\n" + commands,
		"telnet":  "#!/bin/sh\nread -r _; read -r _; printf 'login: '; read -r _; printf 'Password: '; read -r _\n" + commands,
		// What a Lindy strip calls itself.
		"walk": "#!/bin/sh\necho '.1.3.6.1.2.1.1.2.0 .1.3.6.1.4.1.17420'\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// status is what an agent makes of the answer, by its own program.
func (s stand) status(t *testing.T, method, settings string) (power, error) {
	t.Helper()
	pairs := []string{"proof", "off"} // the question is what it says, not whether it is let
	for line := range strings.Lines(strings.ReplaceAll(settings, "DIR", s.dir)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			pairs = append(pairs, key, value)
		}
	}
	state := powerUnknown
	_, err := New(Options{}).withAgent(t.Context(), deviceOf("/usr/sbin/"+method, pairs...), func(a *agent, ctx context.Context) (_ string, err error) {
		state, err = a.status(ctx)
		return "", err
	})
	return state, err
}

const (
	byConsole = "ip=x\nusername=u\npassword=hunter2\nssh=1\nssh_path=DIR/console\ncommand_prompt=PROMPT>\nshell_timeout=15\npower_timeout=15\n"
	byTelnet  = "ip=x\nusername=u\npassword=hunter2\ntelnet_path=DIR/telnet\ncommand_prompt=PROMPT>\nshell_timeout=15\n"
	bySNMP    = "ip=x\ncommunity=c\nplug=1\nsnmpget_path=DIR/says\nsnmpwalk_path=DIR/walk\n"
	byIPMI    = "ip=x\nusername=u\npassword=hunter2\nipmitool_path=DIR/says\n"
)

// nonsense are answers that say nothing of the machine, though some have the words for it.
var nonsense = []string{
	"",
	"unknown\r\n",
	"sh: command not found\r\nNo Such Instance currently exists at this OID\r\nerror: failed to switch it off, try later\r\nstate: suspended\r\n",
}

// TestS3_TrustedAgentsSayOffOnlyOfWhatIsOff runs the agents whose word counts by itself, as far as they let a fake stand in for what they ask: they
// say off for the word of their device, and for nothing else.
func TestS3_TrustedAgentsSayOffOnlyOfWhatIsOff(t *testing.T) {
	for agent, test := range map[string]struct{ settings, before, off string }{
		"fence_alom":         {byConsole, "", "S0 OS Standby\r\n"},
		"fence_drac5":        {byConsole + "drac_version=DRAC 5\n", "", "Server power status: OFF\r\n"},
		"fence_hpblade":      {byConsole + "plug=1\n", "Enclosure Type: BladeSystem c7000\r\n", "\tPower: Off\r\n"},
		"fence_ilo_moonshot": {byConsole + "plug=1\n", "", "c1n1 1 a b c d e f OFF g\r\n"},
		"fence_ipmilan":      {byIPMI, "", "Chassis Power is off\n"},
		"fence_ilo5":         {byIPMI, "", "Chassis Power is off\n"},
		"fence_ironic":       {"username=u\npassword=hunter2\nauth_url=x\ntenant_name=x\nplug=1\nopenstack_path=DIR/says\n", "", "power off\n"},
		"fence_lindypdu":     {bySNMP + "switch=1\n", "", ".1.3 \"0,1\"\n"},
		"fence_powerman":     {"ip=x\nplug=1\ndelay=0\npowerman_path=DIR/says\n", "", "off:     1\n"},
		"fence_rsa":          {byConsole, "", "Power: Off\r\n"},
	} {
		t.Run(agent, func(t *testing.T) {
			t.Parallel()
			if devices.ClassOf(agent) != devices.SwitchesOff {
				t.Errorf("it is of class %v", devices.ClassOf(agent))
			}
			if state, err := newStand(t, test.before+test.off).status(t, agent, test.settings); state != powerOff {
				t.Errorf("%q: %s, %v: the fake does not reach it", test.off, state, err)
			}
			for _, answer := range nonsense {
				if state, _ := newStand(t, test.before+answer).status(t, agent, test.settings); state == powerOff {
					t.Errorf("%q: it says off", answer)
				}
			}
		})
	}
}

// TestS3_AgentsThatMisreadDoSayOff shows why the word of others doesn't count: none of these answers says that the machine is off.
func TestS3_AgentsThatMisreadDoSayOff(t *testing.T) {
	const lost = ".1.3 No Such Instance currently exists at this OID\n"
	for agent, test := range map[string]struct{ settings, answer string }{
		"fence_amt":            {"ip=x\npassword=hunter2\namttool_path=DIR/says\n", "Powerstate: S3\n"},
		"fence_apc_snmp":       {bySNMP, lost},
		"fence_cisco_mds":      {strings.Replace(bySNMP, "plug=1", "plug=fc1/1", 1), lost},
		"fence_cyberpower_ssh": {byConsole + "plug=1\n", "1  db   On\r\n10 web  Off\r\n"},
		"fence_drac":           {byTelnet, "error: can't switch off now\r\n"},
		"fence_emerson":        {bySNMP, lost},
		"fence_ibmblade":       {bySNMP, lost},
		"fence_ifmib":          {bySNMP, lost},
		"fence_ilo_mp":         {byConsole, "EnabledState=unknown\r\n"},
		"fence_ilo_ssh":        {byConsole, "EnabledState=unknown\r\n"},
		"fence_intelmodular":   {bySNMP, lost},
		"fence_ipdu":           {bySNMP, lost},
		"fence_lpar":           {byConsole + "plug=1\nmanaged=m\nhmc_version=4\n", "name=1,state=Suspended,x=1\r\n"},
		"fence_tripplite_snmp": {bySNMP, lost},
		"fence_virsh":          {byConsole + "plug=db\n", "sh: virsh: command not found\r\n"},
	} {
		t.Run(agent, func(t *testing.T) {
			t.Parallel()
			if devices.ClassOf(agent) != devices.Misreads {
				t.Errorf("it is of class %v", devices.ClassOf(agent))
			}
			if state, err := newStand(t, test.answer).status(t, agent, test.settings); state != powerOff {
				t.Errorf("%q: %s, %v", test.answer, state, err)
			}
		})
	}
}
