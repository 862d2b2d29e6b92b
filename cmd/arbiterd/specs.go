package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fence"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// specs fills in and checks what operators write.
type specs struct{ fencer *fence.Fencer }

// Effective returns the spec with every default.
func (specs) Effective(written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, error) {
	if faults := config.Validate(written); len(faults) > 0 {
		return nil, config.Faults(faults)
	}
	return config.Defaults(written), nil
}

// EffectiveHere also has the fence agents on this machine say what they can do and which settings they don't know: an agent itself goes on
// without them, and what it then does shows when it is needed. The notes are about agents that aren't here.
func (s specs) EffectiveHere(ctx context.Context, written *arbiterv1.GroupSpec) (full *arbiterv1.GroupSpec, notes []string, err error) {
	full = config.Defaults(written)
	wrong, notes := s.askAgents(ctx, full)
	if faults := config.Faults(config.Validate(written)).And(wrong); len(faults) > 0 {
		return nil, nil, faults
	}
	return full, notes, nil
}

// LongestOutage is what `validate` says of the spec.
func (specs) LongestOutage(effective *arbiterv1.GroupSpec) time.Duration {
	return config.Meaning(effective).Worst().Outage
}

// Differences names keys as faults do.
func (specs) Differences(before, after *arbiterv1.GroupSpec) []*arbiterv1.Difference {
	return config.Differences(before, after)
}

// eachDevice visits the fence devices of a spec, by their paths in YAML.
func eachDevice(spec *arbiterv1.GroupSpec, visit func(path string, device failover.FenceDevice)) {
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				visit(fmt.Sprintf("members[%d].fence[%d][%d]", i, l, d), failover.FenceDevice{Method: device.Device, Settings: settings(device.Settings)})
			}
		}
	}
}

// agentsAtOnce bounds how many agents describe themselves at the same time; each is an interpreter that starts.
const agentsAtOnce = 4

// deviceAt is a fence device, with its path in YAML.
type deviceAt struct {
	path   string
	device failover.FenceDevice
}

// askAgents asks an agent that several devices have only once; different ones side by side.
func (s specs) askAgents(ctx context.Context, spec *arbiterv1.GroupSpec) (faults []config.Fault, notes []string) {
	byMethod := map[string][]deviceAt{}
	eachDevice(spec, func(path string, device failover.FenceDevice) {
		byMethod[device.Method] = append(byMethod[device.Method], deviceAt{path, device})
	})
	methods := slices.Sorted(maps.Keys(byMethod))
	found, absent := make([][]config.Fault, len(methods)), make([][]string, len(methods))
	var all errgroup.Group
	all.SetLimit(agentsAtOnce)
	for i, method := range methods {
		all.Go(func() error {
			found[i], absent[i] = s.askAgent(ctx, byMethod[method])
			return nil
		})
	}
	_ = all.Wait() // none of them fails
	return slices.Concat(found...), slices.Concat(absent...)
}

// askAgent asks the one agent of several devices. A warning about all of them is one note.
func (s specs) askAgent(ctx context.Context, devices []deviceAt) (faults []config.Fault, notes []string) {
	about := map[string][]string{}
	for _, d := range devices {
		for _, p := range s.fencer.CheckAgent(ctx, d.device) {
			if !p.Warning {
				faults = append(faults, config.Fault{Path: d.path + "." + p.Key, Message: p.Message})
				continue
			}
			says := p.Message + "; " + p.Fix
			about[says] = append(about[says], d.path+"."+p.Key)
		}
	}
	for _, says := range slices.Sorted(maps.Keys(about)) {
		notes = append(notes, strings.Join(about[says], ", ")+": "+says)
	}
	return faults, notes
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
