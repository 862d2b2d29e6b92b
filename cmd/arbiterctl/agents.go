package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// askAgents bounds how long the fence agents on this machine may take to describe themselves.
const askAgents = 5 * time.Second

// localAgents are the fence agents on this machine, as far as they were asked.
type localAgents struct {
	directories []string
	described   map[string]*fenceagent.Metadata // by the name of the device; nil if it can't be told
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
	unknown := l.unknownSettings(ctx, parsed)
	if faults = faults.And(unknown); len(faults) == 0 {
		return spec, warnings, nil
	}
	return nil, config.Faults(unknown).Besides(warnings), source.Locate(faults)
}

// unknownSettings finds settings that the agents installed here don't know. Where one isn't installed nothing is said: the arbiters ask
// theirs when the spec is applied.
func (l *localAgents) unknownSettings(ctx context.Context, spec *arbiterv1.GroupSpec) []config.Fault {
	ctx, cancel := context.WithTimeout(ctx, askAgents)
	defer cancel()
	var faults []config.Fault
	for i, m := range spec.Members {
		for j, level := range m.Fence {
			for d, device := range level.Devices {
				described := l.describe(ctx, device.Device)
				if described == nil {
					continue
				}
				for _, key := range slices.Sorted(maps.Keys(device.Settings)) {
					if why := described.Unknown(key); why != "" {
						faults = append(faults, config.Fault{Path: fmt.Sprintf("members[%d].fence[%d][%d].%s", i, j, d, key), Message: why})
					}
				}
			}
		}
	}
	return faults
}

// describe runs nothing but what the directories hold under the name of a fence agent: a spec that is only to be checked may come from
// anywhere, and must not choose what is run.
func (l *localAgents) describe(ctx context.Context, device string) *fenceagent.Metadata {
	if !strings.HasPrefix(device, "fence_") {
		return nil
	}
	if known, asked := l.described[device]; asked {
		return known
	}
	var described *fenceagent.Metadata
	if path, err := fenceagent.Find(device, l.directories); err == nil {
		if m, err := fenceagent.Describe(ctx, path, askAgents); err == nil {
			described = &m
		}
	}
	l.described[device] = described
	return described
}
