package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/client/clienttest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func happen(c *clienttest.Cluster, from, to int) {
	for i := from; i <= to; i++ {
		c.Happen(&arbiterv1.Event{Group: "g", Text: fmt.Sprint(i)})
	}
}

// Whatever happens to the leader, each event comes once and in order.
func TestWatch_ResumesAfterALeaderChange(t *testing.T) {
	cluster := newCluster(t)
	c := connect(t, cluster)
	happen(cluster, 1, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []uint64
	caughtUp := 0
	for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.CaughtUp {
			caughtUp++
			if len(got) != 3 {
				t.Errorf("caught up after %v", got)
			}
			happen(cluster, 4, 5)
		}
		if item.Event == nil {
			continue
		}
		got = append(got, item.Event.Sequence)
		switch item.Event.Sequence {
		case 5:
			cluster.Lead("az-b")
			happen(cluster, 6, 7)
		case 7:
			cluster.Lead("")
			happen(cluster, 8, 8)
			cluster.Lead("az-c")
		case 8:
			cluster.Node("az-c").Stop()
			cluster.Lead("az-a")
			happen(cluster, 9, 9)
		case 9:
			cancel()
		}
	}
	if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	if caughtUp != 1 {
		t.Errorf("caught up %d times", caughtUp)
	}
}

func TestWatch_FromNowAndAfter(t *testing.T) {
	cluster := newCluster(t)
	c := connect(t, cluster)
	happen(cluster, 1, 5)
	for name, test := range map[string]struct {
		request *arbiterv1.WatchEventsRequest
		want    uint64
	}{
		"after":    {&arbiterv1.WatchEventsRequest{After: 3}, 4},
		"from now": {&arbiterv1.WatchEventsRequest{FromNow: true}, 6},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		for item, err := range c.Watch(ctx, test.request) {
			if err != nil {
				t.Fatal(err)
			}
			if item.CaughtUp {
				happen(cluster, 6, 6)
			}
			if item.Event != nil {
				if item.Event.Sequence != test.want {
					t.Errorf("%s: first event is %d, want %d", name, item.Event.Sequence, test.want)
				}
				break
			}
		}
		cancel()
	}
}

func TestWatch_SaysThatItIsInterrupted(t *testing.T) {
	cluster := newCluster(t)
	cluster.Lead("")
	c := connect(t, cluster)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(item.Interrupted, client.ErrNoLeader) {
			t.Errorf("item is %+v", item)
		}
		return
	}
	t.Error("nothing was said for 20 s")
}

func TestWatch_EndsWithItsContext(t *testing.T) {
	cluster := newCluster(t)
	c := connect(t, cluster)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
		if err != nil || !item.CaughtUp {
			t.Errorf("%+v, %v", item, err)
		}
		cancel()
	}
}
