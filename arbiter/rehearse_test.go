package arbiter

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/supervise"
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
	n.options.Drivers.Inspect.Astray = func(context.Context, failover.Route, *failover.Group, failover.MemberName) (string, error) {
		return "", nil
	}
	g := &failover.Group{Spec: &failover.Spec{Routes: []failover.Route{{Name: "front"}, {Name: "back"}}}}
	if got, want := n.askRouters(t.Context(), g), []failover.RouterAnswer{{Route: "front"}, {Route: "back"}}; !slices.Equal(got, want) {
		t.Errorf("while all places of inspections are taken: %+v", got)
	}
	n.asking = full(1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, a := range n.askRouters(ended, g) {
		if !strings.Contains(a.Silent, "this arbiter was busy") {
			t.Errorf("without a place: %+v", a)
		}
	}
}

// A look that was under way when a plan was asked for was not made for it, though it ends later.
func TestLooksOfAPlan_BeginAfterTheRequest(t *testing.T) {
	f := newViewFixture()
	n := &Node{view: f.view, options: Options{Clock: f.clock}}
	g := f.state().Group("pay")
	see := func() {
		for _, m := range g.Members {
			r := f.report(m.Name, failover.ReasonAnswered)
			r.Told = true
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
	see()
	if !n.lookedSince(g, since) || fresh(since) != 3 {
		t.Errorf("looks that began later do not: %v", n.looksToProto(g, since))
	}
}
