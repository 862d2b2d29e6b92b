package virtual_test

import (
	"context"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
)

// Nothing that happens to a quiet cluster is written down: for a long time the log does not grow by an entry, and nobody else leads.
func TestCluster_WritesNothingWhileAllIsWell(t *testing.T) {
	virtual.Run(t, func(t *testing.T) {
		c := virtual.New(t, 3, 1)
		c.Protect()
		leader := c.Leader()
		// What was under way when the group was adopted may still come.
		c.Eventually("the index stands still for a minute", func(ctx context.Context) bool {
			before := c.Applied(ctx)
			time.Sleep(time.Minute)
			return before != 0 && c.Applied(context.Background()) == before
		})
		before := c.Applied(t.Context())
		time.Sleep(quietFor)
		if after := c.Applied(t.Context()); after != before || c.Leader() != leader {
			t.Errorf("in %v of quiet the log grew from %d to %d; %s leads, and %s did\n%s", quietFor, before, after, c.Leader(), leader, c.History)
		}
		breaches(t, c)
	})
}

// quietFor is in virtual time, of which a quiet cluster takes some hundred times as much as a clock shows.
const quietFor = time.Hour
