package failover

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// This file says which members share a machine, so that no two of its power actions run at once (S15). Groups of different teams
// write the same device in different ways: with another login, another order, another level. What counts is the settings that
// name the machine. To take two machines for one only makes one fence wait for the other; so doubt goes that way.

// identifying are the settings of fence agents that say which machine a device acts on, by their present names. Everything else says how.
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

// aboutAccess are parts of the keys of settings that say how to log in and how to go about it, or what is expected.
var aboutAccess = []string{
	"user", "login", "timeout", "wait", "delay", "retry", "verbose", "debug", "quiet", "ssl", "ssh", "cert", "privlvl", "auth", "cipher",
	"lanplus", "method", "pass", "secret", "token", "community", "credential", "api_key", "apikey", "private_key", "access_key",
	"hexadecimal_kg", "expect_name", "proof",
}

// naming are those that name one machine by themselves; an address alone may be a switch with many machines behind it.
var naming = []string{"plug", "uuid", "systems_uri", "status_file", "target"}

// oneMachine are agents whose address is that of one machine's own controller.
var oneMachine = []string{
	"fence_ipmilan", "fence_redfish", "fence_ilo", "fence_ilo2", "fence_ilo_ssh", "fence_drac", "fence_drac5",
	"fence_rsa", "fence_rsb", "fence_amt", "fence_amt_ws",
}

// sharesMachine says whether two members have a device in common that acts on the same machine, in any of their levels.
func sharesMachine(a, b MemberSpec) bool {
	machines := machinesOf(a)
	return slices.ContainsFunc(machinesOf(b), func(m string) bool { return slices.Contains(machines, m) })
}

// machinesOf are the machines that a member's fence acts on, one for each device.
func machinesOf(m MemberSpec) []string {
	var machines []string
	for _, level := range m.Fence {
		for _, device := range level.Devices {
			machines = append(machines, machineOf(device))
		}
	}
	return machines
}

// machineOf is "method key=value ...", with the settings that name the machine in the order of their names, and all others that
// don't look like access or tuning where these may not be enough. A value that is kept elsewhere is known by where it is kept.
func machineOf(device FenceDevice) string {
	method := path.Base(device.Method)
	if name, found := family[method]; found {
		method = name
	}
	var known, others []string
	named := slices.Contains(oneMachine, method)
	for _, s := range device.Settings {
		key := presentKey(s.Key)
		value := normalValue(s.Value) + s.File + s.Env
		switch {
		case value == "" || key == "ipport" && value == defaultPort[method]:
		case slices.Contains(identifying, key):
			known = append(known, key+"="+value)
			named = named || slices.Contains(naming, key)
		case s.Value != "" && !slices.ContainsFunc(aboutAccess, func(part string) bool { return strings.Contains(key, part) }):
			others = append(others, key+"="+value)
		}
	}
	if !named {
		known = append(known, others...)
	}
	slices.Sort(known)
	return strings.Join(append([]string{method}, known...), " ")
}

// presentKey is a key as agents compare it, under its present name.
func presentKey(key string) string {
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	if name, found := presentName[key]; found {
		return name
	}
	return key
}

// normalValue writes an address in its one canonical form, and a name as it is.
func normalValue(value string) string {
	value = strings.TrimSpace(value)
	if address, err := netip.ParseAddr(value); err == nil {
		return address.Unmap().String()
	}
	return value
}
