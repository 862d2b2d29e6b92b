package fencesettings

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/failover/devices"
)

// Settings of Arbiter's own, which are not passed on.
const (
	// ExpectName is the name under which the device must know the machine before it is switched off.
	ExpectName = "expect_name"
	// Proof is what a device's off amounts to: devices.ProofOff or devices.ProofIsolated.
	Proof = "proof"
)

// Device is a fence device as a spec shows it.
type Device struct {
	Agent    string // the name of a fence agent, or its absolute path
	Settings []Setting
}

// Setting is one setting of a device.
type Setting struct {
	Key, Value string
	Later      bool // the value isn't known yet, because it comes from a file or the environment
}

// setting finds a setting by its very key.
func (d Device) setting(key string) (Setting, bool) {
	for _, s := range d.Settings {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// Fault is something wrong with a device, or with one of its settings.
type Fault struct {
	Key     string // of the setting, or "device"
	Message string // without values
}

// Check finds what is wrong with a device and its settings.
func Check(d Device) []Fault {
	var faults []Fault
	if !IsExecutableName(d.Agent) {
		faults = append(faults, Fault{"device", fmt.Sprintf("%q is neither the name of a fence agent nor an absolute path", OneLine(d.Agent, 60))})
	}
	return append(faults, CheckSettings(d)...)
}

// CheckSettings is Check for those who look the agent up anyway.
func CheckSettings(d Device) []Fault {
	faults := checkProvable(d)
	seen := map[string]bool{}
	for _, s := range d.Settings {
		key := PlainKey(s.Key)
		switch {
		case !IsKey(s.Key):
			faults = append(faults, Fault{s.Key, fmt.Sprintf("%q is not a name that fence agents can take", OneLine(s.Key, 60))})
			continue
		case seen[key]:
			faults = append(faults, Fault{s.Key, fmt.Sprintf("%q is there twice", s.Key)})
		case IsReserved(key):
			faults = append(faults, checkReserved(s)...)
		case !s.Later:
			if why := CheckValue(s.Key, s.Value); why != "" {
				faults = append(faults, Fault{s.Key, why})
			}
		}
		if key == "action" || key == "option" {
			faults = append(faults, Fault{s.Key, fmt.Sprintf("%q must not be set: Arbiter itself says off and status; remove it", s.Key)})
		}
		seen[key] = true
	}
	return faults
}

// checkProvable refuses an agent whose off proves nothing, or nobody knows what, unless the spec says what stands behind it.
func checkProvable(d Device) []Fault {
	key, message := devices.ProofFault(d.Agent)
	if _, found := d.setting(Proof); found || message == "" || d.Agent == "" {
		return nil
	}
	return []Fault{{key, message}}
}

func checkReserved(s Setting) []Fault {
	switch {
	case s.Later:
		return []Fault{{s.Key, fmt.Sprintf("%q must be a plain value", s.Key)}}
	case s.Key == Proof:
		if why := devices.ProofValueFault(s.Value); why != "" {
			return []Fault{{s.Key, why}}
		}
	case s.Value == "":
		return []Fault{{s.Key, fmt.Sprintf("%q must be a plain value", s.Key)}}
	}
	return nil
}

// CheckValue says why a device could not be trusted with this value, or nothing.
func CheckValue(key, value string) string {
	switch PlainKey(key) {
	case "method":
		if strings.EqualFold(strings.TrimSpace(value), "cycle") {
			return "method=cycle restarts the machine instead of switching it off, and reports success too early; use method=onoff"
		}
	case "missing_as_off":
		if isTrue(value) {
			return "missing_as_off would take a misspelt machine for one that is off; remove it"
		}
	}
	if strings.ContainsAny(value, "\n\r\x00") {
		return fmt.Sprintf("the value of %q has more than one line", key)
	}
	return ""
}

// isTrue errs on the side of true: agents differ in what they take for it.
func isTrue(value string) bool {
	return !slices.Contains([]string{"", "0", "no", "off", "false", "n", "f"}, strings.ToLower(strings.TrimSpace(value)))
}

// IsReserved says whether a setting is Arbiter's own.
func IsReserved(key string) bool { return key == ExpectName || key == Proof }

// PlainKey is a key as agents compare it.
func PlainKey(key string) string { return strings.ReplaceAll(strings.ToLower(key), "-", "_") }

var settingKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// IsKey says whether a key can be told to an agent, in a line "key=value".
func IsKey(key string) bool { return settingKey.MatchString(key) }

// IsExecutableName says whether an agent can be looked for: by its absolute path on an arbiter's machine, wherever this is asked, or by a
// name without folders.
func IsExecutableName(agent string) bool {
	return path.IsAbs(agent) || agent != "" && agent == path.Base(agent) && agent != "." && agent != ".."
}

// OneLine makes one line of printable text of at most limit bytes.
func OneLine(text string, limit int) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) <= limit {
		return text
	}
	const more = " ..."
	cut := limit - len(more)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + more
}
