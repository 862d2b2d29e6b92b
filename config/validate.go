package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/arbiter-ha/arbiter/internal/keys"
	"github.com/arbiter-ha/arbiter/internal/routesettings"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Validate returns everything that is wrong with a spec: first what the schema's own rules say of single fields, then the
// relations between them. Defaults need not be filled in. An empty result means that the spec may be applied.
func Validate(spec *arbiterv1.GroupSpec) []Fault {
	faults := append(sizeFaults(spec), schemaFaults(spec)...)
	full := Defaults(spec)
	faults = append(faults, memberFaults(full)...)
	faults = append(faults, secretFaults(full)...)
	faults = append(faults, fenceFaults(full)...)
	shared, _ := sharedFences(full)
	faults = append(faults, shared...)
	faults = append(faults, healthFaults(full)...)
	faults = append(faults, routeFaults(full)...)
	faults = append(faults, connectFaults(full)...)
	faults = append(faults, sourceFaults(full)...)
	faults = append(faults, policyFaults(full)...)
	return oncePerPath(faults)
}

// maxSpecBytes bounds a spec as a whole. The log, every snapshot and every arbiter's memory hold it twice; a large one has 20 KiB.
const maxSpecBytes = 256 << 10

func sizeFaults(spec *arbiterv1.GroupSpec) []Fault {
	size := proto.Size(spec)
	if size <= maxSpecBytes {
		return nil
	}
	return []Fault{{Message: fmt.Sprintf("the spec has %d bytes, and may have %d: refer to long values by {file: /path}", size, maxSpecBytes)}}
}

// oncePerPath keeps the first fault of each path: the schema's rule and a relation may both dislike a value.
func oncePerPath(faults []Fault) []Fault {
	seen := map[string]bool{}
	return slices.DeleteFunc(faults, func(f Fault) bool {
		twice := seen[f.Path]
		seen[f.Path] = true
		return twice
	})
}

// schemaFaults are the violations of the rules in the .proto.
func schemaFaults(spec *arbiterv1.GroupSpec) []Fault {
	err := protovalidate.Validate(spec)
	var invalid *protovalidate.ValidationError
	if err == nil {
		return nil
	}
	if !errors.As(err, &invalid) {
		return []Fault{{Message: "check the spec against the schema: " + err.Error()}}
	}
	faults := make([]Fault, 0, len(invalid.Violations))
	for _, v := range invalid.Violations {
		faults = append(faults, Fault{
			Path:    yamlPath(protovalidate.FieldPathString(v.Proto.GetField())),
			Message: ruleMessage(v),
		})
	}
	return faults
}

// yamlPath turns a path of the schema into the one that YAML has: `members[0].fence[1].devices[0].settings["ip"].literal`
// is members[0].fence[1][0].ip.
func yamlPath(path string) string {
	for _, wrapped := range wrappers {
		path = strings.TrimSuffix(strings.ReplaceAll(path, "."+string(wrapped)+"[", "["), "."+string(wrapped))
	}
	path = strings.ReplaceAll(path, ".settings[", "[")
	path = strings.NewReplacer(`["`, ".", `"]`, "", "max_loss_bytes", "max_loss").Replace(path)
	for _, inner := range []string{".literal", ".value"} {
		path = strings.TrimSuffix(path, inner)
	}
	return path
}

// ruleMessage says what a rule wants in words that don't need the schema.
func ruleMessage(v *protovalidate.Violation) string {
	value := valueText(v.FieldValue)
	rule := v.Proto.GetRuleId()
	switch {
	case rule == "string.pattern" && value == "":
		return "is missing; a name has lower-case letters, digits, '-' and '_', up to 63"
	case rule == "string.pattern":
		return fmt.Sprintf("%q is no name: use lower-case letters, digits, '-' and '_', up to 63, no '-' or '_' at the ends", value)
	case rule == "string.min_len" && value == "":
		return "is missing"
	case rule == "string.in" && v.RuleValue.IsValid():
		return inMessage(value, v)
	case rule == "repeated.min_items":
		return needsAtLeast(v.RuleValue.Uint(), string(v.FieldDescriptor.Name()))
	}
	if v.FieldDescriptor != nil && strings.HasPrefix(rule, "uint32.") {
		return fmt.Sprintf("%s: %s", value, v.Proto.GetMessage())
	}
	return v.Proto.GetMessage()
}

// needsAtLeast is about a list that is too short, which is called by what it holds.
func needsAtLeast(least uint64, things string) string {
	if least == 1 {
		things = strings.TrimSuffix(things, "s")
	}
	return fmt.Sprintf("needs at least %d %s", least, things)
}

// valueText is the value that a rule is about: a field's, or that of one element of a list.
func valueText(value protoreflect.Value) string {
	switch value.Interface().(type) {
	case nil, protoreflect.List, protoreflect.Map, protoreflect.Message:
		return ""
	}
	return value.String()
}

func inMessage(value string, v *protovalidate.Violation) string {
	allowed := v.RuleValue.List()
	words := make([]string, allowed.Len())
	for i := range words {
		words[i] = allowed.Get(i).String()
	}
	if value == "" {
		return "is missing; it can be " + strings.Join(words, ", ")
	}
	if near := keys.Nearest(value, words); near != "" {
		return fmt.Sprintf("%q can't be used here; did you mean %q?", value, near)
	}
	return fmt.Sprintf("%q can't be used here; it can be %s", value, strings.Join(words, ", "))
}

