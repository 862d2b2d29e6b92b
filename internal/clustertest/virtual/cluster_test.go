package virtual_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
)

func TestCluster_FailsOver(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := virtual.New(t, 3, 1)
		c.Protect()
		c.World.Crash("db1")
		c.Eventually("another member is the primary", func(ctx context.Context) bool {
			g := c.Status(ctx)
			return g.GetPrimary() != "db1" && g.GetPrimary() != "" && g.GetPrimary() == string(c.World.Writer()) && g.GetStage() == "steady"
		})
		if breaches := c.History.Breaches(); len(breaches) > 0 {
			t.Errorf("%q\n%s", breaches, c.History)
		}
	})
}

// breaches fails the test if a rule was broken.
func breaches(t *testing.T, c *virtual.Cluster) {
	t.Helper()
	if found := c.History.Breaches(); len(found) > 0 {
		t.Errorf("%s\n%q", c.History, found)
	}
}

// A disk that takes recordings and hangs holds up no arbiter: one leads, and ends itself in time where the disk of its log hangs too.
func TestCluster_RecordingsThatHangHoldNobodyUp(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := virtual.New(t, 3, 1)
		c.HangRecordings()
		c.Protect()
		leader := c.Leader()
		c.HangDisk(leader)
		c.World.Crash("db1")
		c.Eventually("the leader has ended itself, and another one has failed over", func(ctx context.Context) bool {
			primary := c.Status(ctx).GetPrimary()
			return !c.Lives(leader) && primary != "" && primary != "db1" && primary == string(c.World.Writer())
		})
		breaches(t, c)
	})
}

// rounds are how often leaders are cut off: what is looked for shows in some of them only.
const rounds = 25

// Answers to what a leader has sent go on coming in after it was cut off, while others elect another one.
func TestS6_LateAnswersConfirmNothing(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := virtual.New(t, 3, 1)
		c.Protect()
		defer c.WatchAnswers()()
		for round := range rounds {
			mend := c.LateAnswers(c.Leader(), time.Duration(125+5*(round%13))*time.Millisecond)
			time.Sleep(time.Second)
			mend()
			time.Sleep(4 * time.Second) // until connections that hang have been replaced
		}
		if counts := c.Counts(); counts.Elections < rounds {
			t.Errorf("nobody was cut off in time: %+v", counts)
		}
		breaches(t, c)
	})
}

// What an arbiter had sent before its connection broke arrives after what it has sent anew.
func TestS4_OldBatchesCountForNothing(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := virtual.New(t, 3, 1)
		c.Protect()
		for round := range 20 {
			leader := c.Leader()
			other := c.Nodes()[round%3]
			if other == leader {
				continue
			}
			c.Net.Reset(string(other), string(leader))
			for range 150 { // as soon as it has connected again: before it opens its stream
				time.Sleep(200 * time.Microsecond)
				c.Net.Stall(string(other), string(leader), 600*time.Millisecond)
			}
			time.Sleep(300 * time.Millisecond)
			c.Net.Reset(string(other), string(leader))
			time.Sleep(2 * time.Second)
		}
		if strings.Count(c.History.String(), "was already taken") < 3 {
			t.Errorf("nothing old has arrived:\n%s", c.History)
		}
		breaches(t, c)
	})
}

// Late answers end with all other faults, also when they have only just begun.
func TestCluster_CalmEndsLateAnswers(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := virtual.New(t, 3, 1)
		leader := c.Leader()
		c.LateAnswers(leader, 150*time.Millisecond)
		c.Calm()
		time.Sleep(time.Second)
		for _, node := range c.Nodes() {
			if !c.Net.Passes(string(leader), string(node)) {
				t.Errorf("nothing passes from %s to %s", leader, node)
			}
		}
	})
}
