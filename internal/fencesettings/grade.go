package fencesettings

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover/devices"
)

// Grades of proof, by the names that policy.accept_proofs has for them.
const (
	ConfirmedOff      = "CONFIRMED_OFF"
	ConfirmedIsolated = "CONFIRMED_ISOLATED"
	Attested          = "ATTESTED" // a person's word
)

// LevelGrade is the grade of the proof that a level can give: it is off only if all of its devices switch off.
func LevelGrade(level []Device) string {
	if slices.ContainsFunc(level, isolates) {
		return ConfirmedIsolated
	}
	return ConfirmedOff
}

// isolates says whether a device's off leaves the machine running: by the word of the spec, or else by what is known of the agent.
func isolates(d Device) bool {
	if s, found := d.setting(Proof); found && s.Value != "" && !s.Later {
		return s.Value == devices.ProofIsolated
	}
	return devices.ClassOf(d.Agent) == devices.Isolates || cutsNetworkOnly(d)
}

// cutsNetworkOnly says whether a device was told to cut a machine off from the network and not to wait until it is off. A value that is kept
// elsewhere may say so.
func cutsNetworkOnly(d Device) bool {
	return path.Base(d.Agent) == "fence_azure_arm" && slices.ContainsFunc(d.Settings, func(s Setting) bool {
		return PlainKey(s.Key) == "network_fencing" && (s.Later || isTrue(s.Value))
	})
}

// CheckLevels says why the levels of a member's fence could never prove what a policy accepts: none of them would even be tried. It says
// nothing where one could, or where a person's word counts, by which a failover from such a member can still end. A policy that accepts nothing
// that any device gives is wrong itself, whatever the fence.
func CheckLevels(member string, levels [][]Device, accepted []string) string {
	fromDevices := slices.Contains(accepted, ConfirmedOff) || slices.Contains(accepted, ConfirmedIsolated)
	if slices.Contains(accepted, Attested) || !fromDevices {
		return ""
	}
	var gives []string
	for _, level := range levels {
		if len(level) == 0 {
			continue // a fault of its own
		}
		grade := LevelGrade(level)
		if slices.Contains(accepted, grade) {
			return ""
		}
		names := make([]string, len(level))
		for i, device := range level {
			names[i] = device.Agent
		}
		gives = append(gives, strings.Join(names, " + ")+": "+grade)
	}
	if len(gives) == 0 {
		return ""
	}
	return fmt.Sprintf(
		"no level of %s gives a proof that policy.accept_proofs takes (%s), so a failover from it would be held for ever; accept one of these too, or add a device that gives %s",
		member, strings.Join(gives, "; "), strings.Join(accepted, " or "))
}
