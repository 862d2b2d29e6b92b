package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/recording"
)

// record makes the recording of a life with one step.
func record(t *testing.T, folder string) {
	t.Helper()
	file, err := recording.Create(folder, "az-a")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := recording.NewRecorder(file, func(err error) { t.Error(err) })
	state, settings := failover.NewState(), failover.DefaultSettings("cluster")
	controller := failover.NewController("az-a", settings, &state, time.Hour)
	r.Begin("az-a", settings, &state, time.Hour)
	in := failover.Input{Now: time.Hour, What: failover.Tick{}}
	r.Step(in, controller.Step(in))
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name+recording.Suffix), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A storm whose arbiters recorded nothing has shown nothing. One life of several may have ended before there was anything to record.
func TestReplay_MustCompareSomethingOfEveryArbiter(t *testing.T) {
	folder := t.TempDir()
	var r Replay
	if err := r.add("az-a", folder, 1); !errors.Is(err, recording.ErrNothing) || !strings.Contains(err.Error(), "0 recordings in "+folder) {
		t.Errorf("without a recording: %v", err)
	}
	write(t, folder, "cut", "")
	if err := r.add("az-a", folder, 1); !errors.Is(err, recording.ErrNothing) {
		t.Errorf("with an empty one: %v", err)
	}
	record(t, folder)
	r = Replay{}
	if err := r.add("az-a", folder, 1); err != nil || r.Lives != 2 || r.Steps != 1 || len(r.Differences) > 0 {
		t.Errorf("with one life, and one that was cut: %v, %+v", err, r)
	}
	if r.Cut != 1 || len(r.Unended) > 0 {
		t.Errorf("a life that was cut, of one that was killed: %+v", r)
	}
	r = Replay{}
	if err := r.add("az-a", folder, 0); err != nil || len(r.Unended) != 1 {
		t.Errorf("a life that was cut, of one that was never killed: %v, %+v", err, r)
	}
	if err := (&Report{Replay: r, RegisterVerdict: Linearizable}).Failed(); !errors.Is(err, ErrUnended) {
		t.Errorf("the run fails with %v", err)
	}
	r = Replay{}
	write(t, folder, "early", `{"end":{"why":"no space"}}`+"\n")
	if err := r.add("az-a", folder, 1); err != nil || len(r.Early) != 1 || len(r.Unended) > 0 {
		t.Errorf("with one that ended early: %v, %+v", err, r)
	}
	write(t, folder, "strange", "{}\n")
	if err := r.add("az-a", folder, 1); err != nil || len(r.Differences) != 1 {
		t.Errorf("with one that is none: %v, %q", err, r.Differences)
	}
}
