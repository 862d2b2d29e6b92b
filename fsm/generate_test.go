package fsm

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/arbiter-ha/arbiter/failover"
)

// tester is what helpers need of a *testing.T, a *testing.B, a *testing.F or a *rapid.T.
type tester interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

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

// anyBody draws a body of one type.
func anyBody(t *rapid.T, kind reflect.Type) failover.Body {
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
	written, err := SpecToProto("as-written", anySpec(t, "written"))
	if err != nil {
		t.Fatal(err)
	}
	effective, err := SpecToProto(failover.GroupName(rapid.String().Draw(t, "group")), anySpec(t, "effective"))
	if err != nil {
		t.Fatal(err)
	}
	var request failover.Request
	fill(t, reflect.ValueOf(&request).Elem(), "request")
	body, err := NewApplySpec(request, written, effective, rapid.Uint64().Draw(t, "expected"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// anySpec draws a spec in the form that the domain promises: members by name, settings by key, one value each.
func anySpec(t *rapid.T, name string) *failover.Spec {
	spec := &failover.Spec{}
	fill(t, reflect.ValueOf(spec).Elem(), name)
	slices.SortStableFunc(spec.Members, func(a, b failover.MemberSpec) int {
		return strings.Compare(string(a.Name), string(b.Name))
	})
	spec.Connect.Password.Key = ""
	oneValue(&spec.Connect.Password)
	for m := range spec.Members {
		for l := range spec.Members[m].Fence {
			for d := range spec.Members[m].Fence[l].Devices {
				device := &spec.Members[m].Fence[l].Devices[d]
				device.Settings = byKey(device.Settings)
			}
		}
	}
	for i := range spec.Health.Checks {
		if h := spec.Health.Checks[i].HTTP; h != nil {
			h.Headers = byKey(h.Headers)
		}
	}
	for i := range spec.Routes {
		spec.Routes[i].Settings = byKey(spec.Routes[i].Settings)
	}
	return spec
}

func byKey(settings []failover.Setting) []failover.Setting {
	slices.SortFunc(settings, func(a, b failover.Setting) int { return strings.Compare(a.Key, b.Key) })
	settings = slices.CompactFunc(settings, func(a, b failover.Setting) bool { return a.Key == b.Key })
	for i := range settings {
		oneValue(&settings[i])
	}
	return settings
}

func oneValue(s *failover.Setting) {
	switch {
	case s.Env != "":
		s.Value, s.File = "", ""
	case s.File != "":
		s.Value = ""
	}
}

// stamp fills every field of a value with something that is not zero and differs from its neighbours.
func stamp(v reflect.Value, next *int) {
	*next++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*next))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*next % 251))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		stamp(v.Index(0), next)
		stamp(v.Index(1), next)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		stamp(v.Elem(), next)
	case reflect.Struct:
		for i := range v.NumField() {
			stamp(v.Field(i), next)
		}
	default:
		panic("stamp does not know " + v.Type().String())
	}
}

// stamped returns a value of a type in which no field is zero.
func stamped[T any]() T {
	var value T
	next := 0
	stamp(reflect.ValueOf(&value).Elem(), &next)
	return value
}

func TestStampLeavesNothingZero(t *testing.T) {
	state := stamped[failover.State]()
	if state.Groups[1].History.Receipts[1].Operation.Steps[1].Parts[1].Length == 0 || state.Brake.Count == 0 {
		t.Fatal("stamped left a field zero")
	}
}
