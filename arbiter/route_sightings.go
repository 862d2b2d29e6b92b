package arbiter

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// watchedRoute names a route of any group.
type watchedRoute struct {
	group failover.GroupName
	name  string
}

// sighting is what the leader's newest look at a route came to. Nobody commits it.
type sighting struct {
	RouteLook
	epoch     failover.Epoch // of the group, and of its spec, when the look began: nothing is told of others
	specSince failover.Index
	ended     time.Duration // on the boot clock, as since
	since     time.Duration // when the first look began of those in a row that were told nothing, by the same spec; this one if it was told where the route leads
	hung      bool          // it gave no answer in time
}

// forget begins a reign.
func (w *routeWatch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.newest = map[watchedRoute]sighting{}
}

// forgetGone drops what was kept of groups that were deleted and routes that were taken out of a spec.
func (w *routeWatch) forgetGone(s *failover.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.newest, func(known watchedRoute, _ sighting) bool {
		g := s.Group(known.group)
		return g == nil || !slices.ContainsFunc(g.Spec.Routes, func(r failover.Route) bool { return r.Name == known.name })
	})
}

// note keeps what a look came to, and logs when it becomes unknown, or known again, where a route leads. What a look of a reign that is over came to is not
// kept: its end may be why the router was not heard.
func (w *routeWatch) note(ctx context.Context, route watchedRoute, now sighting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	last := w.newest[route]
	if now.Unread != nil && last.Unread != nil && last.specSince == now.specSince {
		now.since = last.since
	}
	w.newest[route] = now
	switch {
	case now.Unread != nil && last.Unread == nil:
		w.log.Warn("not known where a route leads", "group", route.group, "route", route.name, "error", now.Unread.What)
	case now.Unread == nil && last.Unread != nil:
		w.log.Info("known again where a route leads", "group", route.group, "route", route.name)
	}
}

// seenRoute is a route and what the newest look at it came to.
type seenRoute struct {
	sighting
	name string
}

// seen is what is known of where a group's routes lead, in the order of the spec: nothing unless this arbiter leads and they belong to somebody, and nothing from before
// anything was done to the group.
func (w *routeWatch) seen(s *failover.State, g *failover.Group) (seen []seenRoute) {
	if w == nil || failover.RoutesBelongTo(s, g) == "" {
		return nil
	}
	if leading, _ := w.leading.get(); !leading {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range g.Spec.Routes {
		if last, ok := w.newest[watchedRoute{g.Name, r.Name}]; ok && last.epoch == g.Epoch && last.specSince == g.SpecSince {
			seen = append(seen, seenRoute{last, r.Name})
		}
	}
	return seen
}
