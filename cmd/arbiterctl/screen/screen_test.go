package screen_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/sample"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	"github.com/arbiter-ha/arbiter/config"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

var rewrite = flag.Bool("rewrite", false, "write the screens as they are now; review the difference as behaviour")

func style() screen.Style { return screen.Style{Now: sample.Now(), Zone: time.UTC} }

// Every screen is a file in testdata, as an operator sees it.
func TestScreens(t *testing.T) {
	s := style()
	for name, draw := range map[string]func() string{
		"status":      func() string { return screen.Status(s, sample.Status()) },
		"status_well": func() string { return screen.Status(s, statusOf(sample.Orders())) },
		"status_ending": func() string {
			return screen.Status(s, &arbiterv1.GetStatusResponse{Freshness: ending().Freshness, Arbiters: ending().Arbiters, Groups: statusOf(sample.Orders()).Groups})
		},
		"status_empty":      func() string { return screen.Status(s, statusOf()) },
		"status_many":       func() string { return screen.Status(s, statusOf(troubled()...)) },
		"status_stale":      func() string { return screen.Status(s, stale()) },
		"status_stale_one":  func() string { return screen.Status(s, staleAsked(2)) },
		"status_stale_two":  func() string { return screen.Status(s, staleAsked(1, 2)) },
		"group_stale_two":   func() string { return screen.Group(s, staleAsked(1, 2)) },
		"status_colour":     func() string { return screen.Status(coloured(), sample.Status()) },
		"group":             func() string { return screen.Group(s, statusOf(sample.Orders())) },
		"status_unfollowed": func() string { return screen.Status(s, statusOf(sample.Unfollowed())) },
		"group_unfollowed":  func() string { return screen.Group(s, statusOf(sample.Unfollowed())) },
		"status_promoting":  func() string { return screen.Status(s, statusOf(sample.Ungranted())) },
		"group_promoting":   func() string { return screen.Group(s, statusOf(sample.Ungranted())) },
		"epoch_held":        func() string { return screen.Epochs(s, sample.EpochsHeld(), 5) },
		"show_unpointed":    func() string { return screen.Operation(s, unpointed()) },
		"group_new":         func() string { return screen.Group(s, statusOf(sample.New())) },
		"group_held":        func() string { return screen.Group(s, statusOf(sample.Billing())) },
		"status_unproven":   func() string { return screen.Status(s, statusOf(sample.Unproven())) },
		"group_unproven":    func() string { return screen.Group(s, statusOf(sample.Unproven())) },
		"explain":           func() string { return screen.Explain(s, sample.Explain()) },
		"explain_running":   func() string { return screen.Explain(s, sample.ExplainRunning()) },
		"explain_held":      func() string { return screen.Explain(s, sample.ExplainHeld()) },
		"explain_checks":    func() string { return screen.Explain(s, sample.ExplainChecks()) },
		"explain_standby":   func() string { return screen.Explain(s, standbyFails()) },
		"epoch":             func() string { return screen.Epochs(s, sample.Epochs(), 5) },
		"epoch_older":       func() string { return screen.Epochs(s, sample.Epochs(), 1) },
		"epoch_lease":       func() string { return screen.Epochs(s, leased(), 5) },
		"show":              func() string { return screen.Operation(s, sample.Failover()) },
		"show_colour":       func() string { return screen.Operation(coloured(), sample.Failover()) },
		"show_held": func() string {
			return screen.Operation(s, sample.HeldFailover(), sample.Unproven().Next...)
		},
		"show_running":  func() string { return screen.Operation(s, sample.RunningFailover()) },
		"show_retried":  func() string { return screen.Operation(s, retried()) },
		"show_released": func() string { return screen.Operation(s, released()) },
		"history": func() string {
			return screen.History(s, operations(sample.HeldFailover(), sample.Failover()))
		},
		"history_lossy": func() string { return screen.History(s, operations(lossy()...)) },
		"attestations": func() string {
			return screen.Attestations(s, &arbiterv1.ListAttestationsResponse{Freshness: sample.Status().Freshness, Attestations: sample.Attestations(), More: true})
		},
		"attestations_none": func() string {
			return screen.Attestations(s, &arbiterv1.ListAttestationsResponse{Freshness: sample.Status().Freshness})
		},
		"show_unknown":  func() string { return screen.Operation(s, lossy()[0]) },
		"show_estimate": func() string { return screen.Operation(s, lossy()[1]) },
		"history_none":  func() string { return screen.History(s, operations()) },
		"status_restarted": func() string {
			return screen.Status(s, restartedStatus())
		},
		"status_restarted_snapshot": func() string { return screen.Status(s, restartedStatus(sample.Orders())) },
		"status_stale_empty":        func() string { return screen.Status(s, staleEmpty()) },
		"group_restarted":           func() string { return screen.Group(s, restartedStatus(sample.Orders())) },
		"explain_restarted":         func() string { return screen.Explain(s, restartedExplain()) },
		"history_restarted": func() string {
			return screen.History(s, &arbiterv1.ListOperationsResponse{Freshness: sample.Restarted()})
		},
		"arbiters_reconnecting": func() string { return screen.Arbiters(s, reconnecting()) },
		"arbiters_list_differs": func() string { return screen.Arbiters(s, listDiffers()) },
		"arbiters_restarted":    func() string { return screen.Arbiters(s, restartedArbiters()) },
		"arbiters":              func() string { return screen.Arbiters(s, sample.ListArbiters()) },
		"arbiters_ending":       func() string { return screen.Arbiters(s, ending()) },
		"arbiters_none":         func() string { return screen.Arbiters(s, leaderless()) },
		"arbiters_silent":       func() string { return screen.Arbiters(s, silentArbiter()) },
		"check":                 func() string { return screen.Check(s, sample.Check()) },
		"check_blocked":         func() string { return screen.Check(s, sample.BlockedCheck()) },
		"check_advice":          func() string { return screen.Check(s, adviceOnly()) },
		"check_degraded": func() string {
			check := adviceOnly()
			check.Findings = append(check.Findings, &arbiterv1.Finding{
				Severity: arbiterv1.Severity_SEVERITY_ADVICE, About: "primary", What: "pg-a, the primary, is degraded: every transaction is read-only", Next: "mend pg-a",
			})
			return screen.Check(s, check)
		},
		"check_down":         func() string { return screen.Check(s, sample.DownCheck()) },
		"status_paused_down": func() string { return screen.Status(s, statusOf(sample.PausedDown())) },
		"status_recovering":  func() string { return screen.Status(s, statusOf(sample.Recovering())) },
		"group_recovering":   func() string { return screen.Group(s, statusOf(sample.Recovering())) },
		"explain_recovering": func() string { return screen.Explain(s, sample.ExplainRecovering()) },
		"check_silent":       func() string { return screen.Check(s, silentCheck()) },
		"check_spec": func() string {
			arbiters := sample.Checks()
			for _, a := range arbiters {
				a.Reached, a.Epoch = 0, 0 // whom clients should reach is not known yet
			}
			return screen.Check(s, &arbiterv1.CheckSpecResponse{Group: "new-db", Arbiters: arbiters})
		},
		"events":       func() string { return events(s) },
		"plan":         func() string { return screen.Plan(s, sample.Plan(), true) },
		"plan_refused": func() string { return screen.Plan(s, sample.Refused(), true) },
		"plan_unfit":   func() string { return screen.Plan(s, sample.Unfit(), true) },
		"diff":         func() string { return screen.Differences(s, "orders-db", differences(t)) },
		"applied": func() string {
			return screen.Applied("orders-db", &arbiterv1.ApplyGroupResponse{Version: 3, Result: "changed", Notes: []string{"pg-b has a new address: adopt the group anew"}}, false)
		},
		"contexts": func() string { return screen.Contexts(s, contexts(), "/home/dana/.config/arbiter/contexts.yaml") },
		"contexts_none": func() string {
			return screen.Contexts(s, &config.Contexts{}, "/home/dana/.config/arbiter/contexts.yaml")
		},
		"validate_group": func() string {
			return screen.Meaning(s, "orders-db", meaning(t)) + screen.Unchecked("Not checked here; arbiters do, by arbiterctl check -f FILE:", []string{"what /usr/local/bin/move makes of the settings of its route"})
		},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, draw()) })
	}
}

