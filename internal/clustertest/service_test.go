package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// detail returns the detail of an error that has the wanted type.
func detail[T any](t testing.TB, err error) (found T) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if one, ok := d.(T); ok {
			return one
		}
	}
	t.Fatalf("%v has no %T", err, found)
	return found
}

func TestFollower_NamesTheLeaderAndLabelsStaleReads(t *testing.T) {
	c := startProtecting(t)
	leader, follower := c.leader(), c.follower()
	api := c.api(follower)
	calls := map[string]func() error{
		"pause": func() error {
			_, err := api.Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change(""), Group: "pay"})
			return err
		},
		"apply": func() error {
			_, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: writtenSpec("other")})
			return err
		},
		"abort": func() error {
			_, err := api.Abort(t.Context(), &arbiterv1.AbortRequest{Change: c.change(""), Group: "pay", Operation: "pay-1"})
			return err
		},
		"dry run": func() error {
			_, err := api.Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change(""), Group: "pay", DryRun: true})
			return err
		},
		"linearizable read": func() error {
			_, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{})
			return err
		},
		"transfer": func() error {
			_, err := api.TransferLeadership(t.Context(), &arbiterv1.TransferLeadershipRequest{Change: c.change("")})
			return err
		},
	}
	for name, call := range calls {
		err := call()
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s at a follower: %v", name, err)
			continue
		}
		if d := detail[*arbiterv1.NotLeader](t, err); d.GetLeader() != string(leader) || d.GetLeaderGrpc() == "" {
			t.Errorf("%s at a follower names %q at %q, want %s", name, d.GetLeader(), d.GetLeaderGrpc(), leader)
		}
	}
	stale, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{Group: "pay", Consistency: arbiterv1.Consistency_CONSISTENCY_STALE})
	if err != nil {
		t.Fatal(err)
	}
	if f := stale.GetFreshness(); f.GetLinearizable() || f.GetNode() != string(follower) || f.GetLeader() != string(leader) || f.GetAppliedIndex() == 0 {
		t.Errorf("a stale read at a follower says %v", f)
	}
	fresh, err := c.api(leader).GetStatus(t.Context(), &arbiterv1.GetStatusRequest{Group: "pay"})
	if err != nil || !fresh.GetFreshness().GetLinearizable() {
		t.Errorf("a read at the leader: %v, %v", fresh.GetFreshness(), err)
	}
}

// S8: an arbiter that was elected, and whose BeginReign is not applied, answers nothing as the leader.
func TestElectedBeforeItsReign_AnswersNothingLinearizable(t *testing.T) {
	c := newCluster(t, true)
	held := make(chan failover.NodeID, 16)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	c.failpoint = func(node failover.NodeID, where string) {
		if strings.HasPrefix(where, "before-commit-") && strings.HasSuffix(where, "BeginReign") {
			held <- node
			<-release
		}
	}
	defer free() // before the cluster's own end: its loops wait here
	c.startAll()
	elected := <-held
	api := c.api(elected)
	c.eventually("the elected one knows that it leads", func(ctx context.Context) bool {
		answer, err := api.ListArbiters(ctx, &arbiterv1.ListArbitersRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_STALE})
		return err == nil && answer.GetFreshness().GetLeader() == string(elected) && !answer.GetFreshness().GetLinearizable()
	})
	if _, err := api.ListArbiters(t.Context(), &arbiterv1.ListArbitersRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a linearizable read before the reign: %v", err)
	}
	_, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change("too early"), Spec: writtenSpec("pay")})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a change before the reign: %v", err)
	}
	free()
	c.leader()
}

