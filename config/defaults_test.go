package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func TestDefaults_PureAndIdempotent(t *testing.T) {
	spec := mustLoad(t, onePage(t))
	before := proto.CloneOf(spec)
	once := Defaults(spec)
	if !proto.Equal(spec, before) {
		t.Error("Defaults changed its argument")
	}
	if twice := Defaults(once); !proto.Equal(once, twice) {
		t.Errorf("a second time changed something:\n%s\n%s", FormatGroup(once), FormatGroup(twice))
	}
	if faults := Validate(once); len(faults) > 0 {
		t.Errorf("a valid spec with its defaults has faults: %v", faults)
	}
	Defaults(&arbiterv1.GroupSpec{}) // whatever is missing, no crash
}

// What the documentation promises as defaults.
func TestDefaults_Values(t *testing.T) {
	spec := mustLoad(t, strings.Replace(onePage(t), "  promised_outage: 30s", "#", 1))
	spec.Health, spec.Policy, spec.Connect = nil, nil, nil
	full := Defaults(spec)
	p, c := full.Policy, full.Health.Checks[0]
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"automation", p.GetAutomation(), "full"},
		{"max_loss", p.GetMaxLossBytes(), uint64(0)},
		{"lease", p.Lease.AsDuration(), 2 * time.Second},
		{"cooldown", p.Cooldown.AsDuration(), 5 * time.Minute},
		{"isolate", p.Timeouts.Isolate.AsDuration(), 20 * time.Second},
		{"catch_up", p.Timeouts.CatchUp.AsDuration(), 5 * time.Second},
		{"promote", p.Timeouts.Promote.AsDuration(), 10 * time.Second},
		{"configure", p.Timeouts.Configure.AsDuration(), 5 * time.Second},
		{"route", p.Timeouts.Route.AsDuration(), 3 * time.Second},
		{"verify", p.Timeouts.Verify.AsDuration(), 5 * time.Second},
		{"max_attempts", p.GetMaxAttempts(), uint32(3)},
		{"retry_interval", p.RetryInterval.AsDuration(), 10 * time.Second},
		{"refence_rogues", p.GetRefenceRogues(), true},
		{"race_fences", p.GetRaceFences(), false},
		{"accept_proofs", strings.Join(p.AcceptProofs, " "), "CONFIRMED_OFF CONFIRMED_ISOLATED HELD_BY_AGENT ATTESTED"},
		{"device time-out", full.Members[0].Fence[0].Devices[0].Timeout.AsDuration(), 10 * time.Second},
		{"device retries", full.Members[0].Fence[0].Devices[0].GetRetries(), uint32(1)},
		{"check", fmt.Sprint(c.Kind, c.GetRequired(), c.GetFailures(), c.Interval.AsDuration(), c.Timeout.AsDuration()), "postgrestrue 3 1s 1s"},
		{"application_name", full.Members[1].GetApplicationName(), "pg-b"},
		{"priority", full.Members[1].GetPriority(), uint32(100)},
		{"database", full.Connect.GetDatabase(), "postgres"},
		{"sslmode", full.Connect.GetSslmode(), "verify-full"},
		{"route name", full.Routes[0].GetName(), "haproxy-1"},
	} {
		if check.got != check.want {
			t.Errorf("%s is %v, want %v", check.what, check.got, check.want)
		}
	}
}

func TestDefaults_NeverIsKept(t *testing.T) {
	spec := mustLoad(t, strings.Replace(onePage(t), "    zone: az-b", "    zone: az-b\n    priority: 0", 1))
	if full := Defaults(spec); full.Members[1].GetPriority() != 0 || full.Members[0].GetPriority() != 100 {
		t.Errorf("priorities are %d and %d", full.Members[0].GetPriority(), full.Members[1].GetPriority())
	}
}

