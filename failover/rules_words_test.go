package failover

import (
	"strings"
	"testing"
)

// A refusal names the rule that refuses, where one does.
func TestRefusal_NamesItsRule(t *testing.T) {
	if got := refuse("S3", "no proof of %s", "pg-a").Error(); got != "S3: no proof of pg-a" {
		t.Errorf("%q", got)
	}
	if got := refuse("", "%s is no member", "pg-a").Error(); got != "pg-a is no member" {
		t.Errorf("%q", got)
	}
}

// S0: that two members tell no system identifier does not make one the standby of the other.
func TestS0_NobodyIsAStandbyOfAnUnknownSystem(t *testing.T) {
	w := given(t, "arbiters a b c\ngroup orders pg-a pg-b\nreign a 1\nobserve all: pg-a=primary@1000 pg-b=standby@1000\n")
	if refusal := checkS0Standby(&w.state, w.group(t), "pg-a", "pg-b", nil); refusal != nil {
		t.Fatalf("of the same system it is: %s", refusal)
	}
	g := w.group(t).clone()
	for i := range g.Looks {
		g.Looks[i].Observation.Facts.SystemID = ""
	}
	if refusal := checkS0Standby(&w.state, g, "pg-a", "pg-b", nil); refusal == nil || refusal.Rule != "S0" {
		t.Errorf("refused by %v", refusal)
	}
}

// S0: whoever adopts is told what keeps a member from counting as a standby, and what helps against that and nothing else.
func TestS0_WhyAMemberIsNoStandby(t *testing.T) {
	const (
		vouch   = "if it is certain that pg-b does not write, vouch for it:"
		rebuild = "rebuild pg-b from pg-a, or take it out of the group"
		answers = "pg-b answers, so that nobody can vouch for it: make it a standby of pg-a"
		askA    = "arbiters can't ask pg-a ("
		askB    = "arbiters can't ask pg-b ("
	)
	for name, test := range map[string]struct{ looks, why, next string }{
		"it is down":                     {"observe all: pg-a=primary@1000 pg-b=down(refused)", "0 of 3 arbiters see pg-b in recovery, 2 are needed", vouch},
		"of another system":              {"observe all: pg-a=primary@1000 pg-b=stranger@1000", "pg-b has another system identifier than pg-a", rebuild},
		"one sees it":                    {"observe all: pg-a=primary@1000 pg-b=down(refused)\nobserve a: pg-b=standby@1000", "1 of 3 arbiters see pg-b in recovery, 2 are needed", answers},
		"nobody can ask the writer":      {"observe all: pg-a=unknown(bad-configuration) pg-b=standby@1000", "too few arbiters know the system identifier of pg-a", askA},
		"the writer is down":             {"observe all: pg-a=down(refused) pg-b=standby@1000", "too few arbiters know the system identifier of pg-a", "start pg-a, if it is the primary"},
		"one sees the writer":            {"observe all: pg-a=down(refused) pg-b=standby@1000\nobserve a: pg-a=primary@1000", "too few arbiters know the system identifier of pg-a", "start pg-a"},
		"nor the writer, and it is down": {"observe all: pg-a=unknown(bad-configuration) pg-b=down(refused)", "0 of 3 arbiters see pg-b in recovery, 2 are needed", vouch},
		"one can't ask the writer, and it is of another system": {
			"observe all: pg-a=primary@1000 pg-b=stranger@1000\nobserve c: pg-a=unknown(bad-configuration)", "pg-b has another system identifier than pg-a", rebuild,
		},
		"nobody can ask it":                       {"observe all: pg-a=primary@1000 pg-b=unknown(bad-configuration)", "0 of 3 arbiters see pg-b in recovery, 2 are needed", askB},
		"one can't ask it, and two find it down":  {"observe all: pg-a=primary@1000 pg-b=down(timeout)\nobserve c: pg-b=unknown(bad-configuration)", "0 of 3 arbiters see pg-b in recovery, 2 are needed", vouch},
		"it is read-only":                         {"observe all: pg-a=primary@1000 pg-b=readonly@1000", "0 of 3 arbiters see pg-b in recovery, 2 are needed", answers},
		"its name is not found":                   {"observe all: pg-a=primary@1000 pg-b=unknown(name-not-found)", "0 of 3 arbiters see pg-b in recovery, 2 are needed", vouch},
		"one can't ask it, and it accepts writes": {"observe all: pg-a=primary@1000 pg-b=readonly@1000\nobserve c: pg-b=unknown(bad-credentials)", "0 of 3 arbiters see pg-b in recovery, 2 are needed", askB},
	} {
		w := given(t, "arbiters a b c\ngroup orders pg-a pg-b\nreign a 1\n"+test.looks+"\n")
		refusal := checkS0Standby(&w.state, w.group(t), "pg-a", "pg-b", nil)
		if refusal == nil || refusal.Rule != "S0" || !strings.HasPrefix(refusal.Why, test.why) || !strings.Contains(refusal.Next, test.next) {
			t.Errorf("%s: %v, advises %q", name, refusal, refusal.Next)
		}
	}
}
