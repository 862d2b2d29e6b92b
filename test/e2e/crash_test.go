package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// The primary's processes are killed: a standby serves, nothing is lost, nothing is accepted twice, and nothing is done more often than once.
func TestScenario01_PrimaryCrash(t *testing.T) {
	s := enter(t, plan{})
	operations, event := s.operations(), s.lastEvent()
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.mustBeOff(s.primary)
	s.says([]string{"show", lab.Group}, s.primary.Name(), s.first.Name(), "CONFIRMED_OFF")
	if added := len(s.operations()) - len(operations); added != 1 {
		t.Errorf("%d operations came of one crash", added)
	}
	s.oneEpoch(op, s.events(event))
	s.inOrder(op)
	outage, _ := s.writer.Outage(s.fault.Boot, s.primary.Name())
	if _, err := lab.PhasesOf(op, s.fault, outage); err != nil {
		t.Errorf("the phases of the outage: %v", err)
	}
	s.withinTheWorstCase(outage.Length)
}

// A crash is seen by the end of the sessions that arbiters hold open, and not by the next look at the interval, which is minutes away here.
func TestScenario01_ACrashIsSeenAtOnce(t *testing.T) {
	const interval = 5 * time.Minute
	s := enter(t, plan{own: true, health: "{profile: fast, checks: [{name: postgres, kind: postgres, interval: " + interval.String() + ", timeout: 1500ms}]}"})
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	if outage, _ := s.writer.Outage(s.fault.Boot, s.primary.Name()); outage.Length > interval/4 {
		t.Errorf("the outage took %v", outage.Length)
	}
}

// oneEpoch asserts that an operation took one epoch, and one more only for a leader that took it over, for a lease that was given back with nothing
// done, or for going on after a hold, in which nobody has the lease.
func (s *stage) oneEpoch(op *arbiterv1.Operation, events []*arbiterv1.Event) {
	s.t.Helper()
	var grants, reigns, unused uint64
	began := false // something was begun under the newest lease
	for _, event := range events {
		switch kind := event.GetKind(); {
		case kind == "lease-granted":
			grants, began = grants+1, false
		case kind == "reign-began":
			reigns++
		case strings.HasSuffix(kind, "-intended"):
			began = true
		case kind == "lease-released" && !began:
			unused++
		}
	}
	if steps := op.GetEpochAfter() - s.epoch; steps != grants || grants == 0 || grants > 1+reigns+unused && !s.repair.repaired() {
		s.t.Errorf("from epoch %d to %d by %d grants, in %d further reigns, %d given back unused", s.epoch, op.GetEpochAfter(), grants, reigns, unused)
	}
}

// inOrder asserts that every action of a failover was done once, and that none was intended before the one before it was concluded.
func (s *stage) inOrder(op *arbiterv1.Operation) {
	s.t.Helper()
	var done []string
	var intent, outcome uint64 // of the step before; all tries of an action have the same intent
	for _, step := range op.GetSteps() {
		if step.GetIntentIndex() == 0 {
			continue
		}
		if again := step.GetIntentIndex() == intent; !again && step.GetIntentIndex() <= outcome || step.GetOutcomeIndex() <= max(step.GetIntentIndex(), outcome) {
			s.t.Errorf("%s was intended at %d and concluded at %d, after %d", step.GetName(), step.GetIntentIndex(), step.GetOutcomeIndex(), outcome)
		}
		intent, outcome = step.GetIntentIndex(), step.GetOutcomeIndex()
		if step.GetResult() == "done" {
			done = append(done, step.GetName())
		}
	}
	if !slices.Equal(done, actions) {
		s.t.Errorf("done: %q, want %q", done, actions)
	}
}

// withinTheWorstCase asserts that a crash was mended in what `arbiterctl validate` says it takes at worst: the sum of all time limits, of which
// even a busy machine needs a small part.
func (s *stage) withinTheWorstCase(outage time.Duration) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "group.yaml")
	s.must(os.WriteFile(file, []byte(s.yaml(plan{})), 0o600))
	out, err := s.Ctl(s.ctx, "validate", file, "-o", "json")
	s.must(err)
	var said struct {
		Files []struct {
			Worst []struct {
				Fault  string `json:"fault"`
				Outage int64  `json:"outage_ms"`
			} `json:"worst"`
		} `json:"files"`
	}
	s.must(json.Unmarshal(out, &said))
	for _, worst := range said.Files[0].Worst {
		if worst.Fault != "crash of the service" {
			continue
		}
		if bound := time.Duration(worst.Outage) * time.Millisecond; outage > bound {
			s.t.Errorf("mended after %v; validate says %v at worst", outage, bound)
		}
		return
	}
	s.t.Errorf("validate says nothing of a crash:\n%s", out)
}