func TestRepeatedRequest_DoesNothing(t *testing.T) {
	c := startProtecting(t)
	api := c.led()
	pause := &arbiterv1.PauseRequest{Change: c.change("maintenance"), Group: "pay"}
	if _, err := api.Pause(t.Context(), pause); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Resume(t.Context(), &arbiterv1.ResumeRequest{Change: c.change("over"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Pause(t.Context(), pause); err != nil {
		t.Errorf("a repeated request: %v", err)
	}
	if g := c.status(t.Context(), "pay"); g.GetPause() != nil {
		t.Errorf("the repeated request paused again: %v", g.GetPause())
	}
	adopt := &arbiterv1.AdoptRequest{Change: c.change("again"), Group: "pay"}
	before := c.status(t.Context(), "pay").GetEpoch()
	first, err := api.Adopt(t.Context(), adopt)
	if err != nil {
		t.Fatal(err)
	}
	again, err := api.Adopt(t.Context(), adopt)
	if err != nil || !proto.Equal(first, again) || first.GetMember() != "db1" || first.GetEpoch() != before+1 {
		t.Errorf("adopted with %v, and again with %v (%v)", first, again, err)
	}
	if now := c.status(t.Context(), "pay").GetEpoch(); now != first.GetEpoch() {
		t.Errorf("adopted at epoch %d, and the repeated request made it %d", first.GetEpoch(), now)
	}
}

// A member that doesn't exist is no refusal: whoever asks for it has mistyped a name, and is told which there are.
func TestUnknownMember_IsNotFound(t *testing.T) {
	c := startProtecting(t)
	api := c.led()
	for name, call := range map[string]func() error{
		"failover": func() error {
			_, err := api.Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change("move it"), Group: "pay", Candidate: "db9"})
			return err
		},
		"dry run": func() error {
			_, err := api.Failover(t.Context(), &arbiterv1.FailoverRequest{Change: c.change(""), Group: "pay", Candidate: "db9", DryRun: true})
			return err
		},
		"adopt": func() error {
			_, err := api.Adopt(t.Context(), &arbiterv1.AdoptRequest{Change: c.change(""), Group: "pay", Member: "db9"})
			return err
		},
		"adopt, vouching": func() error {
			_, err := api.Adopt(t.Context(), &arbiterv1.AdoptRequest{Change: c.change("it is off"), Group: "pay", Attest: []string{"db2", "db9"}, Seen: 1})
			return err
		},
		"release": func() error {
			_, err := api.Release(t.Context(), &arbiterv1.ReleaseRequest{Change: c.change("take it"), Group: "pay", Operation: "pay-1", Seen: 1, Member: "db9", AcceptLoss: true, AcceptUnknownLoss: true})
			return err
		},
		"attest": func() error {
			_, err := api.Attest(t.Context(), &arbiterv1.AttestRequest{Change: c.change("it is off"), Group: "pay", Operation: "pay-1", Seen: 1, Member: "db9"})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.NotFound || status.Convert(err).Message() != `pay has no member "db9"; there are db1, db2, db3` {
			t.Errorf("%s: %v, want NotFound with the members", name, err)
		}
	}
	if g := c.status(t.Context(), "pay"); g.GetStage() != "steady" {
		t.Errorf("pay is %s after that", g.GetStage())
	}
}

// A loss of nothing is no loss that anybody could accept: where an estimate sees nothing, what is accepted is an unknown one.
func TestAcceptedLossOfNothing_IsRefused(t *testing.T) {
	c := startCluster(t)
	_, err := c.led().Release(t.Context(), &arbiterv1.ReleaseRequest{Change: c.change("take it"), Group: "pay", Operation: "pay-1", Seen: 1, AcceptLoss: true})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "accept_unknown_loss") {
		t.Errorf("%v, want an InvalidArgument that says what to do", err)
	}
}

func TestRequestsAreChecked_FieldsAreNamed(t *testing.T) {
	c := startCluster(t)
	api := c.led()
	short := &arbiterv1.Change{RequestId: "short"}
	badSpec := writtenSpec("pay")
	badSpec.Members[1].Name = "DB TWO"
	tests := map[string]struct {
		call  func() error
		field string
	}{
		"no change": {func() error {
			_, err := api.Pause(t.Context(), &arbiterv1.PauseRequest{Group: "pay"})
			return err
		}, "change"},
		"short request id": {func() error {
			_, err := api.Pause(t.Context(), &arbiterv1.PauseRequest{Change: short, Group: "pay"})
			return err
		}, "change.request_id"},
		"no group": {func() error {
			_, err := api.Adopt(t.Context(), &arbiterv1.AdoptRequest{Change: c.change("")})
			return err
		}, "group"},
		"a member's name": {func() error {
			_, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: badSpec})
			return err
		}, "spec.members[1].name"},
		"an abort of nothing in particular": {func() error {
			_, err := api.Abort(t.Context(), &arbiterv1.AbortRequest{Change: c.change(""), Group: "pay"})
			return err
		}, "operation"},
		"a release of nothing in particular": {func() error {
			_, err := api.Release(t.Context(), &arbiterv1.ReleaseRequest{Change: c.change(""), Group: "pay", Seen: 9})
			return err
		}, "operation"},
		"a word for whatever is revoked": {func() error {
			_, err := api.Attest(t.Context(), &arbiterv1.AttestRequest{Change: c.change(""), Group: "pay", Operation: "pay-9", Member: "db1"})
			return err
		}, "seen"},
		"a reinstatement after whatever was done": {func() error {
			_, err := api.Reinstate(t.Context(), &arbiterv1.ReinstateRequest{Change: c.change(""), Group: "pay", Operation: "pay-9"})
			return err
		}, "seen"},
		"a release from whatever it is held for": {func() error {
			_, err := api.Release(t.Context(), &arbiterv1.ReleaseRequest{Change: c.change(""), Group: "pay", Operation: "pay-9"})
			return err
		}, "seen"},
		"an adoption that vouches for whatever is there": {func() error {
			_, err := api.Adopt(t.Context(), &arbiterv1.AdoptRequest{Change: c.change(""), Group: "pay", Attest: []string{"db2"}})
			return err
		}, "seen"},
		"unknown consistency": {func() error {
			_, err := api.GetStatus(t.Context(), &arbiterv1.GetStatusRequest{Consistency: 99})
			return err
		}, "consistency"},
		"a stream": {func() error {
			stream, err := api.WatchEvents(t.Context(), &arbiterv1.WatchEventsRequest{Group: strings.Repeat("x", 64)})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}, "group"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.call()
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), test.field) {
				t.Fatalf("%v, want an InvalidArgument that names %s", err, test.field)
			}
			if v := detail[*errdetails.BadRequest](t, err).GetFieldViolations(); len(v) != 1 || v[0].GetField() != test.field {
				t.Errorf("violations %v, want %s", v, test.field)
			}
		})
	}
}

