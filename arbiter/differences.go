package arbiter

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// differences lists the leaves in which two specs differ, by path, in the order of the paths.
func differences(before, after proto.Message) []*arbiterv1.Difference {
	old, new := map[string]string{}, map[string]string{}
	flatten("", before.ProtoReflect(), old)
	flatten("", after.ProtoReflect(), new)
	paths := map[string]bool{}
	for p := range old {
		paths[p] = true
	}
	for p := range new {
		paths[p] = true
	}
	var list []*arbiterv1.Difference
	for p := range paths {
		if old[p] != new[p] {
			list = append(list, &arbiterv1.Difference{Path: p, Before: old[p], After: new[p]})
		}
	}
	slices.SortFunc(list, func(a, b *arbiterv1.Difference) int {
		if a.GetPath() < b.GetPath() {
			return -1
		}
		return 1
	})
	return list
}

// flatten writes every set leaf of a message under its path, for example members[1].address.
func flatten(prefix string, m protoreflect.Message, into map[string]string) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		path := prefix + string(field.Name())
		switch {
		case field.IsMap():
			value.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				flattenValue(path+"."+key.String(), field.MapValue(), v, into)
				return true
			})
		case field.IsList():
			for i := range value.List().Len() {
				flattenValue(fmt.Sprintf("%s[%d]", path, i), field, value.List().Get(i), into)
			}
		default:
			flattenValue(path, field, value, into)
		}
		return true
	})
}

func flattenValue(path string, field protoreflect.FieldDescriptor, value protoreflect.Value, into map[string]string) {
	if field.Kind() == protoreflect.MessageKind && field.Message().FullName() != "google.protobuf.Duration" {
		flatten(path+".", value.Message(), into)
		return
	}
	if field.Kind() == protoreflect.MessageKind {
		d := value.Message()
		seconds, nanos := d.Get(d.Descriptor().Fields().ByName("seconds")).Int(), d.Get(d.Descriptor().Fields().ByName("nanos")).Int()
		into[path] = fmt.Sprintf("%gs", float64(seconds)+float64(nanos)/1e9)
		return
	}
	into[path] = value.String()
}
