package clustertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// seenBy are the arbiters that count for a member and see it as the given status.
func seenBy(g *arbiterv1.GroupStatus, member, status string) []string {
	var nodes []string
	for _, m := range g.GetMembers() {
		for _, v := range m.GetViews() {
			if m.GetMember() == member && v.GetCounts() && v.GetStatus() == status {
				nodes = append(nodes, v.GetNode())
			}
		}
	}
	return nodes
}

func TestViews_FollowerStopsAndComesBack(t *testing.T) {
	for name, end := range map[string]func(*cluster){
		"stopped": func(c *cluster) { c.stop(c.follower()) },
		"killed":  func(c *cluster) { c.kill(c.follower()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := startProtecting(t)
			gone := string(c.follower())
			end(c)
			c.eventually("its view is expired, and the others see db1", func(ctx context.Context) bool {
				seeing := seenBy(c.status(ctx, "pay"), "db1", "up")
				return !slices.Contains(c.currentViews(ctx), gone) && !slices.Contains(seeing, gone) && len(seeing) == 2
			})
			for _, p := range c.peers {
				if string(p.Node) == gone {
					c.start(p.Node)
				}
			}
			c.eventually("it sends its whole view", func(ctx context.Context) bool {
				g := c.status(ctx, "pay")
				for _, member := range []string{"db1", "db2", "db3"} {
					if !slices.Contains(seenBy(g, member, "up"), gone) {
						return false
					}
				}
				return true
			})
		})
	}
}

// A new leader begins without views: everybody sends its whole one.
func TestViews_SentWholeToANewLeader(t *testing.T) {
	c := startProtecting(t)
	old := c.leader()
	c.kill(old)
	c.eventually("the next leader has both views", func(ctx context.Context) bool {
		return len(seenBy(c.status(ctx, "pay"), "db1", "up")) == 2 && len(seenBy(c.status(ctx, "pay"), "db3", "up")) == 2
	})
	if slices.Contains(c.currentViews(t.Context()), string(old)) {
		t.Errorf("the view of %s, which was killed, still counts", old)
	}
}

// Without certificates the first message of a stream says who speaks.
func TestPlaintext_ProtectsToo(t *testing.T) {
	c := newCluster(t, false)
	c.startAll()
	c.applyAndAdopt("pay")
	c.world.crash("db1")
	c.awaitFailover("pay")
	answer, err := c.api(c.leader()).ListArbiters(t.Context(), &arbiterv1.ListArbitersRequest{})
	if err != nil || !answer.GetInsecure() {
		t.Errorf("the cluster does not say that it is insecure: %v, %v", answer.GetInsecure(), err)
	}
}

// Nothing that happens to a quiet cluster is written down: the applied index stands still.
func TestQuietCluster_WritesNothing(t *testing.T) {
	c := startProtecting(t)
	index := func() uint64 {
		answer, err := c.api(c.leader()).ListArbiters(t.Context(), &arbiterv1.ListArbitersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetFreshness().GetAppliedIndex()
	}
	// Each look of every prober would be a chance to write; what was under way when the group was adopted may still come.
	c.eventually("the index stands still", func(context.Context) bool {
		before := index()
		select {
		case <-time.After(20 * lookEvery):
		case <-t.Context().Done():
		}
		return index() == before
	})
}

// A member that became another database: the group says so, by name, and does nothing by itself before it is adopted again.
func TestAnotherDatabase_UnadoptsUntilAdoptedAgain(t *testing.T) {
	c := startProtecting(t)
	c.world.remake("db3", "7999")
	c.eventually("the group is unadopted, and says why", func(ctx context.Context) bool {
		g := c.status(ctx, "pay")
		notes := strings.Join(g.GetNotes(), " ")
		return !g.GetAdopted() && strings.Contains(notes, "db3") && strings.Contains(notes, "7999") && strings.Contains(notes, fake.SystemID) &&
			slices.Contains(g.GetNext(), "arbiterctl adopt pay")
	})
	adopt := func(ctx context.Context) error {
		_, err := c.api(c.leader()).Adopt(ctx, &arbiterv1.AdoptRequest{Change: c.change("mended"), Group: "pay"})
		return err
	}
	if err := adopt(t.Context()); err == nil {
		t.Error("adopted beside another database")
	}
	c.world.remake("db3", "")
	c.eventually("it is adopted again", func(ctx context.Context) bool { return adopt(ctx) == nil })
	if g := c.status(t.Context(), "pay"); !g.GetAdopted() || len(g.GetNotes()) > 0 {
		t.Errorf("adopted %v, notes %v", g.GetAdopted(), g.GetNotes())
	}
}
