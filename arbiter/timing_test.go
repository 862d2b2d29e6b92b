package arbiter

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestTimingProfiles_AreSoundAndAcceptedByRaft(t *testing.T) {
	want := map[string]Timing{
		"lan": {Heartbeat: 200 * time.Millisecond, Election: 200 * time.Millisecond, Lease: 100 * time.Millisecond, Commit: 12 * time.Millisecond, Idle: 200 * time.Millisecond},
		"wan": {Heartbeat: time.Second, Election: time.Second, Lease: 500 * time.Millisecond, Commit: 50 * time.Millisecond},
	}
	for name := range timingProfiles() {
		timing, err := TimingProfile(name)
		if err != nil || timing != want[name] {
			t.Errorf("TimingProfile(%q) = %+v, %v; want %+v", name, timing, err, want[name])
		}
		if err := timing.Validate(); err != nil {
			t.Errorf("profile %s: %v", name, err)
		}
		config := raft.DefaultConfig()
		config.LocalID = "az-a"
		timing.apply(config)
		if err := raft.ValidateConfig(config); err != nil {
			t.Errorf("profile %s: raft refuses it: %v", name, err)
		}
	}
	if _, err := TimingProfile("moon"); !errors.Is(err, ErrBadTiming) || !strings.Contains(err.Error(), `"moon"; choose one of lan, wan`) {
		t.Errorf("unknown profile: %v", err)
	}
}

func TestTimingValidate_NamesTheValues(t *testing.T) {
	tests := map[string]struct {
		change func(*Timing)
		says   []string
	}{
		"heartbeat too short": {func(t *Timing) {
			*t = Timing{Heartbeat: 10 * time.Millisecond, Election: 10 * time.Millisecond, Lease: 5 * time.Millisecond, Commit: 5 * time.Millisecond}
		}, []string{"heartbeat 10ms", "20ms"}},
		"election too short": {func(t *Timing) { t.Election = 150 * time.Millisecond }, []string{"election 150ms", "heartbeat 200ms"}},
		"lease too long":     {func(t *Timing) { t.Lease = 200 * time.Millisecond }, []string{"lease 200ms", "heartbeat 200ms", "shorter"}},
		"lease too short":    {func(t *Timing) { t.Lease = 79 * time.Millisecond }, []string{"lease 79ms", "2/5 of heartbeat 200ms"}},
		"commit too short":   {func(t *Timing) { t.Commit = time.Millisecond }, []string{"commit 1ms", "5ms"}},
		"commit too long":    {func(t *Timing) { t.Commit = 60 * time.Millisecond }, []string{"commit 60ms", "heartbeat 200ms"}},
		"idle too long":      {func(t *Timing) { t.Idle = 201 * time.Millisecond }, []string{"idle 201ms", "heartbeat 200ms"}},
		"several":            {func(t *Timing) { t.Lease, t.Commit = time.Second, time.Second }, []string{"lease 1s", "commit 1s"}},
	}
	for name, test := range tests {
		timing := timingProfiles()[TimingLAN]
		test.change(&timing)
		err := timing.Validate()
		if !errors.Is(err, ErrBadTiming) {
			t.Errorf("%s: Validate() = %v, want ErrBadTiming", name, err)
			continue
		}
		for _, says := range test.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %q doesn't say %q", name, err, says)
			}
		}
	}
}
