//go:build linux

package fence

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
)

// identifying are the settings that say which machine a device acts on, by their present names. Everything else says how.
var identifying = []string{
	"ip", "ipport", "plug", "target", "uuid", "devices", "systems_uri", "api_path", "status_file", "hostname",
	"region", "zone", "project", "resourcegroup", "subscriptionid", "namespace", "datacenter", "module_name", "inventory_url",
}

// presentName maps the older names of settings to their present ones.
var presentName = map[string]string{"ipaddr": "ip", "port": "plug", "redfish_uri": "systems_uri"}

// family maps agents that are the same program under several names to one.
var family = map[string]string{
	"fence_ipmilanplus": "fence_ipmilan", "fence_ilo3": "fence_ipmilan", "fence_ilo4": "fence_ipmilan",
	"fence_ilo5": "fence_ipmilan", "fence_imm": "fence_ipmilan", "fence_idrac": "fence_ipmilan",
}

// defaultPort are ports that mean the same as none.
var defaultPort = map[string]string{"fence_ipmilan": "623"}

// aboutAccess are parts of the keys of settings that say how to log in; they differ between arbiters and may be secrets.
var aboutAccess = []string{
	"user", "login", "timeout", "wait", "delay", "retry", "verbose", "debug", "quiet", "ssl", "ssh", "cert",
	"privlvl", "auth", "cipher", "lanplus", "method",
}

// Target is a name for the machine that a member's fence acts on. Members, also of different groups, with the same Target share a
// machine, and its power actions must be serialised (S15). It comes from the devices of the first level alone, has no
// secrets in it, and is empty for a member without a fence. Machines that are reached by different devices have
// different Targets although they may be the same machine: use SharesMachine where all levels should count.
func Target(member failover.MemberSpec) string {
	if len(member.Fence) == 0 {
		return ""
	}
	return strings.Join(levelTargets(member.Fence[0]), " + ")
}

// SharesMachine says whether two members have a device in common, in any of their levels.
func SharesMachine(a, b failover.MemberSpec) bool {
	var targets []string
	for _, level := range a.Fence {
		targets = append(targets, levelTargets(level)...)
	}
	for _, level := range b.Fence {
		for _, target := range levelTargets(level) {
			if slices.Contains(targets, target) {
				return true
			}
		}
	}
	return false
}

func levelTargets(level failover.FenceLevel) []string {
	var targets []string
	for _, device := range level.Devices {
		targets = append(targets, deviceTarget(device))
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

// naming are those that name one machine by themselves; an address alone may be a switch with many machines behind it.
var naming = []string{"plug", "uuid", "systems_uri", "status_file", "target"}

// oneMachine are agents whose address is that of one machine's own controller.
var oneMachine = []string{
	"fence_ipmilan", "fence_redfish", "fence_ilo", "fence_ilo2", "fence_ilo_ssh", "fence_drac", "fence_drac5",
	"fence_rsa", "fence_rsb", "fence_amt", "fence_amt_ws",
}

// deviceTarget is "method key=value ...", with the settings that identify the machine in the order of their names. Where
// these may not be enough, a hash of all other settings that don't look like secrets or tuning follows.
func deviceTarget(device failover.FenceDevice) string {
	method := filepath.Base(device.Method)
	if name, found := family[method]; found {
		method = name
	}
	var known, others []string
	named := slices.Contains(oneMachine, method)
	for _, s := range device.Settings {
		key := plainKey(s.Key)
		if name, found := presentName[key]; found {
			key = name
		}
		switch {
		case s.Value == "" || settingSecret(s) || isReserved(key):
		case key == "ipport" && s.Value == defaultPort[method]:
		case slices.Contains(identifying, key):
			known = append(known, key+"="+normalValue(s.Value))
			named = named || slices.Contains(naming, key)
		case !slices.ContainsFunc(aboutAccess, func(part string) bool { return strings.Contains(key, part) }):
			others = append(others, key+"="+normalValue(s.Value))
		}
	}
	slices.Sort(known)
	if !named && len(others) > 0 {
		slices.Sort(others)
		sum := sha256.Sum256([]byte(strings.Join(others, "\n")))
		known = append(known, "settings="+hex.EncodeToString(sum[:8]))
	}
	return strings.Join(append([]string{method}, known...), " ")
}

// normalValue writes an address in its one canonical form, and a name as it is.
func normalValue(value string) string {
	value = strings.TrimSpace(value)
	if address, err := netip.ParseAddr(value); err == nil {
		return address.Unmap().String()
	}
	return value
}
