package arbiter

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

const (
	// routesAtOnce bounds how many routers are asked over the network at the same time, for as long as placePatience.
	routesAtOnce = 8
	// hungRoutesAtOnce bounds how many are asked beside them of those that gave no answer in time when they were asked last.
	hungRoutesAtOnce = 4
	// programsAtOnce and hungProgramsAtOnce bound in the same way how many are asked by a program, each to its end: it is a process, and its guard
	// another one.
	programsAtOnce, hungProgramsAtOnce = 6, 2
	// placePatience is how long a router keeps others from its place, if no program is run and it answered in time when it was asked last, or was not
	// asked in this reign yet: a router that only waits costs nothing, and one dead HAProxy may be that of a hundred groups.
	placePatience = 250 * time.Millisecond
)

// errReignOver is the cause of the contexts of looks that outlive their arbiter's leadership.
var errReignOver = errors.New("this arbiter leads no more")

// routeWatch is the leader's look at whether the routes of groups with nothing in progress lead to their writers. A router forgets that over a
// crash, and people change it by hand. It changes nothing: it proposes an operation, which the state machine refuses if anything was done
// to the group since the look began.
//
// One goroutine runs it, with one per look and one per route that is asked. A router that is silent until its time limit keeps nobody else's
// routes waiting but for a moment, nor the next round, and from then on not even its own group's: such routers are looked at apart, in places
// of their own. Programs keep each other waiting, since only so many may run, but nobody else: they too are looked at apart.
// A look that goes on when the next one is due takes its place.
type routeWatch struct {
	every   time.Duration // between the beginnings of two rounds
	clock   clock.Clock
	leading *latch
	state   func() *failover.State
	astray  func(ctx context.Context, route failover.Route, group *failover.Group, writer failover.MemberName) (string, error)
	propose func(failover.Body, func(*fsm.Response, error))
	log     hclog.Logger
	program func(failover.Route) bool // whether a look at a route runs one
	places  routePlaces

	mu      sync.Mutex
	looking map[routesLook]bool     // those under way
	found   map[watchedRoute]string // what of a route leads astray, as it was seen last. Of this reign, and this spec, alone
	unread  map[watchedRoute]bool   // routes of which it is not known where they lead; true if their router hung. Of this reign, and this spec, alone
}

// routesLook names a look at those routes of a group that are of one kind.
type routesLook struct {
	group failover.GroupName
	kind  routeKind
}

// routeKind tells apart what is asked in places of its own.
type routeKind struct {
	hung    bool // it gave no answer in time when it was asked last
	program bool // to ask it, one is run
}

var routeKinds = []routeKind{{}, {program: true}, {hung: true}, {hung: true, program: true}}

// routePlaces are those that are taken while routers are asked.
type routePlaces map[routeKind]chan struct{}

func newRoutePlaces() routePlaces {
	return routePlaces{
		{}:                          make(chan struct{}, routesAtOnce),
		{program: true}:             make(chan struct{}, programsAtOnce),
		{hung: true}:                make(chan struct{}, hungRoutesAtOnce),
		{hung: true, program: true}: make(chan struct{}, hungProgramsAtOnce),
	}
}

type watchedRoute struct {
	group failover.GroupName
	name  string
}

