package client_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/client/clienttest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// answers says who answered, and how.
func answers(node, method string, request proto.Message) (proto.Message, error) {
	stale := false
	if read, ok := request.(interface {
		GetConsistency() arbiterv1.Consistency
	}); ok {
		stale = read.GetConsistency() == arbiterv1.Consistency_CONSISTENCY_STALE
	}
	switch method {
	case arbiterv1.ArbiterService_GetStatus_FullMethodName:
		return &arbiterv1.GetStatusResponse{Freshness: &arbiterv1.Freshness{Node: node, Linearizable: !stale}}, nil
	case arbiterv1.ArbiterService_CheckGroup_FullMethodName:
		return &arbiterv1.CheckGroupResponse{Freshness: &arbiterv1.Freshness{Node: node, Linearizable: !stale}}, nil
	case arbiterv1.ArbiterService_Pause_FullMethodName:
		return &arbiterv1.PauseResponse{Result: "paused by " + node}, nil
	case arbiterv1.ArbiterService_TransferLeadership_FullMethodName:
		return &arbiterv1.TransferLeadershipResponse{Leader: node}, nil
	case arbiterv1.ArbiterService_Release_FullMethodName:
		return nil, clienttest.Reject("S2", "pg-a may be writing", "arbiterctl attest orders-db pg-a")
	}
	return nil, status.Error(codes.Unimplemented, method)
}

func newCluster(t *testing.T) *clienttest.Cluster {
	t.Helper()
	return clienttest.New(t, clienttest.Options{Nodes: []string{"az-a", "az-b", "az-c"}, Answer: answers})
}

func connect(t *testing.T, c *clienttest.Cluster, addresses ...string) *client.Client {
	t.Helper()
	if len(addresses) == 0 {
		addresses = c.Addresses()
	}
	cl, err := client.New(client.Options{
		Addresses: addresses, InsecurePlaintext: true, Dial: c.Dial, Timeout: 5 * time.Second, TryTimeout: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cl.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return cl
}

func statusFrom(t *testing.T, c *client.Client) string {
	t.Helper()
	answer, err := c.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{})
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	return answer.Freshness.Node
}

func TestClient_FindsAndFollowsTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		for _, leader := range []string{"az-a", "az-c", "az-b", "az-a"} {
			cluster.Lead(leader)
			if got := statusFrom(t, c); got != leader {
				t.Errorf("%s answered, %s leads", got, leader)
			}
		}
	})
}

func TestClient_StaysWithTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		cluster.Lead("az-b")
		statusFrom(t, c)
		others := cluster.Node("az-a").Calls() + cluster.Node("az-c").Calls()
		for range 10 {
			statusFrom(t, c)
		}
		if again := cluster.Node("az-a").Calls() + cluster.Node("az-c").Calls(); again != others {
			t.Errorf("%d calls went to followers though the leader was known", again-others)
		}
	})
}

func TestClient_OneAddressIsEnoughToBeginWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("az-c")
		c := connect(t, cluster, cluster.Node("az-a").Address)
		if got := statusFrom(t, c); got != "az-c" {
			t.Errorf("%s answered", got)
		}
	})
}

func TestClient_SurvivesTheLossOfAnArbiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		statusFrom(t, c)
		cluster.Node("az-a").Stop()
		cluster.Lead("az-b")
		if got := statusFrom(t, c); got != "az-b" {
			t.Errorf("%s answered", got)
		}
	})
}

func TestClient_BlackHoleCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Node("az-a").Deafen()
		cluster.Lead("az-b")
		c := connect(t, cluster)
		began := time.Now()
		if got := statusFrom(t, c); got != "az-b" {
			t.Errorf("%s answered", got)
		}
		if took := time.Since(began); took > 900*time.Millisecond {
			t.Errorf("it took %v, though two arbiters answer at once", took)
		}
	})
}

func TestClient_WaitsOutAnElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("")
		c := connect(t, cluster)
		asked := make(chan struct{})
		var once atomic.Bool
		cluster.Node("az-c").Fail(func(string) error {
			if once.CompareAndSwap(false, true) {
				close(asked)
			}
			return nil
		}, nil)
		go func() {
			<-asked
			cluster.Lead("az-b")
		}()
		if got := statusFrom(t, c); got != "az-b" {
			t.Errorf("%s answered", got)
		}
	})
}

