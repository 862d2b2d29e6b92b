//go:build linux

package fence

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/hungfs"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// A status that nobody can end is asked for once, however often the path is looked at. It keeps nobody from switching off, and proves nothing.
func TestS3_AnAgentThatCannotBeEndedIsStartedOnceAndProvesNothing(t *testing.T) {
	r, hung := newRig(t), hungfs.Mount(t)
	defer hung.LetGo() // before the rig looks for processes
	m := member(level(r.device("1", "sticks-on-status", generous, "password", filepath.Join(hung.Folder, "any"))))
	f := New(Options{})
	ctx := hung.UntilHangs(t)
	for _, words := range []string{"canceled", "not started again", "not started again"} {
		path := f.PathStatus(ctx, m)
		ctx = t.Context()
		if path.Armed || !strings.Contains(path.Detail, "killed but still not ended") || !strings.Contains(path.Detail, words) {
			t.Errorf("the path is %+v, want the word that it was %s", path, words)
		}
	}
	proof, _ := f.Isolate(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, unknown, "not started again")
	if r.state("1") != "off" || r.calls("status", "1") != 1 {
		t.Errorf("the machine is %s, its status was asked for %d times", r.state("1"), r.calls("status", "1"))
	}
}

// A password whose file system hangs takes a device's time, and no more: the next level gets its turn.
func TestAPasswordThatIsNeverReadHoldsUpOneDevice(t *testing.T) {
	r, never := newRig(t), make(chan struct{})
	t.Cleanup(func() { close(never) })
	hangs := r.device("1", "good", 20*time.Millisecond)
	hangs.Settings = append(hangs.Settings, failover.Setting{Key: "password", File: "/hung/password"})
	f := New(Options{Secrets: &secret.Reader{Open: func(string) (secret.File, error) {
		<-never
		return secret.File{}, nil
	}}})
	proof, _ := f.Isolate(t.Context(), member(level(hangs), level(r.device("2", "good", generous))), failover.Policy{}, nil)
	wantProof(t, proof, failover.ProofConfirmedOff, "")
	if proof, _ = f.Isolate(t.Context(), member(level(hangs)), failover.Policy{}, nil); !strings.Contains(proof.Detail, "/hung/password") {
		t.Errorf("the proof is %+v", proof)
	}
	if path := f.PathStatus(t.Context(), member(level(hangs))); path.Armed || !strings.Contains(path.Detail, "/hung/password") {
		t.Errorf("the path is %+v", path)
	}
}

// An agent whose file system doesn't even say whether it is there takes a device's time, and no more, wherever it is asked for.
func TestAnAgentThatCannotBeLookedForHoldsUpOneDevice(t *testing.T) {
	r, never := newRig(t), make(chan struct{})
	t.Cleanup(func() { close(never) })
	hangs := r.device("1", "good", 20*time.Millisecond)
	hangs.Method = "/hung/fence_x"
	f := New(Options{Secrets: &secret.Reader{Stat: func(path string) (fs.FileInfo, error) {
		if strings.HasPrefix(path, "/hung/") {
			<-never
		}
		return os.Stat(path)
	}}})
	proof, _ := f.Isolate(t.Context(), member(level(hangs), level(r.device("2", "good", generous))), failover.Policy{}, nil)
	wantProof(t, proof, failover.ProofConfirmedOff, "")
	if path := f.PathStatus(t.Context(), member(level(hangs))); path.Armed || !strings.Contains(path.Detail, "look at /hung/fence_x: "+secret.ErrNotInTime.Error()) {
		t.Errorf("the path is %+v", path)
	}
	hasty, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if problems := f.CheckAgent(hasty, hangs); len(problems) != 0 {
		t.Errorf("apply says %+v of an agent that may be there", problems)
	}
	if problems := f.Validate(hasty, member(level(hangs))); len(problems) != 1 || !problems[0].Silent || !strings.Contains(problems[0].Message, "/hung/fence_x") {
		t.Errorf("check says %+v", problems)
	}
}
