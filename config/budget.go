package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// fault is a way in which a primary fails, as far as it matters for how soon it is noticed.
type fault string

const (
	// crash: the service's processes are gone; its address refuses or resets.
	crash fault = "crash"
	// freeze: the service doesn't answer any more, and the kernel still takes connections for it: a frozen process, a hung disk.
	freeze fault = "freeze"
	// silence: nothing answers any more: a cut network, a lost host.
	silence fault = "silence"
	// restart: the service says that it restarts, and does not come back. Only health.restart_grace makes it a fault of its own.
	restart fault = "restart"
	// absence: after a start of everything nothing answers, and no arbiter has heard the service since it started. Only health.cold_start_grace
	// makes it a fault of its own.
	absence fault = "absence"
)

// recheckInterval is how soon a refused or reset connection is looked at again: at once, not at the next interval. It is
// an upper bound of what the probes do.
const recheckInterval = 50 * time.Millisecond

// term is one part of a sum of times: what it is, and the keys that set it.
type term struct {
	label string
	key   string // where it is set; several terms may have the same
	times int    // 0 means once
	each  time.Duration
}

func (t term) total() time.Duration { return time.Duration(max(1, t.times)) * t.each }

func (t term) String() string {
	if t.times > 0 {
		return fmt.Sprintf("%s %d x %s", t.label, t.times, formatDuration(t.each))
	}
	return t.label + " " + formatDuration(t.each)
}

func sum(terms []term) time.Duration {
	total := time.Duration(0)
	for _, t := range terms {
		total += t.total()
	}
	return total
}

// sumText writes "detect 3 x 1s + time-out 1s + lease 2s = 6s".
func sumText(terms []term) string {
	parts := make([]string, len(terms))
	for i, t := range terms {
		parts[i] = t.String()
	}
	return strings.Join(parts, " + ") + " = " + formatDuration(sum(terms))
}

// leversText names the keys that make most of a sum, three at most: "policy.timeouts.isolate (20s), policy.lease (2s)".
func leversText(terms []term) string {
	total := map[string]time.Duration{}
	for _, t := range terms {
		total[t.key] += t.total()
	}
	levers := slices.SortedFunc(maps.Keys(total), func(a, b string) int { return cmp.Or(cmp.Compare(total[b], total[a]), strings.Compare(a, b)) })
	for i, key := range levers {
		levers[i] = fmt.Sprintf("%s (%s)", key, formatDuration(total[key]))
	}
	return strings.Join(levers[:min(3, len(levers))], ", ")
}

// sees says whether a check notices a fault. The kernel answers a tcp check for a frozen process, and an http check asks another server.
func sees(spec *arbiterv1.GroupSpec, c *arbiterv1.Check, f fault) bool {
	return f != freeze || c.Kind == engineCheck(spec.Engine)
}

// detected says whether a required check notices a fault: no other one makes a member down.
func detected(spec *arbiterv1.GroupSpec, f fault) bool {
	return slices.ContainsFunc(spec.Health.Checks, func(c *arbiterv1.Check) bool { return c.GetRequired() && sees(spec, c, f) })
}

// freezeUnseen says of a group what its required checks don't see, and what to do.
func freezeUnseen(spec *arbiterv1.GroupSpec) string {
	return fmt.Sprintf("no required check sees a freeze or a hung disk; leave `required` out of one of kind %s", engineCheck(spec.Engine))
}

// worstFault is the fault that takes longest to notice, of those that are noticed.
func worstFault(spec *arbiterv1.GroupSpec) fault {
	worst := freeze
	for _, f := range []fault{silence, crash, restart} {
		if sum(detectionTerms(spec, f)) > sum(detectionTerms(spec, worst)) {
			worst = f
		}
	}
	return worst
}

