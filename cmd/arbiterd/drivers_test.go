package main

import (
	"testing"
	"time"

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
