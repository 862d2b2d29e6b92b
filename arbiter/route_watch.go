package arbiter

import (
	"context"
	"errors"
	"fmt"
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
// to the group since the look began. What it has seen it also tells, and looks again, only to tell, when something was done to a group.
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
	astray  func(ctx context.Context, route failover.Route, group *failover.Group, writer failover.MemberName) RouteLook
	events  func(after uint64) keptEvents
	propose func(failover.Body, func(*fsm.Response, error))
	log     hclog.Logger
	program func(failover.Route) bool // whether a look at a route runs one
	places  routePlaces

	mu      sync.Mutex
	looking map[routesLook]bool       // those under way; true: what they find astray is to be brought back
	newest  map[watchedRoute]sighting // of this reign
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
	known := w.state().EventSeq
	for again := true; again; {
		w.round(ctx, looks)
		known, again = w.await(ctx, over, looks, known)
	}
}

// await waits until the next round is due, which again says, and looks meanwhile where something was done to a group. It takes the number of the newest event
// that is known, and returns it.
func (w *routeWatch) await(ctx context.Context, over <-chan struct{}, looks *sync.WaitGroup, known uint64) (newest uint64, again bool) {
	due := time.After(w.every) // a suspend need not count
	for {
		kept := w.events(known)
		for _, e := range kept.events {
			known = e.Sequence
			if e.Kind == failover.OperationEnded || e.Kind == failover.GroupApplied {
				w.lookAgain(ctx, looks, e.Group)
			}
		}
		select {
		case <-kept.more:
		case <-due:
			return known, true
		case <-over:
			return known, false
		case <-ctx.Done():
			return known, false
		}
	}
}

// round begins the looks at the routes of every group that are not under way.
func (w *routeWatch) round(ctx context.Context, looks *sync.WaitGroup) {
	s := w.state()
	w.forgetGone(s)
	for _, g := range s.Groups {
		w.lookAt(ctx, looks, s, g, true)
	}
}

// lookAgain begins the looks at a group's routes to which something was done, so that nobody is told where they led before. It brings nothing back: that
// is for the next round, so that reroutes in a row come no faster.
func (w *routeWatch) lookAgain(ctx context.Context, looks *sync.WaitGroup, name failover.GroupName) {
	s := w.state()
	if g := s.Group(name); g != nil && ctx.Err() == nil {
		w.lookAt(ctx, looks, s, g, false)
	}
}

func (w *routeWatch) lookAt(ctx context.Context, looks *sync.WaitGroup, s *failover.State, g *failover.Group, bringBack bool) {
	writer := failover.RoutesBelongTo(s, g)
	if writer == "" {
		return
	}
	for _, kind := range routeKinds {
		look := routesLook{g.Name, kind}
		routes := w.begin(look, g.Spec.Routes, bringBack)
		if len(routes) == 0 {
			continue
		}
		looks.Go(func() {
			found := w.look(ctx, kind, routes, g, writer)
			bringBack := w.end(look)
			switch now := w.state().Group(g.Name); {
			case ctx.Err() != nil || now == nil:
			case now.Epoch != g.Epoch || now.SpecSince != g.SpecSince: // what it saw is past
				w.lookAgain(ctx, looks, g.Name)
			case bringBack:
				w.bringBack(g, found)
			}
		})
	}
}

// begin notes that a look is under way, and returns its share of a group's routes: none if it is under way already.
func (w *routeWatch) begin(look routesLook, all []failover.Route, bringBack bool) []failover.Route {
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, underWay := w.looking[look]; underWay {
		w.looking[look] = before || bringBack
		return nil
	}
	var routes []failover.Route
	for _, route := range all {
		kind := routeKind{hung: w.newest[watchedRoute{look.group, route.Name}].hung, program: w.program(route)}
		if kind == look.kind {
			routes = append(routes, route)
		}
	}
	if len(routes) > 0 {
		w.looking[look] = bringBack
	}
	return routes
}

func (w *routeWatch) end(look routesLook) (bringBack bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	bringBack = w.looking[look]
	delete(w.looking, look)
	return bringBack
}

// look asks some of a group's routers side by side, and says what is astray once all of them answered or may no more.
func (w *routeWatch) look(ctx context.Context, kind routeKind, routes []failover.Route, g *failover.Group, writer failover.MemberName) []Finding {
	found := make([][]Finding, len(routes))
	var asked sync.WaitGroup
	for i, route := range routes {
		asked.Go(func() { found[i] = w.ask(ctx, kind, route, g, writer) })
	}
	asked.Wait()
	return slices.Concat(found...)
}

// bringBack proposes to lead back what is astray.
func (w *routeWatch) bringBack(g *failover.Group, found []Finding) {
	s := w.state()
	now := s.Group(g.Name)
	if len(found) == 0 || now == nil || failover.RoutesLeftAlone(s, now, failover.WallTimeOf(w.clock.Wall())) != "" {
		return
	}
	body := failover.StartOperation{
		Group: g.Name, Kind: failover.KindReroute, Epoch: g.Epoch, SpecSince: g.SpecSince, Request: failover.Request{Reason: astrayInWords(found)},
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

// astrayInWords is what is astray in one line.
func astrayInWords(found []Finding) string {
	words := make([]string, len(found))
	for i, f := range found {
		words[i] = fmt.Sprintf("%s: %s", f.Member, f.What)
	}
	return strings.Join(words, "; ")
}

// ask says what of a route leads astray, nothing if nothing is known to.
func (w *routeWatch) ask(ctx context.Context, kind routeKind, route failover.Route, g *failover.Group, writer failover.MemberName) []Finding {
	places := w.places[kind]
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	leave := sync.OnceFunc(func() { <-places })
	defer leave()
	if kind == (routeKind{}) {
		defer time.AfterFunc(placePatience, leave).Stop() // a suspend need not count
	}
	limited, cancel := clock.WithTimeout(ctx, w.clock, askRoute)
	defer cancel()
	began := w.clock.Boot()
	look := w.astray(limited, route, g, writer)
	if look.Unread != nil {
		look.Astray = nil
	}
	w.note(ctx, watchedRoute{g.Name, route.Name}, sighting{
		RouteLook: look, epoch: g.Epoch, specSince: g.SpecSince, ended: w.clock.Boot(), since: began, hung: look.Unread != nil && limited.Err() != nil,
	})
	return look.Astray
}
