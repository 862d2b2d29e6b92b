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
	"github.com/arbiter-ha/arbiter/route"
)

// specs fills in and checks what operators write.
type specs struct{ fencer *fence.Fencer }

// Effective returns the spec with every default. What only a driver can tell of its settings is checked here too: a wrong route would
// otherwise show when the old primary is off already.
func (s specs) Effective(written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, error) {
	full := config.Defaults(written)
	if faults := s.faults(written, full); len(faults) > 0 {
		return nil, faults
	}
	return full, nil
}

// EffectiveHere also has the fence agents on this machine say what they can do and which settings they don't know: an agent itself goes on
// without them, and what it then does shows when it is needed. The notes are about agents that aren't here.
func (s specs) EffectiveHere(ctx context.Context, written *arbiterv1.GroupSpec) (full *arbiterv1.GroupSpec, notes []string, err error) {
	full = config.Defaults(written)
	wrong, notes := s.askAgents(ctx, full)
	if faults := s.faults(written, full).And(wrong); len(faults) > 0 {
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

func (specs) faults(written, full *arbiterv1.GroupSpec) config.Faults {
	faults := config.Faults(config.Validate(written))
	return faults.And(slices.Concat(deviceFaults(full), proofFaults(full), routeFaults(full)))
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

func deviceFaults(spec *arbiterv1.GroupSpec) []config.Fault {
	var faults []config.Fault
	eachDevice(spec, func(path string, device failover.FenceDevice) {
		faults = append(faults, problemsAt(path, fence.CheckSettings(device))...)
	})
	return faults
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
				faults = append(faults, problemsAt(d.path, []fence.Problem{p})...)
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

func problemsAt(path string, problems []fence.Problem) []config.Fault {
	var faults []config.Fault
	for _, p := range problems {
		faults = append(faults, config.Fault{Path: path + "." + p.Key, Message: p.Message})
	}
	return faults
}

// proofFaults find members whose fence could never prove what the policy asks for: none of their levels would even be tried. Where the
// policy takes a person's word, a failover from such a member can still end.
func proofFaults(spec *arbiterv1.GroupSpec) []config.Fault {
	var policy failover.Policy
	for _, grade := range spec.GetPolicy().GetAcceptProofs() {
		policy.AcceptProofs = append(policy.AcceptProofs, failover.ProofGrade(grade))
	}
	if policy.Accepts(failover.ProofAttested) {
		return nil
	}
	var faults []config.Fault
	for i, m := range spec.Members {
		gives, accepted := levelProofs(m, policy)
		if len(gives) > 0 && !accepted {
			faults = append(faults, config.Fault{Path: fmt.Sprintf("members[%d].fence", i), Message: fmt.Sprintf(
				"no level of %s gives a proof that policy.accept_proofs takes (%s), so a failover from it would be held for ever; accept one of these too, or add a device that gives %s",
				m.Name, strings.Join(gives, "; "), strings.Join(spec.Policy.AcceptProofs, " or "))})
		}
	}
	return faults
}

// levelProofs says what each level of a member's fence can give, in words, and whether the policy accepts any of it.
func levelProofs(m *arbiterv1.MemberSpec, policy failover.Policy) (gives []string, accepted bool) {
	for _, level := range m.Fence {
		devices := make([]failover.FenceDevice, 0, len(level.Devices))
		var names []string
		for _, device := range level.Devices {
			devices = append(devices, failover.FenceDevice{Method: device.Device, Settings: settings(device.Settings)})
			names = append(names, device.Device)
		}
		grade := fence.LevelGrade(devices)
		gives = append(gives, fmt.Sprintf("%s: %s", strings.Join(names, " + "), grade))
		accepted = accepted || policy.Accepts(grade)
	}
	return gives, accepted
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
