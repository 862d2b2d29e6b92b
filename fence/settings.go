//go:build linux

package fence

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
)

// proofKey is a reserved setting: what a device's off amounts to, "off" or "isolated".
const proofKey = fenceagent.Proof

// The values of proofKey.
const (
	proofOff      = "off"
	proofIsolated = "isolated"
)

var settingKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// isolating are the agents of the ClusterLabs collection that cut a machine off from its storage or its network and leave it
// running.
var isolating = []string{
	"fence_brocade", "fence_cisco_mds", "fence_ifmib", "fence_mpath", "fence_sanbox2",
	"fence_scsi", "fence_vmware_vcloud_network",
}

// unproving are the agents of that collection whose word is not about the machine, and what it is about: they follow the API, and nothing that
// they say proves that a machine is off.
var unproving = map[string]string{
	"fence_ack_manual":      "it is a person's word; that is given with arbiterctl attest, once, by name",
	"fence_compute":         "its status is what OpenStack notes of the host, and its off only changes that note",
	"fence_crosslink":       "its status is whether an address answers pings, and it switches nothing off",
	"fence_dummy":           "it is for tests, and its off and its status are a word in a file",
	"fence_evacuate":        "its status is what OpenStack notes of the host, and its off only changes that note",
	"fence_heuristics_ping": "it switches nothing off",
	"fence_kdump":           "it waits for a machine that has crashed by itself, and switches nothing off",
	"fence_ovh":             "its off starts the machine again, with another system",
	"fence_rcd_serial":      "it presses the reset button, so the machine starts again, and it can't read what became of it",
	"fence_sbd":             "its status is the message that its off has left on a disk, whether or not the machine has read it",
	"fence_skalar":          "it also calls a machine off that is starting, or whose host it can't reach",
}

// gradeOf is the grade of the proof that a device can give.
func gradeOf(device failover.FenceDevice) failover.ProofGrade {
	value, found := literal(device, proofKey)
	switch {
	case found && value == proofIsolated, !found && (slices.Contains(isolating, filepath.Base(device.Method)) || cutsNetworkOnly(device)):
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

// checkProvable refuses an agent that proves nothing, unless the spec says what stands behind it.
func checkProvable(device failover.FenceDevice) []fault {
	why := unproving[filepath.Base(device.Method)]
	if _, found := literal(device, proofKey); found || why == "" {
		return nil
	}
	return []fault{{"device", fmt.Sprintf("%s can't prove that a machine is off: %s; use a device that switches the machine off. If more stands behind it here, "+
		"say what its off amounts to, and answer for it: proof: off, or proof: isolated", filepath.Base(device.Method), why)}}
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
	case s.Key == proofKey && s.Value != proofOff && s.Value != proofIsolated:
		return []fault{{s.Key, fmt.Sprintf("%q must be %q or %q", proofKey, proofOff, proofIsolated)}}
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
