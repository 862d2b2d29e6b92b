package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// healthFaults are about checks and their times.
func healthFaults(spec *arbiterv1.GroupSpec) []Fault {
	var faults []Fault
	names, required := map[string]int{}, false
	for i, c := range spec.Health.Checks {
		path := fmt.Sprintf("health.checks[%d]", i)
		required = required || c.GetRequired()
		faults = append(faults, repeated(names, c.Name, i, path+".name", "two checks are called %q (the other is health.checks[%d])")...)
		faults = append(faults, checkFaults(c, path)...)
		faults = append(faults, checkOfEngine(c, spec.Engine, path)...)
	}
	if !required {
		faults = append(faults, Fault{Path: "health.checks", Message: "no check is required, so no member could ever count as down; leave `required` out of at least one"})
	}
	if required && !asksMembers(spec) {
		faults = append(faults, Fault{Path: "health.checks", Message: fmt.Sprintf(
			"none asks a member whether it is the primary and accepts writes, so the group could never be adopted; add one of kind %s, or leave checks out",
			engineCheck(spec.Engine))})
	}
	faults = append(faults, notNegative("health.minimum_unhealthy", spec.Health.MinimumUnhealthy)...)
	faults = append(faults, notNegative("health.restart_grace", spec.Health.RestartGrace)...)
	return append(faults, notNegative("health.cold_start_grace", spec.Health.ColdStartGrace)...)
}

// asksMembers says whether a check has a member itself tell what it is, or its kind is wrong anyway.
func asksMembers(spec *arbiterv1.GroupSpec) bool {
	return slices.ContainsFunc(spec.Health.Checks, func(c *arbiterv1.Check) bool { return c.Kind != "tcp" && c.Kind != "http" })
}

// checkOfEngine refuses the check that asks services of another engine what they are.
func checkOfEngine(c *arbiterv1.Check, engine, path string) []Fault {
	own := engineCheck(engine)
	if c.Kind == own || c.Kind != engineCheck(engineHTTP) && c.Kind != "postgres" {
		return nil
	}
	return []Fault{{Path: path + ".kind", Message: fmt.Sprintf("%q is not for engine %s; use %s", c.Kind, engine, own)}}
}

func checkFaults(c *arbiterv1.Check, path string) []Fault {
	var faults []Fault
	interval, timeout, window := c.Interval.AsDuration(), c.Timeout.AsDuration(), c.Window.AsDuration()
	if interval < 20*time.Millisecond {
		faults = append(faults, Fault{Path: path + ".interval", Message: formatDuration(interval) + " is too short; want 20ms or more"})
	}
	if timeout < 10*time.Millisecond {
		faults = append(faults, Fault{Path: path + ".timeout", Message: formatDuration(timeout) + " is too short; want 10ms or more"})
	}
	if needs := time.Duration(c.GetFailures())*interval + timeout; window != 0 && window < needs {
		faults = append(faults, Fault{Path: path + ".window", Message: fmt.Sprintf(
			"%s can't hold %d failures: failures %d x interval %s + timeout %s = %s",
			formatDuration(window), c.GetFailures(), c.GetFailures(), formatDuration(interval), formatDuration(timeout), formatDuration(needs))})
	}
	if c.Kind == "http" && c.GetPort() == 0 {
		faults = append(faults, Fault{Path: path + ".port", Message: "is missing: an http check needs the port of the HTTP server, because the member's address is the database's"})
	}
	if c.Kind != "http" && c.Http != nil {
		faults = append(faults, Fault{Path: path + ".http", Message: fmt.Sprintf("belongs to a check of kind http, this one is %s", c.Kind)})
	}
	if c.Http != nil && !strings.HasPrefix(c.Http.GetPath(), "/") {
		faults = append(faults, Fault{Path: path + ".http.path", Message: fmt.Sprintf("%q must begin with /", c.Http.GetPath())})
	}
	return faults
}