// released is a failover that was held, until somebody let it go on.
func released() *arbiterv1.Operation {
	op := sample.Failover()
	op.ReleasedBy = "dana"
	return op
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for i, line := range strings.Split(got, "\n") {
		if strings.TrimRight(line, " ") != line {
			t.Errorf("line %d ends with spaces", i+1)
		}
	}
}

func coloured() screen.Style {
	s := style()
	s.Colour = true
	return s
}

func statusOf(groups ...*arbiterv1.GroupStatus) *arbiterv1.GetStatusResponse {
	r := sample.Status()
	r.Groups = groups
	return r
}

// ending are arbiters one of which has a certificate that ends soon.
func ending() *arbiterv1.ListArbitersResponse {
	r := sample.ListArbiters()
	r.Arbiters = sample.Arbiters()
	r.Arbiters[1].Certificates = &arbiterv1.Certificates{
		Until: timestamppb.New(sample.Now().Add(24 * 24 * time.Hour)), AuthorityUntil: r.Arbiters[0].Certificates.AuthorityUntil,
		Concern: "its certificate /etc/arbiter/tls/az-b.crt ends at 2026-12-14T12:05:12Z, in 24 days; issue a new one (arbiterctl pki issue), put it there and reload",
	}
	return r
}

// troubled are groups each of which needs somebody for another reason.
func troubled() []*arbiterv1.GroupStatus {
	change := func(name string, change func(*arbiterv1.GroupStatus)) *arbiterv1.GroupStatus {
		g := sample.Orders()
		g.Group = name
		change(g)
		return g
	}
	return []*arbiterv1.GroupStatus{
		change("new", func(g *arbiterv1.GroupStatus) {
			g.Adopted, g.Primary, g.Candidate, g.Epoch, g.EpochSince, g.LagBytes = false, "", "", 0, nil, nil
			g.Next = []string{"arbiterctl adopt new"}
		}),
		change("paused", func(g *arbiterv1.GroupStatus) {
			g.Pause = &arbiterv1.PauseStatus{Actor: "dana", Reason: "kernel update", Since: timestamppb.New(sample.Now().Add(-26 * time.Hour))}
		}),
		change("unarmed", func(g *arbiterv1.GroupStatus) { g.Armed = false }),
		change("alone", func(g *arbiterv1.GroupStatus) { g.Candidate, g.Members, g.LagBytes = "", g.Members[:1], nil }),
		change("fewer", func(g *arbiterv1.GroupStatus) { g.Members[2].Status, g.Members[2].Role = "down", "" }),
		change("moving", func(g *arbiterv1.GroupStatus) { g.Stage, g.PrimaryStatus = "catching_up", "down" }),
		change("rogue", func(g *arbiterv1.GroupStatus) { g.Members[2].Authority = "REVOKED" }),
		change("failing", func(g *arbiterv1.GroupStatus) {
			g.PrimaryStatus, g.Members[0] = "degraded", sample.Degraded().Members[0]
		}),
		change("dead", func(g *arbiterv1.GroupStatus) {
			g.PrimaryStatus, g.Pause = "down", &arbiterv1.PauseStatus{Actor: "dana"}
		}),
		change("headless", func(g *arbiterv1.GroupStatus) { g.Primary, g.PrimaryStatus = "", "" }),
		change("held", func(g *arbiterv1.GroupStatus) {
			held := sample.Unproven()
			g.Stage, g.Operation, g.Members = held.Stage, held.Operation, held.Members
		}),
		change("refence", func(g *arbiterv1.GroupStatus) {
			g.Stage, g.Operation = "held", &arbiterv1.Operation{Kind: "refence", From: "pg-c", HeldReason: "refence-by-hand", HeldDetail: "by hand"}
			g.Members[2].Authority = "REVOKED"
		}),
	}
}

