package failover

import (
	"fmt"
	"testing"
	"time"
)

// fleet is a state with so many adopted groups, and a leader of them.
func fleet(tb testing.TB, groups int) (State, *Controller) {
	tb.Helper()
	s := NewState()
	apply := func(node NodeID, term Term, body Body) {
		s, _ = Next(s, Entry{Index: s.Applied + 1, Term: term, Proposer: node, Body: body})
	}
	apply("", 0, SetVoters{Voters: []NodeID{"a", "b", "c"}})
	for i := range groups {
		group := GroupName(fmt.Sprintf("group-%04d", i))
		apply("", 0, ApplySpec{Group: group, Spec: testSpecOf(group, "pg-a", "pg-b", "pg-c")})
	}
	apply("a", 1, BeginReign{Term: 1, Leader: "a"})
	for _, node := range s.Voters {
		b := Batch{Node: node, Incarnation: 1, Sequence: 1, Whole: true}
		for _, g := range s.Groups {
			b.Observations = append(b.Observations, primaryAt(1000).observation(g.Name, "pg-a", SyncRule{Need: 1, Names: []string{"pg-b"}}, s.Applied, 0),
				standbyAt(1000).observation(g.Name, "pg-b", SyncRule{}, s.Applied, 0), standbyAt(990).observation(g.Name, "pg-c", SyncRule{}, s.Applied, 0))
		}
		apply("", 0, Observe{Batches: []Batch{b}})
	}
	for _, g := range s.Groups {
		apply("", 0, Adopt{Group: g.Name})
	}
	for _, g := range s.Groups {
		if !g.Adopted {
			tb.Fatalf("%s is not adopted", g.Name)
		}
	}
	c := NewController("a", DefaultSettings("c1"), &s, time.Hour)
	c.Step(Input{Now: time.Hour, What: Elected{Term: 1}})
	c.Step(Input{Now: time.Hour, What: Applied{State: &s}})
	c.Step(Input{Now: time.Hour, What: ProposalEnded{ID: 1}})
	if !c.Leading() {
		tb.Fatal("it does not lead")
	}
	return s, c
}

// oneChange is what one arbiter sees of one member.
func oneChange(s *State, what seen) Entry {
	return Entry{Index: s.Applied + 1, Body: Observe{Batches: []Batch{{Node: "b", Incarnation: 1, Sequence: 2, Observations: []Observation{
		what.observation("group-0500", "pg-a", SyncRule{}, s.Applied, 0),
	}}}}}
}

func BenchmarkNextObserveOneOf1000(b *testing.B) {
	s, _ := fleet(b, 1000)
	e := oneChange(&s, dead(ReasonRefused))
	b.ReportAllocs()
	for b.Loop() {
		Next(s, e)
	}
}

func BenchmarkNextObserveAllOf1000(b *testing.B) {
	s, _ := fleet(b, 1000)
	batch := Batch{Node: "b", Incarnation: 1, Sequence: 2}
	for _, g := range s.Groups {
		batch.Observations = append(batch.Observations, dead(ReasonRefused).observation(g.Name, "pg-a", SyncRule{}, s.Applied, 0))
	}
	e := Entry{Index: s.Applied + 1, Body: Observe{Batches: []Batch{batch}}}
	b.ReportAllocs()
	for b.Loop() {
		Next(s, e)
	}
}

// What is kept for people is not copied for an entry that adds nothing to it.
func BenchmarkNextRefusedByAGroupWithAHistory(b *testing.B) {
	s, _ := fleet(b, 1)
	s.Groups[0].History = History{Epochs: make([]EpochRow, epochsKept), Receipts: make([]Receipt, receiptsKept)}
	e := Entry{Index: s.Applied + 1, Term: 1, Proposer: "a", Body: RenewLease{Group: s.Groups[0].Name, Holder: "a", Epoch: 7}}
	b.ReportAllocs()
	for b.Loop() {
		if _, events := Next(s, e); events[0].Kind != Rejected {
			b.Fatal(events)
		}
	}
}

func BenchmarkPlanOneOf1000(b *testing.B) {
	s, _ := fleet(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		Plan(&s, "group-0500", Durations{SinceLastFailover: -1})
	}
}

func BenchmarkControllerAppliedOneOf1000(b *testing.B) {
	s, c := fleet(b, 1000)
	next, _ := Next(s, oneChange(&s, dead(ReasonRefused)))
	b.ReportAllocs()
	for b.Loop() {
		c.Step(Input{Now: 2 * time.Hour, What: Applied{State: &next}})
	}
}

func BenchmarkCanonicalBytesOf1000(b *testing.B) {
	s, _ := fleet(b, 1000)
	for b.Loop() {
		if _, err := s.CanonicalBytes(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAnEntryCostsWhatItTouches: an entry about one group copies the list of groups and that group, and no other.
func TestAnEntryCostsWhatItTouches(t *testing.T) {
	small, _ := fleet(t, 10)
	large, _ := fleet(t, 600)
	cost := func(s State) float64 {
		e := oneChange(&s, dead(ReasonRefused))
		e.Body.(Observe).Batches[0].Observations[0].Group = s.Groups[5].Name
		return testing.AllocsPerRun(50, func() { Next(s, e) })
	}
	if few, many := cost(small), cost(large); many > few+10 {
		t.Errorf("%v allocations among 10 groups, %v among 600", few, many)
	}
	next, _ := Next(large, oneChange(&large, dead(ReasonRefused)))
	copied := 0
	for i := range next.Groups {
		if next.Groups[i] != large.Groups[i] {
			copied++
		}
	}
	if copied != 1 {
		t.Errorf("%d groups were copied", copied)
	}
}
