package clustertest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// inDoubt are the arbiters that can't reach their reference points, as the leader knows it.
func (c *cluster) inDoubt(ctx context.Context) []failover.NodeID {
	answer, err := c.api(c.leader()).ListArbiters(ctx, &arbiterv1.ListArbitersRequest{})
	if err != nil {
		return nil
	}
	var nodes []failover.NodeID
	for _, a := range answer.GetArbiters() {
		if strings.Contains(a.GetDoubt(), "can't reach its reference points") {
			nodes = append(nodes, failover.NodeID(a.GetNode()))
		}
	}
	return nodes
}

// others are the arbiters beside one.
func (c *cluster) others(than failover.NodeID) []failover.NodeID {
	var nodes []failover.NodeID
	for _, p := range c.peers {
		if p.Node != than {
			nodes = append(nodes, p.Node)
		}
	}
	return nodes
}

// nothingDone asserts that nobody was touched and no epoch was taken.
func (c *cluster) nothingDone(before *arbiterv1.GroupStatus) {
	c.t.Helper()
	g := c.status(c.t.Context(), "pay")
	if len(c.world.effects()) != 0 || g.GetPrimary() != "db1" || g.GetEpoch() != before.GetEpoch() {
		c.t.Errorf("done %v, primary %s, epoch %d after %d", c.world.effects(), g.GetPrimary(), g.GetEpoch(), before.GetEpoch())
	}
}

// Two of three arbiters, a majority, can't make new connections, while those that they have go on: they see the primary dead
// and tell the leader so, and standbys that are well, but they reach no reference point either. The leader is well, so a wrong verdict would be acted upon.
func TestCutOff_MajorityOfArbiters(t *testing.T) {
	c := startProtecting(t)
	before := c.status(t.Context(), "pay")
	leader := c.leader()
	cut := c.others(leader)
	c.world.cutOff(cut...)
	c.eventually("both doubt themselves", func(ctx context.Context) bool { return slices.Equal(c.inDoubt(ctx), cut) })
	answer, err := c.api(c.leader()).Explain(t.Context(), &arbiterv1.ExplainRequest{Group: "pay"})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range answer.GetViews() {
		doubts := slices.Contains(cut, failover.NodeID(v.GetNode()))
		if v.GetCounts() == doubts {
			t.Errorf("the view of %s counts: %t", v.GetNode(), v.GetCounts())
		}
		want := v.GetNode() + " also can't reach its reference points ("
		if doubts && (v.GetStatus() != "down" || !strings.HasPrefix(v.GetWhyNot(), want)) {
			t.Errorf("%s sees %s: %s", v.GetNode(), v.GetStatus(), v.GetWhyNot())
		}
	}
	c.nothingDone(before)
	c.world.cutOff()
	c.eventually("both trust their views again", func(ctx context.Context) bool {
		return len(c.inDoubt(ctx)) == 0 && len(seenBy(c.status(ctx, "pay"), "db1", "up")) == 3
	})
	c.nothingDone(before)
}

// A leader that is cut off hands leadership to an arbiter that isn't. Then the primary crashes, and the two others fail over.
func TestCutOff_LeaderHandsOn(t *testing.T) {
	c := startProtecting(t)
	before := c.status(t.Context(), "pay")
	old := c.leader()
	c.world.cutOff(old)
	c.eventually("another one leads", func(context.Context) bool { return c.leader() != old })
	c.nothingDone(before)
	c.world.crash("db1")
	c.awaitFailover("pay")
	if effects := c.world.effects(); slices.ContainsFunc(effects, func(e string) bool { return strings.HasSuffix(e, " by "+string(old)) }) {
		t.Errorf("%s acted while it was cut off: %v", old, effects)
	}
}

// The zone of the leader is lost with most members: the arbiters that are left fail over, for they still reach each other.
func TestZoneLost_OthersDoNotDoubtThemselves(t *testing.T) {
	c := newCluster(t, true)
	c.world.sync = []string{"db2"}
	c.startAll()
	c.applyAndAdopt("pay")
	old := c.leader()
	c.world.crash("db3")
	c.world.crash("db1")
	c.kill(old)
	g, _ := c.awaitFailover("pay")
	if g.GetPrimary() != "db2" {
		t.Errorf("primary %s", g.GetPrimary())
	}
	if doubters := c.inDoubt(t.Context()); len(doubters) != 0 {
		t.Errorf("%v doubt themselves", doubters)
	}
}
