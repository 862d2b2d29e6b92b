package devices

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/keys"
)

// Target is what a fence device acts on, in one canonical form: equal Targets are the same machine.
type Target struct {
	// Device is what is asked, Machine the one of several behind it; empty if it isn't named, or if there is only one.
	Device, Machine string
	// host is Device without its port.
	host string
}

// MayBe says whether two devices may act on the same machine: they do, or they ask the same address and one of them doesn't say which machine,
// or only the ports differ: one controller answers each protocol at another one.
func (t Target) MayBe(other Target) bool {
	return t.host == other.host && (t.Machine == other.Machine || t.Machine == "" || other.Machine == "")
}

// Kept stands for the value of a setting that is kept elsewhere: it is known by where it is kept.
func Kept(where, name string) string { return "{" + where + ": " + name + "}" }

// TargetOf describes what a device acts on: an agent, by its name or its path, and its settings by their keys. Of an agent that isn't in the
// table every setting counts that is no secret and isn't known to be about how to ask.
func TargetOf(method string, settings map[string]string) Target {
	known := present(settings)
	name, k := kindOf(method)
	if k.addressInPlug && known["ip"] == "" {
		known["ip"] = known["plug"]
	}
	if k.family == "apc" { // an older way to write a switch
		if unit, outlet, found := strings.Cut(known["plug"], ":"); found {
			known["switch"], known["plug"] = unit, outlet
		}
	}
	device, machine := k.pick(k.device, known), k.pick(k.machine, known)
	if device == "" && machine == "" {
		return Target{Device: path.Base(method), Machine: allBut(known), host: path.Base(method)}
	}
	if k.family != "" {
		name = k.family
	}
	delete(known, "ipport")
	return Target{Device: name + device, Machine: machine, host: name + k.pick(k.device, known)}
}

// pick writes those settings of some names that are set, in this order.
func (k kind) pick(names []string, settings map[string]string) string {
	var b strings.Builder
	for _, name := range names {
		value := settings[name]
		if k.caseless {
			value = strings.ToLower(value)
		}
		if value = normal(name, value); value != "" && !slices.Contains(k.unsaid[name], value) {
			b.WriteString(" " + name + "=" + value)
		}
	}
	return b.String()
}

// olderNames are older names of settings, and names that agents take for the same, with the present one. The first that is set counts.
var olderNames = [][2]string{{"ipaddr", "ip"}, {"port", "plug"}, {"uuid", "plug"}, {"nodename", "plug"}}

// present are the settings as agents compare them, under their present names.
func present(settings map[string]string) map[string]string {
	known := make(map[string]string, len(settings))
	for key, value := range settings {
		known[strings.ReplaceAll(strings.ToLower(key), "-", "_")] = strings.TrimSpace(value)
	}
	for _, name := range olderNames {
		if older, now := name[0], name[1]; known[older] != "" && known[now] == "" {
			known[now] = known[older]
			delete(known, older)
		}
	}
	return known
}

// aboutAccess are the settings that the collection's library gives its agents for how to ask, and Arbiter's own. Secrets are known by their names.
var aboutAccess = []string{
	"username", "login", "password_script", "passwd_script", "identity_file", "ssh", "secure", "ssh_options", "ssh_path", "ssl", "ssl_secure",
	"ssl_insecure", "notls", "inet4_only", "inet6_only", "command_prompt", "cmd_prompt", "method", "lanplus", "cipher", "privlvl", "auth",
	"use_sudo", "sudo", "sudo_path", "debug", "debug_file", "verbose", "verbose_level", "quiet", "delay", "timeout", "disable_timeout",
	"login_timeout", "shell_timeout", "power_timeout", "power_wait", "retry_on", "stonith_status_sleep", "separator", "plug_separator",
	"expect_name", "proof",
}

// allBut writes all settings but those about access.
func allBut(settings map[string]string) string {
	var all []string
	for key, value := range settings {
		if value != "" && !keys.HoldSecret(key) && !slices.Contains(aboutAccess, key) {
			all = append(all, " "+key+"="+normal(key, value))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// normal writes a value in the one form that all its spellings have.
func normal(key, value string) string {
	switch {
	case strings.HasPrefix(value, "{"): // kept elsewhere
	case key == "ip":
		return Host(value)
	case key == "devices":
		paths := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(paths)
		return strings.Join(slices.Compact(paths), ",")
	case strings.Contains(value, "://"):
		return url(value)
	}
	return value
}

// Host writes an IP address, with or without brackets, in its canonical form, and a name without the difference between upper and lower case.
func Host(value string) string {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(value, "["), "]"), "."))
	if address, err := netip.ParseAddr(name); err == nil {
		return address.Unmap().String()
	}
	return name
}

// url writes a URL without the port that its scheme has anyway, and without a slash at its end.
func url(value string) string {
	scheme, rest, _ := strings.Cut(value, "://")
	scheme = strings.ToLower(scheme)
	at, path, _ := strings.Cut(rest, "/")
	at = strings.TrimSuffix(strings.ToLower(at), map[string]string{"http": ":80", "https": ":443"}[scheme])
	return strings.TrimSuffix(scheme+"://"+Host(at)+"/"+path, "/")
}
