package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover/devices"
	"github.com/arbiter-ha/arbiter/internal/keys"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// NoVerifyAddress says what a route without verify_address can't do.
const NoVerifyAddress = "has no verify_address (host:port where clients connect), so a failover can't prove by a write that they reach the new primary"

// Warnings returns what is allowed but probably not meant, or what its owner should know: fates that members share, keys
// that look mistyped, promises nobody checks. Defaults need not be filled in.
func Warnings(spec *arbiterv1.GroupSpec) []Fault {
	full := Defaults(spec)
	_, warnings := sharedFences(full)
	warnings = append(warnings, fencesOnTarget(full)...)
	warnings = append(warnings, publishedPorts(full)...)
	warnings = append(warnings, sharedZone(full)...)
	warnings = append(warnings, mistypedSettings(full)...)
	if !detected(full, freeze) {
		warnings = append(warnings, Fault{Path: "health.checks", Message: freezeUnseen(full)})
	}
	warnings = append(warnings, routeWarnings(full)...)
	if c := full.Connect; full.Engine == engineHTTP && c.GetSslmode() == "disable" && c.Password != nil {
		warnings = append(warnings, Fault{
			Path: "connect.sslmode", Message: "is disable, so the password goes over the network in the clear; use verify-full",
		})
	}
	warnings = append(warnings, proofWarnings(spec.Policy)...)
	if full.Policy.GetDownVotes() > 2 {
		warnings = append(warnings, Fault{Path: "policy.down_votes", Message: fmt.Sprintf(
			"with %d votes needed and three arbiters nothing is failed over while one arbiter is away", full.Policy.GetDownVotes())})
	}
	return warnings
}

// routeWarnings are about clients that a failover doesn't move, or of which it isn't seen whether it has moved them.
func routeWarnings(spec *arbiterv1.GroupSpec) []Fault {
	if len(spec.Routes) == 0 {
		return []Fault{{Path: "routes", Message: "there are none, so a failover moves no client: each must find the new primary itself (docs/group-spec.md, Routes)"}}
	}
	var warnings []Fault
	for i, r := range spec.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		if r.GetVerifyAddress() == "" {
			warnings = append(warnings, Fault{Path: path, Message: NoVerifyAddress})
		}
		for _, m := range spec.Members {
			if sameAddress(r.GetVerifyAddress(), m.Address) {
				warnings = append(warnings, Fault{Path: path + ".verify_address", Message: fmt.Sprintf(
					"is the address of %s itself, so a write to it doesn't show where the route leads; name the one that clients connect to", m.Name)})
			}
		}
	}
	return warnings
}

// sameAddress says whether two host:port are written for the same place.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && portA == portB && devices.Host(hostA) == devices.Host(hostB)
}

// proofWarnings are about grades of proof that were asked for by name, and don't do what that suggests.
func proofWarnings(p *arbiterv1.Policy) []Fault {
	if slices.Equal(p.GetAcceptProofs(), defaultAcceptProofs) {
		return nil
	}
	var warnings []Fault
	for i, grade := range p.GetAcceptProofs() {
		if slices.Contains(unproduced, grade) {
			warnings = append(warnings, Fault{
				Path: fmt.Sprintf("policy.accept_proofs[%d]", i), Message: fmt.Sprintf("nothing in this release gives %s", grade),
			})
		}
	}
	if slices.Equal(p.GetAcceptProofs(), []string{"ATTESTED"}) {
		warnings = append(warnings, Fault{Path: "policy.accept_proofs", Message: "only a person's word counts, so no failover ends by itself"})
	}
	return warnings
}

// fencesOnTarget warns of a device that is reached at the very address of the service: it fails together with its target.
func fencesOnTarget(spec *arbiterv1.GroupSpec) []Fault {
	var warnings []Fault
	for i, m := range spec.Members {
		host, _, err := net.SplitHostPort(m.Address)
		if err != nil || onLoopback(m.Address) {
			continue
		}
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				for _, key := range []string{"ip", "ipaddr"} {
					if strings.EqualFold(device.Settings[key].GetLiteral(), host) {
						warnings = append(warnings, Fault{
							Path:    fmt.Sprintf("members[%d].fence[%d][%d]", i, l, d),
							Message: fmt.Sprintf("stands on the machine that it should switch off (%s), so both may fail together", host),
						})
					}
				}
			}
		}
	}
	return warnings
}

// sharedZone warns of members that one failure of a zone takes away together.
func sharedZone(spec *arbiterv1.GroupSpec) []Fault {
	if len(spec.Members) < 2 {
		return nil
	}
	zone := spec.Members[0].Zone
	if slices.ContainsFunc(spec.Members, func(m *arbiterv1.MemberSpec) bool { return m.Zone != zone }) {
		return nil
	}
	if zone == "" {
		return []Fault{{Path: "members", Message: "no member names its zone, so nothing is known of what fails together"}}
	}
	return []Fault{{Path: "members", Message: fmt.Sprintf("all members are in zone %s: losing it loses the group", zone)}}
}

// usualSettings are keys that most fence agents know.
var usualSettings = []string{
	"ip", "ipport", "username", "password", "password_script", "plug", "port", "lanplus", "cipher", "privlvl", "method",
	"ssl", "ssl_insecure", "ssl_secure", "ssh", "identity_file", "systems_uri", "region", "zone", "project", "power_timeout",
	"power_wait", "login_timeout", "shell_timeout", "delay", "retry_on", "inet4_only", "inet6_only",
}

// mistypedSettings warns of settings of fence agents that are one letter away from a usual one. The agents themselves
// only mutter about a key that they don't know.
func mistypedSettings(spec *arbiterv1.GroupSpec) []Fault {
	var warnings []Fault
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				for _, key := range sortedKeys(device.Settings) {
					if !slices.Contains(usualSettings, key) && mistyped(key, usualSettings) && len(key) > 3 {
						warnings = append(warnings, Fault{
							Path:    fmt.Sprintf("members[%d].fence[%d][%d].%s", i, l, d, key),
							Message: fmt.Sprintf("did you mean %q? It is passed to %s as it is", keys.Nearest(key, usualSettings), device.Device),
						})
					}
				}
			}
		}
	}
	return warnings
}

func sortedKeys(settings map[string]*arbiterv1.Value) []string {
	keys := make([]string, 0, len(settings))
	for key := range settings {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
