package clustertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (c *cluster) dryRun(ignoreRouters bool) *arbiterv1.FailoverResponse {
	c.t.Helper()
	answer, err := c.led().Failover(c.t.Context(), &arbiterv1.FailoverRequest{Change: c.change(""), Group: "pay", DryRun: true, IgnoreRouters: ignoreRouters})
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// Positions move without being committed. A dry run judges by those of now, as the failover that it is about would, and says which are of now; it commits
// nothing, and does nothing.
func TestDryRun_LooksAnew(t *testing.T) {
	c := startProtecting(t)
	c.world.move("db1", 5000) // none of this changes what anybody sees, so that none is committed
	c.world.move("db2", 4000)
	c.world.move("db3", 5000)
	before := c.status(t.Context(), "pay")
	plan := c.dryRun(false)
	if !plan.GetPossible() || plan.GetCandidate() != "db3" || !strings.Contains(plan.GetPlan(), "promote db3 at 0/1388") || plan.LagBytes == nil || plan.GetLagBytes() != 0 {
		t.Errorf("planned by what was committed: %v", plan)
	}
	c.world.move("db1", 7000) // and the standbys don't follow: by what was committed nothing would be lost
	c.world.move("db2", 6000)
	c.world.crash("db3")
	plan = c.dryRun(false)
	var fresh []string
	for _, l := range plan.GetLooks() {
		if l.GetFresh() {
			fresh = append(fresh, l.GetMember())
		} else if l.GetAge() == nil || l.GetReason() == "" {
			t.Errorf("of %s it is not said how old what is known is, and why: %v", l.GetMember(), l)
		}
	}
	if !slices.Equal(fresh, []string{"db1", "db2"}) {
		t.Errorf("fresh are %q: %v", fresh, plan)
	}
	c.eventually("of a member that is down no distance is told", func(ctx context.Context) bool {
		g := c.status(ctx, "pay")
		return g.GetMembers()[2].GetStatus() == "down" && g.GetMembers()[2].LagBytes == nil && g.GetMembers()[1].LagBytes != nil && g.GetMembers()[0].LagBytes == nil
	})
	if got := c.status(t.Context(), "pay"); got.GetStage() != "steady" || got.GetEpoch() != before.GetEpoch() || len(c.world.effects()) > 0 {
		t.Errorf("a dry run left %v, and did %q", got, c.world.effects())
	}
}

// A failover of a primary that serves is refused while a router doesn't answer, unless the operator says otherwise; that of a dead one waits for none.
func TestFailover_RoutersMustAnswerWhileThePrimaryServes(t *testing.T) {
	c := startProtecting(t)
	c.world.deafen(errors.New("connection refused"))
	const silent = "route front does not answer: connection refused"
	plan := c.dryRun(false)
	if plan.GetPossible() || plan.GetRefused() != silent || len(plan.GetRouters()) != 1 || plan.GetRouters()[0].GetAnswers() {
		t.Errorf("the dry run says %v", plan)
	}
	if plan = c.dryRun(true); !plan.GetPossible() || plan.GetRefused() != "" || !strings.Contains(plan.GetPlan(), silent) {
		t.Errorf("with its consent the dry run says %v", plan)
	}
	request := &arbiterv1.FailoverRequest{Change: c.change("the rack is moved"), Group: "pay"}
	_, err := c.led().Failover(t.Context(), request)
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), silent) || !strings.Contains(detail[*arbiterv1.Rejection](t, err).GetNext(), "--ignore-routers") {
		t.Errorf("with a router that doesn't answer: %v", err)
	}
	if got := c.world.effects(); len(got) > 0 || c.status(t.Context(), "pay").GetStage() != "steady" {
		t.Errorf("it was refused, and did %q", got)
	}
	request = &arbiterv1.FailoverRequest{Change: c.change("the rack is moved"), Group: "pay", IgnoreRouters: true}
	answer, err := c.led().Failover(t.Context(), request)
	if err != nil {
		t.Fatalf("the operator said not to wait: %v", err)
	}
	if again, err := c.led().Failover(t.Context(), request); err != nil || again.GetOperation() != answer.GetOperation() {
		t.Errorf("asked again: %v, %v", again, err)
	}
	c.eventually("the failover is done, and tells that routers were not waited for", func(ctx context.Context) bool {
		shown, err := c.api(c.leader()).GetOperation(ctx, &arbiterv1.GetOperationRequest{Group: "pay"})
		return err == nil && shown.GetOperation().GetResult() == "done" && shown.GetOperation().GetReason() == "the rack is moved; not waiting for routers"
	})
}

func TestFailover_OfADeadPrimaryWaitsForNoRouter(t *testing.T) {
	c := startProtecting(t)
	if _, err := c.led().Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change("by hand"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	c.world.deafen(errors.New("connection refused"))
	c.world.crash("db1")
	c.eventually("db1 is seen down", func(ctx context.Context) bool { return c.status(ctx, "pay").GetMembers()[0].GetStatus() == "down" })
	if plan := c.dryRun(false); !plan.GetPossible() || plan.GetRefused() != "" || !strings.Contains(plan.GetPlan(), "Clients would not be sent to the new primary at first: route front does not answer") {
		t.Errorf("the dry run says %v", plan)
	}
	if _, err := c.led().Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change("it is dead"), Group: "pay"}); err != nil {
		t.Errorf("an operator's failover of a dead primary: %v", err)
	}
}
