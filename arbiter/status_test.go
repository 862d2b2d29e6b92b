package arbiter

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What a check says counts as the policy says, a view that has nothing of it adds nothing, and one that doesn't count is marked.
func TestChecksToProto_EachLookByItsWeight(t *testing.T) {
	spec := &failover.Spec{
		Health: failover.Health{Checks: []failover.Check{{Name: "postgres", Required: true}, {Name: "page", Window: time.Minute}}},
		Policy: failover.Policy{AlsoDown: []failover.Reason{failover.ReasonReadOnly}},
	}
	say := func(check string, reason failover.Reason) *arbiterv1.CheckState {
		return &arbiterv1.CheckState{Name: check, Reason: string(reason)}
	}
	rules := checksToProto(spec, []*arbiterv1.MemberStatus{
		{Member: "db1", Views: []*arbiterv1.View{
			{Node: "az-a", Counts: true, Checks: []*arbiterv1.CheckState{say("page", failover.ReasonTimeout), say("postgres", failover.ReasonTimeout)}},
			{Node: "az-b", Counts: true, Checks: []*arbiterv1.CheckState{say("page", failover.ReasonAnswered), say("postgres", failover.ReasonReadOnly)}},
			{Node: "az-c", WhyNot: "the leader has no current view from it"},
		}},
		{Member: "db2", Views: []*arbiterv1.View{
			{Node: "az-a", Checks: []*arbiterv1.CheckState{say("postgres", failover.ReasonBadCredentials)}},
		}},
	})
	want := map[string][]*arbiterv1.CheckView{
		"postgres": {
			{Member: "db1", Node: "az-a", Status: "down", Reason: "timeout", Counts: true},
			{Member: "db1", Node: "az-b", Status: "down", Reason: "read-only", Counts: true},
			{Member: "db2", Node: "az-a", Status: "unknown", Reason: "bad-credentials"},
		},
		"page": {
			{Member: "db1", Node: "az-a", Status: "degraded", Reason: "timeout", Counts: true},
			{Member: "db1", Node: "az-b", Status: "up", Reason: "answered", Counts: true},
		},
	}
	for _, rule := range rules {
		if got, wanted := (&arbiterv1.CheckRule{Views: rule.GetViews()}), (&arbiterv1.CheckRule{Views: want[rule.GetName()]}); !proto.Equal(got, wanted) {
			t.Errorf("%s: got %v, want %v", rule.GetName(), got, wanted)
		}
	}
	if len(rules) != 2 || rules[0].GetWindow() != nil || rules[1].GetWindow().AsDuration() != time.Minute {
		t.Errorf("rules %v", rules)
	}
}
