package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// actions are those of a failover, in their order.
var actions = []string{"isolate", "catch_up", "promote", "configure", "route", "verify"}

// beginReign is where a new leader is killed: a failover has one only if leadership moves.
const beginReign = "commit-failover.BeginReign"

// inside are the places between the effects of one action. HAProxy gets what closes, the address and what opens in one line, so there is none between
// them, but one before and one after it.
var inside = map[string][]string{
	"isolate":   {"after-close-isolate", "after-sessions-isolate", "after-tokens-isolate", "after-fence-isolate"},
	"catch_up":  {"after-standby-catch_up"},
	"promote":   {"before-connect-promote", "before-statement-promote", "before-row-promote"}, // the token is raised; the server has left recovery
	"configure": {"after-standby-configure"},
	"route":     {"before-change-route", "after-change-route"}, // HAProxy was looked at; it was told, and looked at again
	"verify":    {"after-routes-verify"},
}

// killing is a place where the leader is killed, and what makes it come there.
type killing struct {
	place  string
	fence  power.Fault // of the primary
	policy []string
	held   bool // until the fence is good again
}

// killings are before and after each commit and each effect of a failover, in their order.
func killings() []killing {
	var list []killing
	around := func(k killing, whats ...string) {
		for _, what := range whats {
			for _, when := range []string{"before-", "after-"} {
				k.place = when + what
				list = append(list, k)
			}
		}
	}
	around(killing{}, "commit-observe", beginReign, "commit-acquire-lease")
	for _, action := range actions {
		around(killing{}, "commit-intend-"+action)
		list = append(list, killing{place: "before-effect-" + action})
		for _, place := range inside[action] {
			list = append(list, killing{place: place})
		}
		list = append(list, killing{place: "after-effect-" + action})
		around(killing{}, "commit-conclude-"+action)
	}
	around(killing{}, "commit-release-lease")
	// A lease is renewed while something takes longer than half of it, an operation is held for want of a proof.
	around(killing{fence: slowFence, policy: []string{"lease: 1s"}}, "commit-renew-lease")
	around(killing{fence: goneFence, policy: []string{"max_attempts: 1"}, held: true}, "commit-hold")
	return list
}

// The leader is killed at every stage of a failover: the next one goes on from there, with the same outcome.
func TestScenario36_LeaderKilledAtEveryStage(t *testing.T) {
	for _, k := range killings() {
		t.Run(k.place, func(t *testing.T) {
			if k.place != "after-effect-isolate" {
				full(t)
			}
			p := plan{failpoints: true, policy: k.policy}
			if k.fence != (power.Fault{}) {
				p.ownFences = primarysFence
			}
			s := enter(t, p)
			before, operations := s.state(s.primary), s.operations()
			if k.fence != (power.Fault{}) { // else it is as -fence says
				s.must(s.Power.SetFault(s.primary.Name(), k.fence))
			}
			setFailpoint(s.Lab, "kill "+k.place)
			s.crash()
			if strings.HasSuffix(k.place, beginReign) {
				s.await("leadership to be handed over", func() error { // Raft gives it one election time-out
					_, err := s.api.TransferLeadership(s.ctx, &arbiterv1.TransferLeadershipRequest{Change: change()})
					return err
				})
			}
			s.reached(k.place)
			dead := s.dead()
			if k.held {
				s.held("fence-unproven", s.primary.Name())
				s.unpromoted()
				s.must(s.Power.SetFault(s.primary.Name(), power.Fault{}))
			}
			to, op := s.failedOver()
			s.promoted(to, op)
			s.must(dead.Start())
			s.until("steady", steady)
			s.onceOnly(before, to, op)
			s.newEpochs(dead, op)
			added := slices.DeleteFunc(s.operations(), func(op string) bool { return slices.Contains(operations, op) })
			if len(added) != 1 || !strings.HasPrefix(added[0], op.GetId()+" ") {
				t.Errorf("operations since the crash: %q", added)
			}
			s.t.Logf("%s was killed %s, %s ended it", dead.Name(), k.place, op.GetArbiter())
		})
	}
}

