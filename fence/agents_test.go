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

func deviceOf(method string, pairs ...string) failover.FenceDevice {
	return failover.FenceDevice{Method: method, Timeout: generous, Settings: literals(pairs...)}
}

func TestFenceDummy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := New(Options{})
	m := member(level(deviceOf("fence_dummy", "status_file", file)))
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
	bad := member(level(deviceOf("fence_dummy", "status_fil", file)))
	if problems := f.Validate(t.Context(), bad); len(problems) != 1 || !strings.Contains(problems[0].Message, `did you mean "status_file"`) {
		t.Errorf("problems %+v", problems)
	}
}

func TestFenceDummyThatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := deviceOf("fence_dummy", "status_file", file)
	failing := deviceOf("fence_dummy", "type", "fail", "power_timeout", "1")
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
	slow := deviceOf("fence_dummy", "status_file", file, "delay", "600")
	proof, _ := New(Options{}).Isolate(t.Context(), member(level(slow), level(r.device("1", "good", generous))),
		failover.Policy{RaceFences: true}, nil)
	wantProof(t, proof, off, "level 2")
	if content, err := os.ReadFile(file); err != nil || string(content) != "on" {
		t.Errorf("the loser went on: %q, %v", content, err)
	}
}
