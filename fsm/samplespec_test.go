package fsm

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// writtenSpec is what an operator would write.
func writtenSpec() *arbiterv1.GroupSpec {
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

// effectiveSpec has every field of the schema, each with a value of its own.
func effectiveSpec() *arbiterv1.GroupSpec {
	return &arbiterv1.GroupSpec{
		Group: "pay", Engine: "postgres",
		Members: []*arbiterv1.MemberSpec{effectiveMember("db2", 90), effectiveMember("db1", 100)},
		Connect: &arbiterv1.Connect{
			User: "arbiter", Password: &arbiterv1.Value{Value: &arbiterv1.Value_File{File: "/etc/arbiter/pg.password"}},
			Database: proto.String("postgres"), Sslmode: proto.String("verify-full"), Sslrootcert: proto.String("/ca"),
			Sslcert: proto.String("/cert"), Sslkey: proto.String("/key"),
		},
		Health: &arbiterv1.Health{
			Profile: proto.String("fast"), MinimumUnhealthy: milliseconds(300), RestartGrace: milliseconds(301),
			Checks: []*arbiterv1.Check{{
				Name: "api", Kind: "http", Interval: milliseconds(200), Timeout: milliseconds(250), Failures: proto.Uint32(2),
				Successes: proto.Uint32(3), Window: milliseconds(4000), Required: proto.Bool(true), Port: proto.Uint32(8008),
				Http: &arbiterv1.HTTPCheck{
					Tls: true, Path: proto.String("/health"), Method: proto.String("GET"), Statuses: []uint32{200, 204},
					Headers:      map[string]*arbiterv1.Value{"X-B": literal("b"), "X-A": literal("a"), "X-C": literal("")},
					BodyContains: "ok", CaFile: "/hca", ServerName: "db",
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

func effectiveMember(name string, priority uint32) *arbiterv1.MemberSpec {
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

// domainSpec is effectiveSpec as the domain must see it.
func domainSpec() *failover.Spec {
	return &failover.Spec{
		Engine:  failover.EnginePostgres,
		Members: []failover.MemberSpec{domainMember("db1", 100), domainMember("db2", 90)},
		Connect: failover.Connect{
			User: "arbiter", Password: failover.Setting{File: "/etc/arbiter/pg.password"}, Database: "postgres",
			SSLMode: "verify-full", SSLRoot: "/ca", SSLCert: "/cert", SSLKey: "/key",
		},
		Health: failover.Health{
			Profile: "fast", MinimumUnhealthy: 300 * time.Millisecond, RestartGrace: 301 * time.Millisecond,
			Checks: []failover.Check{{
				Name: "api", Kind: failover.CheckHTTP, Interval: 200 * time.Millisecond, Timeout: 250 * time.Millisecond,
				Failures: 2, Successes: 3, Window: 4 * time.Second, Required: true, Port: 8008,
				HTTP: &failover.HTTPCheck{
					TLS: true, Path: "/health", Method: "GET", Statuses: []int{200, 204},
					Headers: []failover.Setting{{Key: "X-A", Value: "a"}, {Key: "X-B", Value: "b"}, {Key: "X-C"}},
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