func stale() *arbiterv1.GetStatusResponse {
	r := sample.Status()
	r.Freshness = &arbiterv1.Freshness{Node: "az-b", AppliedIndex: 8812, Term: 3}
	r.Insecure = true
	for _, a := range r.Arbiters {
		a.Leader, a.ViewCurrent = false, false
	}
	return r
}

func operations(list ...*arbiterv1.Operation) *arbiterv1.ListOperationsResponse {
	return &arbiterv1.ListOperationsResponse{Freshness: sample.Status().Freshness, Operations: list}
}

// restartedStatus is what an arbiter answers that came back alone: the groups are those of its snapshot, if it has one.
func restartedStatus(groups ...*arbiterv1.GroupStatus) *arbiterv1.GetStatusResponse {
	r := stale()
	r.Freshness, r.Groups, r.Insecure = sample.Restarted(), groups, false
	if len(groups) > 0 {
		r.Freshness.AppliedIndex = 8192
	}
	return r
}

// staleAsked is what an arbiter knew last that has asked the others, and got no answer from one of three, or from two.
func staleAsked(silent ...int) *arbiterv1.GetStatusResponse {
	r := stale()
	for _, i := range silent {
		silence(r.Arbiters[i])
	}
	return r
}

func staleEmpty() *arbiterv1.GetStatusResponse {
	r := stale()
	r.Groups = nil
	return r
}

func restartedExplain() *arbiterv1.ExplainResponse {
	r := sample.Explain()
	r.Freshness = sample.Restarted()
	r.Freshness.AppliedIndex = 8192
	return r
}

// restartedArbiters are told about by one that does not even say who votes.
func restartedArbiters() *arbiterv1.ListArbitersResponse {
	r := leaderless()
	r.Freshness = sample.Restarted()
	for _, a := range r.Arbiters {
		a.Voter, a.ViewCurrent, a.Doubt, a.LastContact = false, false, "", nil
	}
	return r
}

// reconnecting leads with a majority, and has asked the others too soon after they came back.
func reconnecting() *arbiterv1.ListArbitersResponse {
	r := silentArbiter()
	silence(r.Arbiters[1])
	r.Arbiters[1].Release = ""
	return r
}

// listDiffers has one whose file is not what the cluster was formed with.
func listDiffers() *arbiterv1.ListArbitersResponse {
	r := sample.ListArbiters()
	r.Arbiters[1].Doubt = ""
	r.Arbiters[1].ListDiffers = []string{
		"its file says raft az-c.internal:7500 for az-c, and the cluster knows az-c as az-c.internal:7400, which is what is dialled; put that back",
		"its file lists az-d, and the cluster was formed without it; take it off the list",
	}
	return r
}

// silence is what becomes of one that does not answer.
func silence(a *arbiterv1.ArbiterStatus) {
	a.Readiness, a.Certificates = arbiterv1.Readiness_READINESS_SILENT, nil
}

func leaderless() *arbiterv1.ListArbitersResponse {
	r := sample.ListArbiters()
	r.Arbiters[0].Leader, r.Freshness.Linearizable = false, false
	r.Arbiters[0].Readiness = arbiterv1.Readiness_READINESS_NO_LEADER
	silence(r.Arbiters[1])
	silence(r.Arbiters[2])
	return r
}

// silentArbiter has one that doesn't answer, and one that was upgraded before the others.
func silentArbiter() *arbiterv1.ListArbitersResponse {
	r := sample.ListArbiters()
	r.Arbiters[1].Doubt, r.Arbiters[1].Release = "", "v1.1.0"
	silence(r.Arbiters[2])
	r.Arbiters[2].Release = ""
	return r
}

