package clustertest

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// said is a change that was carried out, and what it was answered with.
type said struct {
	method string
	ask    func() (proto.Message, error)
	answer proto.Message
}

// changes are changes of group pay, in order.
type changes struct {
	*cluster
	api  arbiterv1.ArbiterServiceClient
	done []said
}

// do carries out a change that must succeed, and keeps the answer.
func do[Request, Response proto.Message](c *changes, method func(context.Context, Request) (Response, error), name string, r Request) {
	c.t.Helper()
	ask := func() (proto.Message, error) { return method(c.t.Context(), r) }
	answer, err := ask()
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	c.done = append(c.done, said{name, ask, answer})
}

// A caller that did not hear the answer asks again with the same request id, when what it was about may be gone: the operation is over,
// the group deleted. It hears what the first one was answered, but for the words, and nothing happens.
func TestRepeatedRequest_IsAnsweredAsTheFirst(t *testing.T) {
	cl := startProtecting(t)
	c := &changes{cluster: cl, api: cl.api(cl.leader())}
	open := c.world.closeGate()
	defer open()
	c.carryOutEveryChange(open)
	wanted := changeMethods()
	before := c.status(t.Context(), "pay")
	for _, s := range c.done {
		again, err := s.ask()
		if err != nil {
			t.Errorf("%s again: %v", s.method, err)
			continue
		}
		if first, again := withoutWords(s.answer), withoutWords(again); !proto.Equal(first, again) {
			t.Errorf("%s was answered %v, and again %v", s.method, first, again)
		}
		delete(wanted, s.method)
	}
	if now := c.status(t.Context(), "pay"); now.GetEpoch() != before.GetEpoch() || now.GetOperation() != nil || now.GetPause() != nil {
		t.Errorf("the repeated requests made epoch %d of %d, operation %v, pause %v", now.GetEpoch(), before.GetEpoch(), now.GetOperation(), now.GetPause())
	}
	do(c, ask(c.api.DeleteGroup), "DeleteGroup", &arbiterv1.DeleteGroupRequest{Change: c.change("gone"), Group: "pay"})
	delete(wanted, "DeleteGroup")
	kept, err := c.api.ListAttestations(t.Context(), &arbiterv1.ListAttestationsRequest{Group: "pay"}) // once, and although the group is gone
	if list := kept.GetAttestations(); err != nil || len(list) != 1 || list[0].GetMember() != "db1" || list[0].GetReason() != "pulled the plug" || list[0].GetSaw() == "" {
		t.Errorf("kept are %v (%v)", kept, err)
	}
	for _, s := range c.done {
		if again, err := s.ask(); err != nil || s.method == "DeleteGroup" && !proto.Equal(s.answer, again) {
			t.Errorf("%s again, after the group was deleted: %v, %v", s.method, again, err)
		}
	}
	if _, err := c.api.GetGroup(t.Context(), &arbiterv1.GetGroupRequest{Group: "pay"}); status.Code(err) != codes.NotFound {
		t.Errorf("a repeated request made the group again: %v", err)
	}
	if len(wanted) > 0 {
		t.Errorf("%v were not tried", wanted)
	}
}

// A request id is of one change: what else is asked for under it is refused, and the same is answered with what it did, not with what is there
// now. A dry run repeats nothing.
func TestRepeatedRequest_IsOfTheSameChange(t *testing.T) {
	cl := startProtecting(t)
	c := &changes{cluster: cl, api: cl.api(cl.leader())}
	apply := func(change *arbiterv1.Change, attempts uint32, dryRun bool) (*arbiterv1.ApplyGroupResponse, error) {
		spec := writtenSpec("pay")
		spec.Policy.MaxAttempts = proto.Uint32(attempts)
		return c.api.ApplyGroup(t.Context(), &arbiterv1.ApplyGroupRequest{Change: change, Spec: spec, DryRun: dryRun})
	}
	first := c.change("calmer")
	calmer, err := apply(first, 7, false)
	if err != nil {
		t.Fatal(err)
	}
	calmest, err := apply(c.change("calmer still"), 8, false)
	if err != nil || calmest.GetVersion() != calmer.GetVersion()+1 {
		t.Fatal(calmest, err)
	}
	if again, err := apply(first, 7, false); !proto.Equal(again, calmer) {
		t.Errorf("answered %v, and again %v (%v)", calmer, again, err)
	}
	if answer, err := apply(first, 9, false); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("another spec under the same id: %v, %v", answer, err)
	}
	if answer, err := apply(first, 8, true); answer.GetResult() != "unchanged" || answer.GetVersion() != calmest.GetVersion() {
		t.Errorf("a dry run of what is there, under a used id: %v, %v", answer, err)
	}
	if answer, err := apply(first, 9, true); answer.GetResult() != "changed" || answer.GetVersion() != calmest.GetVersion()+1 {
		t.Errorf("a dry run of a change, under a used id: %v, %v", answer, err)
	}
	open := c.world.closeGate()
	defer open()
	do(c, ask(c.api.Failover), "Failover", &arbiterv1.FailoverRequest{Change: c.change("try"), Group: "pay"})
	c.fencing()
	abort := &arbiterv1.AbortRequest{Change: c.change("no"), Group: "pay", Operation: c.operation()}
	do(c, ask(c.api.Abort), "Abort", abort)
	other, _ := proto.Clone(abort).(*arbiterv1.AbortRequest)
	other.Operation = "pay-1"
	if answer, err := c.api.Abort(t.Context(), other); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("an abort of another operation under the same id: %v, %v", answer, err)
	}
}

