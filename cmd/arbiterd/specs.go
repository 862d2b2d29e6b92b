package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fence"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
	"github.com/arbiter-ha/arbiter/route"
)

// specs fills in and checks what operators write.
type specs struct{}

// Effective returns the spec with every default. What only a driver can tell of its settings is checked here too: a wrong route would
// otherwise show when the old primary is off already.
func (specs) Effective(written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, error) {
	full := config.Defaults(written)
	faults := config.Faults(config.Validate(written))
	faults = faults.And(append(deviceFaults(full), routeFaults(full)...))
	if len(faults) > 0 {
		return nil, faults
	}
	return full, nil
}

func deviceFaults(spec *arbiterv1.GroupSpec) []config.Fault {
	var faults []config.Fault
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				for _, p := range fence.CheckSettings(failover.FenceDevice{Method: device.Device, Settings: settings(device.Settings)}) {
					faults = append(faults, config.Fault{Path: fmt.Sprintf("members[%d].fence[%d][%d].%s", i, l, d, p.Key), Message: p.Message})
				}
			}
		}
	}
	return faults
}

func routeFaults(spec *arbiterv1.GroupSpec) []config.Fault {
	var members []failover.MemberName
	for _, m := range spec.Members {
		members = append(members, failover.MemberName(m.Name))
	}
	var faults []config.Fault
	for i, r := range spec.Routes {
		for _, p := range route.CheckSettings(failover.Route{Router: r.Router, Name: r.GetName(), Settings: settings(r.Settings)}, members) {
			faults = append(faults, config.Fault{Path: fmt.Sprintf("routes[%d].%s", i, p.Key), Message: p.Message})
		}
	}
	return faults
}

// settings are a spec's settings as drivers take them, in the order of their keys.
func settings(values map[string]*arbiterv1.Value) []failover.Setting {
	var list []failover.Setting
	for _, key := range slices.Sorted(maps.Keys(values)) {
		v := values[key]
		list = append(list, failover.Setting{Key: key, Value: v.GetLiteral(), File: v.GetFile(), Env: v.GetEnv()})
	}
	return list
}
