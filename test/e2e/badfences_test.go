package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
)

var errOn = errors.New("it has power")

// The ways in which a fence is bad.
var (
	slowFence  = power.Fault{Delay: 700 * time.Millisecond}
	lyingFence = power.Fault{Lie: true}
	goneFence  = power.Fault{Gone: true}
)

// Every way to lose a primary, with a fence that is slow, lying or gone: only the outcome differs. A gone fence is waited
// for; a lie is found out if the member still answers, or its machine refuses connections. Only about a machine that gives no sign of life a
// device can lie unnoticed, and then the truth has two writers until it is seen again, of which one can't acknowledge to anybody.
func TestFaultsWithBadFences(t *testing.T) {
	full(t)
	if *fenceMode != "" {
		t.Skip("-fence has made every fence bad already")
	}
	for _, fault := range lab.Faults() {
		for _, c := range []struct {
			name  string
			fence power.Fault
			held  func(*stage, lab.Fault) bool
		}{
			{"slow", slowFence, func(*stage, lab.Fault) bool { return false }},
			{"lying", lyingFence, (*stage).answersAfter},
			{"gone", goneFence, func(*stage, lab.Fault) bool { return true }},
		} {
			t.Run(string(fault)+" with a "+c.name+" fence", func(t *testing.T) {
				s := enter(t, plan{ownFences: everyFence, policy: []string{"max_attempts: 2"}})
				if fault == lab.Partition && s.Site.Kind() != hosts.Namespaces {
					t.Skip("networks can't be cut between loopback addresses")
				}
				s.must(s.Power.SetFault(s.primary.Name(), c.fence))
				s.inject(fault)
				if c.held(s, fault) {
					s.held("fence-unproven", s.primary.Name())
					s.unpromoted()
					s.must(s.Power.SetFault(s.primary.Name(), power.Fault{}))
				}
				to, op := s.failedOver()
				s.promoted(to, op)
				if fault == lab.Partition && c.name == "lying" {
					s.seenAgain(to)
				}
			})
		}
	}
}

// answersAfter says whether a machine answers connections after a fault, if only by refusing them. What a refusal says of power is not
// looked at on loopback addresses.
func (s *stage) answersAfter(fault lab.Fault) bool {
	switch fault {
	case lab.Freeze:
		return true
	case lab.Crash, lab.LeaderAndPrimary:
		return s.Site.Kind() == hosts.Namespaces
	}
	return false
}

// seenAgain ends the lie and the partition: the old primary, which has been writable all along, is fenced at once, and no client has
// written to it since the new one was reached.
func (s *stage) seenAgain(to *database.Server) {
	s.t.Helper()
	s.rogue = s.primary // it was writable all along, and could not acknowledge to anybody
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{}))
	s.must(s.Site.Heal(s.ctx))
	s.await("the old primary to be off", func() error {
		if s.primary.Host().On() {
			return errOn
		}
		return nil
	})
	s.until("steady", steady)
	s.routedOnlyTo(to)
}
