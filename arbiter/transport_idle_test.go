package arbiter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

func TestIdlePause_HoldsOnlyWhatThePeerKnows(t *testing.T) {
	const limit = 30 * time.Millisecond
	base := raft.AppendEntriesRequest{Term: 3, PrevLogEntry: 7, LeaderCommitIndex: 7}
	tests := map[string]struct {
		limit  time.Duration
		peer   raft.ServerID
		change func(*raft.AppendEntriesRequest)
		during func(p *idlePause, closed chan struct{}) // after 10 ms
		held   time.Duration
	}{
		"nothing new":         {limit, "az-b", nil, nil, limit},
		"switched off":        {0, "az-b", nil, nil, 0},
		"another peer":        {limit, "az-c", nil, nil, 0},
		"an entry":            {limit, "az-b", func(r *raft.AppendEntriesRequest) { r.Entries = []*raft.Log{{Index: 8}} }, nil, 0},
		"a newer commit":      {limit, "az-b", func(r *raft.AppendEntriesRequest) { r.LeaderCommitIndex = 8 }, nil, 0},
		"another place":       {limit, "az-b", func(r *raft.AppendEntriesRequest) { r.PrevLogEntry = 6 }, nil, 0},
		"another term":        {limit, "az-b", func(r *raft.AppendEntriesRequest) { r.Term = 4 }, nil, 0},
		"a heartbeat":         {limit, "az-b", func(r *raft.AppendEntriesRequest) { *r = raft.AppendEntriesRequest{Term: 3} }, nil, 0},
		"an entry is written": {limit, "az-b", nil, func(p *idlePause, _ chan struct{}) { p.appending(8) }, 10 * time.Millisecond},
		"a peer acknowledges an entry": {limit, "az-b", nil, func(p *idlePause, _ chan struct{}) {
			p.acknowledged("az-c", &raft.AppendEntriesRequest{Term: 3, LeaderCommitIndex: 7, Entries: []*raft.Log{{Index: 8}}})
		}, 10 * time.Millisecond},
		"the end": {limit, "az-b", nil, func(_ *idlePause, closed chan struct{}) { close(closed) }, 10 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, closed := clock.Monotonic(), make(chan struct{})
				p := newIdlePause(test.limit)
				known := base
				p.acknowledged("az-b", &known)
				request := base
				if test.change != nil {
					test.change(&request)
				}
				if test.during != nil {
					go func() {
						wait(t, c, 10*time.Millisecond)
						test.during(p, closed)
					}()
				}
				p.hold(test.peer, &request, closed)
				if got := c.Boot(); got != test.held {
					t.Errorf("held for %v, want %v", got, test.held)
				}
				synctest.Wait()
			})
		})
	}
}

// A cluster at rest sends little, and yet followers learn of a commit within 25 ms after any rest.
func TestIdlePause_RestIsQuietAndCommitsAreHeardOfSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		before := c.network.appends(leader.ID())
		wait(t, c.clock, 10*time.Second)
		// Per follower and second: about 33 heartbeats, which Raft sends by itself, and 5 others instead of 55.
		if rate := float64(c.network.appends(leader.ID())-before) / 10 / 2; rate > 42 {
			t.Errorf("a leader at rest sends %.0f requests a second to each follower", rate)
		}
		for i := range 100 {
			wait(t, c.clock, time.Duration(i)*time.Millisecond)
			proposed := c.clock.Boot()
			if _, _, err := leader.Apply([]byte("x"), time.Second); err != nil {
				t.Fatal(err)
			}
			if took := c.clock.Boot() - proposed; took > 0 {
				t.Errorf("after a rest of %d ms an entry took %v of virtual time to commit", i, took)
			}
			for id, j := range c.journals {
				c.eventually("the entry on "+string(id), func() bool { return len(j.all()) == i+1 })
			}
			if took := c.clock.Boot() - proposed; took > 25*time.Millisecond {
				t.Errorf("after a rest of %d ms followers learned of a commit after %v", i, took)
			}
		}
	})
}

// However long the leader's disk takes for an entry, it is sent as soon as that is over: what Raft makes meanwhile, which tells nothing new, is not held.
func TestIdlePause_AnEntryWaitsForTheDiskOnly(t *testing.T) {
	for _, takes := range []time.Duration{5 * time.Millisecond, 15 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := newTestCluster(t, 3)
			leader := c.leader()
			wait(t, c.clock, time.Second)
			c.disks[leader.ID()].delay.Store(int64(takes))
			for i := range 100 {
				wait(t, c.clock, 2*time.Second+time.Duration(i)*time.Millisecond)
				proposed := c.clock.Boot()
				if _, _, err := leader.Apply([]byte("x"), 5*time.Second); err != nil {
					t.Fatal(err)
				}
				if took := c.clock.Boot() - proposed; took > takes {
					t.Errorf("with a disk that takes %v an entry took %v to commit", takes, took)
				}
			}
		})
	}
}
