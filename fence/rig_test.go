//go:build linux

package fence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// rig is one switch with several plugs, on which test devices act; its folder shows what was done.
type rig struct {
	t   *testing.T
	dir string
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	t.Cleanup(r.wantNoProcesses)
	return r
}

// device is a test agent in one of the modes of testdata/fence_test_device, with more settings as key, value pairs.
func (r *rig) device(plug, mode string, timeout time.Duration, more ...string) failover.FenceDevice {
	r.t.Helper()
	path, err := filepath.Abs("testdata/fence_test_device")
	if err != nil {
		r.t.Fatal(err)
	}
	settings := literals(append([]string{"dir", r.dir, "plug", plug, "mode", mode}, more...)...)
	if !slices.Contains(more, "proof") {
		settings = append(settings, failover.Setting{Key: "proof", Value: "off"})
	}
	return failover.FenceDevice{Method: path, Timeout: timeout, Settings: settings}
}

func literals(pairs ...string) []failover.Setting {
	var settings []failover.Setting
	for i := 0; i < len(pairs); i += 2 {
		settings = append(settings, failover.Setting{Key: pairs[i], Value: pairs[i+1]})
	}
	return settings
}

// calls counts the calls of an action for a plug.
func (r *rig) calls(action, plug string) int {
	r.t.Helper()
	content, err := os.ReadFile(filepath.Join(r.dir, "calls"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	return strings.Count("\n"+string(content), "\n"+action+" "+plug+" ")
}

func (r *rig) state(plug string) string {
	content, err := os.ReadFile(filepath.Join(r.dir, plug+".state"))
	if err != nil {
		return "never touched"
	}
	return strings.TrimSpace(string(content))
}

// wantNoProcesses checks that no agent and no child of one is left: agents are in the list of calls, and their
// children have the rig's folder in their arguments.
func (r *rig) wantNoProcesses() {
	r.t.Helper()
	content, _ := os.ReadFile(filepath.Join(r.dir, "calls"))
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if id, err := strconv.Atoi(fields[len(fields)-1]); err == nil && processRuns(id) {
			r.t.Errorf("agent still runs: %s", line)
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		if arguments, err := os.ReadFile(path); err == nil && strings.Contains(string(arguments), r.dir) {
			r.t.Errorf("child still runs: %s: %q", path, arguments)
		}
	}
}

func processRuns(id int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return false
	}
	after := string(stat[strings.LastIndex(string(stat), ")")+1:])
	return !strings.HasPrefix(strings.TrimSpace(after), "Z") && strings.Contains(commandLine(id), "fence_test_device")
}

func commandLine(id int) string {
	arguments, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id))
	return string(arguments)
}

func level(devices ...failover.FenceDevice) failover.FenceLevel {
	return failover.FenceLevel{Devices: devices}
}

func member(levels ...failover.FenceLevel) failover.MemberSpec {
	return failover.MemberSpec{Name: "pg-a", Address: "127.0.0.1:5432", Fence: levels}
}

func wantProof(t *testing.T, got failover.Proof, grade failover.ProofGrade, words ...string) {
	t.Helper()
	if got.Grade != grade {
		t.Fatalf("got %+v, want grade %s", got, grade)
	}
	for _, word := range words {
		if !strings.Contains(got.Detail, word) {
			t.Errorf("%q is not in detail %q", word, got.Detail)
		}
	}
}

// processState is the state letter of a process, "Z" for one that has ended but wasn't waited for.
func processState(id int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return "gone"
	}
	return strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))[0]
}

// processesWith finds processes that have all of the words in their arguments.
func processesWith(t *testing.T, words ...string) []int {
	t.Helper()
	var ids []int
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		line, all := commandLine(id), true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			ids = append(ids, id)
		}
	}
	return ids
}
