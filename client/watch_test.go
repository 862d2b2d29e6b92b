package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
	synctest.Test(t, func(t *testing.T) {
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
	})
}

func TestWatch_FromNowAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	})
}

func TestWatch_SaysThatItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	})
}

// An arbiter that names whoever leads does not say that nobody does, though that one can't be reached.
func TestWatch_DoesNotDenyALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("az-c")
		cluster.Node("az-c").Stop()
		for item, err := range connect(t, cluster).Watch(t.Context(), &arbiterv1.WatchEventsRequest{}) {
			if why := item.Interrupted; err != nil || !errors.Is(why, client.ErrNoLeader) || !strings.HasSuffix(why.Error(), " does not lead") {
				t.Errorf("item is %+v, %v", item, err)
			}
			return
		}
	})
}

func TestWatch_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{}) {
			if err != nil || item.From == nil && !item.CaughtUp {
				t.Errorf("%+v, %v", item, err)
			}
			if item.CaughtUp {
				cancel()
			}
		}
	})
}

// watched are what a watch yields, in words, until it is caught up or the reader ends it.
func watched(t *testing.T, c *client.Client, request *arbiterv1.WatchEventsRequest, read func(word string) (goOn bool)) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var words []string
	for item, err := range c.Watch(ctx, request) {
		if err != nil {
			t.Fatal(err)
		}
		word := "caught up"
		switch {
		case item.From != nil:
			word = fmt.Sprintf("from %s, linearizable: %v", item.From.GetNode(), item.From.GetLinearizable())
		case item.Gap != nil:
			word = fmt.Sprintf("nothing of %d to %d", item.Gap.After+1, item.Gap.Oldest-1)
		case item.Event != nil:
			word = fmt.Sprint(item.Event.GetSequence())
		case item.Interrupted != nil:
			word = item.Interrupted.Error()
		}
		if words = append(words, word); !read(word) {
			return words
		}
	}
	t.Fatalf("it ended by itself after %q", words)
	return nil
}

// What is no longer kept is missing only to those who would go on from before it.
func TestWatch_TellsOfAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		happen(cluster, 1, 9)
		cluster.Forget(6)
		untilCaughtUp := func(word string) bool { return word != "caught up" }
		for after, want := range map[uint64][]string{
			0: {"7", "8", "9"},
			3: {"nothing of 4 to 6", "7", "8", "9"},
			6: {"7", "8", "9"},
			9: nil,
		} {
			want = append(append([]string{"from az-a, linearizable: true"}, want...), "caught up")
			if got := watched(t, c, &arbiterv1.WatchEventsRequest{After: after}, untilCaughtUp); !slices.Equal(got, want) {
				t.Errorf("after %d: %q, want %q", after, got, want)
			}
		}
	})
}

func TestWatch_TellsOfAGapAfterALeaderChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		happen(cluster, 1, 2)
		got := watched(t, c, &arbiterv1.WatchEventsRequest{}, func(word string) bool {
			switch word {
			case "caught up":
				cluster.Lead("")
				happen(cluster, 3, 9)
				cluster.Forget(6)
				cluster.Lead("az-b")
			case "8":
				cluster.Forget(8) // which all have seen
				cluster.Lead("az-c")
			}
			return word != "from az-c, linearizable: true"
		})
		got = slices.DeleteFunc(got, func(word string) bool { return word == "9" }) // it may come before the leader changes, or after
		want := []string{
			"from az-a, linearizable: true", "1", "2", "caught up",
			"from az-b, linearizable: true", "nothing of 3 to 6", "7", "8", "from az-c, linearizable: true",
		}
		if !slices.Equal(got, want) {
			t.Errorf("watched %q, want %q", got, want)
		}
	})
}

// A follower that is cut off answers, and can't say who leads: the others are asked then.
func TestWatch_FindsTheLeaderBesideOneThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cutOff := range []string{"az-a", "az-b", "az-c"} {
			cluster := newCluster(t)
			cluster.CutOff(cutOff)
			leader := "az-a"
			if cutOff == leader {
				leader = "az-c"
			}
			cluster.Lead(leader)
			for range 5 { // whose connection is there first is a matter of chance
				c := connect(t, cluster)
				got := watched(t, c, &arbiterv1.WatchEventsRequest{}, func(word string) bool { return word != "caught up" })
				if want := []string{"from " + leader + ", linearizable: true", "caught up"}; !slices.Equal(got, want) {
					t.Errorf("%s is cut off: %q, want %q", cutOff, got, want)
				}
			}
		}
	})
}

// Nobody led for so long that all were asked; the one that is asked first stays cut off, and another one leads then.
func TestWatch_AsksTheOthersAgainBesideOneThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		cluster.Lead("")
		cluster.CutOff("az-a")
		got := watched(t, c, &arbiterv1.WatchEventsRequest{}, func(word string) bool {
			if strings.HasPrefix(word, client.ErrNoLeader.Error()) {
				cluster.Lead("az-c")
			}
			return word != "caught up"
		})
		if !slices.Contains(got, "from az-c, linearizable: true") {
			t.Errorf("watched %q", got)
		}
	})
}

// Nobody leads, and a stale watch shows what its arbiter knows, labelled.
func TestWatch_Stale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		happen(cluster, 1, 2)
		cluster.Lead("")
		got := watched(t, c, &arbiterv1.WatchEventsRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE}, func(word string) bool { return word != "caught up" })
		if len(got) != 4 || !strings.HasSuffix(got[0], "linearizable: false") || !slices.Equal(got[1:], []string{"1", "2", "caught up"}) {
			t.Errorf("watched %q", got)
		}
	})
}

// What a follower shows, labelled as stale, says nothing about who leads: other calls stay with the leader.
func TestWatch_StaleIsNotTakenForTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("az-c")
		c := connect(t, cluster, cluster.Node("az-a").Address)
		got := watched(t, c, &arbiterv1.WatchEventsRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE}, func(word string) bool {
			if word == "caught up" {
				statusFrom(t, c) // az-a knows who leads
				happen(cluster, 1, 1)
				return true
			}
			if word != "1" {
				return true
			}
			before := cluster.Node("az-a").Calls()
			if leader := statusFrom(t, c); leader != "az-c" || cluster.Node("az-a").Calls() != before {
				t.Errorf("%s answered, and az-a was asked %d times", leader, cluster.Node("az-a").Calls()-before)
			}
			return false
		})
		if want := []string{"from az-a, linearizable: false", "caught up", "1"}; !slices.Equal(got, want) {
			t.Errorf("watched %q", got)
		}
	})
}

func TestWatch_OfANumberThatIsNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		for item, err := range c.Watch(t.Context(), &arbiterv1.WatchEventsRequest{After: 7}) {
			if !errors.Is(err, client.ErrInvalid) {
				t.Errorf("%+v, %v", item, err)
			}
		}
	})
}
