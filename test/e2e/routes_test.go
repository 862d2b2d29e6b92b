package e2e

import (
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
)

// A router that is restarted forgets the failover and sends clients to the former primary: the arbiters bring it back to the present one, once,
// under a new epoch, and fence nobody. Not while the group is paused.
func TestRoutes_ComeBackAfterTheRouterForgotThem(t *testing.T) {
	full(t)
	s := enter(t, plan{own: true}) // whose router, made anew, sends clients to the former primary
	s.crash()
	to, failover := s.failedOver()
	s.promoted(to, failover)
	operations, fenced := len(s.operations()), len(s.offs())
	restart := func() {
		s.must(s.Proxy.Stop(s.ctx))
		s.must(s.Proxy.Launch(s.ctx))
	}
	restart()
	s.writes(50)
	op := s.ended()
	if op.GetKind() != "reroute" || op.GetResult() != "done" || op.GetFrom() != to.Name() || op.GetTo() != to.Name() || op.GetEpochAfter() != failover.GetEpochAfter()+1 {
		t.Errorf("after the router was restarted: %v", op)
	}
	s.routedOnlyTo(to)
	s.says([]string{"show", lab.Group}, "reroute", "sends no clients to it, and it is the primary", "clients are sent to "+to.Name())

	_, err := s.Ctl(s.ctx, "pause", lab.Group, "--reason", "the router is mended by hand")
	s.must(err)
	restart()
	s.says([]string{"check", lab.Group}, "sends no clients to it, and it is the primary")
	if added := len(s.operations()) - operations; added != 1 {
		t.Errorf("%d operations since the failover", added)
	}
	_, err = s.Ctl(s.ctx, "resume", lab.Group, "--reason", "it was not")
	s.must(err)
	s.writes(50)
	s.until("steady", steady)
	again := s.ended()
	if added := len(s.operations()) - operations; added != 1 || again.GetId() == op.GetId() || again.GetKind() != "reroute" {
		t.Errorf("reroutes in a row share one receipt; %d operations since the failover, the newest %v", added, again)
	}
	if offs := len(s.offs()); offs != fenced {
		t.Errorf("the power switch was told to switch off %d times more", offs-fenced)
	}
	if after := s.state(to); after.InRecovery {
		t.Errorf("%s is %+v", to.Name(), after)
	}
}
