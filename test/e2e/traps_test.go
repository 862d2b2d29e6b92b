package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// authority is what a member may do.
func authority(g *arbiterv1.GroupStatus, m *database.Server) string {
	for _, member := range g.GetMembers() {
		if member.GetMember() == m.Name() {
			return member.GetAuthority()
		}
	}
	return ""
}

// The power of the fenced member comes back by itself, and it serves: its proof is void, and it is fenced again.
func TestScenario56_PowerComesBack(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.expectRogue(s.primary)
	s.must(s.primary.Host().PowerOn(s.ctx))
	s.must(s.primary.StartAsPrimary(s.ctx))
	s.await("the rogue to be switched off", func() error {
		if s.primary.Host().On() {
			return fmt.Errorf("it is on; %s", s.status().GetNotes())
		}
		return nil
	})
	s.until("steady again", steady)
	s.says([]string{"events", s.status().GetGroup()}, "rogue", s.primary.Name())
	s.writes(50)
	s.routedOnlyTo(to)
	if again := s.ended(); again.GetKind() != "refence" || again.GetResult() != "done" {
		t.Errorf("operation %v", again)
	}
}

// routedOnlyTo asserts that since the failover no client was sent to anybody else.
func (s *stage) routedOnlyTo(m *database.Server) {
	s.t.Helper()
	arrived := false
	for _, a := range s.writer.Attempts() {
		if !a.Acked {
			continue
		}
		arrived = arrived || a.Member == m.Name()
		if arrived && a.Member != m.Name() {
			s.t.Errorf("write %d went to %s", a.Number, a.Member)
			return
		}
	}
}

// The same where the policy fences rogues only by hand: alarm, and no promotion passes beside it.
func TestScenario56_NoPromotionBesideARogue(t *testing.T) {
	full(t)
	s := enter(t, plan{policy: []string{"refence_rogues: false"}})
	s.crash()
	to, op := s.failedOver()
	left := s.promoted(to, op)
	s.must(setRule(s.ctx, to, left, s.primary, ""))
	s.ready()
	offs := len(s.offs())
	s.expectRogue(s.primary)
	s.must(s.primary.Host().PowerOn(s.ctx))
	s.must(s.primary.StartAsPrimary(s.ctx))
	g := s.until("held for the rogue", func(g *arbiterv1.GroupStatus) bool { return g.GetStage() == "held" })
	if authority(g, s.primary) != "REVOKED" || authority(g, to) != "WRITER" {
		t.Errorf("status %v", g)
	}
	s.explains("rogue", s.primary.Name())
	s.must(to.Crash(s.ctx))
	s.until("seen down", primaryIs("down"))
	s.quiet(3 * time.Second)
	if after := s.offs(); len(after) != offs {
		t.Errorf("switched off without being told to: %v", after[offs:])
	}
	for _, span := range s.truth.Spans() {
		if span.Member == left.Name() {
			t.Errorf("%s was promoted beside a rogue", span.Member)
		}
	}
	s.must(to.Start(s.ctx))
	s.until("up", primaryIs("up"))
	_, err := s.Ctl(s.ctx, "release", s.status().GetGroup(), "--yes", "--reason", "fence it")
	s.must(err)
	s.until("steady", steady)
	if s.primary.Host().On() {
		t.Error("the rogue still has power")
	}
	s.writes(20)
	s.routedOnlyTo(to)
}

// Only the postmaster is killed, and a session that it left behind goes on committing: it is ended before anybody else accepts a write. Its
// fence is out of reach until it was seen to commit, which it may not get round to in a fast failover.
func TestScenario58_OrphanBackends(t *testing.T) {
	full(t)
	s := enter(t, plan{ownFences: primarysFence})
	s.must(s.Power.SetFault(s.primary.Name(), power.Fault{Gone: true}))
	orphan := s.orphan()
	s.giveUpFences()
	s.waited = true // for the fence
	to, op := s.failedOver()
	s.promoted(to, op)
	s.endedBefore(orphan, to)
	if pids, err := s.primary.PIDs(); err != nil || len(pids) > 0 {
		t.Errorf("processes of the old primary are left: %v, %v", pids, err)
	}
}

// orphan kills the primary's postmaster, and returns a session that has committed since.
func (s *stage) orphan() *database.Committer {
	s.t.Helper()
	orphan, err := s.primary.StartCommitter(s.ctx)
	s.must(err)
	s.t.Cleanup(orphan.Close)
	s.fault = lab.Now()
	s.must(s.primary.KillPostmaster())
	s.commits(orphan)
	return orphan
}

// commits waits until an orphan has committed some more.
func (s *stage) commits(orphan *database.Committer) {
	s.t.Helper()
	before := orphan.Commits()
	s.await("the orphan to go on committing", func() error {
		if more := orphan.Commits() - before; more < 3 {
			return fmt.Errorf("it committed %d times", more)
		}
		return nil
	})
}

// endedBefore asserts that an orphan is gone, and committed for the last time before the new primary accepted a write.
func (s *stage) endedBefore(orphan *database.Committer, to *database.Server) {
	s.t.Helper()
	select {
	case <-orphan.Gone():
	default:
		s.t.Errorf("%s accepts writes, and the orphan on %s lives", to.Name(), s.primary.Name())
		return
	}
	last := s.fault.Boot + orphan.Last().Sub(s.fault.Wall)
	for _, span := range s.truth.Spans() {
		if span.Member == to.Name() && span.Accepts[0].Executed <= last {
			s.t.Errorf("%s accepted a write at %v, and the orphan on %s committed until %v", to.Name(), span.Accepts[0].Executed, s.primary.Name(), last)
		}
	}
}

// The synchronous standby dies and commits wait: the healthy primary is not fenced for it.
func TestScenario59_SynchronousStandbyDies(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.must(s.first.Crash(s.ctx))
	s.until("without a candidate", func(g *arbiterv1.GroupStatus) bool { return g.GetCandidate() == "" })
	s.commitsWait(5 * time.Second)
	if g := s.status(); g.GetPrimaryStatus() != "up" {
		t.Errorf("status %v", g)
	}
	s.explains("no failover", "0 of 3 arbiters")
	s.nothingDone()
	s.must(s.first.Start(s.ctx))
	s.writes(20)
	s.nothingDone()
}
