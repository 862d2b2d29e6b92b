package clustertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// fenceOfPrimary is what the leader says of the way to db1's fence.
func (c *cluster) fenceOfPrimary(ctx context.Context) string {
	for _, m := range c.status(ctx, "pay").GetMembers() {
		if m.GetMember() == "db1" {
			return m.GetFence()
		}
	}
	return ""
}

// The devices of the primary say to the leader that it is off, and the leader dies before it looks at the primary again. So does what it was told: but
// the others are told the same, and their own looks contradict it. When nobody sees the primary any more, such devices prove nothing.
func TestS3_TheLeaderDiesBetweenOffAndTheLookThatContradictsIt(t *testing.T) {
	c := newCluster(t, true)
	c.pathEvery = 50 * time.Millisecond
	c.startAll()
	c.applyAndAdopt("pay")
	leader := c.leader()
	c.world.keepConnections(leader)
	c.world.lie(leader)
	c.eventually("the leader was told that db1 is off", func(ctx context.Context) bool {
		return strings.Contains(c.fenceOfPrimary(ctx), "its fence says that it is off")
	})
	if fence := c.fenceOfPrimary(t.Context()); strings.Contains(fence, "has said") {
		t.Fatalf("it was contradicted already: %s", fence)
	}
	c.kill(leader)
	c.world.lie(c.others(leader)...)
	var contradicted string
	c.eventually("the devices are contradicted", func(ctx context.Context) bool {
		contradicted = c.fenceOfPrimary(ctx)
		return strings.Contains(contradicted, "has said that it is off while")
	})
	if strings.Contains(contradicted, string(leader)) {
		t.Errorf("by the arbiter that was killed: %s", contradicted)
	}

	c.world.crash("db1")
	c.eventually("the failover is held for want of a proof", func(ctx context.Context) bool {
		op := c.status(ctx, "pay").GetOperation()
		return op.GetHeldReason() != ""
	})
	if g := c.status(t.Context(), "pay"); g.GetOperation().GetHeldReason() != string(failover.HoldFenceUnproven) {
		t.Errorf("held for %q: %v", g.GetOperation().GetHeldReason(), g)
	}
	if promoted := slices.ContainsFunc(c.world.effects(), func(e string) bool { return strings.HasPrefix(e, "promote ") }); promoted {
		t.Errorf("promoted beside a primary of which only its own devices say that it is off: %v", c.world.effects())
	}
}