// TestRequestThatIsTooLarge: what can't be written into the log, or not even be received, is surely not carried out.
func TestRequestThatIsTooLarge(t *testing.T) {
	c := startCluster(t)
	api := c.led()
	long := &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: strings.Repeat("x", 4096)}}
	large := writtenSpec("pay") // each of its fields is within its bounds
	for _, m := range large.Members {
		for len(m.Fence) < 8 {
			level := &arbiterv1.FenceLevel{}
			for range 8 {
				device := &arbiterv1.FenceDevice{Device: "fence_fake", Settings: map[string]*arbiterv1.Value{}}
				for i := range 8 {
					device.Settings[strings.Repeat("k", i+1)] = long
				}
				level.Devices = append(level.Devices, device)
			}
			m.Fence = append(m.Fence, level)
		}
	}
	_, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: large})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "nothing was proposed") || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("larger than an entry: %.300v", err)
	}
	_, err = api.Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change(""), Group: strings.Repeat("x", arbiterv1.MaxMessageBytes)})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "larger than max") {
		t.Errorf("larger than a message: %.300v", err)
	}
	if _, err := api.GetGroup(t.Context(), &arbiterv1.GetGroupRequest{Group: "pay"}); status.Code(err) != codes.NotFound {
		t.Errorf("the group is there: %v", err)
	}
}

