package config

import (
	"fmt"
	"net"
	"slices"

	"github.com/arbiter-ha/arbiter/failover/devices"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// hosted are the agents whose machines run on a host, which may publish a port of theirs and then refuses connections in the name of one that is
// off. It is a table that never changes.
var hosted = map[string]string{"fence_docker": "container", "fence_kubevirt": "virtual machine"}

// publishedPorts warns of members whose address is their host's, as far as the spec shows that: a refusal there contradicts that the machine is off, so
// that no fence of it would be believed. Where it can't be told, it asks once that somebody looks.
func publishedPorts(spec *arbiterv1.GroupSpec) []Fault {
	var warnings []Fault
	var untold *Fault
	for i, m := range spec.Members {
		device := hostedDevice(m)
		if device == nil {
			continue
		}
		path, what := fmt.Sprintf("members[%d].address", i), hosted[device.Device]
		why := hostsAddress(spec, m, device)
		switch {
		case why != "":
			warnings = append(warnings, Fault{Path: path, Message: fmt.Sprintf("%s, so it is probably that of the host, which refuses connections in the name of a %s that is off: "+
				"%s would say off, and not be believed. Give the %s an address of its own, or see `proof: isolated` in docs/fencing.md", why, what, device.Device, what)})
		case untold == nil:
			untold = &Fault{Path: path, Message: fmt.Sprintf("must be the %s's own (of all members with %s), not that of a host that publishes its port: the host would refuse connections "+
				"in the name of a %s that is off, and no off would be believed (docs/fencing.md)", what, device.Device, what)}
		}
	}
	if untold != nil && len(warnings) == 0 {
		warnings = append(warnings, *untold)
	}
	return warnings
}

// hostedDevice is a device of a member that such an agent speaks to, unless its spec says that a refusal is no contradiction.
func hostedDevice(m *arbiterv1.MemberSpec) *arbiterv1.FenceDevice {
	for _, level := range m.Fence {
		for _, device := range level.Devices {
			if hosted[device.Device] != "" && device.Settings[fencesettings.Proof].GetLiteral() != devices.ProofIsolated {
				return device
			}
		}
	}
	return nil
}

// hostsAddress says what shows that a member's address is the host's, empty if nothing does.
func hostsAddress(spec *arbiterv1.GroupSpec, m *arbiterv1.MemberSpec, device *arbiterv1.FenceDevice) string {
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil {
		return ""
	}
	for _, key := range []string{"ip", "ipaddr"} {
		if at := device.Settings[key].GetLiteral(); at != "" && devices.Host(at) == devices.Host(host) {
			return fmt.Sprintf("is where %s speaks to the host (%s)", device.Device, at)
		}
	}
	shared := slices.IndexFunc(spec.Members, func(other *arbiterv1.MemberSpec) bool {
		at, _, err := net.SplitHostPort(other.Address)
		return err == nil && other.Name != m.Name && devices.Host(at) == devices.Host(host)
	})
	if shared >= 0 && !onLoopback(m.Address) {
		return fmt.Sprintf("has the host of %s too, with another port", spec.Members[shared].Name)
	}
	return ""
}
