package arbiter

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/supervise"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Routers are asked for a failover also while an inspection has all of its places; what there was no place for is told as that, not as a silent router.
func TestAskRouters_WaitsForNoInspection(t *testing.T) {
	full := func(size int) chan struct{} {
		places := make(chan struct{}, size)
		for range size {
			places <- struct{}{}
		}
		return places
	}
	n := &Node{group: supervise.NewGroup(t.Context()), inspecting: full(1), asking: make(chan struct{}, 1)}
	n.options.Drivers.Inspect.Astray = func(context.Context, failover.Route, *failover.Group, failover.MemberName) RouteLook {
		return RouteLook{}
	}
	g := &failover.Group{Spec: &failover.Spec{Routes: []failover.Route{{Name: "front"}, {Name: "back"}}}}
	if got, want := n.askRouters(t.Context(), g), []failover.RouterAnswer{{Route: "front"}, {Route: "back"}}; !slices.Equal(got, want) {
		t.Errorf("while all places of inspections are taken: %+v", got)
	}
	n.asking = full(1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, a := range n.askRouters(ended, g) {
		if !a.NotAsked || !strings.Contains(a.Silent, "this arbiter was busy") {
			t.Errorf("without a place: %+v", a)
		}
	}
}

// The fence of a primary is told to be not armed only if it was asked.
func TestAskMembers_AFenceThatWasNotAsked(t *testing.T) {
	n := &Node{group: supervise.NewGroup(t.Context()), askingMembers: make(chan struct{}, 1)}
	n.askingMembers <- struct{}{}
	g := &failover.Group{
		Name: "orders", Spec: &failover.Spec{Members: []failover.MemberSpec{{Name: "pg-a"}}},
		Members: []failover.Member{{Name: "pg-a", Authority: failover.AuthorityWriter}},
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, _ := n.askMembers(ended, g, nil); !got.NotAsked || got.Member != "pg-a" || got.Unarmed != busy {
		t.Errorf("without a place: %+v", got)
	}
	if got := fenceAnswer("pg-a", []Finding{unanswered(look{what: "it"}, true)}); got.NotAsked || got.Unarmed == "" {
		t.Errorf("asked in vain: %+v", got)
	}
}

// A router that heeds no time limit keeps no other one from being asked, however often it is asked itself; nor one that another spec has in its place.
func TestAskRouters_OneThatHangsKeepsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHangingRouters(t)
		for range hangAtMost {
			if got := h.answer(t.Context(), "old:1"); got != "it gave no answer in time" {
				t.Fatalf("while it hangs: %q", got)
			}
			if got := h.answer(t.Context(), "sound:1"); got != "" {
				t.Fatalf("another one, with a single place: %q", got)
			}
		}
		before := h.asked.Load()
		if got := h.answer(t.Context(), "old:1"); got != "it gave no answer in time" || h.asked.Load() != before {
			t.Errorf("once %d looks hang: %q, asked again %v", hangAtMost, got, h.asked.Load() != before)
		}
		if got := h.answer(t.Context(), "new:1"); got != "" {
			t.Errorf("at the address of another spec: %q", got)
		}
	})
}

// A look that nobody waits for any more, since its caller has gone, hangs only if it has not ended by its limit.
func TestAskRouters_OneThatIsCalledOffDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHangingRouters(t)
		for range 2 * hangAtMost {
			called, off := context.WithCancel(t.Context())
			h.begun = off
			h.answer(called, "old:1")
			if synctest.Wait(); len(h.n.hanging.looks) > 0 {
				t.Fatalf("it is called off, and counts: %v", h.n.hanging.looks)
			}
			h.let <- struct{}{}
			synctest.Wait()
		}
		h.hangs = ""
		if got := h.answer(t.Context(), "old:1"); got != "" {
			t.Errorf("after that: %q", got)
		}
	})
}

// hangingRouters are an arbiter with a single place to ask routers, of which the one at an address heeds no time limit.
type hangingRouters struct {
	n     *Node
	hangs string
	begun func() // when it is asked
	asked atomic.Int32
	let   chan struct{}
}

