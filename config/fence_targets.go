package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/keys"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// This file finds members that one and the same fence target stands for. It takes two devices for the same target only if they can't be two, since
// it refuses them. failover/machine.go asks the same across groups, where doubt goes the other way: it only makes one fence wait for another.

// aboutAccess are parts of the keys of settings that say how to ask, or what to make of the answer, and not which machine is meant. So do secrets.
var aboutAccess = []string{
	"username", "login", "password_script", "passwd_script", "identity_file", "timeout", "wait", "delay", "retry", "verbose", "debug", "quiet",
	"lanplus", "cipher", "privlvl", "method", "auth", "ssl", "ssh", "expect_name", "proof",
}

// presentNames maps older names of settings to their present ones.
var presentNames = map[string]string{"ipaddr": "ip", "port": "plug"}

// targetOf describes what a device would act on: its name and all settings that may say which machine is meant.
func targetOf(device *arbiterv1.FenceDevice) string {
	var settings []string
	for key, value := range device.Settings {
		key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
		if keys.HoldSecret(key) || slices.ContainsFunc(aboutAccess, func(part string) bool { return strings.Contains(key, part) }) {
			continue
		}
		if present, older := presentNames[key]; older {
			key = present
		}
		settings = append(settings, key+"="+strings.TrimSpace(value.GetLiteral())+value.GetFile()+value.GetEnv())
	}
	slices.Sort(settings)
	return device.Device + " " + strings.Join(settings, " ")
}

// sharedFences finds members that one fence target stands for: to switch one off would switch the other off, a candidate that is off can't be
// promoted, and what the device says of one would be taken for proof about the other. It is a fault unless the members are servers of one
// machine, which no fence can tell apart.
func sharedFences(spec *arbiterv1.GroupSpec) (faults, warnings []Fault) {
	first := map[string]*arbiterv1.MemberSpec{}
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				target := targetOf(device)
				other := first[target]
				switch path := fmt.Sprintf("members[%d].fence[%d][%d]", i, l, d); {
				case other == nil:
					first[target] = m
				case other == m:
				case sameHost(m.Address, other.Address):
					warnings = append(warnings, Fault{Path: path, Message: fmt.Sprintf(
						"is the same target as a fence of %s, on the same machine: fencing one fences the other, so neither can take over from the other", other.Name)})
				default:
					faults = append(faults, Fault{Path: path, Message: fmt.Sprintf(
						"is the same target as a fence of %s: switching %s off would switch %s off too, and the device's word on one would be taken for proof about the other; "+
							"name the outlet or address of each", other.Name, m.Name, other.Name)})
				}
			}
		}
	}
	return faults, warnings
}

func sameHost(a, b string) bool {
	hostA, _, errA := net.SplitHostPort(a)
	hostB, _, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && strings.EqualFold(hostA, hostB)
}