// carryOutEveryChange leaves the group without an operation.
func (c *changes) carryOutEveryChange(open func()) {
	c.t.Helper()
	group, calm := "pay", writtenSpec("pay")
	calm.Policy.MaxAttempts = proto.Uint32(calm.GetPolicy().GetMaxAttempts() + 1)
	do(c, ask(c.api.ApplyGroup), "ApplyGroup", &arbiterv1.ApplyGroupRequest{Change: c.change("calmer"), Spec: calm})
	do(c, ask(c.api.Adopt), "Adopt", &arbiterv1.AdoptRequest{Change: c.change("again"), Group: group})
	do(c, ask(c.api.Pause), "Pause", &arbiterv1.PauseRequest{Change: c.change("maintenance"), Group: group})
	do(c, ask(c.api.Resume), "Resume", &arbiterv1.ResumeRequest{Change: c.change("over"), Group: group})
	do(c, ask(c.api.Failover), "Failover", &arbiterv1.FailoverRequest{Change: c.change("try"), Group: group})
	c.fencing()
	do(c, ask(c.api.Abort), "Abort", &arbiterv1.AbortRequest{Change: c.change("no"), Group: group, Operation: c.operation()})
	do(c, ask(c.api.Reinstate), "Reinstate", &arbiterv1.ReinstateRequest{Change: c.change("back"), Group: group, Operation: c.operation(), Seen: c.turn()})
	c.eventually("the writer is back", func(ctx context.Context) bool {
		g := c.status(ctx, group)
		return g != nil && g.GetOperation() == nil && g.GetPrimary() == "db1"
	})
	do(c, ask(c.api.Failover), "Failover", &arbiterv1.FailoverRequest{Change: c.change("go"), Group: group})
	c.fencing()
	do(c, ask(c.api.Abort), "Abort", &arbiterv1.AbortRequest{Change: c.change("wait"), Group: group, Operation: c.operation()})
	c.world.crash("db1")
	attest := &arbiterv1.AttestRequest{Change: c.change("pulled the plug"), Group: group, Operation: c.operation(), Member: "db1"}
	c.eventually("all see that db1 is gone", func(ctx context.Context) bool {
		attest.Seen = c.turn()
		_, err := c.api.Attest(ctx, attest)
		return err == nil
	})
	do(c, ask(c.api.Attest), "Attest", attest) // for the second time already
	do(c, ask(c.api.Release), "Release", &arbiterv1.ReleaseRequest{Change: c.change("go on"), Group: group, Operation: c.operation(), Seen: c.turn()})
	open()
	c.awaitFailover(group)
}

// operation is the one in progress.
func (c *changes) operation() string { return c.status(c.t.Context(), "pay").GetOperation().GetId() }

// turn is that of the operation in progress.
func (c *changes) turn() uint64 { return c.status(c.t.Context(), "pay").GetOperation().GetTurn() }

// ask leaves the call options out.
func ask[Request, Response, Option any](method func(context.Context, Request, ...Option) (Response, error)) func(context.Context, Request) (Response, error) {
	return func(ctx context.Context, r Request) (Response, error) { return method(ctx, r) }
}

// changeMethods are the calls that the log carries out at most once.
func changeMethods() map[string]bool {
	methods := arbiterv1.File_arbiter_v1_api_proto.Services().ByName("ArbiterService").Methods()
	found := map[string]bool{}
	for i := range methods.Len() {
		m := methods.Get(i)
		if m.Input().Fields().ByName("change") != nil && m.Name() != "TransferLeadership" { // which is no entry
			found[string(m.Name())] = true
		}
	}
	return found
}

// withoutWords is an answer without what is meant for people.
func withoutWords(answer proto.Message) proto.Message {
	bare := proto.Clone(answer)
	for _, words := range []protoreflect.Name{"plan", "guards"} {
		if field := bare.ProtoReflect().Descriptor().Fields().ByName(words); field != nil {
			bare.ProtoReflect().Clear(field)
		}
	}
	if _, applied := bare.(*arbiterv1.ApplyGroupResponse); !applied { // of which the result is one of three
		if field := bare.ProtoReflect().Descriptor().Fields().ByName("result"); field != nil {
			bare.ProtoReflect().Clear(field)
		}
	}
	return bare
}
