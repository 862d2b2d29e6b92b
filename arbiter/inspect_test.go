package arbiter

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// While an operation is under way clients may still be on their way to the new primary: that is no finding.
func TestSettledOf(t *testing.T) {
	writer := []failover.Member{{Name: "a", Authority: failover.AuthorityRevoked}, {Name: "b", Authority: failover.AuthorityWriter}}
	s := &failover.State{Groups: []*failover.Group{
		{Name: "moved", Members: writer, Epoch: 4, SystemID: "7"},
		{Name: "moving", Members: writer, Operation: &failover.Operation{}},
		{Name: "without", Members: writer[:1]},
	}}
	for group, want := range map[failover.GroupName]Settled{
		"moved": {Primary: "b", Epoch: 4, SystemID: "7", LeftAlone: "moved is not adopted"}, "moving": {Moving: true}, "without": {LeftAlone: "without is not adopted"}, "unknown": {},
	} {
		if got := settledOf(s, group, 0); got != want {
			t.Errorf("%s: %+v, want %+v", group, got, want)
		}
	}
}

// Whether clients are led back by automation is told to whoever looks at the routers.
func TestSettledOf_WhoLeadsClientsBack(t *testing.T) {
	s := ordersScript(t)
	settled := func() Settled { return settledOf(&s.state, s.group, failover.WallTime(s.wall.UnixNano())) }
	if got := settled(); got.Primary != "pg-a" || got.LeftAlone != "" {
		t.Errorf("automation does: %+v", got)
	}
	s.commit(failover.Pause{Request: operator, Group: s.group})
	if got := settled(); got.Primary != "pg-a" || got.LeftAlone != "orders-db is paused" {
		t.Errorf("in a pause: %+v", got)
	}
	asked := Settled{}
	inspect := Inspectors{Route: func(_ context.Context, _ failover.Route, _ failover.GroupName, _ *failover.Spec, settled Settled) []Finding {
		asked = settled
		return nil
	}}
	for _, l := range looksOf(inspect, s.group, s.find().Spec, settled()) {
		if l.about == aboutRoute {
			l.do(t.Context())
		}
	}
	if asked != settled() {
		t.Errorf("the inspection of the route is told %+v", asked)
	}
}

