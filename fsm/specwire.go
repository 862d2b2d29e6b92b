package fsm

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// SpecToProto is the inverse of SpecFromProto: the effective spec of a group, nothing left to defaults. The error names a
// field that the wire can't carry.
func SpecToProto(name failover.GroupName, s *failover.Spec) (*arbiterv1.GroupSpec, error) {
	var f faults
	connect, health := s.Connect, s.Health // copies: the message must not point into a spec, which is immutable
	message := &arbiterv1.GroupSpec{
		Group: string(name), Engine: string(s.Engine),
		Members: each(s.Members, f.wireMember),
		Connect: &arbiterv1.Connect{
			User: connect.User, Password: f.wireValue("connect.password", connect.Password), Database: &connect.Database,
			Sslmode: &connect.SSLMode, Sslrootcert: &connect.SSLRoot, Sslcert: &connect.SSLCert, Sslkey: &connect.SSLKey,
		},
		Health: &arbiterv1.Health{
			Profile: &health.Profile, Checks: each(health.Checks, f.wireCheck),
			MinimumUnhealthy: wireDuration(health.MinimumUnhealthy), RestartGrace: wireDuration(health.RestartGrace),
		},
		Policy: f.wirePolicy(s.Policy),
		Routes: each(s.Routes, func(r failover.Route) *arbiterv1.Route {
			return &arbiterv1.Route{
				Router: r.Router, Name: &r.Name, Settings: f.wireSettings("route.settings", r.Settings),
				VerifyAddress: &r.VerifyAddress,
			}
		}),
	}
	if f.first != nil {
		return nil, fmt.Errorf("convert spec of group %s: %w", name, f.first)
	}
	return message, nil
}

func (f *faults) wireMember(m failover.MemberSpec) *arbiterv1.MemberSpec {
	return &arbiterv1.MemberSpec{
		Name: string(m.Name), Zone: m.Zone, Address: m.Address,
		Priority: f.optionalCount("member.priority", m.Priority), ApplicationName: &m.ApplicationName,
		Fence: each(m.Fence, func(l failover.FenceLevel) *arbiterv1.FenceLevel {
			return &arbiterv1.FenceLevel{Devices: each(l.Devices, func(d failover.FenceDevice) *arbiterv1.FenceDevice {
				return &arbiterv1.FenceDevice{
					Device: d.Method, Timeout: wireDuration(d.Timeout), Retries: f.optionalCount("fence.retries", d.Retries),
					Settings: f.wireSettings("fence.settings", d.Settings),
				}
			})}
		}),
	}
}

func (f *faults) wireCheck(c failover.Check) *arbiterv1.Check {
	check := &arbiterv1.Check{
		Name: c.Name, Kind: string(c.Kind), Interval: wireDuration(c.Interval), Timeout: wireDuration(c.Timeout),
		Failures: f.optionalCount("check.failures", c.Failures), Successes: f.optionalCount("check.successes", c.Successes),
		Window: wireDuration(c.Window), Required: &c.Required, Port: f.optionalCount("check.port", c.Port),
	}
	if c.HTTP != nil {
		h := *c.HTTP
		check.Http = &arbiterv1.HTTPCheck{
			Tls: h.TLS, Path: &h.Path, Method: &h.Method, Headers: f.wireSettings("check.http.headers", h.Headers),
			Statuses:     each(h.Statuses, func(s int) uint32 { return f.count("check.http.statuses", s) }),
			BodyContains: h.Body, CaFile: h.CAFile, ServerName: h.ServerName,
		}
	}
	return check
}

func (f *faults) wirePolicy(p failover.Policy) *arbiterv1.Policy {
	return &arbiterv1.Policy{
		Automation: proto.String(string(p.Automation)), MaxLossBytes: &p.MaxLossBytes,
		PromisedOutage: wireDuration(p.PromisedOutage), Cooldown: wireDuration(p.Cooldown), Lease: wireDuration(p.LeaseDuration),
		DownVotes: f.optionalCount("policy.down_votes", p.DownVotes), AlsoDown: names[string](p.AlsoDown),
		PreferredZone: &p.PreferredZone, AcceptProofs: names[string](p.AcceptProofs),
		RefenceRogues: &p.RefenceRogues, RaceFences: &p.RaceFences,
		Timeouts: &arbiterv1.Timeouts{
			Isolate: wireDuration(p.IsolateTimeout), CatchUp: wireDuration(p.CatchUpTimeout),
			Promote: wireDuration(p.PromoteTimeout), Configure: wireDuration(p.ConfigureTimeout),
			Route: wireDuration(p.RouteTimeout), Verify: wireDuration(p.VerifyTimeout),
		},
		MaxAttempts: f.optionalCount("policy.max_attempts", p.MaxAttempts), RetryInterval: wireDuration(p.RetryInterval),
	}
}

func (f *faults) wireSettings(field string, settings []failover.Setting) map[string]*arbiterv1.Value {
	values := make(map[string]*arbiterv1.Value, len(settings))
	for _, s := range settings {
		if _, twice := values[s.Key]; twice {
			f.add(field, "key %q is given twice", s.Key)
		}
		if values[s.Key] = f.wireValue(field+"."+s.Key, s); values[s.Key] == nil {
			values[s.Key] = &arbiterv1.Value{Value: &arbiterv1.Value_Literal{}}
		}
	}
	return values
}

// wireValue returns nil for a setting without any value.
func (f *faults) wireValue(field string, s failover.Setting) *arbiterv1.Value {
	given := 0
	var value *arbiterv1.Value
	if s.Value != "" {
		given, value = given+1, &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: s.Value}}
	}
	if s.File != "" {
		given, value = given+1, &arbiterv1.Value{Value: &arbiterv1.Value_File{File: s.File}}
	}
	if s.Env != "" {
		given, value = given+1, &arbiterv1.Value{Value: &arbiterv1.Value_Env{Env: s.Env}}
	}
	if given > 1 {
		f.add(field, "a literal, a file and a variable exclude each other")
	}
	return value
}

func (f *faults) optionalCount(field string, n int) *uint32 {
	return proto.Uint32(f.count(field, n))
}