// standbyFails is about a group whose only check fails for a standby, on one arbiter.
func standbyFails() *arbiterv1.ExplainResponse {
	r := sample.Explain()
	v := r.Checks[0].Views[8]
	v.Status, v.Reason, v.Detail, v.Since = "degraded", "starting-up", "the database system is starting up", timestamppb.New(sample.Now())
	return r
}

func adviceOnly() *arbiterv1.CheckGroupResponse {
	r := sample.BlockedCheck()
	r.Arbiters[1].Findings = r.Arbiters[1].Findings[:1]
	return r
}

func silentCheck() *arbiterv1.CheckGroupResponse {
	r := sample.Check()
	r.Freshness.Linearizable, r.Freshness.Node, r.Freshness.Leader = false, "az-b", ""
	r.Arbiters[0] = &arbiterv1.ArbiterCheck{Node: "az-a", Silent: "it can't be reached at az-a.internal:7401, or is still starting"}
	return r
}

func TestCheckFails(t *testing.T) {
	for name, test := range map[string]struct {
		checked screen.Checked
		want    bool
	}{
		"well": {sample.Check(), false}, "blocked": {sample.BlockedCheck(), true}, "advice": {adviceOnly(), false}, "silent": {silentCheck(), true},
	} {
		if got := screen.CheckFails(test.checked); got != test.want {
			t.Errorf("%s: fails is %t", name, got)
		}
	}
}

func leased() *arbiterv1.GetEpochsResponse {
	r := sample.Epochs()
	r.Lease = &arbiterv1.Lease{Holder: "az-a", Epoch: 5, GrantedAtIndex: 8815}
	return r
}

func retried() *arbiterv1.Operation {
	op := sample.Failover()
	step(op, "isolate").Attempt = 2
	promote := step(op, "promote")
	promote.Attempt, promote.Result, promote.Detail = 3, "failed", "pg-b refused the connection"
	op.Positions = append(op.Positions, &arbiterv1.MemberPosition{Member: "pg-d", Detail: "no route to host"})
	op.LossBytes, op.LossGrade, op.AcceptedLoss = new(uint64(71_345_678)), "estimate", true
	op.Actor, op.Reason = "dana", "the rack is on fire"
	return op
}

// lossy are failovers of which nobody knows exactly what they lost, and one that has an upper bound.
func lossy() []*arbiterv1.Operation {
	unknown, estimate, bound := sample.Failover(), sample.Failover(), sample.Failover()
	unknown.LossGrade, unknown.AcceptedLoss = "unknown", true
	estimate.LossGrade = "estimate"
	bound.LossBytes = new(uint64(1000))
	return []*arbiterv1.Operation{unknown, estimate, bound}
}

func events(s screen.Style) string {
	var b strings.Builder
	for _, e := range sample.Events() {
		b.WriteString(screen.Event(s, e) + "\n")
	}
	return b.String()
}

// differences are those that arbiters find between two specs.
func differences(t *testing.T) []*arbiterv1.Difference {
	page := onePage(t)
	changed := strings.NewReplacer("cooldown: 5m", "cooldown: 10m", "max_loss: none", "max_loss: 16MB", "profile: fast", "profile: normal", "lanplus: 1, ", "",
		"routes:", "  preferred_zone: az-a\nroutes:").Replace(page)
	return config.Differences(config.Defaults(parsed(t, page)), config.Defaults(parsed(t, changed)))
}

func contexts() *config.Contexts {
	c := &config.Contexts{Current: "prod"}
	c.Set(config.Context{Name: "prod", Addresses: []string{"az-a:7401", "az-b:7401"}, TLS: config.TLSFiles{Cert: "/home/dana/dana.crt"}})
	c.Set(config.Context{Name: "demo", Addresses: []string{"127.0.0.1:7401"}, InsecurePlaintext: true})
	return c
}

