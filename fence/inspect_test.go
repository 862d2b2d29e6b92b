//go:build linux

package fence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestInspect_AGoodFenceIsAskedAndLeftAlone(t *testing.T) {
	r := newRig(t)
	problems := New(Options{}).Inspect(t.Context(), member(level(r.device("1", "good", generous), r.device("2", "good", generous))))
	if len(problems) > 0 {
		t.Errorf("problems: %+v", problems)
	}
	for _, plug := range []string{"1", "2"} {
		if r.calls("status", plug) != 1 || r.calls("off", plug)+r.calls("on", plug) != 0 || r.state(plug) != "on" {
			t.Errorf("plug %s: %d times status, %d times off, and it is %s", plug, r.calls("status", plug), r.calls("off", plug), r.state(plug))
		}
	}
}

func TestInspect_SaysWhatAndWhatToDo(t *testing.T) {
	password, mode := filepath.Join(t.TempDir(), "password"), filepath.Join(t.TempDir(), "mode")
	for file, content := range map[string]string{password: "hunter2", mode: "fails"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		device func(*rig) failover.FenceDevice
		what   string
		fix    string
		silent bool
	}{
		"no agent": {func(*rig) failover.FenceDevice { return deviceOf("fence_nowhere", "proof", "off") }, "fence_nowhere: no such fence agent", "install it", false},
		"a secret that isn't here": {func(r *rig) failover.FenceDevice {
			d := r.device("1", "good", generous)
			d.Settings = append(d.Settings, failover.Setting{Key: "password", File: "/nowhere/secret"})
			return d
		}, "/nowhere/secret", "put the secret there", false},
		"a misspelt setting": {func(r *rig) failover.FenceDevice {
			return r.device("1", "good", generous, "pasword_script", "x")
		}, "does not know the setting", "mend the device's settings", false},
		"it refuses": {func(r *rig) failover.FenceDevice {
			d := r.device("1", "", generous)
			d.Settings[2] = failover.Setting{Key: "mode", File: mode} // a plain value would be refused: the agent doesn't list it
			d.Settings = append(d.Settings, failover.Setting{Key: "password", File: password})
			return d
		}, "does not say whether the machine is on: status: the device reports an error: Failed: Unable to log in with password [redacted]", "make the device answer", true},
		"another machine": {func(r *rig) failover.FenceDevice {
			return r.device("1", "good", generous, "expect_name", "db1")
		}, `says it is "1"`, "expect_name", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			problems := New(Options{}).Inspect(t.Context(), member(level(test.device(r))))
			found := false
			for _, p := range problems {
				found = found || strings.Contains(p.Message, test.what) && strings.Contains(p.Fix, test.fix) && !p.Warning && p.Silent == test.silent
				if strings.Contains(p.Message+p.Fix, "hunter2") {
					t.Errorf("secret in %+v", p)
				}
			}
			if !found {
				t.Errorf("no problem says %q, with %q to do: %+v", test.what, test.fix, problems)
			}
		})
	}
}

// A device that hangs costs its own time-out and nothing else.
func TestInspect_AHungDevice(t *testing.T) {
	r := newRig(t)
	began := time.Now()
	problems := New(Options{}).Inspect(t.Context(), member(level(r.device("1", "hangs", 500*time.Millisecond), r.device("2", "good", generous))))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(problems) != 1 || problems[0].Device != 0 || !problems[0].Silent || problems[0].Warning || !strings.Contains(problems[0].Message, "time limit") {
		t.Errorf("problems: %+v", problems)
	}
}

// Levels stand in for each other: a fault of one is a warning as long as another has none.
func TestInspect_AnotherLevelWorks(t *testing.T) {
	r := newRig(t)
	gone := deviceOf("fence_nowhere", "proof", "off")
	f := New(Options{})
	problems := f.Inspect(t.Context(), member(level(gone), level(r.device("1", "good", generous))))
	if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Message, "another level works") {
		t.Errorf("problems: %+v", problems)
	}
	if problems := f.Inspect(t.Context(), member(level(gone), level())); len(problems) != 2 || problems[0].Warning || problems[1].Warning {
		t.Errorf("with no level that works: %+v", problems)
	}
	if problems := f.Inspect(t.Context(), failover.MemberSpec{Name: "pg-a"}); len(problems) != 1 || problems[0].Warning {
		t.Errorf("without a fence: %+v", problems)
	}
}
