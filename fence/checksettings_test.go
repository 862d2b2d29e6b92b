//go:build linux

package fence

import (
	"slices"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// What docs/fencing.md lists as refused is refused before a spec is in force, not when the fence is needed.
func TestCheckSettingsRefusesWhatCanNeverWork(t *testing.T) {
	plain := func(key, value string) failover.Setting { return failover.Setting{Key: key, Value: value} }
	for name, test := range map[string]struct {
		device failover.FenceDevice
		want   []string // keys
	}{
		"right": {failover.FenceDevice{Method: "fence_ipmilan", Settings: []failover.Setting{
			plain("ip", "bmc"), plain("method", "onoff"), plain("proof", "isolated"), {Key: "password", File: "/nowhere"},
		}}, nil},
		"method, from elsewhere": {failover.FenceDevice{Method: "/opt/fence", Settings: []failover.Setting{{Key: "method", Env: "M"}, plain("proof", "off")}}, nil},
		"all wrong": {failover.FenceDevice{Method: "bin/fence_x", Settings: []failover.Setting{
			plain("method", "Cycle"), plain("missing-as-off", "1"), plain("action", "off"), plain("ip", "a\nb"), plain("proof", "yes"),
			{Key: "expect_name", File: "/x"},
			plain("a b", "c"),
		}}, []string{"device", "method", "missing-as-off", "action", "ip", "proof", "expect_name", "a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range CheckSettings(test.device) {
				got = append(got, p.Key)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("faults at %q, want %q", got, test.want)
			}
		})
	}
}
