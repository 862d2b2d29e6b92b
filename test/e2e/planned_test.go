package e2e

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// A paused group: nothing automatic happens, an operator can act, status says who paused it and since when.
func TestScenario47_Paused(t *testing.T) {
	s := enter(t, plan{})
	_, err := s.Ctl(s.ctx, "pause", lab.Group, "--reason", "maintenance of the racks")
	s.must(err)
	s.crash()
	s.until("seen down", primaryIs("down"))
	s.explains("the group is paused (by operator since 20", "maintenance of the racks")
	s.says([]string{"status"}, "paused: by operator, since 20", "maintenance of the racks")
	if g := s.status(); g.GetPause().GetActor() == "" || g.GetPause().GetSince() == nil {
		t.Errorf("pause %v", g.GetPause())
	}
	s.quiet(2 * time.Second)
	if offs := s.offs(); len(offs) > 0 {
		t.Errorf("a paused group was acted on: %v", offs)
	}
	s.unpromoted()
	_, err = s.Ctl(s.ctx, "failover", lab.Group, "--yes", "--reason", "the rack is dark")
	s.must(err)
	to, op := s.failedOver()
	s.promoted(to, op)
	if op.GetActor() != "operator" || op.GetReason() != "the rack is dark" {
		t.Errorf("operation by %q because %q", op.GetActor(), op.GetReason())
	}
	_, err = s.Ctl(s.ctx, "resume", lab.Group, "--reason", "done")
	s.must(err)
	s.until("resumed", func(g *arbiterv1.GroupStatus) bool { return g.GetPause() == nil })
}

// A group that is only observed: what would be done is told once, nothing is done, and an operator can have it done.
func TestObserved(t *testing.T) {
	s := enter(t, plan{})
	s.apply(strings.Replace(s.yaml(plan{}), "automation: full", "automation: observe", 1))
	began := s.lastEvent()
	withheld := func() (told []*arbiterv1.Event) {
		for _, e := range s.events(began) {
			if e.GetKind() == "failover-withheld" {
				told = append(told, e)
			}
		}
		return told
	}
	s.crash()
	s.await("what would be done is told", func() error {
		if len(withheld()) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	if text := withheld()[0].GetText(); !strings.Contains(text, "fence "+s.primary.Name()) || !strings.Contains(text, "promote "+s.first.Name()) {
		t.Errorf("told: %s", text)
	}
	s.explains("policy.automation is observe", "arbiterctl failover "+lab.Group)
	s.says([]string{"check", lab.Group}, s.primary.Name()+", the primary, is down", "policy.automation is observe")
	s.attention()
	s.quiet(2 * time.Second)
	if offs := s.offs(); len(offs) > 0 {
		t.Errorf("a group that is only observed was acted on: %v", offs)
	}
	s.unpromoted()
	_, err := s.Ctl(s.ctx, "failover", lab.Group, "--yes", "--reason", "it is dead indeed")
	s.must(err)
	to, op := s.failedOver()
	s.promoted(to, op)
	if told := withheld(); len(told) != 1 {
		t.Errorf("told %d times: %v", len(told), told)
	}
}

// An operator forces a failover of a healthy primary.
func TestScenario48_Forced(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	if *fenceMode == "" { // a bad one makes it impossible
		plan, err := s.Ctl(s.ctx, "failover", lab.Group, "--dry-run")
		s.must(err)
		// Who is the most advanced by the arbiters' views is a matter of when each was looked at; live positions decide.
		named := slices.ContainsFunc(s.Members, func(m *database.Server) bool {
			return m != s.primary && strings.Contains(string(plan), "fence "+s.primary.Name()+" by fence_lab, promote "+m.Name())
		})
		if !named {
			t.Errorf("dry run: %s", plan)
		}
		s.nothingDone()
	}
	s.fault = lab.Now()
	_, err := s.Ctl(s.ctx, s.force("the machine must go")...)
	s.must(err)
	to, op := s.failedOver()
	s.promoted(to, op)
	if s.primary.Host().On() {
		t.Error("the old primary still has power")
	}
}

// force is the command that fails over a primary that serves, also where its fence is bad.
func (s *stage) force(reason string) []string {
	command := []string{"failover", lab.Group, "--yes", "--reason", reason}
	if *fenceMode != "" {
		command = append(command, "--ignore-unarmed")
	}
	return command
}

// A failover of a primary that serves, for which something is missing that would leave it held half way, is refused: the primary is left alone, and
// clients go on writing.
func TestPlanned_RefusedForWhatWouldLeaveItHalfWay(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence})
	const revoke, grant = "REVOKE EXECUTE ON FUNCTION pg_promote(boolean, integer) FROM arbiter", "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO arbiter"
	s.must(s.primary.Exec(s.ctx, revoke))
	s.says([]string{"failover", lab.Group, "--dry-run"}, "would be refused", "half way", "lacks: EXECUTE on pg_promote(boolean, integer)")
	s.refusesFailover([]string{"--ignore-unarmed", "--ignore-findings", "--ignore-routers"}, "lacks: EXECUTE on pg_promote(boolean, integer)", "run the schema again")
	s.must(s.primary.Exec(s.ctx, grant))
	s.says([]string{"failover", lab.Group, "--dry-run"}, "Would fence "+s.primary.Name())

	s.must(s.Power.SetFault(s.primary.Name(), goneFence))
	s.says([]string{"failover", lab.Group, "--dry-run"}, "would be refused: the fence of "+s.primary.Name()+" is NOT ARMED")
	s.refusesFailover(nil, "the fence of "+s.primary.Name()+" is NOT ARMED", "--ignore-unarmed")
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{}))

	s.fault = lab.Now()
	_, err := s.Ctl(s.ctx, "failover", lab.Group, "--yes", "--reason", "the machine must go")
	s.must(err)
	to, op := s.failedOver()
	s.promoted(to, op)
}

// refusesFailover asks for a failover that is refused with these words, and asserts that nothing came of it.
func (s *stage) refusesFailover(flags []string, words ...string) {
	s.t.Helper()
	s.ends(4, append([]string{"failover", lab.Group, "--yes", "--reason", "the machine must go"}, flags...), words...)
	s.nothingDone()
	s.writes(20)
}

// A second failure inside the cool-down is held with the reason, and an operator can let it go on.
func TestScenario51_Flapping(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.crash()
	to, op := s.failedOver()
	left := s.promoted(to, op)
	s.must(setRule(s.ctx, to, left, s.primary, ""))
	s.apply(s.yaml(plan{policy: []string{"cooldown: 10m"}}))
	s.ready()
	offs := len(s.offs())
	s.fault = lab.Now()
	s.must(to.Crash(s.ctx))
	s.held("cool-down", "cool-down 10m", "release")
	if after := s.offs(); len(after) != offs {
		t.Errorf("fenced inside the cool-down: %v", after[offs:])
	}
	_, err := s.Ctl(s.ctx, "release", lab.Group, "--yes", "--reason", "it is no flapping")
	s.must(err)
	s.next(to, left)
}

// next waits until the member after the one that failed writes, and asserts that it is the one that was left.
func (s *stage) next(failed, left *database.Server) {
	s.t.Helper()
	outage, err := s.writer.AwaitOutage(s.ctx, s.fault.Boot, failed.Name())
	s.must(err)
	if op := s.ended(); outage.First.Member != left.Name() || op.GetResult() != "done" {
		s.t.Errorf("%s writes, operation %v", outage.First.Member, op)
	}
}