func TestRefusedChange_TellsTheRule(t *testing.T) {
	c := startCluster(t)
	api := c.led()
	if _, err := api.Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change(""), Group: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("pause of an unknown group: %v", err)
	}
	if _, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: writtenSpec("pay"), DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.GetGroup(t.Context(), &arbiterv1.GetGroupRequest{Group: "pay"}); status.Code(err) != codes.NotFound {
		t.Errorf("a dry run made the group: %v", err)
	}
	coloured := writtenSpec("pay")
	coloured.Members[0].Fence[0].Devices[0].Settings[fake.UnknownSetting] = &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: "red"}}
	for _, dryRun := range []bool{true, false} {
		_, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: coloured, DryRun: dryRun})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), fake.ErrUnknownSetting.Error()) {
			t.Errorf("a setting that the leader's agent does not know, dry run %v: %v", dryRun, err)
		}
	}
	if diff, err := api.DiffGroup(t.Context(), &arbiterv1.DiffGroupRequest{Spec: coloured}); err != nil || !diff.GetFreshness().GetLinearizable() {
		t.Errorf("comparing, which everybody may, asks agents, or takes what may be old: %v, %v", diff.GetFreshness(), err)
	}
	created, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: writtenSpec("pay")})
	if err != nil || created.GetResult() != "created" {
		t.Fatalf("apply: %v, %v", created, err)
	}
	again, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: writtenSpec("pay")})
	if err != nil || again.GetResult() != "unchanged" || again.GetVersion() != created.GetVersion() {
		t.Errorf("the same spec again: %v, %v", again, err)
	}
	c.eventually("adopting the wrong member is refused by S0", func(ctx context.Context) bool {
		_, err := api.Adopt(ctx, &arbiterv1.AdoptRequest{Change: c.change(""), Group: "pay", Member: "db2"})
		if status.Code(err) != codes.FailedPrecondition {
			t.Fatalf("adopt of a standby: %v", err)
		}
		return detail[*arbiterv1.Rejection](t, err).GetRule() == "S0"
	})
}

// eventStream is a stream of events that a test reads.
type eventStream struct {
	t      testing.TB
	stream grpc.ServerStreamingClient[arbiterv1.WatchEventsResponse]
	kinds  map[string]bool // of the events that came
	last   uint64
}

func (c *cluster) watchEvents(ctx context.Context, node failover.NodeID, request *arbiterv1.WatchEventsRequest) *eventStream {
	c.t.Helper()
	stream, err := c.api(node).WatchEvents(ctx, request)
	if err != nil {
		c.t.Fatal(err)
	}
	return &eventStream{t: c.t, stream: stream, kinds: map[string]bool{}}
}

// next is the next message; events come in order, and of pay alone.
func (s *eventStream) next() *arbiterv1.WatchEventsResponse {
	s.t.Helper()
	r, err := s.stream.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	if e := r.GetEvent(); e != nil {
		if e.GetSequence() <= s.last || e.GetGroup() != "pay" {
			s.t.Fatalf("event %v after %d", e, s.last)
		}
		s.last, s.kinds[e.GetKind()] = e.GetSequence(), true
	}
	return r
}

// await reads on until an event of a kind has come.
func (s *eventStream) await(kind string) {
	s.t.Helper()
	for !s.kinds[kind] {
		s.next()
	}
}

