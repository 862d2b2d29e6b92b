//go:build linux

package fence

import (
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

// shown is a device as the rules for settings see it: no secret is read.
func shown(device failover.FenceDevice) fencesettings.Device {
	d := fencesettings.Device{Agent: device.Method, Settings: make([]fencesettings.Setting, len(device.Settings))}
	for i, s := range device.Settings {
		d.Settings[i] = fencesettings.Setting{Key: s.Key, Value: s.Value, Later: s.File != "" || s.Env != ""}
	}
	return d
}

// levelGrade is the grade of the proof that a level can give.
func levelGrade(devices []failover.FenceDevice) failover.ProofGrade {
	level := make([]fencesettings.Device, len(devices))
	for i, device := range devices {
		level[i] = shown(device)
	}
	return failover.ProofGrade(fencesettings.LevelGrade(level))
}
