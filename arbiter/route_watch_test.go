package arbiter

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// watchedRoutes is a watch over a settled group "pay" whose writer is db1, and what it asked and proposed.
type watchedRoutes struct {
	*routeWatch

	mu       sync.Mutex
	group    failover.Group
	answer   func(route string) (string, error)
	asked    []string
	proposed []failover.StartOperation
}

func newWatchedRoutes() *watchedRoutes {
	spec := &failover.Spec{Routes: []failover.Route{{Name: "front"}, {Name: "back"}}}
	spec.Policy.Automation = failover.AutomationFull
	w := &watchedRoutes{
		group: failover.Group{
			Name: "pay", Spec: spec, Adopted: true, Epoch: 7, Stage: failover.Steady,
			Members: []failover.Member{{Name: "db1", Authority: failover.AuthorityWriter}, {Name: "db2", Authority: failover.AuthorityNone}},
			Looks: []failover.Look{{Node: "a", Generation: 1, Observation: failover.Observation{
				Member: "db1", Checks: []failover.CheckState{{Evidence: failover.Evidence{Reason: failover.ReasonAnswered}}},
				Facts: failover.Facts{Role: failover.RolePrimary, AcceptsWrites: true},
			}}},
		},
		answer: func(string) (string, error) { return "", nil },
	}
	w.routeWatch = &routeWatch{every: 10 * time.Second, leading: newLatch(), log: quiet()}
	w.state = func() *failover.State {
		w.mu.Lock()
		defer w.mu.Unlock()
		g := w.group
		return &failover.State{Voters: []failover.NodeID{"a"}, Views: []failover.View{{Node: "a", Generation: 1, Current: true}}, Groups: []*failover.Group{&g}}
	}
	w.now = func() time.Time { return time.Unix(1_000_000_000, 0) }
	w.astray = func(_ context.Context, r failover.Route, group *failover.Group, writer failover.MemberName) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, string(group.Name)+" "+r.Name+" "+string(writer))
		return w.answer(r.Name)
	}
	w.propose = func(body failover.Body, done func(*fsm.Response, error)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.proposed = append(w.proposed, body.(failover.StartOperation))
		done(&fsm.Response{}, nil)
	}
	return w
}

func (w *watchedRoutes) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func TestRouteWatch_ProposesWhatIsAstray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchedRoutes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.run(ctx) }()
		after := func(d time.Duration) (asked, proposed int) {
			time.Sleep(d)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.asked), len(w.proposed)
		}
		if asked, _ := after(time.Minute); asked != 0 {
			t.Errorf("an arbiter that does not lead asked %q", w.asked)
		}
		w.leading.set(true)
		if asked, proposed := after(15 * time.Second); asked != 4 || proposed != 0 || w.asked[0] != "pay front db1" {
			t.Errorf("two rounds of two routes that lead to the writer: asked %q, proposed %+v", w.asked, w.proposed)
		}
		w.set(func() {
			w.answer = func(route string) (string, error) {
				if route == "back" {
					return "nobody knows", errors.New("it does not answer")
				}
				return "front sends nobody to db1", nil
			}
		})
		want := failover.StartOperation{Group: "pay", Kind: failover.KindReroute, Epoch: 7, Request: failover.Request{Reason: "front sends nobody to db1"}}
		if _, proposed := after(10 * time.Second); proposed != 1 || w.proposed[0] != want {
			t.Errorf("proposed %+v, want %+v", w.proposed, want)
		}
		w.set(func() { w.group.Pause = &failover.Paused{} })
		before, _ := after(0)
		if asked, proposed := after(time.Minute); asked != before || proposed != 1 {
			t.Errorf("while the group is paused: asked %d times more, proposed %+v", asked-before, w.proposed)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}
