//go:build linux

package fence

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/failover/devices"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
)

// proofKey is a reserved setting: what a device's off amounts to, "off" or "isolated".
const proofKey = fenceagent.Proof

var settingKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// gradeOf is the grade of the proof that a device can give.
func gradeOf(device failover.FenceDevice) failover.ProofGrade {
	value, found := literal(device, proofKey)
	switch {
	case found && value == devices.ProofIsolated, !found && (devices.ClassOf(device.Method) == devices.Isolates || cutsNetworkOnly(device)):
		return failover.ProofConfirmedIsolated
	}
	return failover.ProofConfirmedOff
}

// cutsNetworkOnly says whether a device was told to cut a machine off from the network and not to wait until it is off. A value that is kept
// elsewhere may say so.
func cutsNetworkOnly(device failover.FenceDevice) bool {
	return filepath.Base(device.Method) == "fence_azure_arm" && slices.ContainsFunc(device.Settings, func(s failover.Setting) bool {
		return plainKey(s.Key) == "network_fencing" && (s.File != "" || s.Env != "" || isTrue(s.Value))
	})
}

// checkProvable refuses an agent whose off proves nothing, or nobody knows what, unless the spec says what stands behind it.
func checkProvable(device failover.FenceDevice) []fault {
	key, message := devices.ProofFault(device.Method)
	if _, found := device.Setting(proofKey); found || message == "" {
		return nil
	}
	return []fault{{key, message}}
}

func isReserved(key string) bool { return key == expectNameKey || key == proofKey }

// fault is something wrong with a setting.
type fault struct {
	key, message string
}

// checkSettings finds what is wrong with a device's settings without running anything or resolving any secret.
func checkSettings(device failover.FenceDevice) []fault {
	faults := checkProvable(device)
	seen := map[string]bool{}
	for _, s := range device.Settings {
		key := plainKey(s.Key)
		switch {
		case !settingKey.MatchString(s.Key):
			faults = append(faults, fault{s.Key, fmt.Sprintf("%q is not a name that fence agents can take", shorten(s.Key, 60))})
			continue
		case seen[key]:
			faults = append(faults, fault{s.Key, fmt.Sprintf("%q is there twice", s.Key)})
		case isReserved(key):
			faults = append(faults, checkReserved(s)...)
		case s.File == "" && s.Env == "":
			if err := checkValue(s.Key, s.Value); err != nil {
				faults = append(faults, fault{s.Key, strings.TrimPrefix(err.Error(), ErrBadSetting.Error()+": ")})
			}
		}
		if key == "action" || key == "option" {
			faults = append(faults, fault{s.Key, fmt.Sprintf("%q must not be set: Arbiter itself says off and status; remove it", s.Key)})
		}
		seen[key] = true
	}
	return faults
}

func checkReserved(s failover.Setting) []fault {
	switch {
	case s.File != "" || s.Env != "" || s.Value == "":
		return []fault{{s.Key, fmt.Sprintf("%q must be a plain value", s.Key)}}
	case s.Key == proofKey && devices.ProofValueFault(s.Value) != "":
		return []fault{{s.Key, devices.ProofValueFault(s.Value)}}
	}
	return nil
}

// checkValue refuses values under which a device could not be trusted. It never puts a value into its error: it might be
// a secret under a key that doesn't look like one.
func checkValue(key, value string) error {
	switch plainKey(key) {
	case "method":
		if strings.EqualFold(strings.TrimSpace(value), "cycle") {
			return fmt.Errorf("%w: method=cycle restarts the machine instead of switching it off, and reports success too early; "+
				"use method=onoff", ErrBadSetting)
		}
	case "missing_as_off":
		if isTrue(value) {
			return fmt.Errorf("%w: missing_as_off would take a misspelt machine for one that is off; remove it", ErrBadSetting)
		}
	}
	if strings.ContainsAny(value, "\n\r\x00") {
		return fmt.Errorf("%w: the value of %q has more than one line", ErrBadSetting, key)
	}
	return nil
}

// isTrue errs on the side of true: agents differ in what they take for it.
func isTrue(value string) bool {
	return !slices.Contains([]string{"", "0", "no", "off", "false", "n", "f"}, strings.ToLower(strings.TrimSpace(value)))
}

// plainKey is a key as agents compare it.
func plainKey(key string) string { return strings.ReplaceAll(strings.ToLower(key), "-", "_") }
