package arbiter

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/config"
)

// TestElections_ComeAsSoonAsIsPromised measures what docs/arbiter-file.md says of the profiles, and validate adds to an outage: how long it takes
// from the loss of a leader to the next one, with three arbiters, one of which is gone. Time is virtual, messages take none.
func TestElections_ComeAsSoonAsIsPromised(t *testing.T) {
	const runs = 60
	page, err := os.ReadFile(filepath.Join("..", "docs", "arbiter-file.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, bound := range config.Elections() {
		timing, err := TimingProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		times := make([]time.Duration, runs)
		for i := range times {
			synctest.Test(t, func(t *testing.T) { times[i] = timeElection(t, timing) })
		}
		slices.Sort(times)
		if often := times[runs*9/10]; often > bound { // votes may be split, and be split again
			t.Errorf("%s: one election of ten takes %v, and validate reckons with %v", name, often, bound)
		}
		row := fmt.Sprintf("| `%s` | %d | %d | %d |", name, timing.Heartbeat.Milliseconds(), timing.Election.Milliseconds(), timing.Lease.Milliseconds())
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/arbiter-file.md has no row %s", row)
		}
		t.Logf("%s: %v to %v, half of them within %v", name, times[0], times[runs-1], times[runs/2])
	}
}

// timeElection cuts the leader of a new cluster off and returns how long the others are without one.
func timeElection(t *testing.T, timing Timing) time.Duration {
	c := newTimedCluster(t, 3, timing)
	old := c.leader()
	began := c.clock.Boot()
	cutOff(c, old.ID())
	c.eventually("another leader", func() bool {
		return slices.ContainsFunc(c.others(old.ID()), func(id raft.ServerID) bool { return c.nodes[id].BelievesLeader() })
	})
	took := c.clock.Boot() - began
	c.close()
	return took
}