// detectionTerms add up to the longest time from a fault to its verdict, by the required check that is quickest to see
// it: any required check makes a member down. There are none of a fault that no required check sees. The spec must have its defaults.
func detectionTerms(spec *arbiterv1.GroupSpec, f fault) []term {
	var best []term
	for _, c := range spec.Health.Checks {
		if !c.GetRequired() || !sees(spec, c, f) {
			continue
		}
		if terms := checkTerms(spec, c, f); best == nil || sum(terms) < sum(best) {
			best = terms
		}
	}
	if best == nil {
		return nil
	}
	cold := spec.Health.ColdStartGrace.AsDuration()
	if f == absence && cold > spec.Health.MinimumUnhealthy.AsDuration() { // both count from the verdict
		return append(best, term{label: "health.cold_start_grace", key: "health.cold_start_grace", each: cold})
	}
	if unhealthy := spec.Health.MinimumUnhealthy.AsDuration(); unhealthy > 0 {
		best = append(best, term{label: "health.minimum_unhealthy", key: "health.minimum_unhealthy", each: unhealthy})
	}
	if grace := spec.Health.RestartGrace.AsDuration(); grace > 0 && f == restart {
		best = append(best, term{label: "health.restart_grace", key: "health.restart_grace", each: grace})
	}
	return best
}

// restartReasons are what a service says that is restarted.
var restartReasons = []string{"starting-up", "crash-recovery", "shutting-down"}

// restartIsDown says whether the policy counts the word of a restart itself as down, not only the refusals after it.
func restartIsDown(spec *arbiterv1.GroupSpec) bool {
	return slices.ContainsFunc(spec.Policy.GetAlsoDown(), func(r string) bool { return slices.Contains(restartReasons, r) })
}

// checkKeys are the keys that set how soon a check notices.
const checkKeys = "health.profile or health.checks"

func checkTerms(spec *arbiterv1.GroupSpec, c *arbiterv1.Check, f fault) []term {
	interval, timeout, failures := c.Interval.AsDuration(), c.Timeout.AsDuration(), int(c.GetFailures())
	if f == restart && restartIsDown(spec) { // such looks are answered, and follow at the interval
		return []term{{label: "detect", key: checkKeys, times: failures, each: interval}, {label: "time-out", key: checkKeys, each: timeout}}
	}
	if f == crash || f == restart {
		// The first look comes with the next interval at the latest (a held connection is usually reset at once); the
		// others follow at once.
		return []term{
			{label: "interval", key: checkKeys, each: interval},
			{label: "recheck", key: checkKeys, times: failures, each: recheckInterval},
		}
	}
	// A look that gets no answer lasts the whole time-out, and the next one doesn't begin before it has ended.
	return []term{
		{label: "detect", key: checkKeys, times: failures, each: max(interval, timeout)},
		{label: "time-out", key: checkKeys, each: timeout},
		{label: "look again", key: checkKeys, each: timeout},
	}
}

// outageTerms add up to the longest time without writes after a fault: until the verdict, until the lease of an arbiter
// that was lost at the same moment has run out, and the time limits of the actions up to the one that lets clients in
// again. Limits that aren't set yet count as nothing. The spec must have its other defaults.
func outageTerms(spec *arbiterv1.GroupSpec, f fault) []term {
	terms := detectionTerms(spec, f)
	terms = append(terms, term{label: "lease", key: "policy.lease", each: spec.Policy.Lease.AsDuration()})
	t := spec.Policy.GetTimeouts()
	for _, limit := range []term{
		{label: "timeouts.isolate", each: t.GetIsolate().AsDuration()},
		{label: "timeouts.catch_up", each: t.GetCatchUp().AsDuration()},
		{label: "timeouts.promote", each: t.GetPromote().AsDuration()},
		{label: "timeouts.configure", each: t.GetConfigure().AsDuration()},
		{label: "timeouts.route", each: t.GetRoute().AsDuration()},
	} {
		if limit.each > 0 {
			limit.key = "policy." + limit.label
			if limit.label == "timeouts.isolate" && limit.each <= longestFence(spec) {
				limit.key = "timeout and retries of the fence devices" // it can't be shorter than they need
			}
			terms = append(terms, limit)
		}
	}
	return terms
}
