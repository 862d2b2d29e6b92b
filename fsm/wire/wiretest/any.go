package wiretest

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// fill draws any value that the domain's types can hold and the wire can carry. It works by reflection, so that a
// field that somebody adds to the domain and forgets in the codec breaks the round trip.
func fill(t *rapid.T, v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Duration:
		v.SetInt(rapid.Int64Range(math.MinInt64+1, math.MaxInt64-1).Draw(t, name))
		return
	case failover.WallTime:
		v.SetInt(rapid.Int64().Draw(t, name))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Int:
		v.SetInt(rapid.Int64Range(0, math.MaxUint32).Draw(t, name))
	case reflect.Uint32:
		v.SetUint(uint64(rapid.Uint32().Draw(t, name)))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, name))
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, name); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i), fmt.Sprintf("%s[%d]", name, i))
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, name) {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	default:
		t.Fatalf("the generator does not know %s at %s", v.Type(), name)
	}
}

// AnyBody draws a body of one type that an entry of this version can have.
func AnyBody(t *rapid.T, kind reflect.Type) failover.Body {
	if kind == reflect.TypeFor[failover.ApplySpec]() {
		return anyApplySpec(t)
	}
	v := reflect.New(kind).Elem()
	fill(t, v, kind.Name())
	if reign, ok := v.Interface().(failover.BeginReign); ok {
		reign.Version %= failover.CurrentVersion + 1 // a reign of a later language is refused
		return reign
	}
	return v.Interface().(failover.Body)
}

func anyApplySpec(t *rapid.T) failover.ApplySpec {
	var request failover.Request
	fill(t, reflect.ValueOf(&request).Elem(), "request")
	body, err := wire.NewApplySpec(request, AnySpec(t), AnySpec(t), rapid.Uint64().Draw(t, "expected"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// AnySpec draws any spec that the schema can express.
func AnySpec(t *rapid.T) *arbiterv1.GroupSpec {
	spec := &arbiterv1.GroupSpec{}
	fillMessage(t, spec.ProtoReflect())
	return spec
}

// fillMessage draws every field of a message, one at most of those that exclude each other.
func fillMessage(t *rapid.T, m protoreflect.Message) {
	if length, ok := m.Interface().(*durationpb.Duration); ok {
		proto.Merge(length, durationpb.New(time.Duration(rapid.Int64Range(math.MinInt64+1, math.MaxInt64-1).Draw(t, "length"))))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := string(field.FullName())
		switch {
		case field.ContainingOneof() != nil && rapid.Bool().Draw(t, name): // absent
		case field.IsMap():
			values := m.Mutable(field).Map()
			for range rapid.IntRange(0, 3).Draw(t, name) {
				fillMessage(t, values.Mutable(protoreflect.ValueOfString(rapid.String().Draw(t, name)).MapKey()).Message())
			}
		case field.IsList():
			values := m.Mutable(field).List()
			for range rapid.IntRange(0, 3).Draw(t, name) {
				if field.Message() != nil {
					fillMessage(t, values.AppendMutable().Message())
				} else {
					values.Append(anyScalar(t, field))
				}
			}
		case field.Message() != nil:
			if rapid.Bool().Draw(t, name) {
				fillMessage(t, m.Mutable(field).Message())
			}
		default:
			m.Set(field, anyScalar(t, field))
		}
	}
}

func anyScalar(t *rapid.T, field protoreflect.FieldDescriptor) protoreflect.Value {
	name := string(field.FullName())
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.String().Draw(t, name))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, name))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, name))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, name))
	}
	t.Fatalf("the generator does not know %v at %s", field.Kind(), name)
	return protoreflect.Value{}
}
