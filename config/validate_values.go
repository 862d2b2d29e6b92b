package config

import (
	"fmt"
	"path"
	"regexp"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// sourceFaults are about where arbiters are told to find values: each resolves its own, in a working directory that nobody chose.
func sourceFaults(spec *arbiterv1.GroupSpec) []Fault {
	faults := valueFault("connect.password", spec.Connect.GetPassword())
	for i, m := range spec.Members {
		for l, level := range m.Fence {
			for d, device := range level.Devices {
				faults = append(faults, valueFaults(fmt.Sprintf("members[%d].fence[%d][%d]", i, l, d), device.Settings)...)
			}
		}
	}
	for i, c := range spec.Health.Checks {
		faults = append(faults, valueFaults(fmt.Sprintf("health.checks[%d].http.headers", i), c.GetHttp().GetHeaders())...)
		faults = append(faults, valueFaults(fmt.Sprintf("health.checks[%d].http.headers_contain", i), c.GetHttp().GetHeadersContain())...)
		faults = append(faults, fileFault(fmt.Sprintf("health.checks[%d].http.ca_file", i), c.GetHttp().GetCaFile())...)
	}
	for i, r := range spec.Routes {
		faults = append(faults, valueFaults(fmt.Sprintf("routes[%d]", i), r.Settings)...)
	}
	faults = append(faults, fileFault("connect.sslrootcert", spec.Connect.GetSslrootcert())...)
	faults = append(faults, fileFault("connect.sslcert", spec.Connect.GetSslcert())...)
	return append(faults, fileFault("connect.sslkey", spec.Connect.GetSslkey())...)
}

func valueFaults(where string, values map[string]*arbiterv1.Value) []Fault {
	var faults []Fault
	for _, key := range sortedKeys(values) {
		faults = append(faults, valueFault(where+"."+key, values[key])...)
	}
	return faults
}

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func valueFault(where string, value *arbiterv1.Value) []Fault {
	if name := value.GetEnv(); name != "" && !environmentName.MatchString(name) {
		return []Fault{{Path: where + ".env", Message: fmt.Sprintf("%q is no name of an environment variable", name)}}
	}
	return fileFault(where+".file", value.GetFile())
}

// fileFault knows only the paths of the machines that arbiters run on, not those of the machine that checks the spec.
func fileFault(where, file string) []Fault {
	if file == "" || path.IsAbs(file) {
		return nil
	}
	return []Fault{{Path: where, Message: fmt.Sprintf("%q must be an absolute path on each arbiter, for example /etc/arbiter/secrets/bmc-a", file)}}
}
