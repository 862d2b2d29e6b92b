package routesettings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// The routers that there are, by their names in a spec.
const (
	HAProxy = "haproxy"
	Command = "command"
)

// Fault is something wrong with a setting of a route.
type Fault struct {
	Key     string
	Message string // without the values of secrets
}

// Settings are a route's settings with their values, by their keys.
type Settings struct {
	Values map[string]string
	Later  map[string]bool // keys whose values aren't known yet, because they come from a file or the environment
}

// Check finds what is wrong with the settings of a router. It finds nothing of a router that it doesn't know.
func Check(router string, s Settings) []Fault {
	c := checks{Settings: s, router: router}
	switch router {
	case HAProxy:
		c.haproxy()
	case Command:
		c.command()
	}
	return c.faults
}

// CheckMembers finds settings about a member that the group doesn't have.
func CheckMembers(router string, s Settings, members []string) []Fault {
	var faults []Fault
	for _, key := range slices.Sorted(maps.Keys(s.Values)) {
		if _, member, found := MemberIn(key); router == HAProxy && found && !slices.Contains(members, member) {
			faults = append(faults, Fault{key, fmt.Sprintf("the group has no member %q", OneLine(member))})
		}
	}
	return faults
}

// checks collects what is wrong with settings.
type checks struct {
	Settings
	router string
	faults []Fault
}

func (c *checks) wrong(key, format string, args ...any) {
	c.faults = append(c.faults, Fault{key, fmt.Sprintf(format, args...)})
}

// onlyKnown refuses settings that are neither in the list nor begin with one of its entries that end with a dot.
func (c *checks) onlyKnown(known ...string) {
	for _, key := range slices.Sorted(maps.Keys(c.Values)) {
		if !slices.ContainsFunc(known, func(k string) bool { return key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) }) {
			c.wrong(key, "unknown setting; known are %s", strings.Join(known, ", "))
		}
	}
}

// value gives a value to a check, unless it isn't known yet.
func (c *checks) value(key string, check func(value string) error) {
	if c.Later[key] {
		return
	}
	if err := check(c.Values[key]); err != nil {
		c.wrong(key, "%v", err)
	}
}

// required is value for a setting that must be there.
func (c *checks) required(key string, check func(value string) error) {
	value, there := c.Values[key]
	switch {
	case !there:
		c.wrong(key, "is missing; router %s needs it", c.router)
	case value == "" && !c.Later[key]:
		c.wrong(key, "is empty")
	default:
		c.value(key, check)
	}
}

// OneLine makes a router's or a spec's words fit for an error: one line, printable, short.
func OneLine(text string) string {
	const limit = 160
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit]) + " ..."
	}
	if text == "" {
		return "(nothing)"
	}
	return text
}
