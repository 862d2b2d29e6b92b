package failover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A plan names everything that it would touch: all devices of all levels, and all routes.
func TestPlanNamesAllDevicesAndRoutes(t *testing.T) {
	w := newWorld()
	for _, command := range []string{"arbiters a b c", "group orders pg-a pg-b sync=pg-b", "reign a 1", "observe all: pg-a=primary@1000 pg-b=standby@1000", "adopt orders"} {
		if err := w.run(strings.Fields(command)); err != nil {
			t.Fatal(err)
		}
		w.settle()
	}
	spec := w.state.Group("orders").Spec
	spec.Members[0].Fence = []FenceLevel{
		{Devices: []FenceDevice{{Method: "fence_apc"}, {Method: "fence_ipmilan"}, {Method: "fence_apc"}}}, {Devices: []FenceDevice{{Method: "fence_vmware"}}},
	}
	spec.Routes = []Route{{Name: "lb-1"}, {Name: "lb-2"}}
	const want = "fence pg-a by 2 x fence_apc and fence_ipmilan or by fence_vmware, promote pg-b at 0/3E8, route by lb-1 and lb-2, nothing would be lost. " +
		"The fence of pg-a is NOT ARMED (no arbiter has said yet whether its fence answers): without its proof nobody is promoted, and nobody writes"
	if got := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}).WouldDo; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The bound on the outage stands before the word that the fence is not armed, and a later bound replaces an earlier one.
func TestPlanTellsOneBoundBeforeWhatIsMissing(t *testing.T) {
	w := given(t, adopted)
	e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1})
	got := e.Within(time.Minute).Within(12 * time.Second).WouldDo
	bound, missing := strings.Index(got, "writes would stop for at most 12s"), strings.Index(got, "The fence of pg-a is NOT ARMED")
	if bound < 0 || missing < bound || strings.Contains(got, "1m0s") {
		t.Error(got)
	}
	if e.Within(0).WouldDo != e.WouldDo {
		t.Error(e.Within(0).WouldDo)
	}
}

// A password that was changed on the servers only: the cause is named, and nobody is sent after a standby that may be well.
func TestExplain_MembersThatCantBeAsked(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=unknown(bad-credentials) pg-b=unknown(bad-credentials) pg-c=unknown(bad-credentials)\n")
	e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1})
	const want = "No failover: 0 of 3 arbiters see pg-a down, 2 needed; no view that counts from a, b, c. 3 of 3 arbiters can't ask pg-a (bad-credentials: no detail)."
	if e.Summary != want {
		t.Errorf("%q", e.Summary)
	}
	next := []string{"mend what keeps arbiters from asking pg-a (bad-credentials); on which arbiter, and how, says:", "arbiterctl check orders"}
	if !slices.Equal(e.Next, next) {
		t.Errorf("%q", e.Next)
	}
	w = given(t, adopted+"observe all: pg-b=unknown(bad-credentials)\n")
	if e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}); strings.Contains(e.Summary, "can't ask") || len(e.Next) != 2 || !strings.Contains(e.Next[0], "pg-b") {
		t.Errorf("a standby alone: %q, %q", e.Summary, e.Next)
	}
	const untold = "observe all: pg-a=unknown(bad-credentials)\n"
	for _, elsewhere := range []string{leased + untold, adopted + untold + "apply orders address=pg-c:10.9.9.9:5432\n"} { // the operation or the adoption tells
		w = given(t, elsewhere)
		if e := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}); strings.Contains(e.Summary, "can't ask") {
			t.Errorf("after %q: %q", elsewhere, e.Summary)
		}
	}
	w = given(t, adopted+"observe all: pg-a=down(refused)\n")
	g := w.group(t)
	spec := *g.Spec
	spec.Health.Checks = []Check{{Name: "another", Kind: CheckPostgres, Required: true}}
	g.Spec = &spec
	if why := CantBeAsked(&w.state, g, "pg-a"); why != "" {
		t.Errorf("by a check that is no more: %q", why)
	}
}