func (w *routeWatch) run(ctx context.Context) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	for {
		leading, changed := w.leading.get()
		if leading {
			w.reign(ctx, changed, &looks)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reign begins rounds until this arbiter leads no more, which closes over. The looks that are under way then end, and come to nothing.
func (w *routeWatch) reign(ctx context.Context, over <-chan struct{}, looks *sync.WaitGroup) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(errReignOver)
	w.forget()
	for {
		w.round(ctx, looks)
		select {
		case <-time.After(w.every): // a suspend need not count
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *routeWatch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unread, w.found = map[watchedRoute]bool{}, map[watchedRoute]string{}
}

// seen is what of a group's routes leads astray, as it was seen last; nothing unless this arbiter leads.
func (w *routeWatch) seen(g *failover.Group) (found []string) {
	if w == nil {
		return nil
	}
	if leading, _ := w.leading.get(); !leading {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range g.Spec.Routes {
		if what := w.found[watchedRoute{g.Name, r.Name}]; what != "" {
			found = append(found, what)
		}
	}
	return found
}

// forgetGone drops what was kept of groups that were deleted and routes that were taken out of a spec.
func (w *routeWatch) forgetGone(s *failover.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := func(known watchedRoute) bool {
		g := s.Group(known.group)
		return g == nil || !slices.ContainsFunc(g.Spec.Routes, func(r failover.Route) bool { return r.Name == known.name })
	}
	maps.DeleteFunc(w.unread, func(known watchedRoute, _ bool) bool { return gone(known) })
	maps.DeleteFunc(w.found, func(known watchedRoute, _ string) bool {
		return gone(known) || failover.RoutesBelongTo(s, s.Group(known.group)) == ""
	})
}

// round begins the looks at the routes of every group that are not under way.
func (w *routeWatch) round(ctx context.Context, looks *sync.WaitGroup) {
	s := w.state()
	w.forgetGone(s)
	for _, g := range s.Groups {
		writer := failover.RoutesBelongTo(s, g)
		if writer == "" {
			continue
		}
		for _, kind := range routeKinds {
			look := routesLook{g.Name, kind}
			if routes := w.begin(look, g.Spec.Routes); len(routes) > 0 {
				looks.Go(func() {
					defer w.end(look)
					w.look(ctx, look, routes, g, writer)
				})
			}
		}
	}
}

// begin notes that a look is under way, and returns its share of a group's routes: none if it is under way already.
func (w *routeWatch) begin(look routesLook, all []failover.Route) []failover.Route {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.looking[look] {
		return nil
	}
	var routes []failover.Route
	for _, route := range all {
		kind := routeKind{hung: w.unread[watchedRoute{look.group, route.Name}], program: w.program(route)}
		if kind == look.kind {
			routes = append(routes, route)
		}
	}
	if len(routes) > 0 {
		w.looking[look] = true
	}
	return routes
}

func (w *routeWatch) end(look routesLook) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.looking, look)
}

// look asks some of a group's routers side by side, and proposes to lead back what is astray once all of them answered or may no more.
func (w *routeWatch) look(ctx context.Context, look routesLook, routes []failover.Route, g *failover.Group, writer failover.MemberName) {
	found := make([]string, len(routes))
	var asked sync.WaitGroup
	for i, route := range routes {
		asked.Go(func() { found[i] = w.ask(ctx, look.kind, route, g, writer) })
	}
	asked.Wait()
	found = slices.DeleteFunc(found, func(what string) bool { return what == "" })
	if len(found) == 0 || ctx.Err() != nil {
		return
	}
	s := w.state()
	now := s.Group(g.Name)
	if now == nil || failover.RoutesLeftAlone(s, now, failover.WallTimeOf(w.clock.Wall())) != "" {
		return
	}
	body := failover.StartOperation{
		Group: g.Name, Kind: failover.KindReroute, Epoch: g.Epoch, SpecSince: g.SpecSince, Request: failover.Request{Reason: strings.Join(found, "; ")},
	}
	w.propose(body, func(response *fsm.Response, err error) {
		switch {
		case err != nil: // the next round looks again
			w.log.Warn("fate of a reroute is unknown", "group", g.Name, "error", err)
		case response.Rejection != nil:
			w.log.Info("routes left alone", "group", g.Name, "why", response.Rejection.Text)
		}
	})
}

// ask says what of a route leads astray, empty if nothing is known to.
func (w *routeWatch) ask(ctx context.Context, kind routeKind, route failover.Route, g *failover.Group, writer failover.MemberName) string {
	places := w.places[kind]
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return ""
	}
	leave := sync.OnceFunc(func() { <-places })
	defer leave()
	if kind == (routeKind{}) {
		defer time.AfterFunc(placePatience, leave).Stop() // a suspend need not count
	}
	limited, cancel := clock.WithTimeout(ctx, w.clock, askRoute)
	defer cancel()
	what, err := w.astray(limited, route, g, writer)
	if err != nil {
		what = ""
	}
	w.note(ctx, watchedRoute{g.Name, route.Name}, what, err, limited.Err() != nil)
	return what
}

// note keeps what leads astray, and whether it is known where a route leads, and logs when that changes. What a look of a reign that is over came to is not kept: its end
// may be why the router was not heard.
func (w *routeWatch) note(ctx context.Context, route watchedRoute, what string, err error, hung bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	delete(w.found, route)
	if what != "" {
		w.found[route] = what
	}
	_, before := w.unread[route]
	if err == nil {
		delete(w.unread, route)
	} else {
		w.unread[route] = hung
	}
	switch {
	case err != nil && !before:
		w.log.Warn("not known where a route leads", "group", route.group, "route", route.name, "error", err)
	case err == nil && before:
		w.log.Info("known again where a route leads", "group", route.group, "route", route.name)
	}
}
