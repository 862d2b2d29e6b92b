package e2e

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// The primary's processes are killed: a standby serves, nothing is lost.
func TestScenario01_PrimaryCrash(t *testing.T) {
	s := enter(t, plan{})
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, s.first, op)
	if s.primary.Host().On() {
		t.Error("the failed primary still has power")
	}
	s.says([]string{"show", lab.Group}, s.primary.Name(), s.first.Name(), "CONFIRMED_OFF")
}

// The primary is frozen, and woken after the failover: it accepts no write after the new primary is open.
func TestScenario02_PrimaryFrozenThenWoken(t *testing.T) {
	s := enter(t, plan{})
	s.inject(lab.Freeze)
	to, op := s.failedOver()
	s.promoted(to, s.first, op)
	s.must(s.primary.Host().Thaw())
	s.writes(50)
	if s.primary.Running() {
		t.Error("the frozen primary was not ended by its fence")
	}
}

// The primary is frozen, and woken while the arbiters are acting, at one moment after the other.
func TestScenario02_PrimaryWokenMeanwhile(t *testing.T) {
	if testing.Short() {
		t.Skip("part of the full run")
	}
	for _, after := range []time.Duration{300, 900, 1200, 1500, 1800, 2100} {
		t.Run((after * time.Millisecond).String(), func(t *testing.T) {
			s := enter(t, plan{health: "{profile: fast, checks: [{name: postgres, kind: postgres, timeout: 500ms}]}"})
			s.inject(lab.Freeze)
			time.Sleep(after * time.Millisecond) // the moment is the scenario, nothing is awaited
			s.must(s.primary.Host().Thaw())
			s.writes(100)
			s.until("steady", steady)
		})
	}
}

// Fewer arbiters than the quorum see the primary down: no action, and explain says how many are missing.
func TestScenario04_FewerThanQuorum(t *testing.T) {
	s := enter(t, plan{})
	s.namespaces()
	one := s.Arbiters[1]
	s.must(s.Site.Separate(s.ctx, []*hosts.Host{one.Host()}, []*hosts.Host{s.primary.Host()}))
	s.explains("1 of 3 arbiters", s.primary.Name(), one.Name(), "down")
	s.writes(200)
	s.explains("no failover", "1 of 3 arbiters")
	s.nothingDone()
}
