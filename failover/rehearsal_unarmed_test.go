package failover

import "testing"

// What else a plan is refused or held for doesn't make an unarmed fence pass.
func TestRehearsal_AnUnarmedFenceBesideNobodyToPromote(t *testing.T) {
	w := given(t, adopted+"observe all: pg-b=down(refused) pg-c=down(refused)\n")
	e := Rehearsal(&w.state, "orders", Asked{})
	for _, guard := range e.Decision.Guards {
		if guard.Name == guardFence {
			if guard.OK {
				t.Errorf("%+v", guard)
			}
			return
		}
	}
	t.Error("no guard of the fence")
}
