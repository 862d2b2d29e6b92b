package e2e

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// The primary and its standbys are cut from each other, and all of them see the arbiters: commits wait for the synchronous
// standby, and nobody is failed over for it.
func TestScenario30_ReplicationCut(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	s.cut(s.first)
	s.cut(s.second)
	s.quiet(3 * time.Second)
	s.until("up", func(g *arbiterv1.GroupStatus) bool { return g.GetPrimaryStatus() == "up" })
	s.explains("no failover", "0 of 3 arbiters")
	s.nothingDone()
	s.must(s.Site.Join(s.ctx, s.primary.Host(), s.first.Host()))
	s.must(s.Site.Join(s.ctx, s.primary.Host(), s.second.Host()))
	s.writes(20)
	s.nothingDone()
}

// The primary is cut off from everybody: it is fenced before anybody else accepts a write, and does not acknowledge any.
func TestScenario29_PrimaryCutOff(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	s.inject(lab.Partition)
	to, op := s.failedOver()
	s.promoted(to, op)
}

// One arbiter of three sees the primary, and clients see it too: two arbiters are a majority, and it is fenced with proof.
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
