package failover

import (
	"reflect"
	"slices"
	"testing"
)

// TestRequests_EachWishIsTold goes through all entries that somebody asks for: one that differs in anything that is wanted is another change,
// whoever asks for it and whatever they saw.
func TestRequests_EachWishIsTold(t *testing.T) {
	apart := map[string][]string{ // from what is wanted: what the caller saw, and what follows from the rest
		"ApplySpec": {"Expected", "Spec", "Source"}, "StartOperation": {"Epoch"}, "Release": {"Seen"}, "Reinstate": {"Seen"}, "Attest": {"Seen"}, "Adopt": {"Seen"},
	}
	for _, body := range []Body{
		ApplySpec{}, DeleteGroup{}, Adopt{}, Pause{}, Resume{}, StartOperation{}, Release{}, Abort{}, Reinstate{}, Attest{}, Restored{},
	} {
		kind := reflect.TypeOf(body)
		done := answeredAs(body)
		for i := range kind.NumField() {
			field := kind.Field(i)
			other := filled(body, i)
			if field.Type == reflect.TypeFor[Request]() {
				if !done.RepeatedBy(other) {
					t.Errorf("%s by somebody else is another change", kind.Name())
				}
				continue
			}
			if got, want := done.RepeatedBy(other), slices.Contains(apart[kind.Name()], field.Name); got != want {
				t.Errorf("%s with another %s: a repetition %t, want %t", kind.Name(), field.Name, got, want)
			}
		}
	}
	if answeredAs(Pause{Group: "orders"}).RepeatedBy(Resume{Group: "orders"}) {
		t.Error("a resume repeats a pause")
	}
}

// answeredAs is what is remembered of an entry that was carried out.
func answeredAs(b Body) AnsweredRequest {
	asked := askedBy(b)
	return AnsweredRequest{Entry: asked.kind, Group: groupOf(b), Content: asked.content}
}

// filled is an entry with something in a field.
func filled(b Body, field int) Body {
	v := reflect.New(reflect.TypeOf(b)).Elem()
	v.Set(reflect.ValueOf(b))
	switch f := v.Field(field); f.Kind() {
	case reflect.String:
		f.SetString("pg-a")
	case reflect.Uint64:
		f.SetUint(7)
	case reflect.Bool:
		f.SetBool(true)
	case reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 1, 1))
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
	case reflect.Struct:
		f.Field(1).SetString("somebody")
		f.Field(2).SetString("for a reason")
	}
	filledBody, _ := v.Interface().(Body)
	return filledBody
}

// TestRequests_AreAnsweredAsTheFirstTime: with what they did, not with what there is now.
func TestRequests_AreAnsweredAsTheFirstTime(t *testing.T) {
	w := given(t, "arbiters a b c\n")
	apply := func(id string, s *Spec) ApplySpec {
		return ApplySpec{Request: Request{ID: id}, Group: "orders", Spec: s, Written: []byte(id)}
	}
	first := apply("first", testSpec("pg-a", "pg-b"))
	w.accepted(t, "", 0, first)
	w.accepted(t, "", 0, apply("second", testSpec("pg-a", "pg-b", "pg-c")))
	w.accepted(t, "", 0, first)
	for id, want := range map[string]uint64{"first": 1, "second": 2} {
		if done, again := w.state.Answered(id); !again || done.SpecVersion != want {
			t.Errorf("%s was answered with version %d, want %d", id, done.SpecVersion, want)
		}
	}
	if n := len(w.group(t).Members); n != 3 {
		t.Errorf("the repeated request was carried out again: %d members", n)
	}
	text := apply("third", testSpec("pg-a", "pg-b"))
	text.Source = []byte("two members")
	w.accepted(t, "", 0, text)
	text.Request.ID, text.Expected = "same text", 1
	w.accepted(t, "", 0, text)
	three := apply("fifth", testSpec("pg-a", "pg-b", "pg-c"))
	three.Source = []byte("three members")
	w.accepted(t, "", 0, three)
	w.accepted(t, "", 0, text)
	if done, _ := w.state.Answered("same text"); !done.Unchanged || done.SpecVersion != 3 || w.group(t).SpecVersion != 4 || len(w.group(t).Members) != 3 {
		t.Errorf("what changed nothing was answered by %+v, and asked for again after another change it made version %d", done, w.group(t).SpecVersion)
	}
	other := first
	other.Written = []byte("other")
	w.refused(t, "", "", 0, other)
}
