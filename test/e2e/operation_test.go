package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
)

// What was fenced, by what, and with which proof, stays visible.
func TestScenario26_FenceHistory(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.says([]string{"show", lab.Group, op.GetId()}, "isolate", "CONFIRMED_OFF", "fence_lab", s.primary.Name())
	s.says([]string{"epoch", lab.Group}, "CONFIRMED_OFF", s.primary.Name())
	s.says([]string{"history", lab.Group}, op.GetId())
	for _, m := range s.status().GetMembers() {
		if m.GetMember() == s.primary.Name() && !strings.Contains(m.GetProof(), "CONFIRMED_OFF") {
			t.Errorf("the status does not say what the fence of %s has proven: %v", m.GetMember(), m)
		}
	}
}

// Every arbiter is restarted in turn while clients write: no failover.
func TestScenario41_RollingRestart(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	for range 2 {
		for _, a := range s.Arbiters {
			s.must(a.Stop(s.ctx))
			s.must(a.Start())
			s.ready()
			s.writes(20)
		}
	}
	s.nothingDone()
}

// A policy is changed on a running group; bad values are refused, and leave everything as it was.
func TestScenario52_LiveChange(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	file := filepath.Join(t.TempDir(), "group.yaml")
	apply := func(yaml string) (string, error) {
		s.must(os.WriteFile(file, []byte(yaml), 0o644))
		out, err := s.Ctl(s.ctx, "apply", "-f", file, "--reason", "scenario")
		return string(out), err
	}
	version := s.status().GetSpecVersion()
	if out, err := apply(s.yaml(plan{policy: []string{"lease: 1ms", "promised_outage: 1s"}})); err == nil ||
		!strings.Contains(err.Error(), "policy.lease") || !strings.Contains(err.Error(), "promised_outage") {
		t.Errorf("a bad spec: %s, %v", out, err)
	}
	if out, err := apply(strings.Replace(s.yaml(plan{}), "automation:", "automaton:", 1)); err == nil || !strings.Contains(err.Error(), "automation") {
		t.Errorf("a misspelt key: %s, %v", out, err)
	}
	if g := s.status(); g.GetSpecVersion() != version {
		t.Errorf("spec version %d after refusals, %d before", g.GetSpecVersion(), version)
	}
	_, err := apply(s.yaml(plan{policy: []string{"lease: 3s"}}))
	s.must(err)
	if g := s.ready(); g.GetSpecVersion() <= version || !g.GetAdopted() {
		t.Errorf("status after a change: %v", g)
	}
	s.writes(20)
	s.nothingDone()
}
