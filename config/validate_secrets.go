package config

import (
	"fmt"
	"path"

	"github.com/arbiter-ha/arbiter/internal/keys"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// secretFaults are about secrets as plain values: every reader of the spec would see them, and the log keep them.
func secretFaults(spec *arbiterv1.GroupSpec) []Fault {
	faults := literalSecret("connect.password", "password", spec.Connect.GetPassword(), true)
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				where := fmt.Sprintf("members[%d].fence[%d][%d]", i, l, d)
				faults = append(faults, literalSecrets(where, device.Settings, keys.HoldSecret)...)
			}
		}
	}
	for i, c := range spec.Health.Checks {
		where := fmt.Sprintf("health.checks[%d].http.headers", i)
		faults = append(faults, literalSecrets(where, c.GetHttp().GetHeaders(), keys.HeaderHoldsSecret)...)
		faults = append(faults, literalSecrets(where+"_contain", c.GetHttp().GetHeadersContain(), keys.HeaderHoldsSecret)...)
	}
	for i, r := range spec.Routes {
		faults = append(faults, literalSecrets(fmt.Sprintf("routes[%d]", i), r.Settings, keys.HoldSecret)...)
	}
	return faults
}

func literalSecrets(where string, values map[string]*arbiterv1.Value, holdSecret func(name string) bool) []Fault {
	var faults []Fault
	for _, key := range sortedKeys(values) {
		faults = append(faults, literalSecret(where+"."+key, key, values[key], holdSecret(key))...)
	}
	return faults
}

// literalSecret refuses a plain value under the name of a secret, and one that is a secret by itself.
func literalSecret(where, key string, value *arbiterv1.Value, named bool) []Fault {
	literal := value.GetLiteral()
	switch {
	case literal == "":
		return nil
	case named && !(keys.MayHoldPath(key) && path.IsAbs(literal)):
		return []Fault{{
			Path:    where,
			Message: "a secret can't stand in a spec, because specs are replicated and shown; write {file: /path} or {env: NAME}",
		}}
	case keys.PasswordInURL(literal):
		return []Fault{{
			Path:    where,
			Message: "a URL with a password can't stand in a spec, because specs are replicated and shown; write {file: /path} or {env: NAME} for all of it",
		}}
	}
	return nil
}
