package config

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// References lists the files and environment variables of the arbiters' machines that a spec refers to, each once and in order.
func References(spec *arbiterv1.GroupSpec) []string {
	found := map[string]bool{}
	add := func(kind, name string) {
		if name != "" {
			found[kind+" "+name] = true
		}
	}
	_ = protorange.Range(spec.ProtoReflect(), func(at protopath.Values) error { // it has no error of its own
		if message, is := at.Index(-1).Value.Interface().(protoreflect.Message); is {
			if value, is := message.Interface().(*arbiterv1.Value); is {
				add("file", value.GetFile())
				add("variable", value.GetEnv())
			}
		}
		return nil
	})
	for _, file := range []string{spec.Connect.GetSslrootcert(), spec.Connect.GetSslcert(), spec.Connect.GetSslkey()} {
		add("file", file)
	}
	for _, check := range spec.Health.GetChecks() {
		add("file", check.GetHttp().GetCaFile())
	}
	return slices.Sorted(maps.Keys(found))
}
