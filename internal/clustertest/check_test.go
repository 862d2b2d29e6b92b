package clustertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// check asks an arbiter, with a deadline as a program would set one.
func (c *cluster) check(node failover.NodeID, want arbiterv1.Consistency, limit time.Duration) *arbiterv1.CheckGroupResponse {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	answer, err := c.api(node).CheckGroup(ctx, &arbiterv1.CheckGroupRequest{Consistency: want, Group: "pay"})
	if err != nil {
		c.t.Fatalf("check at %s: %v", node, err)
	}
	return answer
}

// found lists what an arbiter found, as "BLOCKS fence db1: text".
func found(findings []*arbiterv1.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, strings.TrimPrefix(f.GetSeverity().String(), "SEVERITY_")+" "+f.GetAbout()+" "+f.GetMember()+": "+f.GetWhat())
	}
	return list
}

func of(answer *arbiterv1.CheckGroupResponse, node failover.NodeID) *arbiterv1.ArbiterCheck {
	for _, a := range answer.GetArbiters() {
		if a.GetNode() == string(node) {
			return a
		}
	}
	return nil
}

const linearizable = arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE

// Before a group's first failover all that tell what one would do say how long it would take at worst.
func TestLongestOutage_IsToldBeforeTheFirstFailover(t *testing.T) {
	c := startProtecting(t)
	api := c.led()
	dry, err := api.Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change(""), Group: "pay", DryRun: true})
	explained, why := api.Explain(t.Context(), &arbiterv1.ExplainRequest{Group: "pay"})
	if err = errors.Join(err, why); err != nil {
		t.Fatal(err)
	}
	for what, plan := range map[string]string{
		"dry run": dry.GetPlan(), "explain": explained.GetWouldDo(), "check": c.check(c.leader(), linearizable, patience).GetWouldDo(),
	} {
		if !strings.Contains(plan, "at most "+fake.LongestOutage.String()) {
			t.Errorf("%s: %s", what, plan)
		}
	}
}

func TestCheckGroup_EveryArbiterLooksForItself(t *testing.T) {
	c := startProtecting(t)
	answer := c.check(c.leader(), linearizable, patience)
	if len(answer.GetArbiters()) != 3 || len(answer.GetFindings()) > 0 || !strings.Contains(answer.GetWouldDo(), "fence db1") {
		t.Errorf("a group that is well: %v", answer)
	}
	for _, a := range answer.GetArbiters() {
		if a.GetSilent() != "" || len(a.GetFindings()) > 0 || a.GetMembers() != 3 || a.GetDevices() != 3 || a.GetRoutes() != 1 {
			t.Errorf("%s has found %v", a.GetNode(), a)
		}
	}
	if led := of(answer, c.leader()); led.GetReached() != 1 || led.GetEpoch() == 0 { // others may not know yet who is the primary
		t.Errorf("through the route clients reach the primary, and %s says %v", c.leader(), led)
	}
	c.world.mu.Lock()
	c.world.flaws[flaw{"az-b", "fence of db1"}] = arbiter.Finding{Blocks: true, What: "no such fence agent", Next: "install it"}
	c.world.flaws[flaw{"az-c", "front"}] = arbiter.Finding{Member: "db2", What: "no server"}
	c.world.mu.Unlock()
	answer = c.check(c.leader(), linearizable, patience)
	for node, want := range map[failover.NodeID][]string{
		"az-a": nil, "az-b": {"BLOCKS fence db1: no such fence agent"}, "az-c": {"ADVICE route db2: no server"},
	} {
		if got := found(of(answer, node).GetFindings()); !slices.Equal(got, want) {
			t.Errorf("%s found %q, want %q", node, got, want)
		}
	}
	if got := c.world.effects(); len(got) > 0 {
		t.Errorf("a check had effects: %q", got)
	}
}

// Where clients go is held against the committed writer, whatever put them elsewhere.
func TestCheckGroup_ClientsAstray(t *testing.T) {
	c := startProtecting(t)
	c.world.mu.Lock()
	c.world.routes[fake.FrontRoute] = "db2" // somebody changed the router by hand
	c.world.mu.Unlock()
	c.eventually("every arbiter, however far behind, says so", func(context.Context) bool {
		return !slices.ContainsFunc(c.check(c.leader(), linearizable, patience).GetArbiters(), func(a *arbiterv1.ArbiterCheck) bool {
			return !slices.Equal(found(a.GetFindings()), []string{"BLOCKS route db1: clients are sent to db2"})
		})
	})
}