// A follower serves events only to who takes stale ones, and labels them.
func TestWatchEvents_KeptOnesThenNewOnes(t *testing.T) {
	c := startProtecting(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	leader := c.leader()
	change := func(what string) (err error) {
		if what == "group-paused" {
			_, err = c.api(leader).Pause(ctx, &arbiterv1.PauseRequest{Change: c.change(""), Group: "pay"})
		} else {
			_, err = c.api(leader).Resume(ctx, &arbiterv1.ResumeRequest{Change: c.change(""), Group: "pay"})
		}
		return err
	}
	for _, test := range []struct {
		node        failover.NodeID
		consistency arbiterv1.Consistency
		happens     string
	}{
		{leader, arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE, "group-paused"},
		{c.follower(), arbiterv1.Consistency_CONSISTENCY_STALE, "group-resumed"},
	} {
		s := c.watchEvents(ctx, test.node, &arbiterv1.WatchEventsRequest{Group: "pay", Consistency: test.consistency})
		first := s.next()
		if f := first.GetFreshness(); f.GetNode() != string(test.node) || f.GetLinearizable() != (test.node == leader) || first.GetOldest() != 1 {
			t.Errorf("%s begins with %v", test.node, first)
		}
		for s.next().CaughtUp == nil {
		}
		if test.node == leader && !(s.kinds["group-applied"] && s.kinds["group-adopted"]) {
			t.Errorf("%s keeps events %v", test.node, s.kinds)
		}
		s.await("group-adopted") // a follower may hear of it a moment after the leader
		if err := change(test.happens); err != nil {
			t.Fatal(err)
		}
		s.await(test.happens)
	}
}

// Who watches must not take for quiet what an arbiter doesn't hear of.
func TestWatchEvents_OnlyWhileTheArbiterLeads(t *testing.T) {
	c := startProtecting(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	leader, follower := c.leader(), c.follower()
	refused := c.watchEvents(ctx, follower, &arbiterv1.WatchEventsRequest{})
	if r, err := refused.stream.Recv(); status.Code(err) != codes.FailedPrecondition || detail[*arbiterv1.NotLeader](t, err).GetLeader() != string(leader) {
		t.Errorf("a follower sent %v, %v; want the name of the leader", r, err)
	}
	s := c.watchEvents(ctx, leader, &arbiterv1.WatchEventsRequest{Group: "pay"})
	for s.next().CaughtUp == nil {
	}
	if _, err := c.api(leader).TransferLeadership(ctx, &arbiterv1.TransferLeadershipRequest{Change: c.change("patching"), To: string(follower)}); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := s.stream.Recv(); err != nil {
			if status.Code(err) != codes.FailedPrecondition || detail[*arbiterv1.NotLeader](t, err) == nil {
				t.Errorf("the stream ended with %v", err)
			}
			break
		}
	}
	beyond := c.watchEvents(ctx, c.leader(), &arbiterv1.WatchEventsRequest{After: 1 << 40})
	if r, err := beyond.stream.Recv(); status.Code(err) != codes.OutOfRange {
		t.Errorf("after a number that is not there yet came %v, %v", r, err)
	}
}

// An agent that the leader doesn't have is told of, and refused by nobody.
func TestApply_NotesAnAbsentAgent(t *testing.T) {
	c := startCluster(t)
	api := c.led()
	absent := writtenSpec("absent")
	absent.Members[0].Fence[0].Devices[0].Device = fake.AbsentAgent
	for _, dryRun := range []bool{true, false} {
		answer, err := api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change(""), Spec: absent, DryRun: dryRun})
		if err != nil || !slices.Contains(answer.GetNotes(), fake.AbsentAgent+" is not here") {
			t.Errorf("an agent that the leader does not have, dry run %v: %v, %v", dryRun, answer, err)
		}
	}
}

// slowAgents are specs whose fence agents take as long as the test says.
type slowAgents struct {
	fake.Specs
	slow  chan struct{} // whoever takes one asks slow agents
	asked chan struct{} // hears of that
	free  chan struct{} // ends it
}

// EffectiveHere implements arbiter.Specs.
func (s slowAgents) EffectiveHere(ctx context.Context, written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, []string, error) {
	select {
	case <-s.slow:
		s.asked <- struct{}{}
		<-s.free
	default:
	}
	return s.Specs.EffectiveHere(ctx, written)
}

// S8: what a spec would change is told by an arbiter that leads after it has asked its agents, not only before: while they took their time
// another one may have come to lead, and the group to be another.
func TestApply_AnswersFromWhatIsSoWhenTheAgentsHaveAnswered(t *testing.T) {
	for name, dryRun := range map[string]bool{"a dry run": true, "an apply of what is there": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, false)
			agents := slowAgents{slow: make(chan struct{}, 1), asked: make(chan struct{}), free: make(chan struct{})}
			c.specs = agents
			c.startAll()
			c.applyAndAdopt("pay")
			old, next := c.leader(), c.follower()
			agents.slow <- struct{}{}
			answered := make(chan error, 1)
			go func() {
				answer, err := c.api(old).ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: c.change("same"), Spec: writtenSpec("pay"), DryRun: dryRun})
				if err == nil {
					err = fmt.Errorf("it was answered %v", answer)
				}
				answered <- err
			}()
			<-agents.asked
			if _, err := c.api(old).TransferLeadership(t.Context(), &arbiterv1.TransferLeadershipRequest{Change: c.change("patching"), To: string(next)}); err != nil {
				t.Fatal(err)
			}
			c.leader()
			close(agents.free)
			if err := <-answered; status.Code(err) != codes.FailedPrecondition || detail[*arbiterv1.NotLeader](t, err) == nil {
				t.Errorf("%s began before another arbiter led and ended after: %v", name, err)
			}
		})
	}
}

