package arbiter

import (
	"fmt"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Whatever operators and programs may send has bounds: what is accepted goes into the log, and to everybody who asks.
func TestEveryFieldOfARequestIsBounded(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	calls := arbiterv1.File_arbiter_v1_api_proto.Services().ByName("ArbiterService").Methods()
	for i := range calls.Len() {
		wantBounds(t, calls.Get(i).Input(), seen)
	}
	for _, name := range []protoreflect.FullName{"arbiter.v1.GroupSpec", "arbiter.v1.HTTPCheck", "arbiter.v1.Value", "arbiter.v1.Change"} {
		if !seen[name] {
			t.Errorf("%s was not looked at", name)
		}
	}
}

func wantBounds(t *testing.T, message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	t.Helper()
	if seen[message.FullName()] || strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
		return
	}
	seen[message.FullName()] = true
	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		rules, err := protovalidate.ResolveFieldRules(field)
		if err != nil {
			t.Fatalf("%s: %v", field.FullName(), err)
		}
		value := field
		switch {
		case field.IsMap():
			if !rules.GetMap().HasMaxPairs() || !boundedString(rules.GetMap().GetKeys().GetString()) {
				t.Errorf("%s: say how many pairs it may have, and how long its keys may be", field.FullName())
			}
			value = field.MapValue()
			rules = rules.GetMap().GetValues()
		case field.IsList():
			if !rules.GetRepeated().HasMaxItems() {
				t.Errorf("%s: say how many it may be", field.FullName())
			}
			rules = rules.GetRepeated().GetItems()
		}
		switch value.Kind() {
		case protoreflect.StringKind:
			if !boundedString(rules.GetString()) {
				t.Errorf("%s: say how long it may be", field.FullName())
			}
		case protoreflect.BytesKind:
			t.Errorf("%s: this test knows no bounds of bytes", field.FullName())
		case protoreflect.MessageKind:
			wantBounds(t, value.Message(), seen)
		}
	}
}

// boundedString says whether a rule bounds a string; a pattern of ours does.
func boundedString(rules *validate.StringRules) bool {
	return rules.HasMaxLen() || rules.HasMaxBytes() || len(rules.GetIn()) > 0 || rules.HasPattern()
}

// However wrong a request is, the refusal fits into what answers have room for.
func TestRefusalIsShort(t *testing.T) {
	rules, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	device := &arbiterv1.FenceDevice{Device: "fence_x", Settings: map[string]*arbiterv1.Value{}}
	for i := range 1000 {
		key := fmt.Sprintf("%d%s", i, strings.Repeat("k", 10_000))
		device.Settings[key] = &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: strings.Repeat("v", 5000)}}
	}
	spec := &arbiterv1.GroupSpec{Group: "pay", Members: []*arbiterv1.MemberSpec{
		{Name: "a", Address: "a:1", Fence: []*arbiterv1.FenceLevel{{Devices: []*arbiterv1.FenceDevice{device}}}}, {Name: "b", Address: "b:1"},
	}}
	request := &arbiterv1.ApplyGroupRequest{Change: &arbiterv1.Change{RequestId: "12345678"}, Spec: spec}
	err = validator{rules}.check(request)
	if status.Code(err) != codes.InvalidArgument || !strings.HasSuffix(status.Convert(err).Message(), "; and more") {
		t.Errorf("got %.300v", err)
	}
	if size := proto.Size(status.Convert(err).Proto()); size > 256<<10 {
		t.Errorf("the refusal has %d bytes", size)
	}
}
