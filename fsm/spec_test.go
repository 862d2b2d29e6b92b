package fsm

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func TestSpecFromProtoReadsEveryField(t *testing.T) {
	spec, err := SpecFromProto(effectiveSpec())
	if err != nil {
		t.Fatal(err)
	}
	if want := domainSpec(); !reflect.DeepEqual(spec, want) {
		t.Fatalf("got  %+v\nwant %+v", spec, want)
	}
}

// TestEffectiveSpecSampleIsComplete keeps the sample honest: a field that is added to spec.proto must be set in it,
// and then TestSpecFromProtoReadsEveryField says what the domain makes of it.
func TestEffectiveSpecSampleIsComplete(t *testing.T) {
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if field.ContainingOneof() != nil && !field.HasOptionalKeyword() {
				continue // one of several alternatives
			}
			if !m.Has(field) {
				t.Errorf("%s is not set in the sample", field.FullName())
				continue
			}
			switch {
			case field.IsMap() || field.Message() == nil:
			case field.Message().FullName().Parent() == "google.protobuf":
			case field.IsList():
				walk(m.Get(field).List().Get(0).Message())
			default:
				walk(m.Get(field).Message())
			}
		}
	}
	walk(effectiveSpec().ProtoReflect())
}

func TestSpecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := anySpec(t, "spec")
		message, err := SpecToProto("pay", spec)
		if err != nil {
			t.Fatal(err)
		}
		again, err := SpecFromProto(message)
		if err != nil {
			t.Fatal(err)
		}
		if message.GetGroup() != "pay" || !reflect.DeepEqual(spec, again) {
			t.Fatalf("got  %+v\nwant %+v", again, spec)
		}
	})
}

func TestSpecToProtoDoesNotPointIntoTheSpec(t *testing.T) {
	spec := domainSpec()
	message, err := SpecToProto("pay", spec)
	if err != nil {
		t.Fatal(err)
	}
	*message.Connect.Database, *message.Health.Profile, *message.Policy.Automation = "x", "x", "x"
	*message.Health.Checks[0].Http.Path, *message.Members[0].ApplicationName, *message.Routes[0].Name = "x", "x", "x"
	if !reflect.DeepEqual(spec, domainSpec()) {
		t.Fatal("changing the message changed the spec")
	}
}

func TestSpecToProtoRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*failover.Spec)
		want   string
	}{
		"negative count": {func(s *failover.Spec) { s.Policy.MaxAttempts = -1 }, "policy.max_attempts"},
		"large count":    {func(s *failover.Spec) { s.Members[0].Priority = 1 << 33 }, "member.priority"},
		"key twice": {func(s *failover.Spec) {
			s.Routes[0].Settings = []failover.Setting{{Key: "a"}, {Key: "a"}}
		}, `key "a" is given twice`},
		"two values": {func(s *failover.Spec) { s.Connect.Password.Value = "x" }, "connect.password"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := domainSpec()
			test.change(spec)
			message, err := SpecToProto("pay", spec)
			if err == nil || message != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "pay") {
				t.Fatalf("got %v, %v; want an error with %q", message, err, test.want)
			}
		})
	}
}

func TestSpecFromProtoRefusesWhatDoesNotFit(t *testing.T) {
	tests := map[string]*durationpb.Duration{
		"too long":    {Seconds: 10_000_000_000},
		"not a valid": {Seconds: 1, Nanos: -1},
	}
	for name, lease := range tests {
		t.Run(name, func(t *testing.T) {
			message := &arbiterv1.GroupSpec{Group: "pay", Policy: &arbiterv1.Policy{Lease: lease}}
			spec, err := SpecFromProto(message)
			if err == nil || spec != nil || !strings.Contains(err.Error(), "policy.lease") {
				t.Fatalf("got %v, %v", spec, err)
			}
		})
	}
}

func TestReadSourceReturnsBothForms(t *testing.T) {
	body, err := NewApplySpec(sampleRequest, writtenSpec(), effectiveSpec(), 0)
	if err != nil {
		t.Fatal(err)
	}
	written, effective, err := ReadSource(body.Source)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(written, writtenSpec()) || !proto.Equal(effective, effectiveSpec()) || body.Group != "pay" {
		t.Fatalf("got %v and %v of %q", written, effective, body.Group)
	}
	if _, _, err := ReadSource([]byte{0xff}); err == nil {
		t.Fatal("garbage was read")
	}
}
