package failover

import (
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