// dead is the one arbiter that was killed at its failpoint.
func (s *stage) dead() *lab.Arbiter {
	s.t.Helper()
	var dead []*lab.Arbiter
	s.await("an arbiter to be dead", func() error {
		dead = slices.DeleteFunc(slices.Clone(s.Arbiters), func(a *lab.Arbiter) bool { return a.Process().Running() })
		if len(dead) == 0 {
			return fmt.Errorf("all of them run")
		}
		return nil
	})
	if len(dead) != 1 || !strings.Contains(dead[0].Process().Err().Error(), "killed") {
		s.t.Fatalf("%d arbiters have ended, the first one by %v", len(dead), dead[0].Process().Err())
	}
	return dead[0]
}

// onceOnly asserts on the power switch and the databases that nothing was done twice, and that each action came to its end once. What a leader
// had under way when it ended may be repeated by the next one, which can't know of it.
func (s *stage) onceOnly(before database.State, to *database.Server, op *arbiterv1.Operation) {
	s.t.Helper()
	step := isolation(op)
	proven := step.GetBegan().AsTime().Add(step.GetTook().AsDuration())
	offs := s.offs()
	for _, off := range offs {
		if off.Plug != s.primary.Name() || off.Began.After(proven) {
			s.t.Errorf("%s was switched off at %v; %s was proven off at %v", off.Plug, off.Began, s.primary.Name(), proven)
		}
	}
	// A good fence is asked at most once under each epoch.
	if len(offs) == 0 || uint64(len(offs)) > op.GetEpochAfter()-s.epoch && s.repair == nil && !s.waited {
		s.t.Errorf("the power switch was told %d times to switch off in %d epochs", len(offs), op.GetEpochAfter()-s.epoch)
	}
	s.mustBeOff(s.primary)
	if after := s.state(to); after.InRecovery || after.Timeline != before.Timeline+1 {
		s.t.Errorf("%s is %+v; one promotion of %+v leads to another timeline", to.Name(), after, before)
	}
	for _, span := range s.truth.Spans() {
		if span.Member != s.primary.Name() && span.Member != to.Name() {
			s.t.Errorf("%s accepted writes too", span.Member)
		}
	}
	done := map[string]int{}
	for _, step := range op.GetSteps() {
		if step.GetIntentIndex() != 0 && step.GetResult() == "done" {
			done[step.GetName()]++
		}
	}
	if step.GetName() == "attest" { // where the fence was a liar, a person's word stands in for it
		done["isolate"]++
	}
	for _, action := range actions {
		if done[action] != 1 {
			s.t.Errorf("%s was concluded %d times", action, done[action])
		}
		delete(done, action)
	}
	if len(done) > 0 {
		s.t.Errorf("killings has nothing about %v", done)
	}
}

// newEpochs asserts S5 and S8: every grant took the next epoch, the last one is that of the arbiter which ended it, and the new primary was
// promoted under one of them.
func (s *stage) newEpochs(dead *lab.Arbiter, op *arbiterv1.Operation) {
	s.t.Helper()
	answer, err := s.api.GetEpochs(s.ctx, &arbiterv1.GetEpochsRequest{Group: lab.Group})
	s.must(err)
	grants := slices.DeleteFunc(slices.Clone(answer.GetHistory()), func(e *arbiterv1.EpochRow) bool { return e.GetEpoch() <= s.epoch })
	slices.Reverse(grants)
	for i, grant := range grants { // the grants of one arbiter for one reason stand in one row, that of the newest
		if i > 0 && (grant.GetEpoch() <= grants[i-1].GetEpoch() || grant.GetTerm() < grants[i-1].GetTerm()) {
			s.t.Errorf("epochs granted since %d, with %s killed: %v", s.epoch, dead.Name(), grants)
		}
	}
	if n := len(grants); n == 0 || grants[n-1].GetEpoch() != op.GetEpochAfter() || answer.GetEpoch() != op.GetEpochAfter() || grants[n-1].GetGrantedTo() != op.GetArbiter() {
		s.t.Errorf("epochs granted since %d: %v, and the operation is %v", s.epoch, grants, op)
	}
	var rows, epoch uint64
	var member, operation string
	s.must(s.Member(op.GetTo()).Ask(s.ctx, []any{&rows, &epoch, &member, &operation},
		"SELECT count(*) OVER (), epoch, member, operation FROM arbiter.epoch"))
	if rows != 1 || epoch <= s.epoch || epoch > op.GetEpochAfter() || member != op.GetTo() || operation != op.GetId() {
		s.t.Errorf("%d epoch rows: %s is primary under epoch %d by %s; the operation is %v", rows, member, epoch, operation, op)
	}
}
