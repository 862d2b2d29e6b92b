package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// askAgents bounds how long the fence agents on this machine may take to describe themselves.
const askAgents = 5 * time.Second

// localAgents are the fence agents on this machine, as far as they were asked.
type localAgents struct {
	directories []string
	described   map[string]localAgent // by the name of the device
}

// localAgent is what an agent said of itself, or why that isn't known, or that it says nothing that can be understood.
type localAgent struct {
	said   fenceagent.Metadata
	silent string // why it isn't known, in words; arbiters may know
	mute   error  // it ran, and didn't describe itself
}

// load is config.LoadGroup with the faults that the agents installed here find. They are asked if the form of the spec is right.
func (l *localAgents) load(ctx context.Context, file specFile) (*arbiterv1.GroupSpec, config.Faults, error) {
	spec, warnings, err := config.LoadGroup(file.name, file.text)
	parsed, source, malformed := config.ParseGroup(file.name, file.text)
	if malformed != nil {
		return nil, warnings, err
	}
	var faults config.Faults
	errors.As(err, &faults)
	unknown := l.agentFaults(ctx, parsed)
	if faults = faults.And(unknown); len(faults) == 0 {
		return spec, warnings, nil
	}
	return nil, config.Faults(unknown).Besides(warnings), source.Locate(faults)
}

// agentFaults finds settings that the agents installed here don't know, and agents that can prove nothing or don't describe themselves. Where one
// isn't installed, or lacks what it needs, nothing is a fault: the arbiters ask theirs when the spec is applied.
func (l *localAgents) agentFaults(ctx context.Context, spec *arbiterv1.GroupSpec) []config.Fault {
	ctx, cancel := context.WithTimeout(ctx, askAgents)
	defer cancel()
	var faults []config.Fault
	for i, m := range spec.Members {
		for j, level := range m.Fence {
			for d, device := range level.Devices {
				agent := l.describe(ctx, device.Device)
				if agent.silent != "" {
					continue
				}
				faults = append(faults, agent.against(device, fmt.Sprintf("members[%d].fence[%d][%d].", i, j, d))...)
			}
		}
	}
	return faults
}

// against finds what an agent has against a device that is to use it; path is put before the keys.
func (a localAgent) against(device *arbiterv1.FenceDevice, path string) []config.Fault {
	if a.mute != nil {
		return []config.Fault{{Path: path + "device", Message: fenceagent.Undescribed(a.mute)}}
	}
	var faults []config.Fault
	for _, lack := range a.said.Lacks() {
		faults = append(faults, config.Fault{Path: path + "device", Message: lack})
	}
	for _, key := range slices.Sorted(maps.Keys(device.Settings)) {
		if why := a.said.Unknown(key); why != "" {
			faults = append(faults, config.Fault{Path: path + key, Message: why})
		}
	}
	return faults
}

// describe runs nothing but what the directories hold under the name of a fence agent: a spec that is only to be checked may come from
// anywhere, and must not choose what is run.
func (l *localAgents) describe(ctx context.Context, device string) localAgent {
	known, asked := l.described[device]
	if !asked {
		known = l.ask(ctx, device)
		l.described[device] = known
	}
	return known
}

func (l *localAgents) ask(ctx context.Context, device string) localAgent {
	if !strings.HasPrefix(device, "fence_") {
		return localAgent{silent: "only programs in the usual folders whose names begin with fence_ are run here"}
	}
	path, err := fenceagent.Find(ctx, new(secret.Reader), device, l.directories)
	switch {
	case errors.Is(err, secret.ErrNotInTime):
		return localAgent{silent: err.Error()}
	case err != nil:
		return localAgent{silent: "it is not installed here"}
	}
	said, err := fenceagent.Describe(ctx, path, askAgents)
	var failed *fenceagent.FailedError
	switch {
	case errors.As(err, &failed): // it may lack what it needs, on this machine
		return localAgent{silent: err.Error()}
	case errors.Is(err, fenceagent.ErrMetadata):
		return localAgent{mute: err}
	case err != nil:
		return localAgent{silent: err.Error()}
	}
	return localAgent{said: said}
}

// unchecked says what of a spec only arbiters can check, a line for each thing.
func (l *localAgents) unchecked(spec *arbiterv1.GroupSpec) []string {
	var lines, programs []string
	for _, device := range slices.Sorted(maps.Keys(l.described)) {
		if why := l.described[device].silent; why != "" && uses(spec, device) {
			lines = append(lines, fmt.Sprintf("the settings of %s: %s", device, why))
		}
	}
	for _, route := range spec.Routes {
		if program := route.Settings["command"].GetLiteral(); route.Router == routesettings.Command && !slices.Contains(programs, program) {
			programs = append(programs, program)
			lines = append(lines, fmt.Sprintf("what %s makes of the settings of its route", cmp.Or(program, "the program of a command router")))
		}
	}
	for _, held := range config.References(spec) {
		lines = append(lines, held+": each arbiter has its own")
	}
	return append(lines, "whether members, fence devices and routers answer, and let arbiters do what they must")
}

func uses(spec *arbiterv1.GroupSpec, device string) bool {
	return slices.ContainsFunc(spec.Members, func(m *arbiterv1.MemberSpec) bool {
		return slices.ContainsFunc(m.Fence, func(level *arbiterv1.FenceLevel) bool {
			return slices.ContainsFunc(level.Devices, func(d *arbiterv1.FenceDevice) bool { return d.Device == device })
		})
	})
}
