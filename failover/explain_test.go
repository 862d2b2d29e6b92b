package failover

import (
	"strings"
	"testing"
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
		"The fence of pg-a is NOT ARMED (no arbiter has tried its fence path yet): without its proof nobody is promoted, and nobody writes"
	if got := Explain(&w.state, "orders", Durations{SinceLastFailover: -1}).WouldDo; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
