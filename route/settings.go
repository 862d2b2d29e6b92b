package route

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Fault is something wrong with a setting of a route.
type Fault struct {
	Key     string
	Message string // without the values of secrets
}

func (f Fault) err() error { return fmt.Errorf("%w: %q: %s", ErrBadSetting, f.Key, f.Message) }

// CheckSettings finds what is wrong with the settings of a route of these members. It talks to nothing and reads no secret: what a
// file or an environment variable will hold is not checked.
func CheckSettings(route failover.Route, members []failover.MemberName) []Fault {
	d, err := driverOf(route)
	if err != nil {
		return nil // the schema's own rules name the routers
	}
	s := unresolved(route)
	faults := d.check(s)
	for _, key := range sortedKeys(s.values) {
		if member, found := memberIn(key); route.Router == "haproxy" && found && !slices.Contains(members, member) {
			faults = append(faults, Fault{key, fmt.Sprintf("the group has no member %q", oneLine(string(member)))})
		}
	}
	return faults
}

// settings are a route's settings with their values.
type settings struct {
	route    string
	values   map[string]string
	later    map[string]bool // keys whose values aren't known yet, because they come from a file or the environment
	redactor secret.Redactor
}

// unresolved are the settings as far as a spec shows them.
func unresolved(route failover.Route) settings {
	s := settings{route: route.Name, values: map[string]string{}, later: map[string]bool{}}
	for _, setting := range route.Settings {
		s.values[setting.Key] = setting.Value
		s.later[setting.Key] = setting.File != "" || setting.Env != ""
	}
	return s
}

func resolve(ctx context.Context, from *secret.Reader, route failover.Route) (settings, error) {
	s := settings{route: route.Name, values: map[string]string{}, later: map[string]bool{}}
	var secrets []string
	for _, setting := range route.Settings {
		if _, twice := s.values[setting.Key]; twice {
			return settings{}, fmt.Errorf("%w: %q is there twice", ErrBadSetting, setting.Key)
		}
		value, err := from.Resolve(ctx, setting)
		if err != nil {
			return settings{}, err
		}
		if secret.IsSecret(setting) {
			secrets = append(secrets, value)
		}
		s.values[setting.Key] = value
	}
	s.redactor = secret.NewRedactor(secrets...)
	return s, nil
}

// checks collects what is wrong with settings.
type checks struct {
	settings
	faults []Fault
}

func (c *checks) wrong(key, format string, args ...any) {
	c.faults = append(c.faults, Fault{key, fmt.Sprintf(format, args...)})
}

// onlyKnown refuses settings that are neither in the list nor begin with one of its entries that end with a dot.
func (c *checks) onlyKnown(known ...string) {
	for _, key := range sortedKeys(c.values) {
		if !slices.ContainsFunc(known, func(k string) bool { return key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) }) {
			c.wrong(key, "unknown setting; known are %s", strings.Join(known, ", "))
		}
	}
}

// value gives a value to a check, unless it isn't known yet.
func (c *checks) value(key string, check func(value string) error) {
	if c.later[key] {
		return
	}
	if err := check(c.values[key]); err != nil {
		c.wrong(key, "%v", err)
	}
}

// required is value for a setting that must be there.
func (c *checks) required(key string, check func(value string) error) {
	if c.values[key] == "" && !c.later[key] {
		c.wrong(key, "is missing")
		return
	}
	c.value(key, check)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
