package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// defaultAcceptProofs are the grades of proof that end a member's right to write where the policy doesn't say otherwise.
var defaultAcceptProofs = []string{"CONFIRMED_OFF", "CONFIRMED_ISOLATED", "HELD_BY_AGENT", "ATTESTED"}

// engineHTTP is the engine of services that offer the contract of docs/http-engine.md; serviceCheck is its kind of check.
const (
	engineHTTP   = "http"
	serviceCheck = "service"
)

// engineCheck is the kind of check that asks a service of this engine what it is.
func engineCheck(engine string) string {
	if engine == engineHTTP {
		return serviceCheck
	}
	return engine
}

// healthProfile is how often and how patiently a member is looked at.
type healthProfile struct {
	interval, timeout time.Duration
	failures          uint32
}

var healthProfiles = map[string]healthProfile{
	"fast":   {interval: 200 * time.Millisecond, timeout: 250 * time.Millisecond, failures: 2},
	"normal": {interval: time.Second, timeout: time.Second, failures: 3},
}

// Defaults returns a copy of a spec with every default filled in. It is the only place where defaults of a group are.
// Applying it twice changes nothing. A spec that isn't valid gets defaults too, as far as it makes sense.
func Defaults(spec *arbiterv1.GroupSpec) *arbiterv1.GroupSpec {
	full := proto.CloneOf(spec)
	setText(&full.Engine, "postgres")
	for _, m := range full.Members {
		memberDefaults(m)
	}
	if full.Connect == nil {
		full.Connect = &arbiterv1.Connect{}
	}
	setText(&full.Connect.User, "arbiter")
	if full.Engine != engineHTTP {
		setDefault(&full.Connect.Database, "postgres")
	}
	setDefault(&full.Connect.Sslmode, defaultSSLMode(full.Engine, full.Members))
	if full.Health == nil {
		full.Health = &arbiterv1.Health{}
	}
	healthDefaults(full.Health, full.Engine)
	for i, r := range full.Routes {
		setDefault(&r.Name, fmt.Sprintf("%s-%d", r.Router, i+1))
	}
	if full.Policy == nil {
		full.Policy = &arbiterv1.Policy{}
	}
	policyDefaults(full.Policy)
	timeoutDefaults(full)
	return full
}

func memberDefaults(m *arbiterv1.MemberSpec) {
	setDefault(&m.Priority, 100)
	setDefault(&m.ApplicationName, m.Name)
	for _, level := range m.Fence {
		for _, device := range level.Devices {
			setDuration(&device.Timeout, 10*time.Second)
			setDefault(&device.Retries, 1)
		}
	}
}

// defaultSSLMode never weakens what goes over a network: only members that are all on this machine's loopback may do
// without TLS.
func defaultSSLMode(engine string, members []*arbiterv1.MemberSpec) string {
	for _, m := range members {
		if !onLoopback(m.Address) {
			return "verify-full"
		}
	}
	if engine == engineHTTP {
		return "disable"
	}
	return "prefer"
}

func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func healthDefaults(h *arbiterv1.Health, engine string) {
	setDefault(&h.Profile, "normal")
	setDuration(&h.MinimumUnhealthy, 0)
	setDuration(&h.RestartGrace, 0)
	setDuration(&h.ColdStartGrace, 2*time.Minute)
	if len(h.Checks) == 0 {
		kind := engineCheck(engine)
		h.Checks = []*arbiterv1.Check{{Name: kind, Kind: kind}}
	}
	profile, known := healthProfiles[h.GetProfile()]
	if !known {
		profile = healthProfiles["normal"]
	}
	for _, c := range h.Checks {
		setText(&c.Name, c.Kind)
		setDuration(&c.Interval, profile.interval)
		setDuration(&c.Timeout, profile.timeout)
		setDefault(&c.Failures, profile.failures)
		setDefault(&c.Successes, 1)
		setDefault(&c.Required, true)
		if c.Kind == "http" && c.Http == nil {
			c.Http = &arbiterv1.HTTPCheck{}
		}
		if c.Http != nil {
			setDefault(&c.Http.Path, "/")
			setDefault(&c.Http.Method, "GET")
		}
	}
}

