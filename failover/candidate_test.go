package failover

import (
	"strings"
	"testing"
)

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
		{"another history alone", nil, []MemberPosition{at("b", 2000, 4)}, Operation{}, nil, HoldLossBound},
		{"another history, accepted", nil, []MemberPosition{at("b", 2000, 4)}, Operation{LossTaken: &AcceptedLoss{Member: "b", Unknown: true}}, []MemberName{"b"}, ""},
		{"an older history", nil, []MemberPosition{at("b", 1000, 2)}, Operation{}, nil, HoldLossBound},
		{"an older history, an amount accepted", nil, []MemberPosition{at("b", 1000, 2)}, Operation{LossTaken: &AcceptedLoss{Member: "b", Bytes: 1 << 40}}, nil, HoldLossBound},
		{"an older history, accepted", nil, []MemberPosition{at("b", 1000, 2)}, Operation{LossTaken: &AcceptedLoss{Member: "b", Unknown: true}}, []MemberName{"b"}, ""},
		{
			"too far behind before an older history", nil,
			[]MemberPosition{at("b", 2000, 2), at("c", 500, 3)},
			Operation{},
			nil, HoldLossBound,
		},
		{
			"what is known before what isn't", nil,
			[]MemberPosition{at("b", 2000, 2), at("c", 950, 3)},
			Operation{LossTaken: &AcceptedLoss{Member: "b", Unknown: true}},
			[]MemberName{"c", "b"},
			"",
		},
		{"too far behind", nil, []MemberPosition{at("b", 500, 3)}, Operation{}, nil, HoldLossBound},
		{"too far behind, accepted", nil, []MemberPosition{at("b", 500, 3)}, Operation{LossTaken: &AcceptedLoss{Member: "b", Bytes: 500}}, []MemberName{"b"}, ""},
		{"accepted for another one", nil, []MemberPosition{at("b", 500, 3)}, Operation{LossTaken: &AcceptedLoss{Member: "c", Bytes: 500}}, nil, HoldLossBound},
		{
			"accepted for one that holds less", nil,
			[]MemberPosition{at("b", 500, 3), at("c", 600, 3)},
			Operation{LossTaken: &AcceptedLoss{Member: "b", Bytes: 500}},
			[]MemberName{"c", "b"},
			"",
		},
		{
			"accepted for one that holds more", nil,
			[]MemberPosition{at("b", 500, 3), at("c", 450, 3)},
			Operation{LossTaken: &AcceptedLoss{Member: "b", Bytes: 600}},
			[]MemberName{"b"},
			"",
		},
		{"too far behind for what was accepted", nil, []MemberPosition{at("b", 500, 3)}, Operation{LossTaken: &AcceptedLoss{Member: "b", Bytes: 499}}, nil, HoldLossBound},
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

// Whose loss an operator could accept comes nearest to being promoted, also if one that does not answer held more: status, which names the first, and
// explain, which says what the hold is for, mean the same member.
func TestTheNearestIsTheOneThatAnOperatorCouldAccept(t *testing.T) {
	w := given(t, strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@1000 pg-c=standby@500", 1)+"observe b,c pg-b=down(refused)\n")
	g := w.group(t)
	best, _ := Outlook(&w.state, g)
	if best.Member != "pg-c" || best.Reason != HoldLossBound {
		t.Errorf("the nearest is %+v", best)
	}
	const want = "A failover would be held: the best candidate is pg-c: promoting it may lose 500 bytes (estimate: replication is asynchronous) and the policy allows 100 bytes"
	if got := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}).WouldDo; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Before the first adoption no database is recorded that a member could be compared with.
