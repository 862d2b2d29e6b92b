package failover

import (
	"cmp"
	"fmt"
	"time"
)

// A reroute brings the routes back to the writer that is recorded, when a router has forgotten or was told otherwise. It is the reinstatement
// of a writer that never left: a new epoch, which that member takes, then the routes, then the proof. Nobody's authority changes, and it
// isolates nobody: it gives way, at whatever stage, to everything that concerns who writes. It is never held either: what didn't succeed ends it, and the
// next look may begin another one.

// startReroute takes the word of the arbiter that leads that a route of a settled group leads elsewhere than to its writer. A look from before
// anything was done to the group since names an epoch that has passed; one from before an apply, which may have taken the route out, an older spec.
func (c *change) startReroute(g *Group, b StartOperation) *Refusal {
	switch {
	case c.entry.Term != c.state.Reign.Term || c.entry.Proposer != c.state.Reign.Leader:
		return refuse("S8", "%s in term %d does not lead", c.entry.Proposer, c.entry.Term)
	case g.Operation != nil:
		return refuse("", "operation %s is in progress", g.Operation.ID)
	case b.Epoch != g.Epoch:
		return refuse("S4", "the routes were seen under epoch %d, and epoch %d is the present one", b.Epoch, g.Epoch)
	case b.SpecSince != g.SpecSince:
		return refuse("", "the routes were seen by another spec of %s than the present one, version %d", g.Name, g.SpecVersion)
	case whyNoReroute(&c.state, g) != "":
		return refuse("", "%s", whyNoReroute(&c.state, g))
	case g.Reroutes.rest(g.Reroutes.since(c.entry.Wall)) > 0:
		return refuse("", "%s", g.Reroutes.leftAlone())
	}
	if _, ok := g.target(RouteAstray); !ok {
		return refuse("", "%s is %s", g.Name, g.Stage)
	}
	c.beginOperation(g, RouteAstray, Operation{
		Kind: KindReroute, Automatic: true, From: g.Writer(), Reinstating: true, ReinstatedAt: g.Epoch, Verdict: b.Request.Reason,
	})
	g.Operation.addStep(Step{
		Name: "astray", Began: c.entry.Wall, Ended: c.entry.Wall, Member: g.Operation.From, Result: ResultDone, Detail: b.Request.Reason,
		Outcome: c.entry.Index,
	})
	return nil
}

// stopReroute ends a reroute as soon as its reason is gone.
func (c *change) stopReroute(g *Group) {
	if g.Operation == nil || g.Operation.Kind != KindReroute {
		return
	}
	if why := whyNoReroute(&c.state, g); why != "" {
		c.endOperation(g, OperationEnded, OperationStopped, why)
	}
}

// whyNoReroute says why the routes of a group are nobody's to change outside a failover, empty if they may be.
func whyNoReroute(s *State, g *Group) string {
	switch {
	case !g.Adopted:
		return fmt.Sprintf("%s is not adopted", g.Name)
	case g.Pause != nil:
		return fmt.Sprintf("%s is paused", g.Name)
	case g.Spec.Policy.Automation != AutomationFull:
		return "policy.automation is " + string(g.Spec.Policy.Automation)
	}
	return whyNoRoutes(s, g)
}

// whyNoRoutes says why the routes of a group belong to nobody for certain, empty if they do.
func whyNoRoutes(s *State, g *Group) string {
	writer := g.Writer()
	switch {
	case !g.Adopted:
		return fmt.Sprintf("%s is not adopted", g.Name)
	case len(g.Spec.Routes) == 0:
		return fmt.Sprintf("%s has no routes", g.Name)
	case writer == "" || g.Operation != nil && g.Operation.From != writer:
		return fmt.Sprintf("%s is the writer now", cmp.Or(writer, "nobody"))
	case g.countFresh(s, writer, acceptsWrites) < s.Majority():
		if Tally(s, g, writer).Status == StatusDown {
			return fmt.Sprintf("%s is down", writer)
		}
		return fmt.Sprintf("%s is not seen accepting writes by %d arbiters", writer, s.Majority())
	case g.hasRevoked() || len(rogues(s, g)) > 0:
		return "a member accepts writes without authority, which goes first"
	}
	return ""
}

