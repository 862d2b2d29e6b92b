package clustertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
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

// refusedFailover asks for a failover that is refused, with nothing done.
func (c *cluster) refusedFailover(request *arbiterv1.FailoverRequest) (why, next string) {
	c.t.Helper()
	request.Change, request.Group = c.change("the rack is moved"), "pay"
	_, err := c.led().Failover(c.t.Context(), request)
	if status.Code(err) != codes.FailedPrecondition {
		c.t.Fatalf("it is not refused: %v", err)
	}
	if got := c.world.effects(); len(got) > 0 || c.status(c.t.Context(), "pay").GetStage() != "steady" {
		c.t.Errorf("it was refused, and did %q", got)
	}
	rejection := detail[*arbiterv1.Rejection](c.t, err)
	return rejection.GetWhy(), rejection.GetNext()
}

// doneFailover asks for a failover, and waits until it has come to its end.
func (c *cluster) doneFailover(request *arbiterv1.FailoverRequest, reason string) {
	c.t.Helper()
	request.Change, request.Group = c.change("the rack is moved"), "pay"
	answer, err := c.led().Failover(c.t.Context(), request)
	if err != nil {
		c.t.Fatal(err)
	}
	if again, err := c.led().Failover(c.t.Context(), request); err != nil || again.GetOperation() != answer.GetOperation() {
		c.t.Errorf("asked again: %v, %v", again, err)
	}
	c.eventually("the failover is done, and tells what was set aside", func(ctx context.Context) bool {
		shown, err := c.api(c.leader()).GetOperation(ctx, &arbiterv1.GetOperationRequest{Group: "pay"})
		return err == nil && shown.GetOperation().GetResult() == "done" && shown.GetOperation().GetReason() == reason
	})
}

// A failover of a primary that serves is refused while its fence doesn't answer, whatever it answered before, unless the operator says to try it.
func TestFailover_TheFenceMustAnswerWhileThePrimaryServes(t *testing.T) {
	c := startProtecting(t)
	if plan := c.dryRun(false); !plan.GetPossible() || !plan.GetFence().GetArmed() || len(plan.GetMembers()) != 2 {
		t.Errorf("while it answers the dry run says %v", plan)
	}
	c.world.disarm("no answer from the device")
	const unarmed = "the fence of db1 is NOT ARMED (no answer from the device)"
	if plan := c.dryRun(false); plan.GetPossible() || plan.GetRefused() != unarmed || plan.GetFence().GetArmed() || !strings.Contains(strings.Join(plan.GetNext(), "; "), "--ignore-unarmed") {
		t.Errorf("the dry run says %v", plan)
	}
	if why, next := c.refusedFailover(&arbiterv1.FailoverRequest{IgnoreRouters: true, IgnoreFindings: true}); why != unarmed || !strings.Contains(next, "--ignore-unarmed") {
		t.Errorf("refused: %q; %q", why, next)
	}
	c.doneFailover(&arbiterv1.FailoverRequest{IgnoreUnarmed: true}, "the rack is moved; though the fence may not answer")
}

// What keeps somebody who may be promoted from being promoted refuses a failover of a primary that serves, whatever the operator says; what is only wrong
// with it does unless the operator says otherwise. Whoever is named is asked alone.
func TestFailover_WhoMayBePromotedMustBeFit(t *testing.T) {
	c := startProtecting(t)
	c.world.flawed("db3", arbiter.Finding{Blocks: true, Halts: true, What: "no grant", Next: "make it"})
	everything := func() *arbiterv1.FailoverRequest {
		return &arbiterv1.FailoverRequest{IgnoreRouters: true, IgnoreUnarmed: true, IgnoreFindings: true}
	}
	const half = "it would stop half way: db3: no grant"
	if plan := c.dryRun(false); plan.GetPossible() || plan.GetRefused() != half || !strings.Contains(strings.Join(plan.GetNext(), "; "), "make it; or name one that lacks nothing: --to db2") {
		t.Errorf("the dry run says %v", plan)
	}
	if why, next := c.refusedFailover(everything()); why != half || strings.Contains(next, "--ignore") {
		t.Errorf("refused: %q; %q", why, next)
	}
	c.world.flawed("db2", arbiter.Finding{Blocks: true, What: "fsync is off", Next: "set it on"})
	if why, next := c.refusedFailover(&arbiterv1.FailoverRequest{Candidate: "db2"}); why != "db2: fsync is off" || next != "set it on; or, if it is to be promoted as it is: --ignore-findings" {
		t.Errorf("refused: %q; %q", why, next)
	}
	c.doneFailover(&arbiterv1.FailoverRequest{Candidate: "db2", IgnoreFindings: true}, "the rack is moved; in spite of what is found at who may be promoted")
}

