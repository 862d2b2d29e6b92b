package fsm

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// tester is what helpers need of a *testing.T, a *testing.B or a *testing.F.
type tester interface {
	Fatal(...any)
	Fatalf(string, ...any)
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