// policyFaults are about promises, votes and time limits.
func policyFaults(spec *arbiterv1.GroupSpec) []Fault {
	p := spec.Policy
	var faults []Fault
	for _, limit := range []struct {
		path  string
		value *durationpb.Duration
	}{
		{"policy.timeouts.isolate", p.Timeouts.Isolate},
		{"policy.timeouts.catch_up", p.Timeouts.CatchUp},
		{"policy.timeouts.promote", p.Timeouts.Promote},
		{"policy.timeouts.configure", p.Timeouts.Configure},
		{"policy.timeouts.route", p.Timeouts.Route},
		{"policy.timeouts.verify", p.Timeouts.Verify},
		{"policy.retry_interval", p.RetryInterval},
	} {
		if limit.value.AsDuration() < 100*time.Millisecond {
			faults = append(faults, Fault{Path: limit.path, Message: formatDuration(limit.value.AsDuration()) + " is too short; want 100ms or more"})
		}
	}
	faults = append(faults, notNegative("policy.cooldown", p.Cooldown)...)
	faults = append(faults, leaseFaults(p)...)
	if votes := p.GetDownVotes(); p.DownVotes != nil && (votes < 2 || votes > 5) {
		faults = append(faults, Fault{Path: "policy.down_votes", Message: fmt.Sprintf(
			"%d is not possible: it takes a majority of the arbiters, which are 3 or 5, so 2 to 5; leave it out for a majority", votes)})
	}
	faults = append(faults, proofFaults(p)...)
	return append(faults, promiseFaults(spec)...)
}

// unproduced are grades of proof that nothing in this release gives.
var unproduced = []string{"HELD_BY_AGENT", "DEMOTED_CLEANLY", "SELF_FENCED_BY_DEADLINE"}

// proofFaults refuse a policy that no proof can ever satisfy: the fence would work, and every failover be held after it.
func proofFaults(p *arbiterv1.Policy) []Fault {
	if slices.ContainsFunc(p.AcceptProofs, func(grade string) bool { return !slices.Contains(unproduced, grade) }) {
		return nil
	}
	return []Fault{{Path: "policy.accept_proofs", Message: fmt.Sprintf(
		"nothing in this release gives %s, so every failover would be held; accept CONFIRMED_OFF or CONFIRMED_ISOLATED too", joinWords(p.AcceptProofs))}}
}

// leaseFaults keep leases in a range in which they are neither lost by a pause nor waited for longer than a failover.
func leaseFaults(p *arbiterv1.Policy) []Fault {
	lease := p.Lease.AsDuration()
	if lease < 500*time.Millisecond || lease > time.Minute {
		return []Fault{{Path: "policy.lease", Message: formatDuration(lease) + " is not possible; want 500ms to 1m (2s is usual)"}}
	}
	return nil
}

// promiseFaults refuse an outage that the time limits can't keep, and name every part of the sum.
func promiseFaults(spec *arbiterv1.GroupSpec) []Fault {
	if spec.Policy.PromisedOutage == nil {
		return nil
	}
	promise := spec.Policy.PromisedOutage.AsDuration()
	if promise <= 0 {
		return []Fault{{Path: "policy.promised_outage", Message: "must be longer than nothing"}}
	}
	asks := slices.ContainsFunc(spec.Health.Checks, func(c *arbiterv1.Check) bool { return c.Kind == engineCheck(spec.Engine) })
	if asks && detected(spec, silence) && !detected(spec, freeze) { // else the checks themselves are refused
		return []Fault{{Path: "policy.promised_outage", Message: fmt.Sprintf("%s can't be kept: %s", formatDuration(promise), freezeUnseen(spec))}}
	}
	terms := outageTerms(spec, worstFault(spec))
	if sum(terms) <= promise {
		return nil
	}
	return []Fault{{Path: "policy.promised_outage", Message: fmt.Sprintf(
		"%s can't be kept: %s; promise %s or more, or lower what makes most of it: %s",
		formatDuration(promise), sumText(terms), formatDuration(sum(terms)), leversText(terms))}}
}

func notNegative(path string, d *durationpb.Duration) []Fault {
	if d.AsDuration() < 0 {
		return []Fault{{Path: path, Message: formatDuration(d.AsDuration()) + " is less than nothing"}}
	}
	return nil
}
