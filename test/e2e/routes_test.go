package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
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

// weigh gives servers of the router a weight, as a percentage of that in its file.
func (s *stage) weigh(percent int, members ...*database.Server) {
	s.t.Helper()
	for _, m := range members {
		_, err := s.Proxy.Command(s.ctx, fmt.Sprintf("set weight %s/%s %d%%", s.Proxy.Backend(), m.Name(), percent))
		s.must(err)
	}
}

// weighs waits until the router gives a server the weight of its file again.
func (s *stage) weighs(m *database.Server) {
	s.t.Helper()
	const name, now, inFile = 3, 7, 8 // fields of a line of "show servers state"
	s.await("the router to give "+m.Name()+" its weight again", func() error {
		text, err := s.Proxy.Command(s.ctx, "show servers state "+s.Proxy.Backend())
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) > inFile && f[name] == m.Name() && f[now] == f[inFile] {
				return err
			}
		}
		return fmt.Errorf("it says %s, %w", text, err)
	})
}

// A server of weight 0 gets no new clients. The arbiters give it its weight again together with the clients, in a failover and in a reroute, also
// if the leader dies before it has told the router, or before it could say that it did.
func TestScenario36_LeaderKilledAroundTheWeight(t *testing.T) {
	full(t)
	for _, place := range []string{"before-effect-route", "after-effect-route"} {
		t.Run("failover/"+place, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			s.weigh(0, s.first, s.second)
			t.Cleanup(func() { s.weigh(100, s.first, s.second) })
			setFailpoint(s.Lab, "kill "+place)
			s.crash()
			s.reached(place)
			dead := s.dead()
			to, op := s.failedOver()
			s.promoted(to, op)
			s.weighs(to)
			s.must(dead.Start())
			s.until("steady", steady)
		})
		t.Run("reroute/"+place, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			t.Cleanup(func() { s.weigh(100, s.primary) })
			setFailpoint(s.Lab, "kill "+place)
			s.weigh(0, s.primary)
			s.reached(place)
			dead := s.dead()
			s.weighs(s.primary)
			s.must(dead.Start())
			s.until("steady", steady)
			// A reroute is stopped at the end of its leader's reign. The next leader begins another, unless nothing is left to do.
			op := s.ended()
			if op.GetKind() != "reroute" || op.GetResult() != "done" && op.GetResult() != "stopped" || op.GetTo() != s.primary.Name() || op.GetEpochAfter() <= s.epoch {
				t.Errorf("after the weight of %s was taken: %v", s.primary.Name(), op)
			}
			s.writes(20)
			s.routedOnlyTo(s.primary)
		})
	}
}
