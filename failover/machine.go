package failover

import (
	"slices"

	"github.com/arbiter-ha/arbiter/failover/devices"
)

// This file says which members share a machine, so that no two of its power actions run at once (S15). Groups of different teams
// write the same device in different ways: with another login, another order, another level. What counts is the settings that
// name the machine (package devices). To take two machines for one only makes one fence wait for the other; so doubt goes that way.

// sharesMachine says whether two members have a device in common that may act on the same machine, in any of their levels.
func sharesMachine(a, b MemberSpec) bool {
	machines := machinesOf(a)
	return slices.ContainsFunc(machinesOf(b), func(m devices.Target) bool { return slices.ContainsFunc(machines, m.MayBe) })
}

// onMachineOf says whether any member of the group shares a machine with this one.
func (g *Group) onMachineOf(m MemberSpec) bool {
	return slices.ContainsFunc(g.Spec.Members, func(own MemberSpec) bool { return sharesMachine(own, m) })
}

// machinesOf are the machines that a member's fence acts on, one for each device.
func machinesOf(m MemberSpec) []devices.Target {
	var machines []devices.Target
	for _, level := range m.Fence {
		for _, device := range level.Devices {
			machines = append(machines, devices.TargetOf(device.Method, settingsByKey(device.Settings)))
		}
	}
	return machines
}

func settingsByKey(settings []Setting) map[string]string {
	byKey := make(map[string]string, len(settings))
	for _, s := range settings {
		switch {
		case s.File != "":
			byKey[s.Key] = devices.Kept("file", s.File)
		case s.Env != "":
			byKey[s.Key] = devices.Kept("env", s.Env)
		default:
			byKey[s.Key] = s.Value
		}
	}
	return byKey
}