func newHangingRouters(t *testing.T) *hangingRouters {
	h := &hangingRouters{
		n:     &Node{group: supervise.NewGroup(t.Context()), asking: make(chan struct{}, 1)},
		hangs: "old:1", begun: func() {}, let: make(chan struct{}),
	}
	t.Cleanup(func() { close(h.let) })
	h.n.options.Drivers.Inspect.Astray = func(_ context.Context, r failover.Route, _ *failover.Group, _ failover.MemberName) RouteLook {
		h.asked.Add(1)
		if r.VerifyAddress == h.hangs {
			h.begun()
			<-h.let
		}
		return RouteLook{}
	}
	return h
}

func (h *hangingRouters) answer(ctx context.Context, address string) string {
	ctx, end := context.WithTimeout(ctx, 2*askRoute)
	defer end()
	spec := &failover.Spec{Routes: []failover.Route{{Name: "front", VerifyAddress: address}}}
	return h.n.askRouters(ctx, &failover.Group{Name: "orders", Spec: spec})[0].Silent
}

// A look that was under way when a plan was asked for was not made for it, though it ends later.
func TestLooksOfAPlan_BeginAfterTheRequest(t *testing.T) {
	f := newViewFixture()
	n := &Node{view: f.view, options: Options{Clock: f.clock}}
	g := f.state().Group("pay")
	see := func() {
		for _, m := range g.Members {
			r := f.report(m.Name, failover.ReasonAnswered)
			r.Told = Told{Began: r.Began, Ended: r.Ended}
			f.observe(r)
		}
	}
	fresh := func(since time.Duration) (fresh int) {
		for _, l := range n.looksToProto(g, since) {
			if l.GetFresh() {
				fresh++
			}
		}
		return fresh
	}
	since := f.clock.Boot() + 5*time.Millisecond // in the midst of the look at the first
	see()
	if n.lookedSince(g, since) || fresh(since) != 2 {
		t.Errorf("looks that were under way count: %v", n.looksToProto(g, since))
	}
	untold := f.report(g.Members[0].Name, failover.ReasonAnswered) // by a required check that asks nothing
	f.observe(untold)
	if fresh(since) != 2 {
		t.Errorf("what was told before counts as told for the plan: %v", n.looksToProto(g, since))
	}
	see()
	if !n.lookedSince(g, since) || fresh(since) != 3 {
		t.Errorf("looks that began later do not: %v", n.looksToProto(g, since))
	}
}

// A dry run that finds no failover possible says what to do about it, in the arbiters' words.
func TestRehearse_SaysWhatToDo(t *testing.T) {
	s := ordersScript(t)
	rehearse := func(silent string) *arbiterv1.FailoverResponse {
		asked := askedAnew{Asked: failover.Asked{Routers: failover.Routers{Asked: []failover.RouterAnswer{{Route: "haproxy-1", Silent: silent}}}}}
		within := func(e failover.Explanation) failover.Explanation { return e }
		plan, err := s.node().rehearse(&s.state, s.find(), within, failover.StartOperation{Request: operator, Group: s.group, Kind: failover.KindFailover}, asked)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if plan := rehearse(""); !plan.GetPossible() || len(plan.GetNext()) > 0 {
		t.Errorf("one that is possible: %v", plan)
	}
	if plan := rehearse("no answer"); plan.GetRefused() == "" || len(plan.GetNext()) != 1 || !strings.Contains(plan.GetNext()[0], "--ignore-routers") {
		t.Errorf("one that would be refused: %v", plan)
	}
	for _, m := range []failover.MemberName{"pg-b", "pg-c"} {
		s.see(m, failover.Evidence{Reason: failover.ReasonRefused}, failover.Facts{}, scriptNodes...)
	}
	s.send(nil)
	if plan := rehearse(""); plan.GetPossible() || plan.GetRefused() != "" || !strings.Contains(strings.Join(plan.GetNext(), "\n"), "start pg-b") {
		t.Errorf("one that would be held: %v", plan)
	}
}
