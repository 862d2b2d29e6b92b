//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Problem is something wrong, or careless, in a member's fence.
type Problem struct {
	Level   int    // from 0, as in the spec
	Device  int    // from 0, within the level
	Key     string // of the setting; empty if it is about the device as a whole
	Message string // without secrets
	Fix     string // what to do; empty if the message says it
	Warning bool   // the fence works, but something about it is careless
	Silent  bool   // the device did not answer; only Inspect asks it
}

// Validate checks a member's fence as far as that is possible without touching a machine: that the agents are there and
// offer off and status, know every setting, find every setting that they need, and that the secrets can be resolved on
// this machine. Each device takes as long as its agent needs to describe itself.
func (f *Fencer) Validate(ctx context.Context, member failover.MemberSpec) []Problem {
	var problems []Problem
	for i, level := range member.Fence {
		problems = append(problems, f.validateLevel(ctx, i, level)...)
	}
	return problems
}

func (f *Fencer) validateLevel(ctx context.Context, i int, level failover.FenceLevel) []Problem {
	if len(level.Devices) == 0 {
		return []Problem{{
			Level: i, Message: "the level has no devices, so it can never prove anything",
			Fix: "take the empty level out of the spec",
		}}
	}
	var problems []Problem
	for j, device := range level.Devices {
		for _, p := range f.validateDevice(ctx, device) {
			p.Level, p.Device = i, j
			problems = append(problems, p)
		}
	}
	return problems
}

func (f *Fencer) validateDevice(ctx context.Context, device failover.FenceDevice) []Problem {
	var problems []Problem
	for _, fault := range fencesettings.CheckSettings(shown(device)) {
		problems = append(problems, Problem{Key: fault.Key, Message: fault.Message})
	}
	for _, s := range device.Settings {
		problems = append(problems, f.validateSecret(ctx, s)...)
	}
	m, err := f.describe(ctx, device)
	switch {
	case errors.Is(err, fenceagent.ErrMetadata):
		return append(problems, undescribed(err))
	case errors.Is(err, ErrNoExecutable):
		return append(problems, Problem{Message: err.Error(), Fix: "install it on this arbiter's machine, or give its absolute path"})
	case errors.Is(err, secret.ErrNotInTime):
		return append(problems, Problem{Message: err.Error(), Fix: "see why the file system of the fence agent hangs on this arbiter's machine", Silent: true})
	case err != nil:
		return append(problems, Problem{Message: err.Error(), Fix: "run the agent by hand with action=metadata, and see why it fails or hangs", Silent: true})
	}
	return append(problems, checkAgainst(m, device)...)
}

func (f *Fencer) validateSecret(ctx context.Context, s failover.Setting) []Problem {
	if s.File == "" && s.Env == "" {
		if secret.IsSecret(s) && s.Value != "" {
			return []Problem{{Key: s.Key, Warning: true, Message: fmt.Sprintf(
				"%q is written into the spec, where every reader of it sees it; refer to it by file or env", s.Key)}}
		}
		return nil
	}
	value, err := f.secrets.Resolve(ctx, s)
	if err != nil {
		return []Problem{{Key: s.Key, Message: err.Error(), Fix: "put the secret there on this arbiter's machine, readable for the user of arbiterd"}}
	}
	if why := fencesettings.CheckValue(s.Key, value); why != "" {
		return []Problem{{Key: s.Key, Message: fmt.Sprintf("%v: %s", ErrBadSetting, why)}}
	}
	if warning := f.secrets.Warning(ctx, s); warning != "" {
		return []Problem{{Key: s.Key, Message: warning, Warning: true}}
	}
	return nil
}

// checkAgainst checks a device's settings against what its agent says that it knows.
func checkAgainst(m fenceagent.Metadata, device failover.FenceDevice) []Problem {
	problems := append(lacking(m), unknownSettings(m, device)...)
	for _, s := range device.Settings {
		if p, known := m.Parameter(s.Key); known && !accepts(p, s) {
			problems = append(problems, Problem{Key: s.Key, Message: fmt.Sprintf("%q must be one of %s", s.Key, strings.Join(options(p), ", "))})
		}
	}
	return append(problems, missing(m, device)...)
}

// undescribed is about an agent that doesn't describe itself.
func undescribed(err error) Problem {
	return Problem{
		Key: "device", Message: fenceagent.Undescribed(err),
		Fix: "have the agent answer the action metadata (docs/fencing.md)",
	}
}

func lacking(m fenceagent.Metadata) []Problem {
	var problems []Problem
	for _, lack := range m.Lacks() {
		problems = append(problems, Problem{Key: "device", Message: lack})
	}
	return problems
}

func unknownSettings(m fenceagent.Metadata, device failover.FenceDevice) []Problem {
	var problems []Problem
	for _, s := range device.Settings {
		if !fencesettings.IsKey(s.Key) {
			continue // package fencesettings says more
		}
		if why := m.Unknown(s.Key); why != "" {
			problems = append(problems, Problem{Key: s.Key, Message: why})
		}
	}
	return problems
}

// accepts checks a plain value against a list of allowed ones, if the agent has one.
func accepts(p fenceagent.Parameter, s failover.Setting) bool {
	return p.Content.Type != "select" || len(p.Content.Options) == 0 || s.File != "" || s.Env != "" ||
		slices.Contains(options(p), s.Value)
}

func options(p fenceagent.Parameter) []string {
	var values []string
	for _, option := range p.Content.Options {
		values = append(values, option.Value)
	}
	return values
}

// missing names the settings that the agent requires and the spec doesn't have, not even by an older name.
func missing(m fenceagent.Metadata, device failover.FenceDevice) []Problem {
	var problems []Problem
	for _, p := range m.Parameters {
		if p.Required != "1" || p.Deprecated == "1" || p.Name == "action" || p.Content.Default != "" {
			continue
		}
		if !hasSetting(device, p.Name) && (p.Obsoletes == "" || !hasSetting(device, p.Obsoletes)) {
			problems = append(problems, Problem{Key: p.Name, Message: fmt.Sprintf("%s needs the setting %q", m.Name, p.Name)})
		}
	}
	return problems
}

func hasSetting(device failover.FenceDevice, key string) bool {
	return slices.ContainsFunc(device.Settings, func(s failover.Setting) bool { return fencesettings.PlainKey(s.Key) == fencesettings.PlainKey(key) })
}
