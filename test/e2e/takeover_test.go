package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// places are where the leader is killed in scenario 36: before and after commits and each effect of a failover.
var places = []string{
	"before-commit-acquire-lease", "after-commit-acquire-lease",
	"before-commit-intend-isolate", "after-commit-intend-isolate", "before-effect-isolate", "after-effect-isolate",
	"before-commit-conclude-isolate", "after-commit-conclude-isolate",
	"before-commit-intend-catch_up", "after-commit-intend-catch_up", "before-effect-catch_up", "after-effect-catch_up",
	"after-commit-conclude-catch_up",
	"before-commit-intend-promote", "after-commit-intend-promote", "before-effect-promote", "after-effect-promote",
	"before-commit-conclude-promote",
	"before-commit-intend-configure", "after-commit-intend-configure", "before-effect-configure", "after-effect-configure",
	"before-commit-intend-route", "after-commit-intend-route", "before-effect-route", "after-effect-route",
	"before-commit-intend-verify", "after-commit-intend-verify", "before-effect-verify", "after-effect-verify",
	"before-commit-conclude-verify",
	"before-commit-release-lease", "after-commit-release-lease",
	beforeReign,
}

// beforeReign is where a new leader is killed: a failover has one only if leadership moves.
const beforeReign = "before-commit-failover.BeginReign"

// The leader is killed at every stage of a failover: the next one goes on from there, with the same outcome.
func TestScenario36_LeaderKilledAtEveryStage(t *testing.T) {
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			if place != "after-effect-isolate" {
				full(t)
			}
			s := enter(t, plan{failpoints: true})
			setFailpoint(s.Lab, "kill "+place)
			s.crash()
			if place == beforeReign {
				_, err := s.api.TransferLeadership(s.ctx, &arbiterv1.TransferLeadershipRequest{Change: change()})
				s.must(err)
			}
			s.reached(place)
			dead := s.dead()
			to, op := s.failedOver()
			s.promoted(to, op)
			if s.primary.Host().On() {
				t.Error("the failed primary still has power")
			}
			s.must(dead.Start())
			s.until("steady", steady)
			s.t.Logf("%s was killed %s, %s ended it", dead.Name(), place, op.GetArbiter())
		})
	}
}

// reached waits until an arbiter has come to the failpoint.
func (s *stage) reached(place string) {
	s.t.Helper()
	s.await("somebody to come to "+place, func() error {
		_, err := os.Stat(failpointFile(s.Lab) + taken)
		return err
	})
}

// dead is the one arbiter that was killed at its failpoint.
func (s *stage) dead() *lab.Arbiter {
	s.t.Helper()
	var dead *lab.Arbiter
	s.await("an arbiter to be dead", func() error {
		for _, a := range s.Arbiters {
			if !a.Process().Running() {
				dead = a
				return nil
			}
		}
		return errors.New("all of them run")
	})
	return dead
}

// frozen is the one arbiter that was stopped at its failpoint.
func (s *stage) frozen() *lab.Arbiter {
	s.t.Helper()
	var frozen *lab.Arbiter
	s.await("an arbiter to be frozen", func() error {
		for _, a := range s.Arbiters {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.Process().PID()))
			if err == nil && strings.HasPrefix(string(text[strings.LastIndexByte(string(text), ')')+1:]), " T") {
				frozen = a
				return nil
			}
		}
		return errors.New("none of them is")
	})
	return frozen
}

// The leader is frozen past its lease with an effect about to start, and woken when another one has gone on: its effect
// does not happen, neither to the old primary, which is a standby again, nor to the new one.
func TestScenario37_LeaderFrozenBeforeAnEffect(t *testing.T) {
	full(t)
	for _, effect := range []string{"isolate", "catch_up", "promote", "configure", "route"} {
		t.Run(effect, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			setFailpoint(s.Lab, "stop before-effect-"+effect)
			s.crash()
			s.reached(effect)
			frozen := s.frozen()
			to, op := s.failedOver()
			left := s.promoted(to, op)
			if op.GetArbiter() == frozen.Name() {
				t.Fatalf("%s is frozen and ended the operation", frozen.Name())
			}
			s.must(rejoin(s.ctx, s.primary, to))
			offs, before := len(s.offs()), s.log(frozen)
			s.must(frozen.Process().Signal(syscall.SIGCONT))
			s.await("its action to have been refused", func() error {
				if text := s.log(frozen)[len(before):]; !strings.Contains(text, "entering follower state") {
					return fmt.Errorf("its log: %s", text)
				}
				return nil
			})
			s.writes(200)
			s.until("steady", steady)
			if after := s.offs(); len(after) != offs {
				t.Errorf("the arbiter that woke up switched off: %v", after[offs:])
			}
			if g := s.status(); g.GetEpoch() != op.GetEpochAfter() || g.GetPrimary() != to.Name() {
				t.Errorf("status %v after %v", g, op)
			}
			s.tokens(op.GetEpochAfter(), left)
		})
	}
}

// tokens asserts what refuses a late actor: the member itself holds a token that is not older than the epoch (S9), or the
// status says that it does not.
func (s *stage) tokens(epoch uint64, members ...*database.Server) {
	s.t.Helper()
	for _, m := range members {
		var token uint64
		s.must(m.Ask(s.ctx, []any{&token}, "SELECT coalesce(nullif(current_setting('arbiter.epoch', true), ''), '0')::bigint"))
		if grade := s.status().GetEpochGrade(); token < epoch && grade != "weak" {
			s.t.Errorf("%s would take orders of epoch %d, and %d is current", m.Name(), token, epoch)
		}
	}
}