// A driver that hangs, against its context even, costs the check no more than its time, and nobody else's answers.
func TestCheckGroup_AHungDriverIsAFinding(t *testing.T) {
	c := startProtecting(t)
	hang := make(chan struct{})
	defer close(hang)
	c.world.mu.Lock()
	c.world.hang = hang
	c.world.mu.Unlock()
	answer := c.check(c.leader(), linearizable, 8*time.Second) // which fails the test if it takes longer
	if got := found(of(answer, "az-b").GetFindings()); len(got) != 1 || got[0] != "BLOCKS fence db1: the fence gave no answer in time" {
		t.Errorf("az-b found %q", got)
	}
	if got := found(of(answer, "az-a").GetFindings()); len(got) > 0 || of(answer, "az-a").GetSilent() != "" {
		t.Errorf("az-a found %q (%s)", got, of(answer, "az-a").GetSilent())
	}
}

func TestCheckGroup_SaysWhoDidNotAnswer_AndNeedsNoLeader(t *testing.T) {
	c := startProtecting(t)
	others := slices.DeleteFunc([]failover.NodeID{"az-a", "az-b", "az-c"}, func(n failover.NodeID) bool { return n == c.leader() })
	c.kill(others[0])
	answer := c.check(c.leader(), linearizable, patience)
	for _, node := range []failover.NodeID{"az-a", "az-b", "az-c"} {
		if silent := of(answer, node).GetSilent(); (silent != "") != (node == others[0]) {
			t.Errorf("%s is silent: %q", node, silent)
		}
	}
	c.kill(others[1])
	left := slices.DeleteFunc([]failover.NodeID{"az-a", "az-b", "az-c"}, func(n failover.NodeID) bool { return slices.Contains(others, n) })[0]
	answer = c.check(left, arbiterv1.Consistency_CONSISTENCY_STALE, patience)
	if of(answer, left).GetSilent() != "" || of(answer, left).GetMembers() != 3 || of(answer, others[1]).GetSilent() == "" || answer.GetFreshness().GetLinearizable() {
		t.Errorf("without a leader: %v", answer)
	}
}

// A member that a quorum sees down is what a failover is for: that it can't be looked at blocks nothing by itself.
func TestCheckGroup_AMemberThatIsDown(t *testing.T) {
	c := startProtecting(t)
	c.world.crash("db3")
	c.eventually("db3 is seen down and only advised about", func(ctx context.Context) bool {
		answer, err := c.api(c.leader()).CheckGroup(ctx, &arbiterv1.CheckGroupRequest{Group: "pay"})
		if err != nil {
			return false
		}
		for _, a := range answer.GetArbiters() {
			if got := found(a.GetFindings()); len(got) != 1 || !strings.HasPrefix(got[0], "ADVICE database db3: it is down") {
				return false
			}
		}
		return true
	})
}

// Nobody brings clients back through a route that only a spec has which isn't applied.
func TestCheckSpec_TellsThatItsRoutesAreNotKept(t *testing.T) {
	c := startProtecting(t)
	changed := writtenSpec("pay")
	changed.Routes[0].Name = proto.String("another")
	c.eventually("each arbiter says so", func(context.Context) bool {
		answer, err := c.led().CheckSpec(t.Context(), &arbiterv1.CheckSpecRequest{Spec: changed})
		return err == nil && len(answer.GetArbiters()) == 3 && !slices.ContainsFunc(answer.GetArbiters(), func(a *arbiterv1.ArbiterCheck) bool {
			return !slices.ContainsFunc(a.GetFindings(), func(f *arbiterv1.Finding) bool { return strings.HasPrefix(f.GetNext(), "this spec is not applied") })
		})
	})
}

