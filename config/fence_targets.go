package config

import (
	"fmt"
	"net"
	"strings"

	"github.com/arbiter-ha/arbiter/failover/devices"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// This file finds members that one and the same fence target stands for. It takes two devices for the same target only if they can't be two, since
// it refuses them. failover/machine.go asks the same across groups, by the same table, where doubt goes the other way.

// targetOf describes what a device would act on.
func targetOf(device *arbiterv1.FenceDevice) devices.Target {
	settings := make(map[string]string, len(device.Settings))
	for key, value := range device.Settings {
		switch {
		case value.GetFile() != "":
			settings[key] = devices.Kept("file", value.GetFile())
		case value.GetEnv() != "":
			settings[key] = devices.Kept("env", value.GetEnv())
		default:
			settings[key] = value.GetLiteral()
		}
	}
	return devices.TargetOf(device.Device, settings)
}

// sharedFences finds members that one fence target stands for: to switch one off would switch the other off, a candidate that is off can't be
// promoted, and what the device says of one would be taken for proof about the other. It is a fault unless the members are servers of one
// machine, which no fence can tell apart.
func sharedFences(spec *arbiterv1.GroupSpec) (faults, warnings []Fault) {
	first := map[devices.Target]*arbiterv1.MemberSpec{}
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				target := targetOf(device)
				other := first[target]
				switch path := fmt.Sprintf("members[%d].fence[%d][%d]", i, l, d); {
				case other == nil:
					first[target] = m
				case other == m:
				case sameHost(m.Address, other.Address):
					warnings = append(warnings, Fault{Path: path, Message: fmt.Sprintf(
						"is the same target as a fence of %s, on the same machine: fencing one fences the other, so neither can take over from the other", other.Name)})
				default:
					faults = append(faults, Fault{Path: path, Message: fmt.Sprintf(
						"is the same target as a fence of %s: switching %s off would switch %s off too, and the device's word on one would be taken for proof about the other; "+
							"name the outlet or address of each", other.Name, m.Name, other.Name)})
				}
			}
		}
	}
	return faults, warnings
}

func sameHost(a, b string) bool {
	hostA, _, errA := net.SplitHostPort(a)
	hostB, _, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && strings.EqualFold(hostA, hostB)
}
