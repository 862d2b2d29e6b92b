package failover

import (
	"slices"
	"testing"
)

// twoGroups is a world with two adopted groups, of which "wrong" breaks S1, as no entry is known to make it.
func twoGroups(t *testing.T) *world {
	t.Helper()
	w := given(t, adopted+`group wrong-1 pg-a pg-b pg-c max_loss=100
observe all wrong-1: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990
adopt wrong-1
observe all wrong-1: pg-a=down(refused)
`)
	i, _ := w.state.groupAt("wrong-1")
	wrong := w.state.Groups[i].clone()
	wrong.Member("pg-a").Authority, wrong.Member("pg-b").Authority = AuthorityWriter, AuthorityWriter
	w.state.Groups[i] = wrong
	if checkS1(wrong) == nil {
		t.Fatal("nothing is wrong")
	}
	return w
}

// A group that S1 refuses costs the others neither an arbiter's view, whole or not, nor a reign.
func TestS1_OneGroupThatIsRefusedCostsNoOther(t *testing.T) {
	looks := func(whole bool) func(*world) Body {
		return func(w *world) Body {
			a := w.arbiters["b"]
			a.sees["orders"]["pg-a"] = dead(ReasonRefused)
			b := w.batch(a, map[GroupName][]MemberName{"orders": {"pg-a"}, "wrong-1": {"pg-a"}})
			if b.Whole = whole; whole {
				for _, m := range sortedKeys(a.sees["wrong-1"]) {
					b.Observations = append(b.Observations, a.sees["wrong-1"][m].observation("wrong-1", m, SyncRule{}, w.state.Applied, w.wall()))
				}
			}
			return Observe{Batches: []Batch{b}}
		}
	}
	for name, entry := range map[string]func(*world) Body{
		"what changed of a view": looks(false),
		"a whole view":           looks(true),
		"a reign":                func(*world) Body { return BeginReign{Leader: "b", Term: 2, Version: CurrentVersion} },
		"voters":                 func(*world) Body { return SetVoters{Voters: []NodeID{"a", "b", "c", "d"}} },
		"a silent arbiter":       func(w *world) Body { return ExpireView{Node: "b", Incarnation: w.arbiters["b"].incarnation} },
	} {
		t.Run(name, func(t *testing.T) {
			w := twoGroups(t)
			before := w.state
			next, events := Next(w.state, Entry{Index: w.state.Applied + 1, Term: 2, Proposer: "b", Wall: w.wall(), Body: entry(w)})
			told := slices.ContainsFunc(events, func(e Event) bool { return e.Kind == Rejected && e.Group == "wrong-1" && e.Rule == "S1" })
			view, _ := next.View("b")
			was, _ := before.View("b")
			changed := view.Sequence != was.Sequence || view.Generation != was.Generation || next.Reign != before.Reign || len(next.Voters) != len(before.Voters)
			if !told || !changed {
				t.Errorf("told of the group: %v; applied: %v", told, changed)
			}
			if _, observed := entry(w).(Observe); observed {
				look, ok := next.Group("orders").currentLook(&next, "b", "pg-a")
				if !ok || answers(look.Observation) {
					t.Errorf("the other group has %+v", look)
				}
				if _, ok := next.Group("wrong-1").currentLook(&next, "b", "pg-a"); ok {
					t.Error("an old look counts, though its arbiter has sent a newer one")
				}
			}
		})
	}
}

// An entry about that group alone is refused as ever.
func TestS1_AnEntryAboutTheGroupItselfIsRefused(t *testing.T) {
	w := twoGroups(t)
	w.refused(t, "S1", "", 0, Pause{Request: w.request(), Group: "wrong-1"})
}
