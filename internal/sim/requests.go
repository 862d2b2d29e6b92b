package sim

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// checkRequest: who hears that a request was carried out before asked for the very same under its id. It says whether this one was repeated.
func (s *sim) checkRequest(e *entry) (repeated bool) {
	id, wish := wishOf(e.Body)
	if id == "" {
		return false
	}
	if !slices.ContainsFunc(e.events, func(ev failover.Event) bool { return ev.Kind == failover.Repeated }) {
		s.wishes[id] = wish
		return false
	}
	done, known := s.wishes[id]
	if abort, is := e.Body.(failover.Abort); is && !known && aborted(e.before.Group(abort.Group)) { // which is no matter of ids
		s.wishes[id] = wish
		return true
	}
	if done != wish {
		s.fail("request-ids", "%s is answered as done at entry %d, and what was done under its id %s is %s", wish, e.Index, id, done)
	}
	return true
}

func aborted(g *failover.Group) bool { return g != nil && g.Operation != nil && g.Operation.Aborted }

// wishOf is what an operator's request asks for, without who asks, why, and what they saw; id is empty for all other entries.
func wishOf(b failover.Body) (id, wish string) {
	request, ok := reflect.TypeOf(b).FieldByName("Request")
	if !ok {
		return "", ""
	}
	bare := reflect.New(reflect.TypeOf(b)).Elem()
	bare.Set(reflect.ValueOf(b))
	id = bare.FieldByIndex(request.Index).FieldByName("ID").String()
	for _, name := range []string{"Request", "Seen", "Epoch", "Expected", "Spec"} { // the spec is in the source too
		if field := bare.FieldByName(name); field.IsValid() {
			field.SetZero()
		}
	}
	return id, fmt.Sprintf("%T %+v", b, bare.Interface())
}
