package main

import (
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/probe"
)

func TestGoodLooksTellHowLongTheyTook(t *testing.T) {
	look := probe.Look{Began: time.Second, Ended: time.Second + 30*time.Millisecond}
	look.Evidence.Reason = failover.ReasonAnswered
	if got := good(look); got != 30*time.Millisecond {
		t.Errorf("a good look: %v", got)
	}
	partial, late := look, look
	partial.Partial = true
	late.Evidence.Reason = failover.ReasonTimeout
	for name, bad := range map[string]probe.Look{"partial": partial, "timed out": late} {
		if got := good(bad); got != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever a member says over a new connection, it was reached; over one that was open before, nothing is proven.
func TestLooksThatReachAMember(t *testing.T) {
	for _, c := range []struct {
		reason failover.Reason
		held   bool
		want   time.Duration
	}{
		{failover.ReasonAnswered, false, time.Second},
		{failover.ReasonStartingUp, false, time.Second},
		{failover.ReasonBadCredentials, false, time.Second},
		{failover.ReasonBadConfiguration, false, 0},
		{failover.ReasonAnswered, true, 0},
		{failover.ReasonTimeout, false, 0},
		{failover.ReasonRefused, false, 0},
		{failover.ReasonArbiterTrouble, false, 0},
	} {
		look := probe.Look{Evidence: failover.Evidence{Reason: c.reason}, Held: c.held, Began: time.Second}
		if got := reached(look); got != c.want {
			t.Errorf("%s, held %t: %v, want %v", c.reason, c.held, got, c.want)
		}
	}
}

// Nothing that an arbiter takes of a report is forgotten on the way.
func TestReportOf_LeavesNothingOut(t *testing.T) {
	look := probe.Look{Evidence: failover.Evidence{Reason: failover.ReasonTimeout}}
	got := reportOf(probe.Report{
		Observation: failover.Observation{Member: "db1"}, Address: "a", Began: 1, Ended: 2, Check: "tcp", Look: look,
		Towards: []failover.BadLooks{{Check: "tcp", Count: 1, Latest: look.Evidence}}, ToldBegan: 3, ToldEnded: 4,
	})
	if got.Observation.Member != "db1" || got.Address != "a" || got.Began != 1 || got.Ended != 2 || got.Check != "tcp" || !got.Dead || len(got.Towards) != 1 || got.Told != (arbiter.Told{Began: 3, Ended: 4}) {
		t.Errorf("got %+v", got)
	}
}
