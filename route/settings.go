package route

import (
	"context"
	"fmt"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// settings are a route's settings with their values.
type settings struct {
	route    string
	values   map[string]string
	redactor secret.Redactor
}

func resolve(ctx context.Context, from *secret.Reader, route failover.Route) (settings, error) {
	s := settings{route: route.Name, values: map[string]string{}}
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

// check refuses settings that the router can't work with.
func (s settings) check(router string) error {
	for _, fault := range routesettings.Check(router, routesettings.Settings{Values: s.values}) {
		return s.redactor.Error(fmt.Errorf("%w: %q: %s", ErrBadSetting, fault.Key, fault.Message))
	}
	return nil
}

// oneLine makes a router's words fit for an error.
func oneLine(text string) string { return routesettings.OneLine(text) }
