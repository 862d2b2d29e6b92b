package virtual_test

import (
	"context"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
)

// failedOver is a cluster whose group has failed over from db1, and is well again.
func failedOver(t *testing.T) *virtual.Cluster {
	t.Helper()
	c := virtual.New(t, 3, 1)
	c.Protect()
	c.World.Crash("db1")
	c.Eventually("another member is the primary", func(ctx context.Context) bool {
		primary := c.Status(ctx).GetPrimary()
		return primary != "" && primary != "db1" && primary == string(c.World.Writer())
	})
	c.World.RepairStandbys()
	c.Eventually("the group is well", c.Served)
	return c
}

// rerouted waits until clients are sent to the primary again, and asks that it is the same one, under the epoch that is due,
// which it keeps, and that a reroute did it.
func rerouted(t *testing.T, c *virtual.Cluster, writer failover.MemberName, epoch uint64) {
	t.Helper()
	was := c.Counts().Failovers
	c.Eventually("clients are sent to the primary again", c.Served)
	var now uint64
	c.Eventually("an arbiter tells the epoch", func(ctx context.Context) bool {
		now = c.Status(ctx).GetEpoch()
		return now > 0
	})
	if token := c.World.Token(writer); now != epoch || uint64(token) != epoch || c.World.Writer() != writer {
		t.Errorf("the group is at epoch %d, %s accepts writes, and %s keeps epoch %d; want %d", now, c.World.Writer(), writer, token, epoch)
	}
	if counts := c.Counts(); counts.Reroutes == 0 || counts.Failovers != was {
		t.Errorf("%d reroutes, %d failovers", counts.Reroutes, counts.Failovers-was)
	}
	breaches(t, c)
}

// A router that falls back to what its file says is told again, by one operation under one new epoch, and nobody is promoted for it.
func TestReroute_ARouterThatForgetsIsToldAgain(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := failedOver(t)
		writer := c.World.Writer()
		before := uint64(c.World.Token(writer))
		c.World.Forget("db1")
		rerouted(t, c, writer, before+1)
	})
}

// One that can't be reached begins nothing, however long: nobody knows where it leads. It is told again once it answers.
func TestReroute_NotOfASilentRouter(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := failedOver(t)
		writer := c.World.Writer()
		before := uint64(c.World.Token(writer))
		for _, node := range c.Nodes() {
			c.Net.Cut(string(node), "router")
		}
		c.World.Forget("db1")
		time.Sleep(time.Minute)
		if counts := c.Counts(); counts.Reroutes != 0 {
			t.Errorf("%d reroutes while the router is silent", counts.Reroutes)
		}
		c.Net.Heal()
		rerouted(t, c, writer, before+1)
	})
}

// A leader that dies in the middle of it leaves it to the next one, which does it under an epoch of its own.
func TestReroute_TheLeaderDiesOnTheWay(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := failedOver(t)
		writer := c.World.Writer()
		before := uint64(c.World.Token(writer))
		leader := c.Leader()
		c.SetMood(leader, virtual.Mood{Slow: time.Second})
		c.World.Forget("db1")
		c.Eventually("the primary has taken the new epoch", func(context.Context) bool { return uint64(c.World.Token(writer)) == before+1 })
		c.Kill(leader, true)
		if c.World.Front() == writer {
			t.Fatal("clients were already sent to the primary")
		}
		rerouted(t, c, writer, before+2)
	})
}
