package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// stepsOf are the names of an operation's steps that are actions and were done.
func stepsOf(op *arbiterv1.Operation) []string {
	actions := []string{"isolate", "catch_up", "promote", "configure", "route", "verify"}
	var names []string
	for _, s := range op.GetSteps() {
		if slices.Contains(actions, s.GetName()) && s.GetResult() == "done" {
			names = append(names, s.GetName())
		}
	}
	return names
}

var wholeFailover = []string{"isolate", "catch_up", "promote", "configure", "route", "verify"}

func TestCrashOfThePrimary(t *testing.T) {
	c := startProtecting(t)
	before := c.status(t.Context(), "pay")
	c.world.crash("db1")
	g, op := c.awaitFailover("pay")

	if got := g.GetEpoch(); got != before.GetEpoch()+1 {
		t.Errorf("epoch %d after %d", got, before.GetEpoch())
	}
	if got := stepsOf(op); !slices.Equal(got, wholeFailover) {
		t.Errorf("steps %v, want %v", got, wholeFailover)
	}
	if op.GetFrom() != "db1" || op.GetTo() != g.GetPrimary() || op.GetResult() != "done" || op.GetActor() != "automatic" {
		t.Errorf("receipt %v", op)
	}
	if got := c.world.writers(); !slices.Equal(got, []failover.MemberName{failover.MemberName(g.GetPrimary())}) {
		t.Errorf("writers %v, want %s alone", got, g.GetPrimary())
	}
	if got := c.world.routed("front"); string(got) != g.GetPrimary() {
		t.Errorf("clients are sent to %q", got)
	}
	effects := c.world.effects()
	isolated := slices.IndexFunc(effects, func(e string) bool { return strings.HasPrefix(e, "isolate db1") })
	promoted := slices.IndexFunc(effects, func(e string) bool { return strings.HasPrefix(e, "promote ") })
	if isolated < 0 || promoted < isolated {
		t.Errorf("isolated at %d, promoted at %d: %v", isolated, promoted, effects)
	}
	for _, e := range effects {
		if e == "isolate db2" || e == "isolate db3" {
			t.Errorf("%s was done to a healthy standby", e)
		}
	}
}

// leaseEvents are the grants and releases of leases of pay, with their epochs.
func leaseEvents(c *cluster) []string {
	c.t.Helper()
	stream, err := c.api(c.leader()).WatchEvents(c.t.Context(), &arbiterv1.WatchEventsRequest{Group: "pay"})
	if err != nil {
		c.t.Fatal(err)
	}
	var list []string
	for {
		r, err := stream.Recv()
		if err != nil {
			c.t.Fatal(err)
		}
		if e := r.GetEvent(); e.GetKind() == string(failover.LeaseGranted) || e.GetKind() == string(failover.LeaseReleased) {
			list = append(list, fmt.Sprintf("%s %d", e.GetKind(), e.GetEpoch()))
		}
		if r.CaughtUp != nil {
			return list
		}
	}
}

func TestLeaderStopped_HandsOverAndReleases(t *testing.T) {
	c := startProtecting(t)
	open := c.world.closeGate()
	defer open()
	c.world.crash("db1")
	old := c.fencing()
	if leader := c.leader(); leader != old {
		t.Fatalf("%s fences and %s leads", old, leader)
	}
	c.stop(old)
	// The lease was released, so the next leader need not wait for it to run out: it fences under the next epoch.
	next := c.fencing()
	if next == old {
		t.Fatalf("%s fences although it was stopped", next)
	}
	epochs, err := c.api(c.leader()).GetEpochs(t.Context(), &arbiterv1.GetEpochsRequest{Group: "pay"})
	if err != nil {
		t.Fatal(err)
	}
	if got := epochs.GetLease().GetHolder(); got != string(next) {
		t.Errorf("lease of %q, want %s", got, next)
	}
	kinds := leaseEvents(c)
	if want := []string{"lease-granted 2", "lease-released 2", "lease-granted 3"}; !slices.Equal(kinds, want) {
		t.Errorf("leases %v, want %v", kinds, want)
	}
	open()
	c.awaitFailover("pay")
	if got := c.world.writers(); len(got) != 1 || got[0] == "db1" {
		t.Errorf("writers %v", got)
	}
}

