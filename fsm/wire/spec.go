package wire

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// SpecFromProto reads the effective form of a GroupSpec (every default filled in) as the domain sees it: members and
// settings sorted, so that equal specs are equal values. What is absent becomes zero: defaults are config's business. The
// error names a field that can't be represented.
func SpecFromProto(effective *arbiterv1.GroupSpec) (*failover.Spec, error) {
	var f faults
	spec := &failover.Spec{
		Engine:  failover.Engine(effective.GetEngine()),
		Members: each(effective.GetMembers(), f.member),
		Connect: connect(effective.GetConnect()),
		Health: failover.Health{
			Profile:          effective.GetHealth().GetProfile(),
			Checks:           each(effective.GetHealth().GetChecks(), f.check),
			MinimumUnhealthy: f.duration("health.minimum_unhealthy", effective.GetHealth().GetMinimumUnhealthy()),
			RestartGrace:     f.duration("health.restart_grace", effective.GetHealth().GetRestartGrace()),
			ColdStartGrace:   f.duration("health.cold_start_grace", effective.GetHealth().GetColdStartGrace()),
		},
		Policy: f.policy(effective.GetPolicy()),
		Routes: each(effective.GetRoutes(), func(r *arbiterv1.Route) failover.Route {
			return failover.Route{
				Router: r.GetRouter(), Name: r.GetName(), Settings: settings(r.GetSettings()), VerifyAddress: r.GetVerifyAddress(),
			}
		}),
	}
	slices.SortStableFunc(spec.Members, func(a, b failover.MemberSpec) int {
		return strings.Compare(string(a.Name), string(b.Name))
	})
	if f.first != nil {
		return nil, fmt.Errorf("read spec of group %s: %w", effective.GetGroup(), f.first)
	}
	return spec, nil
}

func (f *faults) member(m *arbiterv1.MemberSpec) failover.MemberSpec {
	return failover.MemberSpec{
		Name: failover.MemberName(m.GetName()), Zone: m.GetZone(), Address: m.GetAddress(),
		Priority: int(m.GetPriority()), ApplicationName: m.GetApplicationName(),
		Fence: each(m.GetFence(), func(l *arbiterv1.FenceLevel) failover.FenceLevel {
			return failover.FenceLevel{Devices: each(l.GetDevices(), f.device)}
		}),
	}
}

func (f *faults) device(d *arbiterv1.FenceDevice) failover.FenceDevice {
	return failover.FenceDevice{
		Method: d.GetDevice(), Timeout: f.duration("fence.timeout", d.GetTimeout()), Retries: int(d.GetRetries()),
		Settings: settings(d.GetSettings()),
	}
}

func connect(c *arbiterv1.Connect) failover.Connect {
	return failover.Connect{
		User: c.GetUser(), Password: setting("", c.GetPassword()), Database: c.GetDatabase(), SSLMode: c.GetSslmode(),
		SSLRoot: c.GetSslrootcert(), SSLCert: c.GetSslcert(), SSLKey: c.GetSslkey(),
	}
}

func (f *faults) check(c *arbiterv1.Check) failover.Check {
	check := failover.Check{
		Name: c.GetName(), Kind: failover.CheckKind(c.GetKind()), Interval: f.duration("check.interval", c.GetInterval()),
		Timeout: f.duration("check.timeout", c.GetTimeout()), Failures: int(c.GetFailures()), Successes: int(c.GetSuccesses()),
		Window: f.duration("check.window", c.GetWindow()), Required: c.GetRequired(), Port: int(c.GetPort()),
	}
	if h := c.GetHttp(); h != nil {
		check.HTTP = &failover.HTTPCheck{
			TLS: h.GetTls(), Path: h.GetPath(), Method: h.GetMethod(), Headers: settings(h.GetHeaders()),
			Statuses: each(h.GetStatuses(), func(s uint32) int { return int(s) }),
			Answers:  settings(h.GetHeadersContain()), Body: h.GetBodyContains(), CAFile: h.GetCaFile(), ServerName: h.GetServerName(),
		}
	}
	return check
}

func (f *faults) policy(p *arbiterv1.Policy) failover.Policy {
	t := p.GetTimeouts()
	return failover.Policy{
		Automation: failover.Automation(p.GetAutomation()), MaxLossBytes: p.GetMaxLossBytes(),
		PromisedOutage: f.duration("policy.promised_outage", p.GetPromisedOutage()),
		Cooldown:       f.duration("policy.cooldown", p.GetCooldown()),
		LeaseDuration:  f.duration("policy.lease", p.GetLease()),
		DownVotes:      int(p.GetDownVotes()), AlsoDown: names[failover.Reason](p.GetAlsoDown()),
		PreferredZone: p.GetPreferredZone(), AcceptProofs: names[failover.ProofGrade](p.GetAcceptProofs()),
		RefenceRogues: p.GetRefenceRogues(), RaceFences: p.GetRaceFences(),
		IsolateTimeout:   f.duration("policy.timeouts.isolate", t.GetIsolate()),
		CatchUpTimeout:   f.duration("policy.timeouts.catch_up", t.GetCatchUp()),
		PromoteTimeout:   f.duration("policy.timeouts.promote", t.GetPromote()),
		ConfigureTimeout: f.duration("policy.timeouts.configure", t.GetConfigure()),
		RouteTimeout:     f.duration("policy.timeouts.route", t.GetRoute()),
		VerifyTimeout:    f.duration("policy.timeouts.verify", t.GetVerify()),
		MaxAttempts:      int(p.GetMaxAttempts()),
		RetryInterval:    f.duration("policy.retry_interval", p.GetRetryInterval()),
	}
}

// settings reads a map in the order of its keys, which no iteration over a map gives.
func settings(values map[string]*arbiterv1.Value) []failover.Setting {
	return each(slices.Sorted(maps.Keys(values)), func(key string) failover.Setting { return setting(key, values[key]) })
}

func setting(key string, v *arbiterv1.Value) failover.Setting {
	return failover.Setting{Key: key, Value: v.GetLiteral(), File: v.GetFile(), Env: v.GetEnv()}
}