func TestNobodyIsAStandbyOfAGroupThatWasNeverAdopted(t *testing.T) {
	g := &Group{Name: "orders", Spec: &Spec{}, Members: []Member{{Name: "b"}}}
	c := judge(g, MemberSpec{Name: "b", Priority: 100}, []MemberPosition{{Member: "b", Answered: true, SystemID: "sys1"}})
	if want := "the group is not adopted, so it is not known whose standby it should be"; c.Eligible || c.Why != want {
		t.Errorf("eligible %v: %q", c.Eligible, c.Why)
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
		{"it answers no more, and its position is known", SyncRule{}, []MemberPosition{{Member: "b", SystemID: "sys1", Received: 900}}, LossEstimate, 100},
		{"its position was never seen", SyncRule{}, nil, LossUnknown, 0},
		{"its position was never seen, and another one holds all", SyncRule{1, []string{"c"}}, []MemberPosition{{Member: "b"}, at("c", 950)}, LossUnknown, 0},
	}
	for _, test := range tests {
		g := &Group{
			Name: "g", Spec: testSpec("a", "b", "c"), SystemID: "sys1",
			LastPrimary: PrimaryFacts{Member: "a", Index: 7, Written: 1000, SyncRule: test.rule},
		}
		if loss := LossOf(g, "b", test.positions); loss.Grade != test.grade || loss.Bytes != test.bytes {
			t.Errorf("%s: %+v, want %s of %d", test.name, loss, test.grade, test.bytes)
		}
	}
	g := &Group{Name: "g", Spec: testSpec("a", "b"), SystemID: "sys1"}
	if loss := LossOf(g, "b", []MemberPosition{at("b", 900)}); loss.Grade != LossUnknown {
		t.Errorf("a primary that was never seen: %+v", loss)
	}
	g.LastPrimary = PrimaryFacts{Member: "a", Written: 1000, Timeline: 2} // it was promoted, and nobody saw it before it died
	if loss := LossOf(g, "b", []MemberPosition{at("b", 1000)}); loss.Grade != LossEstimate {
		t.Errorf("a primary of which only the promotion is known: %+v", loss)
	}
}

// What an arbiter knows bounds the loss that comes of what another one was kept from asking; who was never told anything knows nothing.
func TestAPrimaryIsOldUnlessSomebodyKnowsBetter(t *testing.T) {
	const old = "observe a,b pg-a=old-primary@1000\n"
	for _, test := range []struct {
		name, commands string
		want           bool
	}{
		{"all are kept from asking", old + "observe c: pg-a=old-primary@1000\n", true},
		{"one asks it still", old, false},
		{"one has found nobody since it began", "silent a c\nobserve c: pg-a=down(timeout)\n" + old, true},
		{"one has not looked since it began", "silent a c\n" + old, true},
	} {
		w := given(t, adopted+test.commands)
		if last := w.group(t).LastPrimary; last.Old != test.want || last.Member != "pg-a" {
			t.Errorf("%s: %+v", test.name, last)
		}
	}
}

// TestLastPrimaryFollowsThePromotion: what the next one confirms is not judged by the position, the timeline or the rule of the one before.
func TestLastPrimaryFollowsThePromotion(t *testing.T) {
	moved := Outcome{Result: ResultDone, Timeline: 2, Position: 1010}
	w := given(t, promoting)
	w.accepted(t, "a", 1, w.conclude(t, moved))
	if last := w.group(t).LastPrimary; last.Member != "pg-b" || last.Timeline != 2 || last.Written != 1010 || last.Index != 0 {
		t.Errorf("promoted, and not seen: %+v", last)
	}
	w = given(t, strings.Replace(promoting, "max_loss=100", "max_loss=100 sync=pg-c", 1))
	w.do(t, "observe a,b pg-b=primary@1200/2") // before the outcome is committed; they send nothing more as long as it stays so
	seen := w.group(t).LastPrimary.Index
	w.accepted(t, "a", 1, w.conclude(t, moved))
	if last := w.group(t).LastPrimary; last.Member != "pg-b" || last.Written != 1200 || last.Index != seen || last.SyncRule.Need != 1 {
		t.Errorf("promoted, and seen before that was committed: %+v", last)
	}
}