func TestTransferLeadership_ToWhomItWasMeantFor(t *testing.T) {
	c := startCluster(t)
	to := c.follower()
	if _, err := c.api(c.leader()).TransferLeadership(t.Context(), &arbiterv1.TransferLeadershipRequest{Change: c.change("patching"), To: string(to)}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the named one leads", func(context.Context) bool { return c.leader() == to })
	transfer := func(to string) (*arbiterv1.TransferLeadershipResponse, error) {
		return c.api(c.leader()).TransferLeadership(t.Context(), &arbiterv1.TransferLeadershipRequest{Change: c.change("patching"), To: to})
	}
	if _, err := transfer("az-z"); status.Code(err) != codes.NotFound {
		t.Errorf("a transfer to a stranger: %v", err)
	}
	if answer, err := transfer(string(to)); err != nil || answer.GetLeader() != string(to) {
		t.Errorf("a transfer to the leader itself: %v, %v", answer, err)
	}
	gone := c.follower()
	c.kill(gone)
	if _, err := transfer(string(gone)); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), string(to)+" leads on") {
		t.Errorf("a transfer to one that is gone: %v", err)
	}
}

// A leader that has just been elected has no views yet. It says so to nobody who asks in that moment: a monitoring system would take it for silent
// arbiters and an unknown primary.
func TestStatusOfANewLeader_WaitsForTheViews(t *testing.T) {
	c := newCluster(t, true)
	var held atomic.Pointer[heldViews]
	free := func() {
		if h := held.Swap(nil); h != nil {
			close(h.release)
		}
	}
	t.Cleanup(free)
	c.failpoint = func(_ failover.NodeID, where string) { held.Load().pass(where) }
	defer free() // before the cluster's own end: its loops wait here
	c.startAll()
	c.applyAndAdopt("pay")
	for {
		h := &heldViews{waits: make(chan struct{}, 1), release: make(chan struct{})}
		held.Store(h)
		begun := time.Now()
		answered := c.askNewLeader()
		early := false
		select {
		case answer := <-answered:
			answered <- answer
			early = true
		case <-h.waits:
		}
		free()
		answer := <-answered
		if missing := missingViews(answer); (early || missing != "") && time.Since(begun) > timing().Heartbeat+time.Second {
			continue // this machine was slower than what a leader waits
		} else if early || missing != "" {
			t.Fatalf("it did not wait for the views; missing: %s", missing)
		}
		if g := answer.GetGroups(); len(g) != 1 || g[0].GetPrimaryStatus() != "up" {
			t.Errorf("the groups are %v", g)
		}
		return
	}
}

// heldViews keeps views from being committed until they are released, and says when somebody waits for them.
type heldViews struct {
	waits, release chan struct{}
}

func (h *heldViews) pass(where string) {
	switch {
	case h == nil:
	case where == "before-commit-observe":
		<-h.release
	case where == "before-views-status":
		select {
		case h.waits <- struct{}{}:
		default: // it is known already
		}
	}
}

// askNewLeader has another arbiter lead, and asks it for its status at once.
func (c *cluster) askNewLeader() chan *arbiterv1.GetStatusResponse {
	c.t.Helper()
	if _, err := c.api(c.leader()).TransferLeadership(c.t.Context(), &arbiterv1.TransferLeadershipRequest{Change: c.change("")}); err != nil {
		c.t.Fatal(err)
	}
	leader := c.api(c.leader())
	answered := make(chan *arbiterv1.GetStatusResponse, 1)
	go func() {
		answer, err := leader.GetStatus(c.t.Context(), &arbiterv1.GetStatusRequest{})
		if err != nil {
			c.t.Error(err)
		}
		answered <- answer
	}()
	return answered
}

// missingViews are the voters whose views an answer lacks.
func missingViews(answer *arbiterv1.GetStatusResponse) string {
	var missing []string
	for _, a := range answer.GetArbiters() {
		if a.GetVoter() && !a.GetViewCurrent() {
			missing = append(missing, a.GetNode())
		}
	}
	return strings.Join(missing, ", ")
}