func onePage(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t *testing.T, text string) *arbiterv1.GroupSpec {
	spec, _, err := config.ParseGroup("one-page.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func meaning(t *testing.T) config.Report { return config.Meaning(parsed(t, onePage(t))) }

// The first line has room for three: what somebody must get up for is named before what can wait, whatever the names.
func TestTroubles_GravestFirst(t *testing.T) {
	want := []string{
		"refence is held (refence-by-hand) with a member that may be writing without authority", "rogue has a member that may be writing without authority",
		"held is held (fence-unproven) with a former primary that may still be writing", "moving is catching up", "headless has no primary", "dead is paused, and has a primary that is down", "new is not adopted",
		"failing has a primary that is degraded (postgres: read-only)", "alone has no standby that could take over", "unarmed is not armed", "fewer has a member that is down (pg-c)", "paused is paused",
	}
	if got := screen.Troubles(statusOf(troubled()...)); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Reroutes in a row share one receipt.
func TestHistory_ReroutesInARow(t *testing.T) {
	r := &arbiterv1.ListOperationsResponse{Operations: []*arbiterv1.Operation{{Kind: "reroute", From: "pg-a", To: "pg-a", Result: "done", Repeats: 4}}}
	if text := screen.History(style(), r); !strings.Contains(text, "reroute, the 5 last") {
		t.Error(text)
	}
}

// A refence replaces nobody: it isolated whoever wrote beside the primary, which it must not seem to have put in that one's place.
func TestHistory_ARefenceMovesNobody(t *testing.T) {
	refence := &arbiterv1.Operation{Group: "orders-db", Kind: "refence", From: "pg-c", To: "pg-a", Result: "done", EpochBefore: 4, EpochAfter: 5}
	running := &arbiterv1.Operation{Group: "orders-db", Kind: "refence", From: "pg-c", Result: "held", HeldReason: "refence-by-hand"}
	for _, test := range []struct {
		op   *arbiterv1.Operation
		want string
	}{{refence, "pg-c isolated"}, {running, "pg-c"}} {
		for _, text := range []string{screen.History(style(), operations(test.op)), screen.Operation(style(), test.op)} {
			if !strings.Contains(text, test.want) || strings.Contains(text, "pg-c →") || strings.Contains(text, "pg-a") {
				t.Errorf("want %q and no move in:\n%s", test.want, text)
			}
		}
	}
}

func TestMeaning_OfAFaultThatNoCheckSees(t *testing.T) {
	text := screen.Meaning(screen.Style{}, "orders-db", config.Report{Faults: []config.FaultMeaning{
		{Name: "crash of the service", Detection: time.Second, Outage: 20 * time.Second, OutageSum: "a sum"},
		{Name: "freeze, or hung disk", OutageSum: "what to do", Undetected: true},
	}})
	for _, want := range []string{
		"orders-db is valid; longest outage 20 s (crash of the service); a freeze, or hung disk is never noticed.\n",
		"freeze, or hung disk  never     by hand\n", "  freeze, or hung disk: what to do\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// Nobody will replace a primary that is down before its group is adopted: that is the answer.
func TestNeedsAttention_OfADownPrimaryThatIsNotAdopted(t *testing.T) {
	g := sample.Orders()
	g.Adopted, g.PrimaryStatus = false, "down"
	if text := screen.Status(style(), statusOf(g)); !strings.HasPrefix(text, "orders-db is not adopted; pg-a is primary and down.\n") {
		t.Error(text)
	}
}

// Before the adoption nobody is the group's primary, and whoever accepts writes is no standby for that.
func TestStatus_ThePrimaryOfANewGroupIsNoStandby(t *testing.T) {
	g := sample.Orders()
	g.Adopted, g.Primary, g.Candidate = false, "", ""
	if text := screen.Status(style(), statusOf(g)); strings.Contains(text, "pg-a not ready") || !strings.Contains(text, "pg-b not ready") {
		t.Error(text)
	}
}

// Where nobody may be promoted, the standby beside lag and loss is the one that they are about, wherever it stands in the spec.
func TestStatus_TheNearestStandbyIsTheOneThatLagIsAbout(t *testing.T) {
	g := sample.Orders()
	g.Candidate, g.Nearest = "", "pg-c"
	if text := screen.Status(style(), statusOf(g)); !strings.Contains(text, "pg-c not ready") {
		t.Error(text)
	}
	g.Nearest = "" // of an arbiter that doesn't say it
	if text := screen.Status(style(), statusOf(g)); !strings.Contains(text, "pg-b not ready") {
		t.Error(text)
	}
}

// That a standby was level with its primary says little where that was minutes ago: each screen that says so says when it was. Of one that does not say
// where it is no distance is told.
func TestAgeOfWhatIsKnown(t *testing.T) {
	g, e := sample.Orders(), sample.Explain()
	for _, text := range []string{screen.Status(style(), statusOf(g)), screen.Group(style(), statusOf(g)), screen.Explain(style(), e)} {
		if strings.Contains(text, "3m") || strings.Contains(text, "isn't known") {
			t.Errorf("of just now:\n%s", text)
		}
	}
	old := durationpb.New(3 * time.Minute)
	g.LagAge, g.Members[1].LagAge, e.Members[1].LagAge = old, old, old
	for want, text := range map[string]string{
		" 0 B, 3m ago  ": screen.Status(style(), statusOf(g)), "  0 B, 3m ago  ": screen.Group(style(), statusOf(g)),
		"  pg-b was 0 B behind as seen 3m ago, and nobody has said more since.\n": screen.Explain(style(), e),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	g.LagBytes, g.LagAge, g.Members[1].LagBytes, e.Members[1].LagBytes = nil, nil, nil, nil
	if text := screen.Status(style(), statusOf(g)); !strings.Contains(text, "pg-b ready (sync)  -  ") {
		t.Errorf("not known:\n%s", text)
	}
	if text := screen.Explain(style(), e); !strings.Contains(text, "  How far pg-b is behind isn't known: it does not say now where it is.\n") {
		t.Errorf("not known:\n%s", text)
	}
	e.Members[1].Authority = "WRITER" // it is being promoted, or was
	if text := screen.Explain(style(), e); strings.Contains(text, "isn't known") {
		t.Errorf("of the writer:\n%s", text)
	}
}

// A proof that a member was off is no news of one that runs again.
func TestGroup_NoProofOfAMemberThatRuns(t *testing.T) {
	g := sample.Orders()
	m := g.Members[1]
	m.Proof = "CONFIRMED_OFF fence_test"
	for status, shown := range map[string]bool{"up": false, "degraded": false, "down": true, "unknown": true} {
		m.Status = status
		if text := screen.Group(style(), statusOf(g)); strings.Contains(text, "proof: CONFIRMED_OFF fence_test") != shown {
			t.Errorf("%s:\n%s", status, text)
		}
	}
}

// The fence of a rogue that gave no proof is told once, by the graver words.
func TestStatus_OneAlarmOfARogue(t *testing.T) {
	g := sample.Orders()
	g.Members[1].Authority, g.Operation = "REVOKED", &arbiterv1.Operation{Kind: "refence", From: "pg-b"}
	const mild = "pg-b has no authority and may be accepting writes"
	if text := screen.Status(style(), statusOf(g)); !strings.Contains(text, mild) {
		t.Errorf("not told to stop yet:\n%s", text)
	}
	g.Operation.MayWriteMember = "pg-b"
	g.Operation.MayWrite = "pg-b MAY STILL BE WRITING, since nothing proves that it has stopped; no route was closed to it"
	if text := screen.Status(style(), statusOf(g)); strings.Contains(text, mild) || !strings.Contains(text, "alarm: pg-b MAY STILL BE WRITING") {
		t.Errorf("told to stop:\n%s", text)
	}
}

// What an operator has aborted waits for an operator, not for an epoch.
func TestEpochs_OfWhatWasAborted(t *testing.T) {
	r := sample.EpochsHeld()
	r.Lease, r.HeldReason = nil, "aborted"
	if text := screen.Epochs(style(), r, 5); !strings.Contains(text, "is aborted, and waits for an operator)") || strings.Contains(text, "goes on") {
		t.Error(text)
	}
}

// PostgreSQL tells nobody that commits don't return: the first line does, before what only a failover would suffer from.
func TestNeedsAttention_OfCommitsThatWait(t *testing.T) {
	g := sample.Orders()
	g.CommitsWait, g.Candidate = "0 of the standbys that pg-a waits for stream, 1 needed (pg-b)", ""
	if why, want := screen.NeedsAttention(g), "has a primary on which clients' commits wait"; why != want {
		t.Errorf("got %q, want %q", why, want)
	}
}

// Clients that don't arrive at the primary are told before anybody has brought them back.
func TestStatus_AstrayRoutes(t *testing.T) {
	g := sample.Orders()
	g.AstrayRoutes = []*arbiterv1.AstrayRoute{{Route: "front", Member: "pg-a", What: "route front sends no clients to it, and it is the primary (in maint)"}}
	if why, want := screen.NeedsAttention(g), "has a route that leads clients astray"; why != want {
		t.Errorf("got %q, want %q", why, want)
	}
	explained := sample.Explain()
	explained.AstrayRoutes = g.AstrayRoutes
	for name, text := range map[string]string{
		"status": screen.Status(style(), statusOf(g)), "group": screen.Group(style(), statusOf(g)), "explain": screen.Explain(style(), explained),
	} {
		if !strings.Contains(text, "astray: pg-a: route front sends no clients to it, and it is the primary (in maint) (as the leading arbiter saw it last)") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// That clients may not get to the primary, since nobody can ask a router, makes a group need somebody, and is told by name, with how long and what to do.
func TestStatus_UnreadRoutes(t *testing.T) {
	silent := &arbiterv1.UnreadRoute{Route: "front", Silent: true, UnreadFor: durationpb.New(12 * time.Second), Error: "connection refused", Next: "start the router"}
	refused := &arbiterv1.UnreadRoute{Route: "back", UnreadFor: durationpb.New(90 * time.Second), Error: "no such backend", Next: "name another one"}
	for _, test := range []struct {
		routes []*arbiterv1.UnreadRoute
		why    string
		lines  []string
	}{
		{
			[]*arbiterv1.UnreadRoute{silent},
			"has a router that does not answer (front)",
			[]string{"silent: router front has not answered for 12 s, so clients may not get to the primary: connection refused; start the router (as the leading arbiter sees it)"},
		},
		{
			[]*arbiterv1.UnreadRoute{refused},
			"has a route of which nobody knows where it leads (back)",
			[]string{"unread: where route back leads has not been known for 1m 30s, so clients may not get to the primary: no such backend; name another one (as the leading arbiter sees it)"},
		},
		{[]*arbiterv1.UnreadRoute{refused, silent}, "has a router that does not answer (front)", []string{"unread: where route back", "silent: router front"}},
	} {
		g, explained := sample.Orders(), sample.Explain()
		g.UnreadRoutes, explained.UnreadRoutes = test.routes, test.routes
		if why := screen.NeedsAttention(g); why != test.why {
			t.Errorf("got %q, want %q", why, test.why)
		}
		for name, text := range map[string]string{
			"status": screen.Status(style(), statusOf(g)), "group": screen.Group(style(), statusOf(g)), "explain": screen.Explain(style(), explained),
		} {
			for _, line := range test.lines {
				if !strings.Contains(strings.Join(strings.Fields(text), " "), line) {
					t.Errorf("%s lacks %q:\n%s", name, line, text)
				}
			}
		}
	}
}

// A held group is as old as its hold, whatever epochs its tries took; and an old distance says how old it is.
func TestStatus_SinceAndAges(t *testing.T) {
	g := sample.Unproven()
	g.EpochSince, g.Operation.HeldSince = timestamppb.New(sample.Now().Add(-time.Second)), timestamppb.New(sample.Now().Add(-3*time.Hour))
	g.LagAge = durationpb.New(41 * time.Second)
	text := screen.Status(style(), statusOf(g))
	if want := "orders-db is held (fence-unproven) with a former primary that may still be writing.\n"; !strings.HasPrefix(text, want) {
		t.Errorf("it begins otherwise than %s", want)
	}
	if !strings.Contains(text, " 3h ") || strings.Contains(text, " 1s ") || !strings.Contains(text, "0 B, 41 s ago") {
		t.Error(text)
	}
	if text := screen.Operation(style(), g.Operation); !strings.Contains(text, "held for 3h (fence-unproven)") || !strings.Contains(text, "alarm: pg-a MAY STILL BE WRITING") {
		t.Error(text)
	}
	g.LagAge = durationpb.New(time.Second)
	if text := screen.Status(style(), statusOf(g)); strings.Contains(text, "0 B, 1 s ago") {
		t.Error(text)
	}
}

// That nothing was found through the routes is told apart from that nobody went through them.
func TestCheck_RoutesReached(t *testing.T) {
	for want, reached := range map[string][3]uint32{
		"2 routes; through each of them clients reach the primary under epoch 4)": {2, 2, 2},
		"2 routes; through 1 of them clients reach the primary under epoch 4)":    {2, 1, 2},
		"2 routes)": {2, 0, 2},
	} {
		r := &arbiterv1.CheckGroupResponse{Group: "orders-db"}
		for i, n := range reached {
			r.Arbiters = append(r.Arbiters, &arbiterv1.ArbiterCheck{Node: string(rune('a' + i)), Routes: 2, Reached: n, Epoch: 4})
		}
		if text := screen.Check(style(), r); !strings.Contains(text, want) {
			t.Errorf("%v: %s", reached, text)
		}
	}
}

// A primary that is alive but failing is not well: the first line says by which check.
func TestNeedsAttention_OfADegradedPrimary(t *testing.T) {
	g := sample.Degraded()
	const want = "has a primary that is degraded (postgres: read-only)"
	if why := screen.NeedsAttention(g); why != want {
		t.Errorf("got %q, want %q", why, want)
	}
	golden(t, "status_degraded", screen.Status(style(), statusOf(g)))
	g.Members[0].Views = nil
	if why := screen.NeedsAttention(g); why != "has a primary that is degraded (read-only)" {
		t.Errorf("without views: %q", why)
	}
}

// A password that was changed on the servers only: what is wrong is said, and nobody is sent after a standby.
func TestNeedsAttention_OfMembersThatCantBeAsked(t *testing.T) {
	g := sample.Unasked()
	if why, want := screen.NeedsAttention(g), "has a primary of which nothing is known (postgres: bad-credentials)"; why != want {
		t.Errorf("got %q, want %q", why, want)
	}
	golden(t, "status_unasked", screen.Status(style(), statusOf(g)))
	golden(t, "group_unasked", screen.Group(style(), statusOf(g)))
}

// step is the one of that name.
func step(op *arbiterv1.Operation, name string) *arbiterv1.Step {
	return op.Steps[slices.IndexFunc(op.Steps, func(s *arbiterv1.Step) bool { return s.Name == name })]
}

// unpointed is a failover that is done without a standby.
func unpointed() *arbiterv1.Operation {
	op := sample.Failover()
	configure := step(op, "configure")
	configure.Detail = "0 of 1 standbys point at pg-b, not: pg-c"
	configure.Parts[0].Undone, configure.Parts[0].Detail = true, "point pg-c at pg-b: dial tcp 10.0.0.3:5432: connect: connection refused"
	return op
}

func TestLeftUndone(t *testing.T) {
	if !screen.LeftUndone(unpointed(), "configure") || screen.LeftUndone(unpointed(), "route") || screen.LeftUndone(sample.Failover(), "configure") {
		t.Error("only a configure that left a standby behind is that")
	}
}

func TestNeedsAttention_OfAWellGroupIsEmpty(t *testing.T) {
	if why := screen.NeedsAttention(sample.Orders()); why != "" {
		t.Errorf("orders-db %s", why)
	}
}

// A step of the real thing has many measured parts: they are wrapped, and what only repeats the proof is left out.
func TestOperation_ManyParts(t *testing.T) {
	op := sample.Failover()
	isolate := step(op, "isolate")
	isolate.Proof = "CONFIRMED_OFF fence_ipmilan bmc-a.internal"
	isolate.Detail = "CONFIRMED_OFF by fence_ipmilan bmc-a.internal"
	for range 2 {
		isolate.Parts = append(isolate.Parts, &arbiterv1.StepTime{
			Name: "member is silent", Length: durationpb.New(26 * time.Millisecond), Detail: "dial tcp 10.0.0.1:5432: i/o timeout",
		})
	}
	golden(t, "show_parts", screen.Operation(style(), op))
	isolate.Result, isolate.Proof = "failed", ""
	golden(t, "show_parts_failed", screen.Operation(style(), op))
	isolate.Parts, isolate.Result, isolate.Detail = nil, "cut-short", "cut short to hand leadership on (patching): no device answered"
	golden(t, "show_cut_short", screen.Operation(style(), op))
}

func TestStatus_ArbitersInDoubt(t *testing.T) {
	r := statusOf(sample.Orders())
	r.Arbiters[0].Doubt, r.Arbiters[1].Doubt = "ran 780ms late itself", "ran 712ms late itself"
	golden(t, "status_doubt", screen.Status(style(), r))
}

// One silent arbiter of three stops nothing yet, and the next one does: that is trouble.
func TestStatus_SilentArbiter(t *testing.T) {
	r := statusOf(sample.Orders())
	r.Arbiters[2].ViewCurrent = false
	golden(t, "status_silent", screen.Status(style(), r))
	r.Freshness.Linearizable = false
	if troubles := screen.Troubles(r); len(troubles) != 0 {
		t.Errorf("one that doesn't lead knows nobody's view, and says %q", troubles)
	}
}

// A person who vouches for a member is told whether it is silent, or only nobody's name.
func TestSeen(t *testing.T) {
	const nobody = "No arbiter has reached its address: its name is not found.\n"
	const frozen = "IT ACCEPTS CONNECTIONS, SO IT RUNS: its machine was reached though the service doesn't answer. " +
		"A frozen service writes again when it goes on, beside the new primary: vouch only if the machine is without power now.\n"
	const ran = "Its machine accepted a connection 12 s ago, without an answer of the service; it ran then. " +
		"A frozen service writes again when it goes on, beside the new primary: make sure that the machine is without power.\n"
	accepted := func(now bool, before time.Duration) []*arbiterv1.CheckState {
		return []*arbiterv1.CheckState{{Name: "postgres", Reason: "timeout", Accepted: now, AcceptedAt: timestamppb.New(style().Now.Add(-before))}}
	}
	const runs = "Its machine refuses connections, so it runs: make sure that nothing of the service is left on it.\n"
	for _, c := range []struct {
		views []*arbiterv1.View
		want  string
	}{
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "unknown", Reason: "name-not-found", Counts: true},
			{Node: "az-b", Status: "unknown", Reason: "name-not-found", Counts: true},
			{Node: "az-c", Status: "down", Reason: "timeout", WhyNot: "az-c also ran late"},
		}, "What the arbiters see of pg-c now: az-a: name-not-found; az-b: name-not-found; az-c: az-c also ran late.\n" + nobody},
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "unknown", Reason: "name-not-found", Counts: true},
			{Node: "az-b", Status: "down", Reason: "timeout", Counts: true},
		}, "What the arbiters see of pg-c now: az-a: name-not-found; az-b: timeout.\n"},
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "down", Reason: "timeout", Counts: true},
			{Node: "az-b", Status: "down", Reason: "refused", Counts: true},
		}, "What the arbiters see of pg-c now: az-a: timeout; az-b: refused.\n" + runs},
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "down", Reason: "reset", WhyNot: "az-a also ran late"},
		}, "What the arbiters see of pg-c now: az-a: az-a also ran late.\n" + runs},
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "down", Reason: "timeout", Counts: true, Checks: accepted(false, 12*time.Second)},
			{Node: "az-b", Status: "down", Reason: "timeout", Counts: true, Checks: accepted(true, time.Minute)},
		}, "What the arbiters see of pg-c now: az-a: timeout; az-b: timeout.\n" + frozen},
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "down", Reason: "timeout", Counts: true, Checks: accepted(false, time.Minute)},
			{Node: "az-b", Status: "down", Reason: "timeout", Counts: true, Checks: accepted(false, 12*time.Second)},
			{Node: "az-c", Status: "down", Reason: "timeout", Counts: true},
		}, "What the arbiters see of pg-c now: az-a: timeout; az-b: timeout; az-c: timeout.\n" + ran},
		{[]*arbiterv1.View{
			{Node: "az-a", Status: "down", Reason: "timeout", WhyNot: "the leader has no current view from it", Checks: accepted(true, 12*time.Second)},
			{Node: "az-b", Status: "down", Reason: "refused", Counts: true},
		}, "What the arbiters see of pg-c now: az-a: the leader has no current view from it; az-b: refused.\n" + ran + runs},
		{[]*arbiterv1.View{{Node: "az-a", Status: "unknown", Counts: true}}, "What the arbiters see of pg-c now: az-a: it has not looked.\n"},
	} {
		g := sample.Orders()
		g.Members[2].Views = c.views
		if got := screen.Seen(style(), g, "pg-c"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A router that nobody asked is not one that doesn't answer.
func TestPlan_RoutersThatWereNotAsked(t *testing.T) {
	plan := screen.Plan(style(), &arbiterv1.FailoverResponse{Routers: []*arbiterv1.PlanRouter{
		{Route: "front", NotAsked: true, Detail: "this arbiter was busy"}, {Route: "back", Detail: "refused"},
	}}, true)
	for _, want := range []string{"Route front was not asked: this arbiter was busy.", "Route back does not answer: refused."} {
		if !strings.Contains(plan, want) {
			t.Errorf("no %q in %s", want, plan)
		}
	}
}