// TestLastPrimaryBeginsAnewAtAnAdoption, from what counts at that entry.
func TestLastPrimaryBeginsAnewAtAnAdoption(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=primary@900000\napply orders address=pg-c:10.9.9.9:5432\n")
	w.do(t, "silent a c\nobserve a,b pg-a=primary@50 pg-b=standby@50 pg-c=standby@50\nadopt orders") // its disk was made anew; c said 900000 and is void
	if last := w.group(t).LastPrimary; last.Member != "pg-a" || last.Written != 50 {
		t.Errorf("adopted anew: %+v", last)
	}
	nobodyWrites := "observe all: pg-a=down(refused) pg-b=standby@1000 pg-c=down(refused)\n"
	w = given(t, strings.Replace(adopted, "adopt orders\n", "adopt orders\npause orders\n", 1)+nobodyWrites+"abort orders\nadopt orders pg-b attest=pg-a,pg-c")
	if last := w.group(t).LastPrimary; last.Member != "pg-a" || last.Written != 1000 {
		t.Errorf("adopted over an operation, to be promoted: %+v", last)
	}
	w = given(t, adopted+"apply orders address=pg-c:10.9.9.9:5432\n"+nobodyWrites+"adopt orders pg-b attest=pg-a,pg-c")
	if last := w.group(t).LastPrimary; last.Member != "" || last.Written != 0 {
		t.Errorf("whoever wrote while the group was not adopted: %+v", last)
	}
}

// TestAnAcceptedLossIsUsedUpByThePromotion: the next candidate is another loss.
func TestAnAcceptedLossIsUsedUpByThePromotion(t *testing.T) {
	behind := strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@200 pg-c=standby@150", 1)
	w := given(t, behind+"observe all: pg-a=down(refused)\nlook-again answers\nrelease orders accept_loss=900\nlook-again answers\noutcome isolate CONFIRMED_OFF\n")
	if taken := w.group(t).Operation.LossTaken; taken == nil || taken.Member != "pg-b" || taken.Bytes != 900 {
		t.Fatalf("accepted: %+v", taken)
	}
	w.do(t, "outcome catch_up pg-b@200 pg-c@150")
	w.wantStage(t, Promoting)
	if op := w.group(t).Operation; op.LossTaken != nil || op.LossUsed == nil || op.LossUsed.Bytes != 900 {
		t.Errorf("after the intent to promote: %+v, used %+v", op.LossTaken, op.LossUsed)
	}
	w.do(t, "observe all: pg-b=down(refused)\nlook-again answers\noutcome promote failed\ntick 1s\noutcome promote failed\ntick 1s\noutcome promote failed\nlook-again answers")
	w.wantStage(t, Held) // 850 bytes of pg-c were not accepted
	w.wantAuthorities(t, AuthorityNone, AuthorityWriter, AuthorityNone)
	w.do(t, "release orders accept_loss=850")
	if taken := w.group(t).Operation.LossTaken; taken == nil || taken.Member != "pg-c" {
		t.Errorf("accepted again: %+v", taken)
	}
}

func TestNoLossIsAcceptedWhereNoneIsInTheWay(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=down(refused)\nobserve all: pg-b=down(refused) pg-c=down(refused)\nlook-again answers\n")
	release := Release{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied, AcceptLoss: true, LossUnknown: true}
	w.refused(t, "", "", 0, release)
	w = given(t, strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@200 pg-c=standby@150", 1)+
		"observe all: pg-a=down(refused)\nlook-again answers\nrelease orders accept_loss=900\nabort orders\n")
	if taken := w.group(t).Operation.LossTaken; taken != nil {
		t.Errorf("accepted before it was aborted: %+v", taken)
	}
}

// While somebody is promoted, and when that is proven but not all is done, whoever could follow is another one; and who is to be the primary is not it
// before its promotion is proven.
func TestSuccessor_IsNotWhoIsPromoted(t *testing.T) {
	w := given(t, promoting)
	for _, want := range []struct {
		outcome                string
		primary, beingPromoted MemberName
	}{{"outcome promote unknown", "", "pg-b"}, {"tick 1s\noutcome promote done", "pg-b", ""}} {
		w.do(t, want.outcome)
		g := w.group(t)
		if g.Primary() != want.primary || g.BeingPromoted() != want.beingPromoted || g.Writer() != "pg-b" {
			t.Errorf("after %s: primary %q, being promoted %q, writer %q", want.outcome, g.Primary(), g.BeingPromoted(), g.Writer())
		}
		if c, ok := Successor(&w.state, g); !ok || c.Member != "pg-c" {
			t.Errorf("after %s: %+v could follow", want.outcome, c)
		}
	}
}
