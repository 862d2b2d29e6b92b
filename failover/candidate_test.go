package failover

import "testing"

func TestCandidatesAreRanked(t *testing.T) {
	at := func(m MemberName, position LSN, timeline uint32) MemberPosition {
		return MemberPosition{Member: m, Answered: true, SystemID: "sys1", Received: position, Timeline: timeline}
	}
	tests := []struct {
		name      string
		change    []string
		positions []MemberPosition
		operation Operation
		want      []MemberName // the eligible ones, the best first
		reason    HoldReason   // of the best one, if it is not eligible
	}{
		{"most advanced", nil, []MemberPosition{at("b", 990, 3), at("c", 1000, 3)}, Operation{}, []MemberName{"c", "b"}, ""},
		{"priority breaks ties", []string{"priority=c:200"}, []MemberPosition{at("b", 1000, 3), at("c", 1000, 3)}, Operation{}, []MemberName{"c", "b"}, ""},
		{"position before priority", []string{"priority=c:200"}, []MemberPosition{at("b", 1000, 3), at("c", 990, 3)}, Operation{}, []MemberName{"b", "c"}, ""},
		{"name breaks the rest", nil, []MemberPosition{at("c", 1000, 3), at("b", 1000, 3)}, Operation{}, []MemberName{"b", "c"}, ""},
		{"priority 0 never", []string{"priority=c:0"}, []MemberPosition{at("b", 990, 3), at("c", 1000, 3)}, Operation{}, []MemberName{"b"}, ""},
		{"only the one asked for", nil, []MemberPosition{at("b", 1000, 3), at("c", 990, 3)}, Operation{Wanted: "c"}, []MemberName{"c"}, ""},
		{"who does not answer is not asked", nil, []MemberPosition{{Member: "b", Detail: "gone"}, at("c", 990, 3)}, Operation{}, []MemberName{"c"}, ""},
		{"another system", nil, []MemberPosition{{Member: "b", Answered: true, SystemID: "sys2", Received: 2000}, at("c", 990, 3)}, Operation{}, []MemberName{"c"}, ""},
		{"another history", nil, []MemberPosition{at("b", 2000, 4), at("c", 990, 3)}, Operation{}, []MemberName{"c"}, ""},
		{"an older history", nil, []MemberPosition{at("b", 1000, 2)}, Operation{}, nil, HoldLossBound},
		{"an older history, accepted", nil, []MemberPosition{at("b", 1000, 2)}, Operation{LossTaken: &AcceptedLoss{}}, []MemberName{"b"}, ""},
		{"too far behind", nil, []MemberPosition{at("b", 500, 3)}, Operation{}, nil, HoldLossBound},
		{"too far behind, accepted", nil, []MemberPosition{at("b", 500, 3)}, Operation{LossTaken: &AcceptedLoss{Bytes: 500}}, []MemberName{"b"}, ""},
		{"too far behind for what was accepted", nil, []MemberPosition{at("b", 500, 3)}, Operation{LossTaken: &AcceptedLoss{Bytes: 499}}, nil, HoldLossBound},
		{"nobody", nil, nil, Operation{}, nil, HoldNoCandidate},
	}
	for _, test := range tests {
		spec, err := changeSpec(testSpec("a", "b", "c"), append(test.change, "max_loss=100"))
		if err != nil {
			t.Fatal(err)
		}
		test.operation.From, test.operation.Kind = "a", KindFailover
		g := &Group{
			Name: "g", Spec: spec, SystemID: "sys1", Operation: &test.operation,
			LastPrimary: PrimaryFacts{Member: "a", Written: 1000, Timeline: 3},
			Members:     []Member{{Name: "a", Authority: none}, {Name: "b", Authority: none}, {Name: "c", Authority: none}},
		}
		ranked := Candidates(g, test.positions)
		var got []MemberName
		for _, c := range ranked {
			if c.Eligible {
				got = append(got, c.Member)
			}
		}
		if len(got) != len(test.want) || len(got) > 0 && got[0] != test.want[0] {
			t.Errorf("%s: %v, want %v: %+v", test.name, got, test.want, ranked)
		}
		if reason, _ := noCandidate(ranked); len(got) == 0 && reason != test.reason {
			t.Errorf("%s: held for %s, want %s", test.name, reason, test.reason)
		}
	}
}

// Scenarios 17 and 18: what is known of the loss with synchronous replication.
func TestLossBounds(t *testing.T) {
	at := func(m MemberName, position LSN) MemberPosition {
		return MemberPosition{Member: m, Answered: true, SystemID: "sys1", Received: position}
	}
	tests := []struct {
		name      string
		rule      SyncRule
		positions []MemberPosition
		grade     LossGrade
		bytes     uint64 // of losing a for b
	}{
		{"asynchronous", SyncRule{}, []MemberPosition{at("b", 900)}, LossEstimate, 100},
		{"asynchronous, beyond what was seen", SyncRule{}, []MemberPosition{at("b", 1100)}, LossEstimate, 0},
		{"the one synchronous standby answers", SyncRule{1, []string{"b"}}, []MemberPosition{at("b", 900)}, LossObserved, 0},
		{"the one synchronous standby does not", SyncRule{1, []string{"c"}}, []MemberPosition{at("b", 900)}, LossEstimate, 100},
		{"another one holds more", SyncRule{1, []string{"c"}}, []MemberPosition{at("b", 900), at("c", 950)}, LossObserved, 50},
		{"one of two, both answer", SyncRule{1, []string{"b", "c"}}, []MemberPosition{at("b", 950), at("c", 900)}, LossObserved, 0},
		{"one of two, one answers", SyncRule{1, []string{"b", "c"}}, []MemberPosition{at("b", 950)}, LossEstimate, 50},
		{"two of two, one answers", SyncRule{2, []string{"b", "c"}}, []MemberPosition{at("b", 950)}, LossObserved, 0},
		{"the primary's own name is in the list", SyncRule{1, []string{"a", "b"}}, []MemberPosition{at("b", 950)}, LossObserved, 0},
		{"in capitals", SyncRule{1, []string{"B"}}, []MemberPosition{at("b", 950)}, LossObserved, 0},
		{"nobody in particular", SyncRule{1, []string{"*"}}, []MemberPosition{at("b", 900)}, LossEstimate, 100},
	}
	for _, test := range tests {
		g := &Group{
			Name: "g", Spec: testSpec("a", "b", "c"), SystemID: "sys1",
			LastPrimary: PrimaryFacts{Member: "a", Written: 1000, SyncRule: test.rule},
		}
		if loss := LossOf(g, "b", test.positions); loss.Grade != test.grade || loss.Bytes != test.bytes {
			t.Errorf("%s: %+v, want %s of %d", test.name, loss, test.grade, test.bytes)
		}
	}
	g := &Group{Name: "g", Spec: testSpec("a", "b"), SystemID: "sys1"}
	if loss := LossOf(g, "b", []MemberPosition{at("b", 900)}); loss.Grade != LossUnknown {
		t.Errorf("a primary that was never seen: %+v", loss)
	}
}