func acceptsWrites(f Facts) bool { return f.Role == RolePrimary && f.AcceptsWrites }

// Reroutes are those in a row that came to an end of their own. One that something else ended says nothing of the router. Whatever else sends the
// routes anew begins a new row.
type Reroutes struct {
	Done, Failed int
	Ended        WallTime // of the newest of them
}

// A router that forgets again and again, or that somebody changes against us, must not cost an epoch each time: after the second reroute in a row
// there is a pause, which doubles with each further one.
const (
	reroutePause     = time.Minute
	rerouteLongest   = time.Hour
	rerouteForgotten = 2 * rerouteLongest // after which the next one is no more in a row with it
)

func (r Reroutes) count() int { return r.Done + r.Failed }

// pause is how long the routes are left alone after the newest one.
func (r Reroutes) pause() time.Duration {
	if r.count() < 2 {
		return 0
	}
	return min(reroutePause<<min(r.count()-2, 10), rerouteLongest)
}

// since is how long ago the newest one ended; negative if the clock by which it did is ahead of this one.
func (r Reroutes) since(now WallTime) time.Duration { return time.Duration(now - r.Ended) }

// rest is how much of the pause is left. A pause that has yet to begin is one of another arbiter's clock, and counts for nothing: that clock may be
// days ahead.
func (r Reroutes) rest(since time.Duration) time.Duration {
	if since < 0 {
		return 0
	}
	return max(r.pause()-since, 0)
}

// leftAlone says until when the routes are left alone, and after what.
func (r Reroutes) leftAlone() string {
	until := (r.Ended + WallTime(r.pause())).Time().UTC().Format(time.RFC3339)
	return fmt.Sprintf("its routes are left alone until %s, after %s", until, r)
}

func (r Reroutes) String() string {
	return fmt.Sprintf("%d reroutes in a row, of which %d brought them back", r.count(), r.Done)
}

// advice is what an operator should know of them.
func (r Reroutes) advice(since time.Duration) string {
	text := fmt.Sprintf("its routes needed %s", r)
	if r.rest(since) > 0 {
		text = r.leftAlone()
	}
	if r.Done > 1 {
		text += ": something else changes the router, or makes it forget"
	}
	return text
}

// inARow says whether what happened at a time is in a row with what happened before.
func inARow(before, now WallTime) bool { return now < before+WallTime(rerouteForgotten) }

// countReroute keeps count of the reroutes in a row when an operation ends.
func (g *Group) countReroute(op *Operation, result OperationResult, now WallTime) {
	switch {
	case op.Kind != KindReroute && op.Routed:
		g.Reroutes = Reroutes{}
	case op.Kind == KindReroute && (result == OperationDone || result == OperationFailed):
		if !inARow(g.Reroutes.Ended, op.Began) {
			g.Reroutes = Reroutes{}
		}
		if result == OperationDone {
			g.Reroutes.Done++
		} else {
			g.Reroutes.Failed++
		}
		g.Reroutes.Ended = now
	}
}

// RoutesBelongTo is the writer to which the routes of a group that nothing is done to should lead, empty if that is nobody. They may still be nobody's to
// bring back.
func RoutesBelongTo(s *State, g *Group) MemberName {
	if g.Operation != nil || g.Stage != Steady || whyNoRoutes(s, g) != "" {
		return ""
	}
	return g.Writer()
}

// RoutesLeftAlone says why nobody brings the routes of a settled group back by himself, empty if somebody does.
func RoutesLeftAlone(s *State, g *Group, now WallTime) string {
	if why := whyNoReroute(s, g); why != "" {
		return why
	}
	if g.Reroutes.rest(g.Reroutes.since(now)) > 0 {
		return g.Reroutes.leftAlone()
	}
	return ""
}