func TestLeaderKilledMidIsolate_NextOneWaitsForTheLease(t *testing.T) {
	c := startProtecting(t)
	before := c.status(t.Context(), "pay").GetEpoch()
	open := c.world.closeGate()
	defer open()
	c.world.crash("db1")
	old := c.fencing()
	during := c.status(t.Context(), "pay")
	if during.GetLease().GetHolder() != string(old) || during.GetEpoch() != before+1 {
		t.Fatalf("mid-isolate: lease %v, epoch %d after %d", during.GetLease(), during.GetEpoch(), before)
	}
	killed := time.Now()
	c.kill(old)
	next := c.leader()
	waiting := c.status(t.Context(), "pay")
	if waiting.GetLease() == nil || waiting.GetEpoch() == before+1 && waiting.GetLease().GetHolder() != string(old) {
		t.Errorf("the new leader sees lease %v at epoch %d", waiting.GetLease(), waiting.GetEpoch())
	}
	c.eventually("the next leader fences", func(context.Context) bool {
		select {
		case node := <-c.world.fencing:
			return node == next
		default:
			return false
		}
	})
	if waited := time.Since(killed); waited < lease {
		t.Errorf("it fenced %v after the holder was killed, and the lease lasts %v", waited, lease)
	}
	if kinds := leaseEvents(c); !slices.Equal(kinds, []string{"lease-granted 2", "lease-granted 3"}) {
		t.Errorf("leases %v: the killed arbiter can't have released its own", kinds)
	}
	if got := c.status(t.Context(), "pay").GetEpoch(); got != before+2 {
		t.Errorf("epoch %d, want %d: a new lease is a new epoch", got, before+2)
	}
	if writers := c.world.writers(); len(writers) != 0 {
		t.Errorf("%v write before anything was fenced", writers)
	}
	open()
	g, op := c.awaitFailover("pay")
	if g.GetEpoch() < before+2 || !slices.Contains(stepsOf(op), "verify") {
		t.Errorf("epoch %d, steps %v", g.GetEpoch(), stepsOf(op))
	}
	for _, e := range c.world.effects() {
		if strings.HasSuffix(e, " by "+string(old)) {
			t.Errorf("%q although it was killed before", e)
		}
	}
}

// A request that was meant for what an operation stood at before is refused, and says what it is held for now (S4).
func TestS4_RequestsAreAboutWhatTheirCallerSaw(t *testing.T) {
	c := startProtecting(t)
	open := c.world.closeGate()
	defer open()
	c.world.crash("db1")
	c.fencing()
	ctx, api := t.Context(), c.api(c.leader())
	isolating := c.status(ctx, "pay").GetOperation()
	if _, err := api.Abort(ctx, &arbiterv1.AbortRequest{Change: c.change("wait"), Group: "pay", Operation: isolating.GetId()}); err != nil {
		t.Fatal(err)
	}
	held := c.status(ctx, "pay").GetOperation()
	if isolating.GetTurn() == 0 || held.GetTurn() <= isolating.GetTurn() || held.GetHeldReason() != "aborted" {
		t.Fatalf("turn %d, then %d, held for %q", isolating.GetTurn(), held.GetTurn(), held.GetHeldReason())
	}
	release := func(seen uint64) error {
		_, err := api.Release(ctx, &arbiterv1.ReleaseRequest{Change: c.change("go on"), Group: "pay", Operation: held.GetId(), Seen: seen})
		return err
	}
	reinstate := func(seen uint64) error {
		_, err := api.Reinstate(ctx, &arbiterv1.ReinstateRequest{Change: c.change("back"), Group: "pay", Operation: held.GetId(), Seen: seen})
		return err
	}
	attest := func(seen uint64) error {
		_, err := api.Attest(ctx, &arbiterv1.AttestRequest{Change: c.change("off"), Group: "pay", Operation: held.GetId(), Seen: seen, Member: "db1"})
		return err
	}
	for name, err := range map[string]error{"release": release(isolating.GetTurn()), "reinstate": reinstate(isolating.GetTurn()), "attest": attest(1)} {
		if r := detail[*arbiterv1.Rejection](t, err); r.GetRule() != "S4" || !strings.Contains(r.GetWhy(), "held for aborted") {
			t.Errorf("a late %s: %v", name, err)
		}
	}
	open()
	if err := release(held.GetTurn()); err != nil {
		t.Fatal(err)
	}
	c.awaitFailover("pay")
}

func TestPaused_NothingIsDone(t *testing.T) {
	c := startProtecting(t)
	api := c.api(c.leader())
	if _, err := api.Pause(t.Context(), &arbiterv1.PauseRequest{Change: c.change("maintenance"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	c.world.crash("db1")
	c.eventually("the primary is seen down", func(ctx context.Context) bool { return c.status(ctx, "pay").GetPrimaryStatus() == "down" })
	// The verdict is committed, so the Controller has been given it: what it does about it, it does at once.
	g := c.status(t.Context(), "pay")
	if g.GetPause().GetActor() != "alice" || g.GetLease() != nil || g.GetPrimary() != "db1" || len(c.world.effects()) != 0 {
		t.Errorf("paused by %q, lease %v, primary %s, done %v", g.GetPause().GetActor(), g.GetLease(), g.GetPrimary(), c.world.effects())
	}
	if _, err := api.Resume(t.Context(), &arbiterv1.ResumeRequest{Change: c.change("done"), Group: "pay"}); err != nil {
		t.Fatal(err)
	}
	c.awaitFailover("pay")
}
