package config

import (
	"slices"
	"time"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Report is what a spec means: how long things take at worst, with one try of every action and one arbiter that leads throughout.
type Report struct {
	Faults []FaultMeaning
	// Zones says what losing each zone costs; empty where members don't name zones.
	Zones []ZoneMeaning
	// Election is added when the arbiter that leads is lost together with the primary: see Elections.
	Election map[string]time.Duration
	// Promised is the outage that the policy promises; 0 if none.
	Promised time.Duration
}

// FaultMeaning is the worst case of one kind of fault.
type FaultMeaning struct {
	// Name is the fault in a few words.
	Name string
	// Detection is the time from the fault to the verdict, Outage to the first write on the new primary.
	Detection, Outage time.Duration
	// DetectionSum and OutageSum say how they add up, by the keys that set each part.
	DetectionSum, OutageSum string
	// Undetected says that no required check sees it, so that it lasts: the times are 0, and the sums say what to do.
	Undetected bool
	// AfterStart says that it is of a primary that no arbiter has heard since it started, as after a start of everything: no promise is about it.
	AfterStart bool
}

// Worst is the fault with the longest outage, the first of equals, of those that can happen while everything runs.
func (r Report) Worst() FaultMeaning {
	worst := FaultMeaning{}
	for _, f := range r.Faults {
		if f.Outage > worst.Outage && !f.AfterStart {
			worst = f
		}
	}
	return worst
}

// ZoneMeaning is what losing one zone costs.
type ZoneMeaning struct {
	Zone string
	// Members are lost with it; Left may be promoted then.
	Members, Left []string
}

// zoneMeanings goes through the zones, in alphabetical order.
func zoneMeanings(spec *arbiterv1.GroupSpec) []ZoneMeaning {
	var zones []string
	for _, m := range spec.Members {
		if m.Zone != "" && !slices.Contains(zones, m.Zone) {
			zones = append(zones, m.Zone)
		}
	}
	slices.Sort(zones)
	meanings := make([]ZoneMeaning, len(zones))
	for i, zone := range zones {
		meanings[i].Zone = zone
		for _, m := range spec.Members {
			switch {
			case m.Zone == zone:
				meanings[i].Members = append(meanings[i].Members, m.Name)
			case m.GetPriority() > 0:
				meanings[i].Left = append(meanings[i].Left, m.Name)
			}
		}
	}
	return meanings
}

// Elections are, for each timing profile of the arbiters, how long an election takes at most in nine of ten cases. There is no bound: votes may be
// split, and be split again. A test of package arbiter measures it.
func Elections() map[string]time.Duration {
	return map[string]time.Duration{"lan": 600 * time.Millisecond, "wan": 3 * time.Second}
}

// Meaning computes what a spec means. Defaults need not be filled in.
func Meaning(spec *arbiterv1.GroupSpec) Report {
	full := Defaults(spec)
	report := Report{
		Zones:    zoneMeanings(full),
		Promised: full.Policy.PromisedOutage.AsDuration(),
		Election: Elections(),
	}
	type kind struct {
		name string
		fault
	}
	kinds := []kind{{"crash of the service", crash}, {"freeze, or hung disk", freeze}, {"cut network, or lost host", silence}}
	if full.Health.RestartGrace.AsDuration() > 0 {
		kinds = append(kinds, kind{"restart that does not end", restart})
	}
	for _, kind := range kinds {
		report.Faults = append(report.Faults, faultMeaning(full, kind.name, kind.fault))
	}
	if full.Health.ColdStartGrace.AsDuration() > 0 {
		cold := faultMeaning(full, "lost host, after a start of everything", absence)
		cold.AfterStart = true
		report.Faults = append(report.Faults, cold)
	}
	return report
}

func faultMeaning(full *arbiterv1.GroupSpec, name string, f fault) FaultMeaning {
	if !detected(full, f) {
		return FaultMeaning{Name: name, Undetected: true, DetectionSum: freezeUnseen(full), OutageSum: freezeUnseen(full)}
	}
	detection, outage := detectionTerms(full, f), outageTerms(full, f)
	return FaultMeaning{
		Name:         name,
		Detection:    sum(detection),
		DetectionSum: sumText(detection),
		Outage:       sum(outage),
		OutageSum:    sumText(outage),
	}
}