func TestDefaults_SSLModeByAddress(t *testing.T) {
	for addresses, want := range map[[2]string]string{
		{"127.0.0.1:5432", "[::1]:5433"}:     "prefer",
		{"localhost:5432", "127.0.0.2:5432"}: "prefer",
		{"127.0.0.1:5432", "pg-b:5432"}:      "verify-full",
		{"10.0.0.1:5432", "10.0.0.2:5432"}:   "verify-full",
	} {
		spec := &arbiterv1.GroupSpec{Members: []*arbiterv1.MemberSpec{{Address: addresses[0]}, {Address: addresses[1]}}}
		if got := Defaults(spec).Connect.GetSslmode(); got != want {
			t.Errorf("%v: sslmode %s, want %s", addresses, got, want)
		}
	}
}

// Limits that the spec leaves open adapt to the promise; those that it sets never do, and none is below its shortest.
func TestDefaults_TimeoutsKeepThePromise(t *testing.T) {
	tests := []struct {
		promise, own string
		want         string // isolate, catch_up, promote, configure, route
	}{
		{"60s", "", "20s 5s 10s 5s 3s"},
		{"30s", "", "20s 1.5s 3s 1.5s 900ms"},
		{"27s", "", "20s 700ms 2s 700ms 500ms"},
		{"40s", "promote: 15s", "20s 700ms 15s 700ms 500ms"},
		{"10m", "", "20s 5s 10s 5s 3s"},
	}
	for _, test := range tests {
		text := strings.Replace(onePage(t), "promised_outage: 30s", "promised_outage: "+test.promise+"\n  timeouts: {"+test.own+"}", 1)
		spec := mustLoad(t, text)
		timeouts := Defaults(spec).Policy.Timeouts
		got := fmt.Sprint(timeouts.Isolate.AsDuration(), timeouts.CatchUp.AsDuration(), timeouts.Promote.AsDuration(), timeouts.Configure.AsDuration(), timeouts.Route.AsDuration())
		if got != test.want {
			t.Errorf("promise %s, own %q: %s, want %s", test.promise, test.own, got, test.want)
		}
		if outage := Meaning(spec).Faults[1].Outage; outage > Meaning(spec).Promised {
			t.Errorf("promise %s: longest outage is %v", test.promise, outage)
		}
	}
}

func TestDefaults_IsolateHoldsAllLevels(t *testing.T) {
	second := "      - [{device: fence_apc, proof: off, ip: pdu-b, plug: 7}, {device: fence_apc, proof: off, ip: pdu-c, plug: 7}]\nconnect:"
	text := strings.Replace(strings.Replace(onePage(t), "connect:", second, 1), "promised_outage: 30s", "promised_outage: 90s", 1)
	if got := Defaults(mustLoad(t, text)).Policy.Timeouts.Isolate.AsDuration(); got != 40*time.Second {
		t.Errorf("isolate is %v with two levels of 2 x 10s, want 40s", got)
	}
	text = strings.Replace(text, "automation: full", "race_fences: true", 1)
	if got := Defaults(mustLoad(t, text)).Policy.Timeouts.Isolate.AsDuration(); got != 20*time.Second {
		t.Errorf("isolate is %v when the levels race, want 20s", got)
	}
}

func TestMeaning_Sums(t *testing.T) {
	report := Meaning(mustLoad(t, onePage(t)))
	if report.Promised != 30*time.Second || len(report.Faults) != 4 {
		t.Fatalf("report is %+v", report)
	}
	if worst := report.Worst(); worst != report.Faults[1] || worst.Outage != 29900*time.Millisecond {
		t.Errorf("the worst is %+v", worst)
	}
	for i, want := range []string{
		"interval 200ms + recheck 2 x 50ms = 300ms",
		"detect 2 x 250ms + time-out 250ms + look again 250ms = 1s",
		"detect 2 x 250ms + time-out 250ms + look again 250ms = 1s",
	} {
		if report.Faults[i].DetectionSum != want {
			t.Errorf("%s: %s, want %s", report.Faults[i].Name, report.Faults[i].DetectionSum, want)
		}
	}
}