// A spec that is only looked at need not have the routes, or the members, that the arbiters lead clients by. Everything else about it doesn't matter.
func TestUnder_ASpecThatIsNotApplied(t *testing.T) {
	spec := func() *arbiterv1.GroupSpec {
		return &arbiterv1.GroupSpec{
			Group: "orders", Members: []*arbiterv1.MemberSpec{{Name: "a", Address: "a:5432"}}, Routes: []*arbiterv1.Route{{Router: "haproxy", Name: proto.String("lb")}},
			Policy: &arbiterv1.Policy{Cooldown: durationpb.New(time.Minute)},
		}
	}
	entry, err := proto.Marshal(&arbiterv1.ApplySpec{Written: spec(), Effective: spec()})
	if err != nil {
		t.Fatal(err)
	}
	inForce := &failover.Group{Name: "orders", SpecSource: entry}
	for name, test := range map[string]struct {
		change func(*arbiterv1.GroupSpec)
		g      *failover.Group
		before string
		says   string
	}{
		"the one in force":      {func(*arbiterv1.GroupSpec) {}, inForce, "", ""},
		"another cool-down":     {func(s *arbiterv1.GroupSpec) { s.Policy.Cooldown = nil }, inForce, "", ""},
		"another route":         {func(s *arbiterv1.GroupSpec) { s.Routes[0].Name = proto.String("lb-2") }, inForce, "", "this spec is not applied"},
		"another address":       {func(s *arbiterv1.GroupSpec) { s.Members[0].Address = "b:5432" }, inForce, "", "this spec is not applied"},
		"of nobody's group":     {func(s *arbiterv1.GroupSpec) { s.Routes = nil }, nil, "", ""},
		"in a group that rests": {func(s *arbiterv1.GroupSpec) { s.Routes = nil }, inForce, "orders is paused", "orders is paused"},
	} {
		asked := spec()
		test.change(asked)
		got := Settled{LeftAlone: test.before}.under(test.g, asked).LeftAlone
		if !strings.HasPrefix(got, test.says) || (got == "") != (test.says == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Whoever starts a former primary as it is has a member with another history.
func TestNextOfDown(t *testing.T) {
	g := &failover.Group{Name: "orders", Members: []failover.Member{{Name: "a"}, {Name: "b", Authority: failover.AuthorityWriter}}}
	for member, want := range map[failover.MemberName]string{"a": "docs/operations.md", "b": "arbiterctl explain orders"} {
		if next := nextOfDown(&failover.State{}, g, member); !strings.Contains(next, want) {
			t.Errorf("%s: %q doesn't say %q", member, next, want)
		}
	}
}

// A primary that is up, and on which every commit waits, is away for its clients.
func TestObstacles_CommitsThatWait(t *testing.T) {
	s := ordersScript(t)
	if found := s.check().GetFindings(); len(found) > 0 {
		t.Errorf("of a group that is well: %v", found)
	}
	facts := s.seen["az-a"]["pg-a"].Facts
	facts.Replicas = nil
	s.see("pg-a", well, facts, scriptNodes...)
	s.send(nil)
	found := s.check().GetFindings()
	if len(found) == 0 || found[0].GetSeverity() != arbiterv1.Severity_SEVERITY_OUTAGE || !strings.HasPrefix(found[0].GetWhat(), "clients' commits wait: 0 of the standbys") {
		t.Errorf("%v", found)
	}
}

// Whether clients reach the primary is looked at through every route that names where they connect, unless an operation may be moving them; and it is
// told only where there is a primary to reach.
func TestLooksOf_Arrivals(t *testing.T) {
	spec := &failover.Spec{Routes: []failover.Route{{Name: "front", VerifyAddress: "db:5432"}, {Name: "back"}}}
	var asked []Settled
	inspect := Inspectors{Arrival: func(_ context.Context, r failover.Route, _ *failover.Spec, settled Settled) []Finding {
		asked = append(asked, settled)
		return []Finding{{What: r.Name}}
	}}
	for name, test := range map[string]struct {
		settled       Settled
		looks, counts int
	}{
		"settled":           {Settled{Primary: "a", Epoch: 4}, 1, 1},
		"without a primary": {Settled{}, 1, 0},
		"under way":         {Settled{Moving: true}, 0, 0},
	} {
		asked = nil
		looks, counts := 0, 0
		for _, l := range looksOf(inspect, "orders", spec, test.settled) {
			if l.arrival {
				counts++
			}
			if strings.Contains(l.what, "db:5432") {
				looks++
				if found := l.do(t.Context()); len(found) != 1 || found[0].What != "front" {
					t.Errorf("%s: found %+v", name, found)
				}
			}
		}
		if looks != test.looks || counts != test.counts || len(asked) != looks || looks == 1 && asked[0] != test.settled {
			t.Errorf("%s: %d looks, %d of which count, asked for %+v", name, looks, counts, asked)
		}
	}
}

// That no client arrives at a primary that is seen down is no second fault; that they arrive elsewhere is.
func TestExcuse_ClientsOfAPrimaryThatIsDown(t *testing.T) {
	down := failover.Observation{Member: "a", Checks: []failover.CheckState{{Evidence: failover.Evidence{Reason: failover.ReasonRefused}}}}
	s := &failover.State{
		Voters: []failover.NodeID{"x"}, Views: []failover.View{{Node: "x", Generation: 1, Current: true}},
		Groups: []*failover.Group{{
			Name: "orders", Spec: &failover.Spec{Health: failover.Health{Checks: []failover.Check{{Required: true}}}},
			Members: []failover.Member{{Name: "a", Authority: failover.AuthorityWriter}}, Looks: []failover.Look{{Node: "x", Generation: 1, Observation: down}},
		}},
	}
	blocks := func(about string, unreachable bool) *arbiterv1.Finding {
		return &arbiterv1.Finding{Severity: arbiterv1.Severity_SEVERITY_BLOCKS, About: about, Member: "a", What: about, Unreachable: unreachable}
	}
	check := &arbiterv1.ArbiterCheck{Findings: []*arbiterv1.Finding{
		blocks("route", true), blocks("route", false), blocks("fence", true), blocks("database", true),
	}}
	excuse(s, "orders", []*arbiterv1.ArbiterCheck{check})
	var still, advice []string
	for _, f := range check.GetFindings() {
		if f.GetSeverity() == arbiterv1.Severity_SEVERITY_BLOCKS {
			still = append(still, f.GetWhat())
		} else {
			advice = append(advice, f.GetWhat())
		}
	}
	if got, want := strings.Join(still, ", "), "route, fence"; got != want {
		t.Errorf("still blocking: %s", got)
	}
	if got, want := strings.Join(advice, ", "), "it is down, and route, it is down, so it was not looked at (database)"; got != want {
		t.Errorf("advice: %s", got)
	}
}
