package failover

import "testing"

func TestCommitsWait(t *testing.T) {
	streams := func(names ...string) (list []Replica) {
		for _, n := range names {
			list = append(list, Replica{Name: n, Streaming: true})
		}
		return list
	}
	for name, test := range map[string]struct {
		facts Facts
		waits bool
	}{
		"the named one streams":             {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"PG-B"}}, Replicas: streams("pg-b")}, false},
		"another one streams":               {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"pg-b"}}, Replicas: streams("pg-c")}, true},
		"one of two is enough":              {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"pg-b", "pg-c"}}, Replicas: streams("pg-c")}, false},
		"one of two, and both must":         {Facts{AcceptsWrites: true, SyncRule: SyncRule{2, []string{"pg-b", "pg-c"}}, Replicas: streams("pg-c")}, true},
		"anybody, and somebody streams":     {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"*"}}, Replicas: streams("x")}, false},
		"anybody, and nobody does":          {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"*"}}}, true},
		"it names nobody but itself":        {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"pg-a"}}, Replicas: streams("pg-b")}, true},
		"it connects, and catches up":       {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"pg-b"}}, Replicas: []Replica{{Name: "pg-b"}}}, true},
		"asynchronous":                      {Facts{AcceptsWrites: true, Replicas: streams("pg-b")}, false},
		"it takes no writes, for a graver":  {Facts{SyncRule: SyncRule{1, []string{"pg-b"}}}, false},
		"itself is listed, too, on purpose": {Facts{AcceptsWrites: true, SyncRule: SyncRule{1, []string{"pg-a", "pg-b"}}, Replicas: streams("pg-b")}, false},
	} {
		w := given(t, adopted)
		test.facts.Role = RolePrimary
		for _, node := range []NodeID{"a", "b", "c"} {
			b := w.batch(w.arbiters[node], nil)
			b.Observations = []Observation{{
				Group: "orders", Member: "pg-a", AsOf: w.state.Applied, Facts: test.facts, Checks: []CheckState{{Name: "postgres", Evidence: Evidence{Reason: ReasonAnswered}}},
			}}
			w.commit("", 0, Observe{Batches: []Batch{b}})
		}
		if text := CommitsWait(&w.state, w.group(t)); (text != "") != test.waits {
			t.Errorf("%s: %q", name, text)
		}
	}
}
