package arbiter

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// routesAtOnce bounds how many routers are asked at the same time: a route may be a command, which is a process.
const routesAtOnce = 8

// routeWatch is the leader's look at whether the routes of groups with nothing in progress lead to their writers. A router forgets that over a
// crash, and people change it by hand. It changes nothing: it proposes an operation, which the state machine refuses if anything was done
// to the group since the look began.
//
// One goroutine runs it, with one per group that is looked at and one per route of it: a router that is silent until its time limit keeps nobody
// else's routes waiting, nor the next round. A group whose look goes on then is left out of it.
type routeWatch struct {
	every   time.Duration // between the beginnings of two rounds
	leading *latch
	state   func() *failover.State
	astray  func(ctx context.Context, route failover.Route, group *failover.Group, writer failover.MemberName) (string, error)
	now     func() time.Time
	propose func(failover.Body, func(*fsm.Response, error))
	log     hclog.Logger
	places  chan struct{} // one is taken while a router is asked

	mu      sync.Mutex
	looking map[failover.GroupName]bool // whose look is under way
}

func (w *routeWatch) run(ctx context.Context) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	for {
		leading, changed := w.leading.get()
		if leading {
			w.round(ctx, &looks)
			if err := clock.Pause(ctx, w.every); err != nil {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// round begins a look at the routes of every group that is not being looked at.
func (w *routeWatch) round(ctx context.Context, looks *sync.WaitGroup) {
	s := w.state()
	for _, g := range s.Groups {
		writer := failover.RoutesLeadTo(s, g, failover.WallTimeOf(w.now()))
		if writer == "" || !w.begins(g.Name) {
			continue
		}
		looks.Go(func() {
			defer w.ends(g.Name)
			w.look(ctx, g, writer)
		})
	}
}

// begins notes that a group is looked at, unless it is already.
func (w *routeWatch) begins(group failover.GroupName) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.looking[group] {
		return false
	}
	w.looking[group] = true
	return true
}

func (w *routeWatch) ends(group failover.GroupName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.looking, group)
}

func (w *routeWatch) look(ctx context.Context, g *failover.Group, writer failover.MemberName) {
	found := make([]string, len(g.Spec.Routes))
	var asked sync.WaitGroup
	for i, route := range g.Spec.Routes {
		asked.Go(func() { found[i] = w.ask(ctx, route, g, writer) })
	}
	asked.Wait()
	found = slices.DeleteFunc(found, func(what string) bool { return what == "" })
	if len(found) == 0 {
		return
	}
	body := failover.StartOperation{
		Group: g.Name, Kind: failover.KindReroute, Epoch: g.Epoch, Request: failover.Request{Reason: strings.Join(found, "; ")},
	}
	w.propose(body, func(response *fsm.Response, err error) {
		switch {
		case err != nil: // the next round looks again
		case response.Rejection != nil:
			w.log.Info("routes left alone", "group", g.Name, "why", response.Rejection.Text)
		}
	})
}

// ask says what of a route leads astray, empty if nothing is known to: of a router that does not answer `check` tells.
func (w *routeWatch) ask(ctx context.Context, route failover.Route, g *failover.Group, writer failover.MemberName) string {
	select {
	case w.places <- struct{}{}:
	case <-ctx.Done():
		return ""
	}
	defer func() { <-w.places }()
	limited, cancel := context.WithTimeout(ctx, askRoute)
	defer cancel()
	what, err := w.astray(limited, route, g, writer)
	if err != nil {
		return ""
	}
	return what
}