// The kernel answers a tcp check for a frozen process: that one is noticed by the slower check, and a cut network by the quicker one.
func TestMeaning_AFreezeIsSeenByTheCheckOfTheEngineOnly(t *testing.T) {
	checks := "profile: fast, checks: [{kind: tcp}, {kind: postgres, interval: 1s, timeout: 2s, failures: 3}]"
	text := strings.Replace(onePage(t), "promised_outage: 30s", "promised_outage: 60s", 1)
	report := Meaning(mustLoad(t, strings.Replace(text, "profile: fast", checks, 1)))
	if freeze, silence := report.Faults[1].DetectionSum, report.Faults[2].DetectionSum; freeze != "detect 3 x 2s + time-out 2s + look again 2s = 10s" ||
		silence != "detect 2 x 250ms + time-out 250ms + look again 250ms = 1s" {
		t.Errorf("a freeze: %s; a cut network: %s", freeze, silence)
	}
	text = strings.Replace(onePage(t), "promised_outage: 30s", "max_attempts: 3", 1)
	spec, warnings, err := LoadGroup("g.yaml", []byte(strings.Replace(text, "profile: fast", "profile: fast, checks: [{kind: tcp}, {kind: postgres, required: false}]", 1)))
	if err != nil || !strings.Contains(warnings.Error(), "g.yaml:15: health.checks: no required check sees a freeze or a hung disk") {
		t.Fatalf("%v; %v", warnings, err)
	}
	report = Meaning(spec)
	if f := report.Faults[1]; !f.Undetected || f.Detection != 0 || !strings.Contains(f.OutageSum, "kind postgres") {
		t.Errorf("a freeze that nobody sees: %+v", f)
	}
	if worst := report.Worst(); worst.Name != "cut network, or lost host" {
		t.Errorf("the worst is %+v", worst)
	}
}

// A crash is not waited for, and a restart that says so is: it is a fault of its own, and may be the worst.
func TestMeaning_RestartGrace(t *testing.T) {
	for _, test := range []struct{ health, policy, want string }{
		{"restart_grace: 5s", "", "interval 200ms + recheck 2 x 50ms + health.restart_grace 5s = 5.3s"},
		{"restart_grace: 5s", "\n  also_down: [starting-up]", "detect 2 x 200ms + time-out 250ms + health.restart_grace 5s = 5.65s"},
		{"minimum_unhealthy: 1s, restart_grace: 5s", "", "interval 200ms + recheck 2 x 50ms + health.minimum_unhealthy 1s + health.restart_grace 5s = 6.3s"},
	} {
		text := strings.Replace(onePage(t), "profile: fast", "profile: fast, "+test.health, 1)
		text = strings.Replace(text, "promised_outage: 30s", "promised_outage: 60s"+test.policy, 1)
		report := Meaning(mustLoad(t, text))
		if len(report.Faults) != 5 || report.Faults[3].DetectionSum != test.want {
			t.Errorf("%+v: %+v", test, report.Faults)
		}
		if strings.Contains(report.Faults[0].DetectionSum, "restart_grace") {
			t.Errorf("a crash waits: %s", report.Faults[0].DetectionSum)
		}
	}
	text := strings.Replace(onePage(t), "profile: fast", "profile: fast, restart_grace: 29s", 1)
	if _, _, err := LoadGroup("g.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "health.restart_grace 29s") {
		t.Errorf("a promise that a restart breaks: %v", err)
	}
}

