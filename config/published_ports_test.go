package config

import (
	"strings"
	"testing"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// A member behind its host's published port can be switched off, and is not believed to be off: see docs/fencing.md.
func TestPublishedPorts(t *testing.T) {
	for name, test := range map[string]struct {
		a, b   string // addresses
		device string
		ip     string
		proof  string
		want   []string // what the warnings contain, one each
	}{
		"the address of the Docker API": {a: "Host-1:5432", b: "host-2:5432", device: "fence_docker", ip: "host-1", want: []string{"is where fence_docker speaks to the host (host-1)"}},
		"two on one host":               {a: "host-1:5432", b: "host-1:5433", device: "fence_kubevirt", want: []string{"has the host of pg-b too", "has the host of pg-a too"}},
		"nothing shows it":              {a: "10.0.0.1:5432", b: "10.0.0.2:5432", device: "fence_docker", ip: "docker", want: []string{"must be the container's own"}},
		"a try on one machine":          {a: "127.0.0.1:5432", b: "127.0.0.1:5433", device: "fence_docker", want: []string{"must be the container's own"}},
		"it only cuts off":              {a: "host-1:5432", b: "host-1:5433", device: "fence_docker", ip: "host-1", proof: "isolated"},
		"another agent":                 {a: "host-1:5432", b: "host-1:5433", device: "fence_ipmilan", ip: "host-1"},
	} {
		literal := func(text string) *arbiterv1.Value {
			return &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: text}}
		}
		spec := &arbiterv1.GroupSpec{Members: []*arbiterv1.MemberSpec{{Name: "pg-a", Address: test.a}, {Name: "pg-b", Address: test.b}}}
		for _, m := range spec.Members {
			settings := map[string]*arbiterv1.Value{"ip": literal(test.ip)}
			if test.proof != "" {
				settings["proof"] = literal(test.proof)
			}
			m.Fence = []*arbiterv1.FenceLevel{{Devices: []*arbiterv1.FenceDevice{{Device: test.device, Settings: settings}}}}
		}
		found := publishedPorts(spec)
		if len(found) != len(test.want) {
			t.Errorf("%s: %+v", name, found)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(found[i].Message, want) || !strings.HasPrefix(found[i].Path, "members[") {
				t.Errorf("%s: %+v, want %q", name, found[i], want)
			}
		}
	}
}