func policyDefaults(p *arbiterv1.Policy) {
	setDefault(&p.Automation, "full")
	setDefault(&p.MaxLossBytes, 0)
	setDuration(&p.Cooldown, 5*time.Minute)
	setDuration(&p.Lease, 2*time.Second)
	if len(p.AcceptProofs) == 0 {
		p.AcceptProofs = append(p.AcceptProofs, defaultAcceptProofs...)
	}
	setDefault(&p.RefenceRogues, true)
	setDefault(&p.RaceFences, false)
	setDefault(&p.MaxAttempts, 3)
	setDuration(&p.RetryInterval, 10*time.Second)
}

// limit is one time-out that has a default.
type limit struct {
	field    **durationpb.Duration
	usual    time.Duration
	shortest time.Duration // what a promised outage may shrink the default to
}

// timeoutDefaults fills in the time limits of the actions. Isolating gets at least the time that the members' fences
// need. Where an outage is promised and the usual limits don't fit, those that the spec leaves open share what the
// promise leaves over, in proportion, but none goes below what its action needs on a healthy system: a promise is kept
// by giving up a try earlier, and a try that timed out is repeated.
func timeoutDefaults(spec *arbiterv1.GroupSpec) {
	if spec.Policy.Timeouts == nil {
		spec.Policy.Timeouts = &arbiterv1.Timeouts{}
	}
	t, fence := spec.Policy.Timeouts, longestFence(spec)
	limits := openLimits([]limit{
		{&t.Isolate, max(20*time.Second, fence), max(time.Second, fence)},
		{&t.CatchUp, 5 * time.Second, 500 * time.Millisecond},
		{&t.Promote, 10 * time.Second, 2 * time.Second},
		{&t.Configure, 5 * time.Second, 500 * time.Millisecond},
		{&t.Route, 3 * time.Second, 500 * time.Millisecond},
	})
	usual := time.Duration(0)
	for _, l := range limits {
		usual += l.usual
	}
	promise := spec.Policy.PromisedOutage.AsDuration()
	if left := promise - sum(outageTerms(spec, worstFault(spec))); promise > 0 && left < usual {
		share(limits, left)
	}
	for _, l := range limits {
		setDuration(l.field, l.usual)
	}
	setDuration(&t.Verify, 5*time.Second)
}

// openLimits are those that the spec doesn't set.
func openLimits(limits []limit) []limit {
	return slices.DeleteFunc(limits, func(l limit) bool { return *l.field != nil })
}

// share gives each limit its part of the time that is left, in proportion to its usual value. A limit whose part is
// shorter than its shortest takes the shortest, and the others share the rest.
func share(limits []limit, left time.Duration) {
	for {
		usual := time.Duration(0)
		for _, l := range limits {
			usual += l.usual
		}
		part := func(l limit) time.Duration {
			return time.Duration(float64(l.usual) / float64(usual) * float64(left)).Truncate(100 * time.Millisecond)
		}
		tight := slices.IndexFunc(limits, func(l limit) bool { return part(l) < l.shortest })
		if tight < 0 {
			for _, l := range limits {
				setDuration(l.field, part(l))
			}
			return
		}
		setDuration(limits[tight].field, limits[tight].shortest)
		left -= limits[tight].shortest
		limits = slices.Concat(limits[:tight], limits[tight+1:])
	}
}

// longestFence is the longest that the fence of any member takes when every device uses all of its time and tries.
func longestFence(spec *arbiterv1.GroupSpec) time.Duration {
	longest := time.Duration(0)
	for _, m := range spec.Members {
		longest = max(longest, fenceTime(m, spec.Policy.GetRaceFences()))
	}
	return longest
}

// fenceTime adds up the levels of a member's fence, which are tried in order (or takes the longest, if they race).
// Within a level the devices work side by side.
func fenceTime(m *arbiterv1.MemberSpec, race bool) time.Duration {
	total := time.Duration(0)
	for _, level := range m.Fence {
		longest := time.Duration(0)
		for _, d := range level.Devices {
			longest = max(longest, deviceTime(d))
		}
		if race {
			total = max(total, longest)
		} else {
			total += longest
		}
	}
	return total
}

func deviceTime(d *arbiterv1.FenceDevice) time.Duration {
	return d.Timeout.AsDuration() * time.Duration(1+d.GetRetries())
}

func setText(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setDuration(field **durationpb.Duration, value time.Duration) {
	if *field == nil {
		*field = durationpb.New(value)
	}
}
