package clustertest

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// explained is what the leader says of a check of pay; nil if it says nothing of it.
func (c *cluster) explained(ctx context.Context, name string) *arbiterv1.CheckRule {
	c.t.Helper()
	answer, err := c.api(c.leader()).Explain(ctx, &arbiterv1.ExplainRequest{Group: "pay"})
	if err != nil {
		return nil
	}
	for _, rule := range answer.GetChecks() {
		if rule.GetName() == name && answer.GetSubject() == "db1" {
			return rule
		}
	}
	return nil
}

// A group is watched by two checks. The one that is not required fails on one arbiter, for the primary: the rules of both are told, and what
// each says on every arbiter of every member.
func TestExplain_ChecksAndTheirRules(t *testing.T) {
	c := newCluster(t, true)
	c.startAll()
	spec := writtenSpec("pay")
	spec.Health.Checks = append(spec.Health.Checks, &arbiterv1.Check{
		Name: "port", Kind: "tcp", Interval: durationpb.New(time.Second), Timeout: durationpb.New(250 * time.Millisecond),
		Failures: proto.Uint32(3), Successes: proto.Uint32(2), Window: durationpb.New(20 * time.Second), Required: proto.Bool(false),
	})
	c.applySpecAndAdopt(spec)
	before := c.status(t.Context(), "pay")
	c.world.fail(check{"az-b", "db1", "port"})
	c.eventually("the check fails on az-b alone", func(ctx context.Context) bool {
		var bad []*arbiterv1.CheckView
		for _, v := range c.explained(ctx, "port").GetViews() {
			if v.GetReason() != string(failover.ReasonAnswered) {
				bad = append(bad, v)
			}
		}
		return len(bad) == 1 && bad[0].GetMember() == "db1" && bad[0].GetNode() == "az-b"
	})

	port, postgres := c.explained(t.Context(), "port"), c.explained(t.Context(), "postgres")
	want := &arbiterv1.CheckRule{
		Name: "port", Kind: "tcp", Interval: durationpb.New(time.Second), Timeout: durationpb.New(250 * time.Millisecond),
		Failures: 3, Successes: 2, Window: durationpb.New(20 * time.Second), Views: port.GetViews(),
	}
	if !proto.Equal(port, want) {
		t.Errorf("the rule of port is %v", port)
	}
	want = &arbiterv1.CheckRule{
		Name: "postgres", Kind: "postgres", Required: true, Interval: durationpb.New(lookEvery), Timeout: durationpb.New(lookEvery),
		Failures: 1, Successes: 1, Views: postgres.GetViews(),
	}
	if !proto.Equal(postgres, want) {
		t.Errorf("the rule of postgres is %v", postgres)
	}
	for _, rule := range []*arbiterv1.CheckRule{port, postgres} {
		if len(rule.GetViews()) != 9 {
			t.Errorf("%s is told of in %d looks, not in those of 3 arbiters at 3 members", rule.GetName(), len(rule.GetViews()))
		}
		for _, v := range rule.GetViews() {
			status, detail := failover.StatusUp, ""
			if rule == port && v.GetNode() == "az-b" && v.GetMember() == "db1" {
				status, detail = failover.StatusDegraded, "status 503"
			}
			if v.GetStatus() != string(status) || v.GetDetail() != detail || !v.GetCounts() || v.GetSince() == nil {
				t.Errorf("%s says %v", rule.GetName(), v)
			}
		}
	}
	c.nothingDone(before)
}

// What an operation is doing is told while it does it, by all three answers that show it, and no longer once it is done.
func TestOperation_TellsWhatItIsDoing(t *testing.T) {
	c := startProtecting(t)
	open := c.world.closeGate()
	defer open()
	c.world.crash("db1")
	c.fencing()
	api := c.led()
	one, err := api.GetOperation(t.Context(), &arbiterv1.GetOperationRequest{Group: "pay"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := api.ListOperations(t.Context(), &arbiterv1.ListOperationsRequest{Group: "pay"})
	if err != nil || len(list.GetOperations()) == 0 {
		t.Fatal(err, list)
	}
	for from, op := range map[string]*arbiterv1.Operation{
		"GetOperation": one.GetOperation(), "ListOperations": list.GetOperations()[0], "GetStatus": c.status(t.Context(), "pay").GetOperation(),
	} {
		if op.GetResult() != "running" || op.GetNow() != "the isolation of db1 is in progress" {
			t.Errorf("%s: %s, now %q", from, op.GetResult(), op.GetNow())
		}
	}
	open()
	if _, done := c.awaitFailover("pay"); done.GetNow() != "" {
		t.Errorf("done, and now %q", done.GetNow())
	}
}
