package wiretest

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// WrittenSpec is what an operator would write.
func WrittenSpec() *arbiterv1.GroupSpec {
	return &arbiterv1.GroupSpec{
		Group: "pay", Engine: "postgres",
		Members: []*arbiterv1.MemberSpec{{Name: "db2", Address: "db2:5432"}, {Name: "db1", Address: "db1:5432"}},
	}
}

func literal(text string) *arbiterv1.Value {
	return &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: text}}
}

func milliseconds(n int64) *durationpb.Duration {
	return durationpb.New(time.Duration(n) * time.Millisecond)
}

// EffectiveSpec has every field of the schema, each with a value of its own.
func EffectiveSpec() *arbiterv1.GroupSpec {
	return &arbiterv1.GroupSpec{
		Group: "pay", Engine: "postgres",
		Members: []*arbiterv1.MemberSpec{EffectiveMember("db2", 90), EffectiveMember("db1", 100)},
		Connect: &arbiterv1.Connect{
			User: "arbiter", Password: &arbiterv1.Value{Value: &arbiterv1.Value_File{File: "/etc/arbiter/pg.password"}},
			Database: proto.String("postgres"), Sslmode: proto.String("verify-full"), Sslrootcert: proto.String("/ca"),
			Sslcert: proto.String("/cert"), Sslkey: proto.String("/key"),
		},
		Health: &arbiterv1.Health{
			Profile: proto.String("fast"), MinimumUnhealthy: milliseconds(300), RestartGrace: milliseconds(301), ColdStartGrace: milliseconds(302),
			Checks: []*arbiterv1.Check{{
				Name: "api", Kind: "http", Interval: milliseconds(200), Timeout: milliseconds(250), Failures: proto.Uint32(2),
				Successes: proto.Uint32(3), Window: milliseconds(4000), Required: proto.Bool(true), Port: proto.Uint32(8008),
				Http: &arbiterv1.HTTPCheck{
					Tls: true, Path: proto.String("/health"), Method: proto.String("GET"), Statuses: []uint32{200, 204},
					Headers:        map[string]*arbiterv1.Value{"X-B": literal("b"), "X-A": literal("a"), "X-C": literal("")},
					HeadersContain: map[string]*arbiterv1.Value{"X-Role": literal("primary")},
					BodyContains:   "ok", CaFile: "/hca", ServerName: "db",
				},
			}},
		},
		Policy: &arbiterv1.Policy{
			Automation: proto.String("full"), MaxLossBytes: proto.Uint64(5), PromisedOutage: milliseconds(10000), Cooldown: milliseconds(600000),
			Lease: milliseconds(1500), DownVotes: proto.Uint32(2), AlsoDown: []string{"read-only", "disk-full"}, PreferredZone: proto.String("z1"),
			AcceptProofs: []string{"CONFIRMED_OFF", "ATTESTED"}, RefenceRogues: proto.Bool(true), RaceFences: proto.Bool(true),
			Timeouts: &arbiterv1.Timeouts{
				Isolate: milliseconds(1), CatchUp: milliseconds(2), Promote: milliseconds(3), Configure: milliseconds(4),
				Route: milliseconds(5), Verify: milliseconds(6),
			},
			MaxAttempts: proto.Uint32(7), RetryInterval: milliseconds(8),
		},
		Routes: []*arbiterv1.Route{{
			Router: "haproxy", Name: proto.String("front"), VerifyAddress: proto.String("front:5432"),
			Settings: map[string]*arbiterv1.Value{"socket": literal("/run/haproxy.sock"), "backend": literal("pg")},
		}},
	}
}

// EffectiveMember is a member of EffectiveSpec.
func EffectiveMember(name string, priority uint32) *arbiterv1.MemberSpec {
	return &arbiterv1.MemberSpec{
		Name: name, Zone: "z-" + name, Address: name + ":5432", Priority: proto.Uint32(priority), ApplicationName: proto.String("app-" + name),
		Fence: []*arbiterv1.FenceLevel{{Devices: []*arbiterv1.FenceDevice{{
			Device: "fence_ipmilan", Timeout: milliseconds(5000), Retries: proto.Uint32(2),
			Settings: map[string]*arbiterv1.Value{
				"ip": literal("bmc-" + name), "password": {Value: &arbiterv1.Value_Env{Env: "BMC"}}, "cipher": literal("3"),
			},
		}}}},
	}
}
