package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// The primary and its standbys are cut from each other, and all of them see the arbiters: commits wait for the synchronous
// standby, and nobody is failed over for it.
func TestScenario30_ReplicationCut(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	s.cut(s.first)
	s.cut(s.second)
	s.commitsWait(3 * time.Second)
	s.until("up", primaryIs("up"))
	s.explains("no failover", "0 of 3 arbiters")
	s.nothingDone()
	s.must(s.Site.Join(s.ctx, s.primary.Host(), s.first.Host()))
	s.must(s.Site.Join(s.ctx, s.primary.Host(), s.second.Host()))
	s.writes(20)
	s.nothingDone()
}

// commitsWait asserts that so long no commit is acknowledged, but for what is on its way.
func (s *stage) commitsWait(d time.Duration) {
	s.t.Helper()
	before := s.writer.Acked()
	s.quiet(d)
	if more := s.writer.Acked() - before; more > 1 {
		s.t.Errorf("%d commits were acknowledged, and should wait for a synchronous standby", more)
	}
}

// The primary is cut off from everybody: it is fenced before anybody else accepts a write, and does not acknowledge any.
func TestScenario29_PrimaryCutOff(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	s.inject(lab.Partition)
	to, op := s.failedOver()
	s.promoted(to, op)
	if lied() {
		s.seenAgain(to)
	}
}

// One arbiter of three sees the primary, and clients see it too: two are a majority, but the third one
// contradicts them. Nothing is done, and explain names the contradiction.
func TestScenario31_PrimarySeesOneArbiter(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	blind := []*hosts.Host{s.Arbiters[0].Host(), s.Arbiters[1].Host()}
	s.must(s.Site.Separate(s.ctx, blind, []*hosts.Host{s.primary.Host()}))
	s.explains("contradicted by")
	s.writes(100)
	s.nothingDone()
}

// The leader is cut off together with the primary, as when their zone is lost.
func TestScenario32_LeaderCutOffToo(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	leader, _ := s.followers()
	s.must(leader.Host().Unplug(s.ctx))
	s.inject(lab.Partition)
	to, op := s.failedOver()
	s.promoted(to, op)
	if op.GetArbiter() == leader.Name() {
		t.Errorf("%s was cut off and ended the operation", leader.Name())
	}
	if lied() {
		s.seenAgain(to)
	}
}

// The leader is cut off together with the primary and a standby: most members seem dead to the two arbiters that are left, and the
// third one is silent. They still reach each other, so they don't doubt themselves.
func TestScenario32_MostOfTheGroupToo(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	leader, others := s.followers()
	before := map[*lab.Arbiter]int{}
	for _, a := range others {
		before[a] = len(s.log(a))
	}
	s.must(leader.Host().Unplug(s.ctx))
	s.must(s.second.Host().Unplug(s.ctx))
	s.inject(lab.Partition)
	to, op := s.failedOver()
	s.promoted(to, op)
	s.chosen(to, s.first)
	for _, a := range others {
		if text := s.log(a)[before[a]:]; strings.Contains(text, cutOff) {
			t.Errorf("%s doubted itself: %s", a.Name(), text)
		}
	}
	if lied() {
		s.seenAgain(to)
	}
}

// What the leader sends to one arbiter is lost, and what the primary sends to another one: no failover.
func TestScenario33_OneWayLoss(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	leader, others := s.followers()
	unheard, blind := s.logs(others[0], "heartbeat timeout reached"), s.logs(others[1], "member="+s.primary.Name()+" check=postgres from=answered")
	s.must(s.Site.Drop(s.ctx, leader.Host(), others[0].Host()))
	s.must(s.Site.Drop(s.ctx, s.primary.Host(), others[1].Host()))
	unheard()
	blind()
	s.quiet(5 * time.Second)
	s.writes(100)
	s.must(s.Site.Heal(s.ctx))
	s.ready()
	s.writes(20)
	s.nothingDone()
}
