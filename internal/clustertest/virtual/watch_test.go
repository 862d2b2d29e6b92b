package virtual_test

import (
	"context"
	"sync"
	"testing"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// watcher is the host from which somebody watches.
const watcher = "watcher"

// watch is what somebody heard who follows all events, wherever they are to be had, as arbiterctl events --follow does.
type watch struct {
	t     *testing.T
	mu    sync.Mutex
	from  failover.NodeID                        // which arbiter it listens to
	last  uint64                                 // the number of the newest event
	kinds map[failover.EventKind]failover.NodeID // which arbiter told of an event of the kind last
}

// follow watches until the test ends.
func follow(t *testing.T, c *virtual.Cluster) *watch {
	t.Helper()
	options := client.Options{InsecurePlaintext: true, Dial: c.Net.Host(watcher).DialContext}
	for _, node := range c.Nodes() {
		options.Addresses = append(options.Addresses, string(node)+":7401")
	}
	asking, err := client.New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &watch{t: t, kinds: map[failover.EventKind]failover.NodeID{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for item, err := range asking.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
			w.hear(item, err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if err := asking.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// hear notes one item. What isn't labelled as stale comes from an arbiter that leads, whole, in order, each event once.
func (w *watch) hear(item client.WatchItem, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil || item.Gap != nil:
		w.t.Errorf("the watch was told %+v, %v", item, err)
	case item.From != nil:
		w.from = failover.NodeID(item.From.GetNode())
		if !item.From.GetLinearizable() || item.From.GetLeader() != item.From.GetNode() {
			w.t.Errorf("it listens to %v", item.From)
		}
	case item.Event != nil:
		if item.Event.GetSequence() != w.last+1 {
			w.t.Errorf("event %d after %d", item.Event.GetSequence(), w.last)
		}
		w.last, w.kinds[failover.EventKind(item.Event.GetKind())] = item.Event.GetSequence(), w.from
	}
}

// teller is the arbiter that told of an event of the kind; empty if none did.
func (w *watch) teller(kind failover.EventKind) failover.NodeID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kinds[kind]
}

// A leader that is cut off from the others doesn't hear what they do. Who watches hears of it all the same, although the connection to the
// old leader is as good as ever, or lets nothing pass either, as one to a machine that was frozen: its silence isn't taken for quiet.
func TestWatch_GoesOnWhereTheLeaderIsCutOff(t *testing.T) {
	for name, watcherToo := range map[string]bool{"from the others": false, "from who watches too": true} {
		t.Run(name, func(t *testing.T) {
			virtual.Run(t, func(t *testing.T) {
				c := virtual.New(t, 3, 1)
				c.Protect()
				w := follow(t, c)
				old := c.Leader()
				c.Eventually("the leader has told all", func(context.Context) bool { return w.teller(failover.GroupAdopted) == old })
				c.Partition(old)
				if watcherToo {
					c.Net.Cut(watcher, string(old))
					c.Net.Cut(string(old), watcher)
				}
				c.World.Crash("db1")
				c.Eventually("another arbiter has told of the failover", func(context.Context) bool {
					by := w.teller(failover.VerifyDone)
					return by != "" && by != old
				})
				c.Net.Heal()
				breaches(t, c)
			})
		})
	}
}