func TestClient_NoLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("")
		c := connect(t, cluster)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
		if !errors.Is(err, client.ErrNoLeader) {
			t.Errorf("error is %v", err)
		}
		_, err = c.Pause(ctx, &arbiterv1.PauseRequest{Group: "g"})
		if errors.Is(err, client.ErrUnknownOutcome) || err == nil {
			t.Errorf("a change that every arbiter refused has error %v", err)
		}
		if got := cluster.Changes(); len(got) > 0 {
			t.Errorf("changes were done: %v", got)
		}
	})
}

func TestClient_StaleFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		answer, err := c.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{}, client.StaleFallback(200*time.Millisecond))
		if err != nil || !answer.Freshness.Linearizable {
			t.Errorf("with a leader: %v, %v", answer, err)
		}
		cluster.Lead("")
		answer, err = c.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{}, client.StaleFallback(200*time.Millisecond))
		if err != nil || answer.Freshness.Linearizable {
			t.Errorf("without a leader: %v, %v", answer, err)
		}
	})
}

// A call that takes long by itself is waited for: longer than other tries, and longer than others wait for a stale answer.
func TestClient_TryFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		const long = 700 * time.Millisecond // the client gives other tries 500
		cluster.Node("az-a").Fail(func(method string) error {
			if strings.HasSuffix(method, "/CheckGroup") {
				<-time.After(long)
			}
			return nil
		}, nil)
		answer, err := c.CheckGroup(t.Context(), &arbiterv1.CheckGroupRequest{Group: "g"}, client.StaleFallback(200*time.Millisecond), client.TryFor(4*time.Second))
		if err != nil || !answer.Freshness.Linearizable || answer.Freshness.Node != "az-a" {
			t.Errorf("a slow leader: %v, %v", answer, err)
		}
		cluster.Lead("")
		answer, err = c.CheckGroup(t.Context(), &arbiterv1.CheckGroupRequest{Group: "g"}, client.StaleFallback(200*time.Millisecond), client.TryFor(4*time.Second))
		if err != nil || answer.Freshness.Linearizable {
			t.Errorf("without a leader: %v, %v", answer, err)
		}
	})
}

// An arbiter that was restarted says more than that it doesn't lead, and that is what its caller must hear.
func TestClient_RestartedArbiterIsQuoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		for _, n := range cluster.Nodes {
			n.Fail(func(string) error {
				s, err := status.New(codes.FailedPrecondition, n.ID+" waits for a majority").WithDetails(&arbiterv1.NotLeader{LogOnDisk: 7})
				if err != nil {
					return err
				}
				return s.Err()
			}, nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := connect(t, cluster).GetEpochs(ctx, &arbiterv1.GetEpochsRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE, Group: "g"})
		if !errors.Is(err, client.ErrNoLeader) || !strings.Contains(err.Error(), "az-b:7401: az-b waits for a majority") {
			t.Errorf("error is %v", err)
		}
	})
}

// Nor is an arbiter out of reach that waits for others on its way into the cluster: what it waits for is what its caller must hear.
func TestClient_ArbiterThatHasNotJoinedIsQuoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		for _, n := range cluster.Nodes {
			n.Fail(func(string) error {
				s, err := status.New(codes.Unavailable, n.ID+" has not joined its cluster yet: waiting for az-c").WithDetails(&arbiterv1.NotLeader{WaitsFor: "waiting for az-c"})
				if err != nil {
					return err
				}
				return s.Err()
			}, nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := connect(t, cluster).Pause(ctx, &arbiterv1.PauseRequest{Group: "g", Change: &arbiterv1.Change{}})
		const want = "no arbiter leads: az-a:7401: it has not joined its cluster yet: waiting for az-c; "
		if !errors.Is(err, client.ErrNoLeader) || !errors.Is(err, client.ErrNotJoined) || errors.Is(err, client.ErrUnknownOutcome) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v", err)
		}
	})
}

// Where the arbiter that leads can't be reached, the others know that it does.
func TestClient_LeaderThatCannotBeReachedIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("az-c")
		cluster.Node("az-c").Stop()
		_, err := connect(t, cluster).GetStatus(t.Context(), &arbiterv1.GetStatusRequest{})
		const want = "az-c leads, as others say, and gave no answer: az-c:7401: "
		if !errors.Is(err, client.ErrNoLeader) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v", err)
		}
	})
}