// memberFaults are about names and addresses.
func memberFaults(spec *arbiterv1.GroupSpec) []Fault {
	var faults []Fault
	names, addresses, appNames := map[string]int{}, map[string]int{}, map[string]int{}
	for i, m := range spec.Members {
		path := fmt.Sprintf("members[%d]", i)
		faults = append(faults, repeated(names, m.Name, i, path+".name", "two members are called %q (the other is members[%d])")...)
		faults = append(faults, repeated(addresses, strings.ToLower(m.Address), i, path+".address",
			"%s is the address of members[%d] too; a member is one service at one address")...)
		faults = append(faults, repeated(appNames, m.GetApplicationName(), i, path+".application_name",
			"%q is the application_name of members[%d] too; the primary couldn't tell its standbys apart")...)
		if why := addressFault(m.Address, memberExample); why != "" {
			faults = append(faults, Fault{Path: path + ".address", Message: why})
		}
	}
	if len(spec.Members) > 0 && !slices.ContainsFunc(spec.Members, func(m *arbiterv1.MemberSpec) bool { return m.GetPriority() > 0 }) {
		faults = append(faults, Fault{Path: "members", Message: "every member has priority 0, so none may ever be promoted; give at least two a higher one"})
	}
	if zone := spec.Policy.GetPreferredZone(); zone != "" && !slices.ContainsFunc(spec.Members, func(m *arbiterv1.MemberSpec) bool { return m.Zone == zone }) {
		faults = append(faults, Fault{Path: "policy.preferred_zone", Message: fmt.Sprintf("no member is in zone %q", zone)})
	}
	return faults
}

func repeated(seen map[string]int, value string, index int, path, format string) []Fault {
	if value == "" {
		return nil
	}
	if first, twice := seen[value]; twice {
		return []Fault{{Path: path, Message: fmt.Sprintf(format, value, first)}}
	}
	seen[value] = index
	return nil
}

// Examples of addresses, for messages: of what listens there.
const (
	memberExample    = "pg-a.internal:5432"
	routeExample     = "lb-1.internal:5432"
	raftExample      = "az-a.internal:7400"
	grpcExample      = "az-a.internal:7401"
	referenceExample = "ns.internal:53"
)

// addressFault says what is wrong with a host:port, or nothing. The example is of an address of the kind that is wanted.
func addressFault(address, example string) string {
	_, port, _ := strings.Cut(example, ":")
	numeric := "[2001:db8::1]:" + port
	if address == "" {
		return fmt.Sprintf("is missing; want host:port, for example %s or %s", example, numeric)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		if strings.Count(address, ":") > 1 && !strings.Contains(address, "[") {
			return fmt.Sprintf("%q is no host:port; write an IPv6 address in brackets, for example %s", address, numeric)
		}
		return fmt.Sprintf("%q is no host:port; want for example %s or %s", address, example, numeric)
	}
	if host == "" {
		return fmt.Sprintf("%q names no host", address)
	}
	if strings.ContainsAny(host, " \t/@") {
		return fmt.Sprintf("%q is no host name or IP address", host)
	}
	if number, err := strconv.ParseUint(service, 10, 16); err != nil || number == 0 {
		return fmt.Sprintf("%q is no port; want a number from 1 to 65535", service)
	}
	return ""
}

// routeFaults are about routes. A wrong one would otherwise show when the old primary is off already.
func routeFaults(spec *arbiterv1.GroupSpec) []Fault {
	var faults []Fault
	members := make([]string, len(spec.Members))
	for i, m := range spec.Members {
		members[i] = m.Name
	}
	names := map[string]int{}
	for i, r := range spec.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		faults = append(faults, repeated(names, r.GetName(), i, path+".name", "two routes are called %q (the other is routes[%d])")...)
		if r.VerifyAddress != nil {
			if why := addressFault(r.GetVerifyAddress(), routeExample); why != "" {
				faults = append(faults, Fault{Path: path + ".verify_address", Message: why})
			}
		}
		settings := routeSettings(r)
		for _, f := range append(routesettings.Check(r.Router, settings), routesettings.CheckMembers(r.Router, settings, members)...) {
			faults = append(faults, Fault{Path: path + "." + f.Key, Message: f.Message})
		}
	}
	return faults
}

// routeSettings are a route's settings as far as a spec shows them.
func routeSettings(r *arbiterv1.Route) routesettings.Settings {
	s := routesettings.Settings{Values: map[string]string{}, Later: map[string]bool{}}
	for key, value := range r.Settings {
		s.Values[key] = value.GetLiteral()
		s.Later[key] = value.GetFile() != "" || value.GetEnv() != ""
	}
	return s
}

// connectFaults are about how arbiters log in.
func connectFaults(spec *arbiterv1.GroupSpec) []Fault {
	c := spec.Connect
	if spec.Engine == engineHTTP {
		if mode := c.GetSslmode(); mode != "disable" && mode != "verify-full" {
			return []Fault{{Path: "connect.sslmode", Message: fmt.Sprintf("%q can't be used with engine http; use verify-full, or disable for plain HTTP", mode)}}
		}
		if c.Database != nil {
			return []Fault{{Path: "connect.database", Message: "is for engine postgres; leave it out with engine http"}}
		}
	}
	if (c.GetSslcert() == "") != (c.GetSslkey() == "") {
		return []Fault{{Path: "connect", Message: "sslcert and sslkey belong together; only one of them is set"}}
	}
	return nil
}