// A primary that nobody remembers is waited for. It is the longest of all, and no promise is about it.
func TestMeaning_ColdStartGrace(t *testing.T) {
	for _, test := range []struct{ health, want string }{
		{"", "detect 2 x 250ms + time-out 250ms + look again 250ms + health.cold_start_grace 2m = 2m1s"},
		{", cold_start_grace: 10s", "detect 2 x 250ms + time-out 250ms + look again 250ms + health.cold_start_grace 10s = 11s"},
		{", cold_start_grace: 10s, minimum_unhealthy: 1s", "detect 2 x 250ms + time-out 250ms + look again 250ms + health.cold_start_grace 10s = 11s"},
		{", cold_start_grace: 1s, minimum_unhealthy: 2s", "detect 2 x 250ms + time-out 250ms + look again 250ms + health.minimum_unhealthy 2s = 3s"},
		{", cold_start_grace: 0s", ""},
	} {
		text := strings.Replace(onePage(t), "profile: fast", "profile: fast"+test.health, 1)
		report := Meaning(mustLoad(t, strings.Replace(text, "promised_outage: 30s", "promised_outage: 60s", 1)))
		cold := FaultMeaning{}
		for _, f := range report.Faults {
			if f.AfterStart {
				cold = f
			}
		}
		if cold.DetectionSum != test.want || report.Worst().AfterStart {
			t.Errorf("%s: %+v, worst %s", test.health, cold, report.Worst().Name)
		}
	}
	text := strings.Replace(onePage(t), "profile: fast", "profile: fast, cold_start_grace: -1s", 1)
	if _, _, err := LoadGroup("g.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "health.cold_start_grace") {
		t.Errorf("less than nothing: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name, old, replacement, want string
	}{
		{"none", "backend: orders", "backend: orders, verify_address: db.internal:5432", ""},
		{"nothing verified", "", "", "w.yaml:22: routes[0]: has no verify_address"},
		{"a member verified", "backend: orders", "backend: orders, verify_address: PG-B.internal:5432", "w.yaml:22: routes[0].verify_address: is the address of pg-b itself"},
		{"beside a member", "backend: orders", "backend: orders, verify_address: pg-b.internal:6432", ""},
		{"nothing routed", "routes:\n  - {router: haproxy, socket: tcp://lb-1.internal:9999, backend: orders}\n", "", "w.yaml:1: routes: there are none, so a failover moves no client"},
		{"one zone", "zone: az-b", "zone: az-a", "w.yaml:3: members: all members are in zone az-a: losing it loses the group"},
		{"mistyped setting", "username: fence, lanplus: 1, password: {file: /etc/arbiter/secrets/bmc-b}", "user_name: fence", `w.yaml:13: members[1].fence[0][0].user_name: did you mean "username"? It is passed to fence_ipmilan as it is`},
		{"fence on the machine itself", "ip: bmc-b.internal", "ip: pg-b.internal", "w.yaml:13: members[1].fence[0][0]: stands on the machine that it should switch off (pg-b.internal)"},
	}
	for _, test := range tests {
		page := onePage(t)
		if i := strings.LastIndex(page, test.old); test.old != "" && i >= 0 {
			page = page[:i] + test.replacement + page[i+len(test.old):]
		}
		_, warnings, err := LoadGroup("w.yaml", []byte(page))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.want == "" && len(warnings) > 0 || !strings.Contains(warnings.Error(), test.want) {
			t.Errorf("%s: warnings are %q, want %q", test.name, warnings.Error(), test.want)
		}
	}
}

// What is wrong is said once: who is told that a key can't stand there need not be told that it looks odd.
func TestWarnings_NotOfWhatIsAFault(t *testing.T) {
	text := strings.Replace(strings.Replace(onePage(t), "username: fence", "pasword: fence", 1), "cooldown: 5m", "down_votes: 12", 1)
	_, warnings, err := LoadGroup("w.yaml", []byte(text))
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 || len(warnings) == 0 {
		t.Fatalf("faults: %v, warnings: %v", err, warnings)
	}
	for _, w := range warnings {
		for _, f := range faults {
			if w.Path == f.Path {
				t.Errorf("%v is a fault: %v", w, f)
			}
		}
	}
}
