package virtual_test

import (
	"context"
	"testing"

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
