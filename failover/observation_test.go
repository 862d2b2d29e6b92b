package failover

import (
	"reflect"
	"strings"
	"testing"
)

// moving are the facts that change all the time: a change of one is not reported.
var moving = map[string]bool{"Written": true, "Received": true, "Replayed": true}

// A change of anything that a service says of itself is reported, but for positions: what is not reported, no decision can rest on. A new
// field is asked for here before anybody thinks of it.
func TestSameView_ComparesEveryFactButPositions(t *testing.T) {
	var before, after Observation
	fill(reflect.ValueOf(&before.Facts).Elem())
	fill(reflect.ValueOf(&after.Facts).Elem())
	if !SameView(before, after) {
		t.Fatal("equal facts make another view")
	}
	asked := 0
	eachFact("", reflect.ValueOf(&after.Facts).Elem(), func(name string, fact reflect.Value) {
		asked++
		was := reflect.ValueOf(fact.Interface())
		changeFact(t, name, fact)
		if SameView(before, after) != moving[name] {
			t.Errorf("%s was %v, and is %v: the same view: %v", name, was, fact, !moving[name])
		}
		fact.Set(was)
	})
	if asked < 16 {
		t.Errorf("only %d facts were changed", asked)
	}
	for name, drop := range map[string]func(f *Facts){
		"SyncRule.Names": func(f *Facts) { f.SyncRule.Names = nil },
		"Replicas":       func(f *Facts) { f.Replicas = nil },
	} {
		fewer := after
		if drop(&fewer.Facts); SameView(before, fewer) {
			t.Errorf("without %s it is the same view", name)
		}
	}
}

// fill gives every list one item.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	}
}

// eachFact visits all that can be changed by itself, with its name.
func eachFact(name string, v reflect.Value, visit func(name string, fact reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachFact(strings.TrimPrefix(name+"."+v.Type().Field(i).Name, "."), v.Field(i), visit)
		}
	case reflect.Slice:
		eachFact(name+"[0]", v.Index(0), visit)
	default:
		visit(name, v)
	}
}

func changeFact(t *testing.T, name string, fact reflect.Value) {
	switch {
	case fact.Kind() == reflect.Bool:
		fact.SetBool(!fact.Bool())
	case fact.Kind() == reflect.String:
		fact.SetString(fact.String() + "x")
	case fact.CanInt():
		fact.SetInt(fact.Int() + 1)
	case fact.CanUint():
		fact.SetUint(fact.Uint() + 1)
	default:
		t.Fatalf("%s is a %s, which this test can't change yet", name, fact.Kind())
	}
}
