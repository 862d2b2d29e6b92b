package wire_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func TestSpecFromProtoReadsEveryField(t *testing.T) {
	spec, err := wire.SpecFromProto(wiretest.EffectiveSpec())
	if err != nil {
		t.Fatal(err)
	}
	if want := domainSpec(); !reflect.DeepEqual(spec, want) {
		t.Fatalf("got  %+v\nwant %+v", spec, want)
	}
}

// TestEffectiveSpecSampleIsComplete keeps the sample honest: a field that is added to spec.proto must be set in it,
// and must change what the domain sees.
func TestEffectiveSpecSampleIsComplete(t *testing.T) {
	sample := wiretest.EffectiveSpec()
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
			if field.FullName() != "arbiter.v1.GroupSpec.group" { // the domain has it beside the spec
				wantRead(t, sample, m, field)
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
	walk(sample.ProtoReflect())
}

// wantRead wants the domain to see another spec without the field.
func wantRead(t *testing.T, sample *arbiterv1.GroupSpec, m protoreflect.Message, field protoreflect.FieldDescriptor) {
	t.Helper()
	whole := proto.Clone(m.Interface())
	m.Clear(field)
	without, err := wire.SpecFromProto(sample)
	proto.Reset(m.Interface())
	proto.Merge(m.Interface(), whole)
	if err != nil || reflect.DeepEqual(without, domainSpec()) {
		t.Errorf("%s is not read (%v)", field.FullName(), err)
	}
}

// TestEveryFieldOfASpecHasASource: the other way round, a field of the domain that no field of the schema gives.
func TestEveryFieldOfASpecHasASource(t *testing.T) {
	spec, err := wire.SpecFromProto(wiretest.EffectiveSpec())
	if err != nil {
		t.Fatal(err)
	}
	set := fields{}
	set.visit(reflect.ValueOf(spec))
	set.wantAllSet(t)
}

// TestAnySpecIsReadInOneOrder: equal specs are equal values, in whatever order their parts were written.
func TestAnySpecIsReadInOneOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := wiretest.AnySpec(t)
		spec, err := wire.SpecFromProto(message)
		if err != nil {
			t.Fatal(err)
		}
		names := func(m failover.MemberSpec) string { return string(m.Name) }
		if !slices.IsSortedFunc(spec.Members, func(a, b failover.MemberSpec) int { return strings.Compare(names(a), names(b)) }) {
			t.Fatalf("members %+v are not in the order of their names", spec.Members)
		}
		for _, route := range spec.Routes {
			if !slices.IsSortedFunc(route.Settings, func(a, b failover.Setting) int { return strings.Compare(a.Key, b.Key) }) {
				t.Fatalf("settings %+v are not in the order of their keys", route.Settings)
			}
		}
	})
}

func TestSpecFromProtoRefusesWhatDoesNotFit(t *testing.T) {
	tests := map[string]*durationpb.Duration{
		"too long":    {Seconds: 10_000_000_000},
		"not a valid": {Seconds: 1, Nanos: -1},
	}
	for name, lease := range tests {
		t.Run(name, func(t *testing.T) {
			message := &arbiterv1.GroupSpec{Group: "pay", Policy: &arbiterv1.Policy{Lease: lease}}
			spec, err := wire.SpecFromProto(message)
			if err == nil || spec != nil || !strings.Contains(err.Error(), "policy.lease") {
				t.Fatalf("got %v, %v", spec, err)
			}
		})
	}
}

func TestReadSourceReturnsBothForms(t *testing.T) {
	body, err := wire.NewApplySpec(wiretest.Request, wiretest.WrittenSpec(), wiretest.EffectiveSpec(), 0)
	if err != nil {
		t.Fatal(err)
	}
	written, effective, err := wire.ReadSource(body.Source)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(written, wiretest.WrittenSpec()) || !proto.Equal(effective, wiretest.EffectiveSpec()) || body.Group != "pay" {
		t.Fatalf("got %v and %v of %q", written, effective, body.Group)
	}
	if _, _, err := wire.ReadSource([]byte{0xff}); err == nil {
		t.Fatal("garbage was read")
	}
}

// domainSpec is wiretest.EffectiveSpec as the domain must see it.
func domainSpec() *failover.Spec {
	return &failover.Spec{
		Engine:  failover.EnginePostgres,
		Members: []failover.MemberSpec{domainMember("db1", 100), domainMember("db2", 90)},
		Connect: failover.Connect{
			User: "arbiter", Password: failover.Setting{File: "/etc/arbiter/pg.password"}, Database: "postgres",
			SSLMode: "verify-full", SSLRoot: "/ca", SSLCert: "/cert", SSLKey: "/key",
		},
		Health: failover.Health{
			Profile: "fast", MinimumUnhealthy: 300 * time.Millisecond, RestartGrace: 301 * time.Millisecond, ColdStartGrace: 302 * time.Millisecond,
			Checks: []failover.Check{{
				Name: "api", Kind: failover.CheckHTTP, Interval: 200 * time.Millisecond, Timeout: 250 * time.Millisecond,
				Failures: 2, Successes: 3, Window: 4 * time.Second, Required: true, Port: 8008,
				HTTP: &failover.HTTPCheck{
					TLS: true, Path: "/health", Method: "GET", Statuses: []int{200, 204},
					Headers: []failover.Setting{{Key: "X-A", Value: "a"}, {Key: "X-B", Value: "b"}, {Key: "X-C"}},
					Answers: []failover.Setting{{Key: "X-Role", Value: "primary"}},
					Body:    "ok", CAFile: "/hca", ServerName: "db",
				},
			}},
		},
		Policy: failover.Policy{
			Automation: failover.AutomationFull, MaxLossBytes: 5, PromisedOutage: 10 * time.Second, Cooldown: 10 * time.Minute,
			LeaseDuration: 1500 * time.Millisecond, DownVotes: 2,
			AlsoDown: []failover.Reason{failover.ReasonReadOnly, failover.ReasonDiskFull}, PreferredZone: "z1",
			AcceptProofs:  []failover.ProofGrade{failover.ProofConfirmedOff, failover.ProofAttested},
			RefenceRogues: true, RaceFences: true,
			IsolateTimeout: 1 * time.Millisecond, CatchUpTimeout: 2 * time.Millisecond, PromoteTimeout: 3 * time.Millisecond,
			ConfigureTimeout: 4 * time.Millisecond, RouteTimeout: 5 * time.Millisecond, VerifyTimeout: 6 * time.Millisecond,
			MaxAttempts: 7, RetryInterval: 8 * time.Millisecond,
		},
		Routes: []failover.Route{{
			Router: "haproxy", Name: "front", VerifyAddress: "front:5432",
			Settings: []failover.Setting{{Key: "backend", Value: "pg"}, {Key: "socket", Value: "/run/haproxy.sock"}},
		}},
	}
}

func domainMember(name failover.MemberName, priority int) failover.MemberSpec {
	return failover.MemberSpec{
		Name: name, Zone: "z-" + string(name), Address: string(name) + ":5432", Priority: priority, ApplicationName: "app-" + string(name),
		Fence: []failover.FenceLevel{{Devices: []failover.FenceDevice{{
			Method: "fence_ipmilan", Timeout: 5 * time.Second, Retries: 2,
			Settings: []failover.Setting{{Key: "cipher", Value: "3"}, {Key: "ip", Value: "bmc-" + string(name)}, {Key: "password", Env: "BMC"}},
		}}}},
	}
}
