package config

import (
	"fmt"

	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/keys"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// fenceFaults are about the ways to prove that a member can't write. A group without them could only ever guess; a wrong one would otherwise
// show when the primary is to be switched off.
func fenceFaults(spec *arbiterv1.GroupSpec) []Fault {
	var faults []Fault
	for i, m := range spec.Members {
		path := fmt.Sprintf("members[%d].fence", i)
		if len(m.Fence) == 0 {
			faults = append(faults, Fault{Path: path, Message: fmt.Sprintf(
				"%s has no fence, so nothing could prove that it stopped writing; give it at least one level, for example "+
					"- [{device: fence_ipmilan, ip: bmc.internal, ...}]", m.Name)})
			continue
		}
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				faults = append(faults, deviceFaults(device, fmt.Sprintf("%s[%d][%d]", path, l, d))...)
			}
		}
		faults = append(faults, fenceTimeFaults(m, spec.Policy, path)...)
		faults = append(faults, levelFaults(m, spec.Policy, path)...)
	}
	return faults
}

// fenceTimeFaults refuse a fence that may be cut off before its last device is done.
func fenceTimeFaults(m *arbiterv1.MemberSpec, p *arbiterv1.Policy, path string) []Fault {
	needs, isolate := fenceTime(m, p.GetRaceFences()), p.Timeouts.Isolate.AsDuration()
	if needs <= isolate {
		return nil
	}
	return []Fault{{Path: path, Message: fmt.Sprintf(
		"the devices may take %s (time-out x tries, %s), longer than policy.timeouts.isolate %s: the last ones would never finish",
		formatDuration(needs), levelsText(p.GetRaceFences()), formatDuration(isolate))}}
}

func levelsText(race bool) string {
	if race {
		return "the longest level"
	}
	return "all levels one after another"
}

// levelFaults refuse a fence none of whose levels could prove what the policy accepts.
func levelFaults(m *arbiterv1.MemberSpec, p *arbiterv1.Policy, path string) []Fault {
	levels := make([][]fencesettings.Device, len(m.Fence))
	for l, level := range m.Fence {
		for _, device := range level.Devices {
			levels[l] = append(levels[l], shownDevice(device))
		}
	}
	if why := fencesettings.CheckLevels(m.Name, levels, p.AcceptProofs); why != "" {
		return []Fault{{Path: path, Message: why}}
	}
	return nil
}

func deviceFaults(device *arbiterv1.FenceDevice, path string) []Fault {
	var faults []Fault
	if device.Timeout.AsDuration() <= 0 {
		faults = append(faults, Fault{Path: path + ".timeout", Message: "must be longer than nothing"})
	}
	for _, key := range sortedKeys(device.Settings) {
		if meant := meantForArbiter(key); meant != "" {
			faults = append(faults, Fault{Path: path + "." + key, Message: fmt.Sprintf(
				"unknown key; did you mean %q? Arbiter would not heed it, and the agent would not know it", meant)})
		}
	}
	for _, f := range fencesettings.Check(shownDevice(device)) {
		faults = append(faults, Fault{Path: path + "." + f.Key, Message: f.Message})
	}
	return faults
}

// shownDevice is a device as far as a spec shows it.
func shownDevice(device *arbiterv1.FenceDevice) fencesettings.Device {
	d := fencesettings.Device{Agent: device.Device}
	for _, key := range sortedKeys(device.Settings) {
		value := device.Settings[key]
		d.Settings = append(d.Settings, fencesettings.Setting{
			Key: key, Value: value.GetLiteral(), Later: value.GetFile() != "" || value.GetEnv() != "",
		})
	}
	return d
}

// meantForArbiter is the key of Arbiter's own that a setting of a device can only be meant as, if it is written wrongly. No agent has
// a setting that is so near to them.
func meantForArbiter(key string) string {
	for _, own := range []struct {
		key  string
		most int // letters that may be wrong
	}{{fencesettings.ExpectName, 3}, {fencesettings.Proof, 1}} {
		if key != own.key && keys.Distance(fencesettings.PlainKey(key), own.key) <= own.most {
			return own.key
		}
	}
	return ""
}
