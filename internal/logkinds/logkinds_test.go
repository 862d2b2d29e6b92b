package logkinds

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// batch is one of an arbiter's.
func batch(node failover.NodeID, incarnation, sequence uint64) failover.Batch {
	return failover.Batch{Node: node, Incarnation: incarnation, Sequence: sequence, Whole: sequence == 1, Version: 1}
}

func seeing(b failover.Batch, members int) failover.Batch {
	for range members {
		b.Observations = append(b.Observations, failover.Observation{Group: "orders-db", Member: "pg-a"})
	}
	return b
}

func doubting(b failover.Batch) failover.Batch {
	b.Doubt = "ran 612ms late itself"
	return b
}

func observe(batches ...failover.Batch) failover.Body { return failover.Observe{Batches: batches} }

// dataWith makes the data directory of an arbiter whose log has these entries from index 1 on; nil is one of Raft's own.
func dataWith(t *testing.T, bodies ...failover.Body) (data string, bytes []int) {
	t.Helper()
	data = t.TempDir()
	storage, err := arbiter.OpenStorage(filepath.Join(data, "raft"), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range bodies {
		entry := &raft.Log{Index: uint64(i + 1), Term: 1, Type: raft.LogNoop}
		if body != nil {
			entry.Type = raft.LogCommand
			if entry.Data, err = fsm.Encode(body, 1, "az-a"); err != nil {
				t.Fatal(err)
			}
		}
		if err := storage.Log.StoreLog(entry); err != nil {
			t.Fatal(err)
		}
		bytes = append(bytes, len(entry.Data))
	}
	if err := storage.Close(); err != nil {
		t.Fatal(err)
	}
	return data, bytes
}

func TestReadTellsWhyViewsWereWhole(t *testing.T) {
	reign := func(term failover.Term, leader failover.NodeID) failover.Body {
		return failover.BeginReign{Term: term, Leader: leader, Version: 1}
	}
	data, bytes := dataWith(t,
		nil, // 1
		reign(1, "az-a"),
		observe(seeing(batch("az-a", 1, 1), 3), batch("az-b", 1, 1)), // 3: before what is counted
		observe(seeing(batch("az-b", 1, 2), 1)),                      // 4: changes
		observe(batch("az-c", 1, 1)),                                 // 5: its first
		failover.ExpireView{Node: "az-b", Incarnation: 1},
		observe(seeing(batch("az-b", 2, 1), 3)), // 7: a new stream after silence
		observe(batch("az-b", 3, 1)),            // 8: another one, before the silence was noticed
		observe(seeing(batch("az-b", 3, 3), 1)), // 9: a gap
		observe(batch("az-b", 4, 1)),            // 10
		nil,                                     // 11
		reign(2, "az-c"),
		observe(batch("az-a", 2, 1), seeing(batch("az-b", 5, 1), 2)), // 13
		observe(batch("az-c", 2, 1)),
		observe(doubting(batch("az-c", 2, 2))), // 15
		reign(3, "az-a"),
		observe(seeing(batch("az-a", 3, 1), 200)), // 17
		observe(batch("az-a", 4, 1)),              // 18: after what is counted
	)
	got, err := Read(data, 3, 17)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(indexes ...int) (n int) {
		for _, i := range indexes {
			n += bytes[i-1]
		}
		return n
	}
	kinds := map[string]Kind{}
	for _, k := range got.Kinds {
		kinds[k.Name] = k
	}
	want := map[string]Kind{
		WholeViews:   {WholeViews, 7, sum(5, 7, 8, 10, 13, 14, 17)},
		Changes:      {Changes, 2, sum(4, 9)},
		Doubts:       {Doubts, 1, sum(15)},
		"BeginReign": {"BeginReign", 2, sum(12, 16)},
		"ExpireView": {"ExpireView", 1, sum(6)},
		"LogNoop":    {"LogNoop", 1, 0},
	}
	if !reflect.DeepEqual(kinds, want) || got.Kinds[0].Name != WholeViews {
		t.Errorf("kinds: got %+v\nwant %+v", got.Kinds, want)
	}
	views := map[[2]string]int{}
	for _, w := range got.Whole {
		views[[2]string{w.Arbiter, w.Why}] = w.Views
		if w.Bytes == 0 || w.Arbiter == "az-a" && w.Why == NewLeaderAfterDoubt && w.Bytes < 200*len("orders-db") {
			t.Errorf("%+v", w)
		}
	}
	if want := map[[2]string]int{
		{"az-c", NewStream}: 1, {"az-b", NewStream}: 2, {"az-b", Gap}: 1, {"az-a", NewLeader}: 1, {"az-b", NewLeader}: 1, {"az-c", NewLeader}: 1,
		{"az-a", NewLeaderAfterDoubt}: 1,
	}; !reflect.DeepEqual(views, want) {
		t.Errorf("whole views: got %v\nwant %v", views, want)
	}
}

func TestReadSaysWhatTheLogDoesNotHave(t *testing.T) {
	data, _ := dataWith(t, nil, nil)
	if _, err := Read(data, 1, 3); !errors.Is(err, ErrMissing) {
		t.Errorf("entries up to 3 of 2: %v", err)
	}
	if got, err := Read(data, 2, 2); err != nil || len(got.Kinds) != 0 {
		t.Errorf("no entries: %+v, %v", got, err)
	}
}
