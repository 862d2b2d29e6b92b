package arbiter

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// routesAtOnce bounds how many groups' routes are looked at at the same time.
const routesAtOnce = 4

// routeWatch is the leader's look at whether the routes of groups with nothing in progress lead to their writers. A router forgets that over a
// crash, and people change it by hand. It changes nothing: it proposes an operation, which the state machine refuses if anything was done
// to the group since the look began.
//
// One goroutine runs it, with one per group that is looked at.
type routeWatch struct {
	every   time.Duration // between the end of one round and the next
	leading *latch
	state   func() *failover.State
	astray  func(ctx context.Context, route failover.Route, group *failover.Group, writer failover.MemberName) (string, error)
	now     func() time.Time
	propose func(failover.Body, func(*fsm.Response, error))
	log     hclog.Logger
}

func (w *routeWatch) run(ctx context.Context) error {
	for {
		leading, changed := w.leading.get()
		if leading {
			w.round(ctx)
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

// round looks at the routes of every group once.
func (w *routeWatch) round(ctx context.Context) {
	s := w.state()
	places := make(chan struct{}, routesAtOnce)
	var wait sync.WaitGroup
	for _, g := range s.Groups {
		if writer := failover.RoutesLeadTo(s, g, failover.WallTimeOf(w.now())); writer != "" {
			places <- struct{}{}
			wait.Go(func() {
				defer func() { <-places }()
				w.look(ctx, g, writer)
			})
		}
	}
	wait.Wait()
}

func (w *routeWatch) look(ctx context.Context, g *failover.Group, writer failover.MemberName) {
	var found []string
	for _, route := range g.Spec.Routes {
		limited, cancel := context.WithTimeout(ctx, askRoute)
		what, err := w.astray(limited, route, g, writer)
		cancel()
		if err == nil && what != "" { // of a router that does not answer nothing is known: `check` tells of it
			found = append(found, what)
		}
	}
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