// Whatever is wrong, a failover of a primary that is down asks for nothing, and so waits for nothing.
func TestFailover_OfADeadPrimaryAsksForNothing(t *testing.T) {
	c := startProtecting(t)
	if _, err := c.led().Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change("by hand"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	c.world.crash("db1")
	c.eventually("db1 is seen down", func(ctx context.Context) bool { return c.status(ctx, "pay").GetMembers()[0].GetStatus() == "down" })
	c.world.disarm("no answer from the device")
	c.world.flawed("db2", arbiter.Finding{Blocks: true, Halts: true, What: "no grant"})
	c.world.flawed("db3", arbiter.Finding{Blocks: true, Halts: true, What: "no grant"})
	before := c.world.timesAsked()
	if plan := c.dryRun(false); plan.GetRefused() != "" || plan.GetFence() != nil || len(plan.GetMembers()) > 0 {
		t.Errorf("the dry run says %v", plan)
	}
	if _, err := c.led().Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change("it is dead"), Group: "pay"}); err != nil {
		t.Errorf("an operator's failover of a dead primary: %v", err)
	}
	if asked := c.world.timesAsked() - before; asked > 0 {
		t.Errorf("%d questions were asked", asked)
	}
}

// Nor does one wait any longer whose primary dies while its fence is asked.
func TestFailover_WaitsNoLongerOnceThePrimaryIsDown(t *testing.T) {
	c := startProtecting(t)
	if _, err := c.led().Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change("by hand"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	asked := c.world.silenceFences()
	done := make(chan error, 1)
	go func() {
		_, err := c.led().Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change("the rack is moved"), Group: "pay"})
		done <- err
	}()
	<-asked
	c.world.crash("db1")
	if err := <-done; err != nil {
		t.Errorf("a failover of a primary that is dead by now: %v", err)
	}
	if end := <-asked; !errors.Is(end, context.Canceled) {
		t.Errorf("the question was asked to its end: %v", end)
	}
}

func (c *cluster) dryResume() *arbiterv1.ResumeResponse {
	c.t.Helper()
	answer, err := c.led().Resume(c.t.Context(), &arbiterv1.ResumeRequest{Change: c.change(""), Group: "pay", DryRun: true})
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// A dry run of a resumption tells of routes that somebody led elsewhere meanwhile, and judges by what is seen now, as the failover that it tells of would.
func TestDryResume_TellsWhatIsSoNow(t *testing.T) {
	c := startProtecting(t)
	if _, err := c.led().Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change("by hand"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	c.world.reroute(fake.FrontRoute, "db2")
	if told := c.dryResume(); told.GetActs() || told.GetPlan() != "Routes lead elsewhere than to db1 (route front, db2: clients arrive at it): they are led back at once, under a new epoch." {
		t.Errorf("routes that lead elsewhere: %v", told)
	}
	c.world.reroute(fake.FrontRoute, "db1")
	c.world.crash("db1")
	c.eventually("db1 is down, and nobody is sent anything any more", func(ctx context.Context) bool {
		g := c.status(ctx, "pay")
		return g.GetMembers()[0].GetStatus() == "down" && g.GetOperation() != nil && c.dryResume().GetActs()
	})
	c.world.move("db2", 4000) // which changes what nobody sees, so that it is not committed
	c.world.move("db3", 5000)
	c.eventually("it tells of the member that is ahead by now", func(context.Context) bool {
		told := c.dryResume()
		return told.GetActs() && strings.Contains(told.GetPlan(), "promote db3 at 0/1388")
	})
	if got := c.world.effects(); len(got) > 0 {
		t.Errorf("a dry run did %q", got)
	}
}