// An operator pauses the group, or the primary comes back, while the intent to isolate is on its way: it does not count.
func TestScenario61_ChangedOnTheWay(t *testing.T) {
	full(t)
	for _, c := range []struct {
		name   string
		change func(*stage)
	}{
		{"paused", func(s *stage) {
			_, err := s.api.Pause(s.ctx, &arbiterv1.PauseRequest{Change: change(), Group: lab.Group})
			s.must(err)
		}},
		{"recovered", func(s *stage) {
			s.must(s.primary.Start(s.ctx))
			s.await("two arbiters to see it", func() error {
				seen := 0
				for _, a := range s.Arbiters {
					text := s.log(a)
					last := text[strings.LastIndex(text, "member="+s.primary.Name()+" check=postgres"):]
					if strings.Contains(strings.SplitN(last, "\n", 2)[0], "to=answered") {
						seen++
					}
				}
				if seen < 2 {
					return fmt.Errorf("%d see it", seen)
				}
				return nil
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			setFailpoint(s.Lab, "wait before-commit-intend-isolate")
			s.crash()
			s.reached("the commit of the intent")
			c.change(s)
			s.must(os.Remove(failpointFile(s.Lab) + taken))
			s.await("the intent to be refused", func() error {
				for _, a := range s.Arbiters {
					text := s.log(a)
					if strings.Contains(text, "own entry refused") && strings.Contains(text, "entry=intend-isolate") {
						return nil
					}
					if !a.Process().Running() { // on a very slow machine it takes the wait for a disk that hangs
						return nil
					}
				}
				return errors.New("no arbiter says so in its log")
			})
			if !s.primary.Running() {
				s.must(s.primary.Start(s.ctx))
			}
			s.writes(50)
			s.until("without an operation", func(g *arbiterv1.GroupStatus) bool { return g.GetOperation() == nil })
			if offs := s.offs(); len(offs) > 0 || !s.primary.Host().On() {
				t.Errorf("the power switch was told to switch off: %v", offs)
			}
			if g := s.status(); g.GetPrimary() != s.primary.Name() {
				t.Errorf("status %v", g)
			}
			if c.name == "paused" {
				_, err := s.api.Resume(s.ctx, &arbiterv1.ResumeRequest{Change: change(), Group: lab.Group})
				s.must(err)
			}
		})
	}
}

// A new leader that has not applied its own BeginReign is asked who the writer is: it does not answer.
func TestScenario63_NewLeaderDoesNotAnswer(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	leader, others := s.followers()
	setFailpoint(s.Lab, "wait before-commit-failover.BeginReign")
	s.must(leader.Kill())
	s.reached("its BeginReign")
	for _, a := range others {
		s.refusesToAnswer(a)
	}
	s.must(os.Remove(failpointFile(s.Lab) + taken))
	s.until("steady", steady)
	s.must(leader.Start())
	s.writes(20)
	s.nothingDone()
}

// refusesToAnswer asks one arbiter for what only a leader may say, and wants to hear from it that it does not lead. It is
// asked as long as that takes: a time-out or a refused connection is no such answer. All of them must be asked within the
// bound of a proposal, after which the one that waits ends itself.
func (s *stage) refusesToAnswer(a *lab.Arbiter) {
	s.t.Helper()
	c, err := s.ClientAs("operator", a)
	s.must(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	answer, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE})
	if err == nil || !errors.Is(err, client.ErrNoLeader) {
		s.t.Errorf("%s was asked before a reign began: %v, %v", a.Name(), answer, err)
	}
}

// The leader is frozen when it is about to commit the outcome of an isolation. Another one isolates again; nobody can be
// promoted, and an operator takes the old primary back. When the first one wakes up its outcome is not committed: it
// leads no more. That one which does get into the log counts for nothing is asserted by failover's
// TestS4_AnOutcomeCountsOnce and TestS4_AnOutcomeAfterReinstatementCountsForNothing.
func TestScenario64_OutcomeTwice(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	setFailpoint(s.Lab, "stop before-commit-conclude-isolate")
	s.crash()
	s.reached("the commit of the outcome")
	frozen := s.frozen()
	s.must(s.first.Stop(s.ctx, database.Immediate))
	s.must(s.second.Stop(s.ctx, database.Immediate))
	s.until("held", func(g *arbiterv1.GroupStatus) bool { return g.GetStage() == "held" })
	_, err := s.Ctl(s.ctx, "reinstate", lab.Group, "--yes", "--reason", "the standbys are gone")
	s.must(err)
	s.must(s.primary.Host().PowerOn(s.ctx))
	s.must(s.primary.Start(s.ctx))
	op := s.ended()
	if op.GetResult() != "done" || op.GetTo() != s.primary.Name() {
		t.Errorf("operation %v", op)
	}
	for _, m := range []*database.Server{s.first, s.second} {
		s.must(m.Start(s.ctx))
		s.must(streams(s.ctx, m, s.primary))
	}
	s.writes(20)
	before := s.log(frozen)
	s.must(frozen.Process().Signal(syscall.SIGCONT))
	s.await("it to follow", func() error {
		if text := s.log(frozen)[len(before):]; !strings.Contains(text, "entering follower state") {
			return fmt.Errorf("its log: %s", text)
		}
		return nil
	})
	s.writes(200)
	g := s.until("steady", steady)
	if g.GetPrimary() != s.primary.Name() || g.GetEpoch() != op.GetEpochAfter() {
		t.Errorf("status %v", g)
	}
}
