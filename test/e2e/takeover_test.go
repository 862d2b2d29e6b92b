package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// reached waits until an arbiter has come to the failpoint.
func (s *stage) reached(place string) {
	s.t.Helper()
	s.await("somebody to come to "+place, func() error {
		_, err := os.Stat(failpointFile(s.Lab) + taken)
		return err
	})
}

// An operator pauses the group, or the primary comes back, while the intent to isolate is on its way: it does not count.
func TestScenario61_ChangedOnTheWay(t *testing.T) {
	full(t)
	for _, c := range []struct {
		name, rule string
		change     func(*stage)
	}{
		{"paused", "S14", func(s *stage) {
			_, err := s.api.Pause(s.ctx, &arbiterv1.PauseRequest{Change: change(), Group: lab.Group})
			s.must(err)
		}},
		// The recovery ends the operation that the intent is about.
		{"recovered", "S4", func(s *stage) {
			logs := s.logEnds()
			s.must(s.primary.Start(s.ctx))
			s.await("two arbiters to see it", func() error { return s.seenByTwo(logs) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			for !s.refusedOnTheWay(c.change, c.rule) {
				// A machine that is too slow takes the wait for a disk that hangs, and the leader ends itself.
				s.t.Log("the leader ended itself before its intent was in the log")
				s.must(startArbiters(s.ctx, s.Lab))
				s.restored()
			}
			s.restored()
			if offs := s.offs(); len(offs) > 0 || !s.primary.Host().On() {
				t.Errorf("the power switch was told to switch off: %v", offs)
			}
			if g := s.status(); g.GetPrimary() != s.primary.Name() {
				t.Errorf("status %v", g)
			}
		})
	}
}

// refusedOnTheWay crashes the primary and makes a change while the intent to isolate it waits on its way to the log. It asserts that the
// intent is refused there by a rule, unless the leader has ended itself meanwhile: then there may be no intent.
func (s *stage) refusedOnTheWay(change func(*stage), rule string) bool {
	s.t.Helper()
	last, logs := s.lastEvent(), s.logEnds()
	setFailpoint(s.Lab, "wait before-commit-intend-isolate")
	s.crash()
	s.reached("the commit of the intent")
	change(s)
	s.must(os.Remove(failpointFile(s.Lab) + taken))
	refused, ended := false, false
	s.await("the intent to be refused", func() error {
		for _, a := range s.Arbiters {
			refused = refused || strings.Contains(s.log(a)[logs[a]:], "own entry refused: node="+a.Name()+" entry=intend-isolate rule="+rule+" ")
			ended = ended || !a.Process().Running()
		}
		if refused || ended {
			return nil
		}
		return errors.New("no arbiter says so in its log")
	})
	rejected := false
	for _, e := range s.events(last) {
		rejected = rejected || e.GetKind() == "rejected" && e.GetRule() == rule
		if e.GetKind() == "isolate-intended" {
			s.t.Errorf("an isolation was intended all the same: %v", e)
		}
	}
	if refused && !rejected {
		s.t.Errorf("no event says that an entry was refused by %s: %v", rule, s.events(last))
	}
	return refused
}

// logEnds is how long each arbiter's log is by now.
func (s *stage) logEnds() map[*lab.Arbiter]int {
	s.t.Helper()
	ends := map[*lab.Arbiter]int{}
	for _, a := range s.Arbiters {
		ends[a] = len(s.log(a))
	}
	return ends
}

// seenByTwo says whether the last that two arbiters have logged of the primary, after these ends of their logs, is that it answers.
func (s *stage) seenByTwo(ends map[*lab.Arbiter]int) error {
	s.t.Helper()
	seen := 0
	for _, a := range s.Arbiters {
		last := ""
		for line := range strings.Lines(s.log(a)[ends[a]:]) {
			if strings.Contains(line, "member="+s.primary.Name()+" check=postgres") {
				last = line
			}
		}
		if strings.Contains(last, "to=answered") {
			seen++
		}
	}
	if seen < 2 {
		return fmt.Errorf("%d see it", seen)
	}
	return nil
}

// restored waits until the old primary serves, nothing is in progress, and nobody has paused the group.
func (s *stage) restored() {
	s.t.Helper()
	if !s.primary.Running() {
		s.must(s.primary.Start(s.ctx))
	}
	s.writes(50)
	if s.until("without an operation", func(g *arbiterv1.GroupStatus) bool { return g.GetOperation() == nil }).GetPause() != nil {
		_, err := s.api.Resume(s.ctx, &arbiterv1.ResumeRequest{Change: change(), Group: lab.Group})
		s.must(err)
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

// The outcome of an isolation gets into the log twice, the second time after the member was reinstated: it counts once, and takes from
// nobody the right to write.
func TestScenario64_OutcomeTwice(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	setFailpoint(s.Lab, "wait after-effect-isolate")
	s.crash()
	s.reached("the outcome")
	leader, _ := s.followers()
	s.stopStandbys()
	s.until("without a candidate", func(g *arbiterv1.GroupStatus) bool { return g.GetCandidate() == "" })
	s.must(os.WriteFile(failpointFile(s.Lab), []byte("wait again-commit-conclude-isolate"), 0o600)) // before what waits goes on
	s.must(os.Remove(failpointFile(s.Lab) + taken))
	s.reached("the second commit of the outcome")
	op := s.reinstated()
	s.await(leader.Name()+" to lead", func() error {
		if s.leads(leader) {
			return nil
		}
		_, err := s.api.TransferLeadership(s.ctx, &arbiterv1.TransferLeadershipRequest{Change: change(), To: leader.Name()})
		return errors.Join(err, errors.New("another one led"))
	})
	last := s.lastEvent()
	s.must(os.Remove(failpointFile(s.Lab) + taken))
	s.await("the outcome to be refused", func() error {
		events := s.events(last)
		if !slices.ContainsFunc(events, func(e *arbiterv1.Event) bool {
			return e.GetKind() == "rejected" && e.GetRule() == "S4" && e.GetGroup() == lab.Group
		}) {
			return fmt.Errorf("events since: %v", events)
		}
		return nil
	})
	s.stillWriter(op)
}

// The leader is frozen when it is about to commit the outcome of an isolation. Another one isolates again; nobody can be
// promoted, and an operator takes the old primary back. When the first one wakes up its outcome is not committed: it
// leads no more.
func TestScenario64_OutcomeOfAFrozenLeader(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	setFailpoint(s.Lab, "stop before-commit-conclude-isolate")
	s.crash()
	s.reached("the commit of the outcome")
	frozen := s.frozen()
	s.stopStandbys()
	op := s.reinstated()
	before := s.log(frozen)
	s.must(frozen.Process().Signal(syscall.SIGCONT))
	s.await("it to follow", func() error {
		if text := s.log(frozen)[len(before):]; !strings.Contains(text, "entering follower state") {
			return fmt.Errorf("its log: %s", text)
		}
		return nil
	})
	s.stillWriter(op)
}

// stopStandbys leaves nobody who could be promoted.
func (s *stage) stopStandbys() {
	s.t.Helper()
	s.must(s.first.Stop(s.ctx, database.Immediate))
	s.must(s.second.Stop(s.ctx, database.Immediate))
}

// reinstated takes the old primary back, as an operator does for whom nobody can be promoted, and starts the standbys again.
func (s *stage) reinstated() *arbiterv1.Operation {
	s.t.Helper()
	s.until("held", func(g *arbiterv1.GroupStatus) bool { return g.GetStage() == "held" })
	_, err := s.Ctl(s.ctx, "reinstate", lab.Group, "--yes", "--reason", "the standbys are gone")
	s.must(err)
	s.must(s.primary.Host().PowerOn(s.ctx))
	s.must(s.primary.Start(s.ctx))
	op := s.ended()
	if op.GetResult() != "reinstated" || op.GetTo() != s.primary.Name() {
		s.t.Errorf("operation %v", op)
	}
	for _, m := range []*database.Server{s.first, s.second} {
		s.must(m.Start(s.ctx))
		s.must(streams(s.ctx, m, s.primary))
	}
	s.writes(20)
	return op
}

// stillWriter asserts that nothing has become of what came late: the old primary goes on writing under the epoch of its reinstatement.
func (s *stage) stillWriter(reinstatement *arbiterv1.Operation) {
	s.t.Helper()
	s.writes(200)
	g := s.until("steady", steady)
	if g.GetPrimary() != s.primary.Name() || authority(g, s.primary) != "WRITER" || g.GetEpoch() != reinstatement.GetEpochAfter() {
		s.t.Errorf("status %v", g)
	}
}
