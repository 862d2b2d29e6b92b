//go:build linux

package fence

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/internal/command"
)

// FuzzReadStatus holds the one thing that matters: OFF is read only from exit status 2 with the word for it, or with
// nothing at all.
func FuzzReadStatus(f *testing.F) {
	f.Add(2, "Status: OFF\n", "")
	f.Add(2, "", "")
	f.Add(2, "", "usage: x")
	f.Add(0, "Status: ON\n", "warning")
	f.Add(1, "off", "off")
	f.Fuzz(func(t *testing.T, exit int, stdout, stderr string) {
		result := command.Result{Exit: exit, Stdout: command.Output{Text: stdout}, Stderr: command.Output{Text: stderr}}
		state, err := readStatus(result)
		if (err != nil) != (state == powerUnknown) {
			t.Fatalf("%s with error %v", state, err)
		}
		quiet := strings.TrimSpace(stdout+stderr) == ""
		if state == powerOff && (exit != 2 || !quiet && !slices.ContainsFunc(strings.Split(strings.ToLower(stdout), "\n"), lineIsOff)) {
			t.Fatalf("off from %d, %q, %q", exit, stdout, stderr)
		}
		if state == powerOn && exit != 0 {
			t.Fatalf("on from %d", exit)
		}
		line := summary(result)
		if len(line) > summaryLimit || strings.ContainsAny(line, "\n\r\x1b") || !utf8.ValidString(line) {
			t.Fatalf("summary %q", line)
		}
	})
}

func lineIsOff(line string) bool {
	return strings.HasSuffix(strings.TrimSpace(line), "off")
}

func TestS3_OffIsReadOnlyFromALineThatSaysIt(t *testing.T) {
	for stdout, want := range map[string]power{
		"Status: OFF\n":                        powerOff,
		"status: off\r\n":                      powerOff,
		" OFF ":                                powerOff,
		"off":                                  powerOff,
		"Status:OFF\n":                         powerOff,
		"":                                     powerOff,
		"Identity: db1\nStatus: OFF\n":         powerOff,
		"TowerA_Outlet1\ndb-on\nStatus: OFF\n": powerOff, // fence_cdu names all its outlets
		"UUID: 1 NAME: db POWER STATUS: Halted\nStatus: OFF\n":     powerOff, // fence_xenapi with verbose
		"usage: fence_rack [-o on|off|reboot|status]\n":            powerUnknown,
		"Usage:\n  fence_rack ACTION\nactions:\n  status\n  off\n": powerUnknown,
		"Failed to power off: no such plug\n":                      powerUnknown,
		"power is on, not off\n":                                   powerUnknown,
		"the machine is on\noff\n":                                 powerUnknown,
		"Status: ON\nStatus: OFF\n":                                powerUnknown,
		"Status: ON\n":                                             powerUnknown,
		"Status: OFF?\n":                                           powerUnknown,
		"Status: off or unreachable\n":                             powerUnknown,
		"switched off\n":                                           powerUnknown,
		"offline\n":                                                powerUnknown,
	} {
		state, err := readStatus(command.Result{Exit: 2, Stdout: command.Output{Text: stdout}})
		if state != want || (err == nil) != (want == powerOff) || err != nil && !errors.Is(err, ErrContradiction) {
			t.Errorf("%q: %s, %v", stdout, state, err)
		}
	}
}

func FuzzListedName(f *testing.F) {
	f.Add("1,db1\n2,db2\n", "2", ",")
	f.Add("x", "", "")
	f.Fuzz(func(t *testing.T, answer, plug, separator string) {
		if name, err := listedName(answer, plug, separator); err == nil && !strings.Contains(answer, name) {
			t.Errorf("made %q up", name)
		}
	})
}

func TestSummary(t *testing.T) {
	python := "/usr/sbin/fence_x:5: DeprecationWarning: 'pipes' is deprecated\n  from pipes import quote\n" +
		"2026-11-20 12:35:41,583 ERROR: Failed: Unrecognised action 'list'\n\n2026-11-20 12:35:41,583 ERROR: Please use '-h' for usage\n\n"
	for _, test := range []struct{ stdout, stderr, want string }{
		{"", python, "Failed: Unrecognised action 'list'"},
		{"Status: ON\n", "", "Status: ON"},
		{"", "", "exit status 1 without a word"},
		{"first\nlast\n", "", "last"},
		{"", "\x1b[31mred\x00", " [31mred"},
		{"", strings.Repeat("ä", 200), strings.Repeat("ä", 78) + " ..."},
	} {
		got := summary(command.Result{Exit: 1, Stdout: command.Output{Text: test.stdout}, Stderr: command.Output{Text: test.stderr}})
		if strings.TrimSpace(got) != strings.TrimSpace(test.want) {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// Every agent that is installed here can be read, except for those that don't start for lack of what they need.
func TestMetadataOfInstalledAgents(t *testing.T) {
	for _, name := range []string{"fence_ipmilan", "fence_dummy", "fence_scsi", "fence_virsh", "fence_redfish", "fence_apc"} {
		if _, err := os.Stat("/usr/sbin/" + name); err != nil {
			t.Fatalf("fence-agents are not installed: %v", err)
		}
		m, err := New(Options{}).describe(t.Context(), deviceOf(name))
		if err != nil || m.Name != name || !m.Offers("off") || !m.Offers("status") || len(m.Parameters) < 5 {
			t.Errorf("%s: %v, %d parameters", name, err, len(m.Parameters))
		}
	}
}
