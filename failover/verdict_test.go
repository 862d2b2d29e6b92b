package failover

import (
	"fmt"
	"testing"
)

// A check that is not required fails for the primary on every arbiter, and is taken out of the spec. What was seen by it before tells nothing of
// the primary as it is watched now: nothing begins, also if arbiters answer with such looks once more.
func TestSpecWithoutAFailingCheck_AccusesNobody(t *testing.T) {
	w := given(t, adopted)
	with := *w.group(t).Spec
	with.Health.Checks = []Check{{Name: "page", Kind: CheckTCP}, with.Health.Checks[0]}
	without := w.group(t).Spec
	w.commit("", 0, ApplySpec{Group: "orders", Spec: &with})
	look := func() {
		t.Helper()
		for _, node := range w.order {
			a := w.arbiters[node]
			b := w.batch(a, map[GroupName][]MemberName{"orders": {"pg-a"}})
			for i := range b.Observations {
				o := &b.Observations[i]
				page := CheckState{Name: "page", Evidence: Evidence{Reason: ReasonAnswered}}
				if o.Member == "pg-a" {
					page.Evidence.Reason = ReasonRefused
				}
				o.Checks = append([]CheckState{page}, o.Checks...)
			}
			w.commit("", 0, Observe{Batches: []Batch{b}})
		}
	}
	look()
	if got := Tally(&w.state, w.group(t), "pg-a").Status; got != StatusDegraded {
		t.Fatalf("with a check that is not required: %s", got)
	}
	w.commit("", 0, ApplySpec{Group: "orders", Spec: without})
	look()
	v := Tally(&w.state, w.group(t), "pg-a")
	if g := w.group(t); v.Status != StatusUnknown || len(v.Silent) != len(w.order) || g.Operation != nil || g.Stage != Steady {
		t.Errorf("without it: %s (%s), %s, operation %v", v.Status, v.Why(), g.Stage, g.Operation)
	}
}

// Only what the spec knows and requires can make a member down.
func TestStatusOf_ByWhatTheSpecKnows(t *testing.T) {
	spec := &Spec{Health: Health{Checks: []Check{{Name: "page"}, {Name: "postgres", Required: true}}}}
	for _, test := range []struct {
		name   string
		reason Reason
		want   Status
	}{
		{"postgres", ReasonRefused, StatusDown},
		{"postgres", ReasonStartingUp, StatusDegraded},
		{"postgres", ReasonBadCredentials, StatusUnknown},
		{"page", ReasonRefused, StatusDegraded},
		{"page", ReasonBadCredentials, StatusDegraded},
		{"gone", ReasonRefused, StatusUnknown},
		{"gone", ReasonStartingUp, StatusUnknown},
		{"gone", ReasonAnswered, StatusUp},
	} {
		t.Run(fmt.Sprintf("%s %s", test.name, test.reason), func(t *testing.T) {
			o := Observation{Checks: []CheckState{{Name: test.name, Evidence: Evidence{Reason: test.reason}}}}
			if got, _ := spec.StatusOf(o); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
