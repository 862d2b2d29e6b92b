package wire_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// fields are the fields of all structs in some values, by type and name: whether one of the values sets them.
type fields map[string]bool

func (f fields) visit(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			f.visit(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			f.visit(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().String() + "." + v.Type().Field(i).Name
			f[name] = f[name] || !v.Field(i).IsZero()
			f.visit(v.Field(i))
		}
	}
}

func (f fields) wantAllSet(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !f[name] {
			t.Errorf("%s is set nowhere", name)
		}
	}
}