func TestCheckSpec_NeedNotBeApplied(t *testing.T) {
	c := startCluster(t)
	answer, err := c.led().CheckSpec(t.Context(), &arbiterv1.CheckSpecRequest{Spec: writtenSpec("new")})
	if err != nil || len(answer.GetArbiters()) != 3 || answer.GetGroup() != "new" {
		t.Fatalf("%v, %v", answer, err)
	}
	for _, a := range answer.GetArbiters() {
		if a.GetSilent() != "" || a.GetMembers() != 3 || len(a.GetFindings()) > 0 {
			t.Errorf("%v", a)
		}
	}
	if _, err := c.led().GetGroup(t.Context(), &arbiterv1.GetGroupRequest{Group: "new"}); status.Code(err) != codes.NotFound {
		t.Errorf("the check made the group: %v", err)
	}
	if _, err := c.led().CheckSpec(t.Context(), &arbiterv1.CheckSpecRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a spec: %v", err)
	}
	if _, err := c.led().CheckGroup(t.Context(), &arbiterv1.CheckGroupRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a group: %v", err)
	}
	if _, err := c.led().CheckGroup(t.Context(), &arbiterv1.CheckGroupRequest{Group: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown group: %v", err)
	}
}

// CheckSpec logs in, and runs programs, where its caller says: that is for operators. The arbiters' own call is for arbiters.
func TestAccess_ToChecks(t *testing.T) {
	c := startProtecting(t)
	leader := c.leader()
	group := func(api arbiterv1.ArbiterServiceClient) error {
		_, err := api.CheckGroup(t.Context(), &arbiterv1.CheckGroupRequest{Group: "pay"})
		return err
	}
	spec := func(api arbiterv1.ArbiterServiceClient) error {
		_, err := api.CheckSpec(t.Context(), &arbiterv1.CheckSpecRequest{Spec: writtenSpec("pay")})
		return err
	}
	for _, test := range []struct {
		name string
		who  pki.Request
		do   func(arbiterv1.ArbiterServiceClient) error
		want codes.Code
	}{
		{"operator checks a group", pki.Request{Role: pki.RoleOperator, Name: "op"}, group, codes.OK},
		{"operator checks a spec", pki.Request{Role: pki.RoleOperator, Name: "op"}, spec, codes.OK},
		{"viewer checks a group", pki.Request{Role: pki.RoleViewer, Name: "eve"}, group, codes.OK},
		{"viewer checks a spec", pki.Request{Role: pki.RoleViewer, Name: "eve"}, spec, codes.PermissionDenied},
		{"agent checks a group", pki.Request{Role: pki.RoleAgent, Name: "db1"}, group, codes.PermissionDenied},
		{"limited to another group, group", pki.Request{Role: pki.RoleOperator, Name: "shop-op", Groups: []string{"shop"}}, group, codes.PermissionDenied},
		{"limited to another group, spec", pki.Request{Role: pki.RoleOperator, Name: "shop-op", Groups: []string{"shop"}}, spec, codes.PermissionDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.do(c.apiAs(leader, test.who)); status.Code(err) != test.want {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	peers := arbiterv1.NewArbiterPeerServiceClient(c.dial(leader, c.certificate(pki.Request{Role: pki.RoleOperator, Name: "op"})))
	if _, err := peers.Inspect(t.Context(), &arbiterv1.InspectRequest{Spec: writtenSpec("pay")}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an operator asks as an arbiter: %v", err)
	}
	if _, err := peers.DescribeArbiter(t.Context(), &arbiterv1.DescribeArbiterRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an operator asks as an arbiter: %v", err)
	}
}

func TestListArbiters_ReleaseAndReadinessOfEach(t *testing.T) {
	c := startCluster(t)
	list := func() *arbiterv1.ListArbitersResponse {
		answer, err := c.api(c.leader()).ListArbiters(t.Context(), &arbiterv1.ListArbitersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	c.eventually("all say who they are", func(context.Context) bool {
		for _, a := range list().GetArbiters() {
			if a.GetRelease() != "test" || a.GetReadiness() != arbiterv1.Readiness_READINESS_READY || a.GetEntryVersion() != uint32(failover.CurrentVersion) || a.GetZone() != a.GetNode() {
				return false
			}
		}
		return true
	})
	gone := c.follower()
	c.kill(gone)
	for _, a := range list().GetArbiters() {
		if silent := a.GetReadiness() == arbiterv1.Readiness_READINESS_SILENT; silent != (a.GetNode() == string(gone)) {
			t.Errorf("%s is %v", a.GetNode(), a.GetReadiness())
		}
	}
}

// Questions about the arbiters and checks of groups are answered without a line in the log.
func TestChecksWriteNothing(t *testing.T) {
	c := startProtecting(t)
	c.eventually("a few questions leave the log as it is", func(ctx context.Context) bool {
		api := c.api(c.leader())
		before, err := api.ListArbiters(ctx, &arbiterv1.ListArbitersRequest{})
		if err != nil {
			return false
		}
		if _, err := api.CheckGroup(ctx, &arbiterv1.CheckGroupRequest{Group: "pay"}); err != nil {
			return false
		}
		after, err := api.ListArbiters(ctx, &arbiterv1.ListArbitersRequest{})
		return err == nil && after.GetFreshness().GetAppliedIndex() == before.GetFreshness().GetAppliedIndex()
	})
}