// inTime asks for the status in vain, with ever more time, until the error says why. On a busy machine a short time is over before one try was.
func inTime(t *testing.T, c *client.Client, saysWhy func(error) bool) error {
	t.Helper()
	var err error
	for limit := 200 * time.Millisecond; limit < time.Minute; limit *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_, err = c.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
		cancel()
		if err != nil && saysWhy(err) {
			return err
		}
	}
	t.Fatalf("error is %v; it must say why", err)
	return nil
}

func TestClient_NobodyThere(t *testing.T) {
	c, err := client.New(client.Options{Addresses: []string{"127.0.0.1:1"}, InsecurePlaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = inTime(t, c, func(err error) bool { return strings.Contains(err.Error(), "refused") })
	if !errors.Is(err, client.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error is %v; it must name the address and the reason", err)
	}
}

// A change is sent again under the same id when its answer is lost, and so is done once.
func TestClient_LostAnswerIsRepeatedUnderTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		var lost atomic.Int32
		cluster.Node("az-a").Fail(nil, func(string) error {
			if lost.Add(1) <= 2 {
				return status.Error(codes.Unavailable, "connection lost")
			}
			return nil
		})
		answer, err := c.Pause(t.Context(), &arbiterv1.PauseRequest{Group: "g"})
		if err != nil || answer.Result != "paused by az-a" {
			t.Errorf("%v, %v", answer, err)
		}
		if got := cluster.Changes(); len(got) != 1 {
			t.Errorf("changes were done: %v", got)
		}
	})
}

func TestClient_ChangeDuringALeaderChangeIsDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		cluster.Node("az-a").Fail(nil, func(string) error {
			cluster.Lead("az-b") // committed, then deposed before answering
			return status.Error(codes.Unavailable, "leadership lost")
		})
		answer, err := c.Pause(t.Context(), &arbiterv1.PauseRequest{Group: "g", Change: &arbiterv1.Change{Reason: "why"}})
		if err != nil || answer.Result != "paused by az-a" {
			t.Errorf("%v, %v", answer, err)
		}
		if got := cluster.Changes(); len(got) != 1 {
			t.Errorf("changes were done: %v", got)
		}
	})
}

func TestClient_UnknownOutcomeHasTheRequestID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		lose := func(string) error { return status.Error(codes.Unavailable, "connection lost") }
		for _, n := range cluster.Nodes {
			n.Fail(nil, lose)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		request := &arbiterv1.PauseRequest{Group: "g"}
		_, err := c.Pause(ctx, request)
		var unknown *client.UnknownOutcomeError
		if !errors.As(err, &unknown) || !errors.Is(err, client.ErrUnknownOutcome) {
			t.Fatalf("error is %v", err)
		}
		if request.Change != nil {
			t.Error("the caller's message was written to")
		}
		for _, n := range cluster.Nodes {
			n.Fail(nil, nil)
		}
		again, err := c.Pause(t.Context(), &arbiterv1.PauseRequest{Group: "g", Change: &arbiterv1.Change{RequestId: unknown.RequestID}})
		if err != nil || again.Result != "paused by az-a" || len(cluster.Changes()) != 1 {
			t.Errorf("%v, %v, changes %v", again, err, cluster.Changes())
		}
	})
}

// An arbiter that fails inside may have done anything: that isn't repeated, not even under the same id.
func TestClient_InternalErrorOfAChangeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		cluster.Node("az-a").Fail(nil, func(string) error { return status.Error(codes.Internal, "disk") })
		before := cluster.Node("az-a").Calls()
		_, err := c.Pause(t.Context(), &arbiterv1.PauseRequest{Group: "g"})
		if !errors.Is(err, client.ErrUnknownOutcome) || cluster.Node("az-a").Calls() != before+1 {
			t.Errorf("error is %v after %d calls", err, cluster.Node("az-a").Calls()-before)
		}
	})
}

// Handing over leadership isn't in the log, so nothing would notice that it came twice.
func TestClient_TransferLeadershipIsNeverRepeatedOnALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		cluster.Lead("az-b") // finding the leader must still work
		if answer, err := c.TransferLeadership(t.Context(), &arbiterv1.TransferLeadershipRequest{}); err != nil || answer.Leader != "az-b" {
			t.Fatalf("%v, %v", answer, err)
		}
		cluster.Node("az-b").Fail(nil, func(string) error { return status.Error(codes.Unavailable, "lost") })
		before := cluster.Node("az-b").Calls()
		_, err := c.TransferLeadership(t.Context(), &arbiterv1.TransferLeadershipRequest{})
		if !errors.Is(err, client.ErrUnknownOutcome) {
			t.Errorf("error is %v", err)
		}
		if calls := cluster.Node("az-b").Calls() - before; calls != 1 {
			t.Errorf("it was sent %d times", calls)
		}
	})
}

func TestClient_RejectionsAreTypedAndFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		_, err := c.Release(t.Context(), &arbiterv1.ReleaseRequest{Group: "g"})
		var rejected *client.RejectedError
		if !errors.As(err, &rejected) || !errors.Is(err, client.ErrRejected) || rejected.Rule != "S2" || rejected.Next != "arbiterctl attest orders-db pg-a" {
			t.Fatalf("error is %v", err)
		}
		if err.Error() != "refused by rule S2: pg-a may be writing" {
			t.Errorf("message is %q", err)
		}
		if got := cluster.Node("az-a").Calls(); got != 1 {
			t.Errorf("it was sent %d times", got)
		}
	})
}

func TestClient_Errors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fields, err := status.New(codes.InvalidArgument, "bad").WithDetails(&errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "group", Description: "is missing"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			answer error
			want   error
			says   string
		}{
			{status.Error(codes.NotFound, "no group g"), client.ErrNotFound, "not found: no group g"},
			{status.Error(codes.PermissionDenied, "viewers can't"), client.ErrDenied, "not allowed: viewers can't"},
			{status.Error(codes.Unauthenticated, "who are you"), client.ErrDenied, "not allowed: who are you"},
			{status.Error(codes.InvalidArgument, "bad"), client.ErrInvalid, "bad"},
			{fields.Err(), client.ErrInvalid, "group: is missing"},
			{status.Error(codes.Unimplemented, "unknown method"), client.ErrUnsupported, "not supported by these arbiters: unknown method"},
			{status.Error(codes.FailedPrecondition, "not now"), client.ErrRejected, "refused: not now"},
		}
		for _, test := range tests {
			cluster := newCluster(t)
			c := connect(t, cluster)
			for _, n := range cluster.Nodes {
				n.Fail(func(string) error { return test.answer }, nil)
			}
			_, err := c.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{})
			if !errors.Is(err, test.want) || err.Error() != test.says {
				t.Errorf("%v became %v, want %q", test.answer, err, test.says)
			}
		}
	})
}

// A request that no arbiter would take is refused before it is sent: its outcome is known.
func TestClient_RequestThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("az-a")
		c := connect(t, cluster)
		statusFrom(t, c)
		before := cluster.Node("az-a").Calls()
		_, err := c.Pause(t.Context(), &arbiterv1.PauseRequest{Group: strings.Repeat("x", arbiterv1.MaxMessageBytes)})
		var unknown *client.UnknownOutcomeError
		if !errors.Is(err, client.ErrInvalid) || errors.As(err, &unknown) || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("got %.200v", err)
		}
		if cluster.Node("az-a").Calls() != before {
			t.Error("it was sent")
		}
	})
}

func TestClient_CancelledReadIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		c := connect(t, cluster)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, n := range cluster.Nodes {
			n.Fail(func(string) error { cancel(); <-t.Context().Done(); return nil }, nil)
		}
		_, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		for _, n := range cluster.Nodes {
			n.Fail(nil, nil)
		}
	})
}

func TestNew_RefusesHalfAConfiguration(t *testing.T) {
	for _, options := range []client.Options{{}, {Addresses: []string{"a:1"}}} {
		if c, err := client.New(options); err == nil {
			t.Errorf("%+v made %v", options, c)
		}
	}
}

func TestNewRequestID(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := client.NewRequestID()
		if len(id) != 32 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// A call for whose next round no time is left ends with what is known: no arbiter has carried the change out. A try that is cut short by the end
// of its time would leave that open.
func TestClient_NoRoundThatCannotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := newCluster(t)
		cluster.Lead("")
		c := connect(t, cluster)
		asked := map[string]int{}
		for _, n := range cluster.Nodes {
			n.Fail(func(string) error {
				if asked[n.ID]++; asked[n.ID] > 1 {
					time.Sleep(time.Minute) // virtual: it answers no second time
				}
				return nil
			}, nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 220*time.Millisecond)
		defer cancel()
		_, err := c.Pause(ctx, &arbiterv1.PauseRequest{Group: "g"})
		if !errors.Is(err, client.ErrNoLeader) || errors.Is(err, client.ErrUnknownOutcome) {
			t.Errorf("error is %v", err)
		}
	})
}
