package arbiter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What a finding is about.
const (
	aboutDatabase    = "database"
	aboutFence       = "fence"
	aboutRoute       = "route"
	aboutGroup       = "group"
	aboutPrimary     = "primary" // that it is degraded
	aboutCertificate = "certificate"
)

const (
	// inspectLimit bounds an inspection whose caller waits for ever.
	inspectLimit = 30 * time.Second
	// inspectMargin is how much sooner than its caller an inspection gives up, so that what was found still arrives.
	inspectMargin = 250 * time.Millisecond
	// askDatabase and askRoute bound one look at a member's service or at a router. A fence device has its own time-out.
	askDatabase = 5 * time.Second
	askRoute    = 5 * time.Second
	// inspectAtOnce bounds how many looks run at the same time on this arbiter, which has better things to do.
	inspectAtOnce = fencePathsAtOnce
	// askAtOnce bounds the same for what is asked before a failover, which waits for no inspection: a fence device may take all of an inspection's time.
	askAtOnce = 8
)

// look is one part of an inspection.
type look struct {
	group   failover.GroupName
	spec    specMark
	about   string
	member  failover.MemberName
	what    string // in words, for the finding that it never ended
	name    string // of what is looked at, where neither member nor words tell
	arrival bool   // whether clients reach the primary: they do if nothing is found
	limit   time.Duration
	do      func(context.Context) []Finding
}

// looksOf are all parts of an inspection of a group: each member's service and fence, and each route.
func looksOf(inspect Inspectors, group failover.GroupName, spec *failover.Spec, settled Settled) []look {
	var looks []look
	mark := markOf(spec)
	for _, m := range spec.Members {
		looks = append(looks,
			look{group: group, spec: mark, about: aboutDatabase, member: m.Name, what: "the database", limit: askDatabase, do: func(ctx context.Context) []Finding {
				return inspect.Member(ctx, m, spec)
			}},
			look{group: group, spec: mark, about: aboutFence, member: m.Name, what: "the fence", limit: inspectLimit, do: func(ctx context.Context) []Finding { return inspect.Fence(ctx, m) }})
	}
	for _, r := range spec.Routes {
		looks = append(looks, look{group: group, spec: mark, about: aboutRoute, what: "route " + r.Name, limit: askRoute, do: func(ctx context.Context) []Finding {
			return inspect.Route(ctx, r, group, spec, settled)
		}})
		if r.VerifyAddress != "" && !settled.Moving {
			looks = append(looks, look{
				group: group, spec: mark, about: aboutRoute, what: fmt.Sprintf("route %s (%s)", r.Name, r.VerifyAddress), limit: askRoute, arrival: settled.Primary != "",
				do: func(ctx context.Context) []Finding { return inspect.Arrival(ctx, r, spec, settled) },
			})
		}
	}
	return looks
}

// inspect looks, from this arbiter's machine and with its secrets, for what would keep a failover of a group from working. It
// changes nothing. All looks run side by side; one that hangs, even against the end of its context, is itself a finding.
func (n *Node) inspect(ctx context.Context, effective *arbiterv1.GroupSpec) (*arbiterv1.ArbiterCheck, error) {
	spec, err := wire.SpecFromProto(effective)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	began := n.options.Clock.Boot()
	ctx, cancel := sooner(ctx)
	defer cancel()
	group := failover.GroupName(effective.GetGroup())
	state := n.fsm.State()
	settled := settledOf(state, group, failover.WallTimeOf(n.options.Clock.Wall())).under(state.Group(group), effective)
	looks := looksOf(n.options.Drivers.Inspect, group, spec, settled)
	check := &arbiterv1.ArbiterCheck{Node: string(n.options.Node), Members: uint32(len(spec.Members)), Routes: uint32(len(spec.Routes))}
	for _, m := range spec.Members {
		for _, level := range m.Fence {
			check.Devices += uint32(len(level.Devices))
		}
	}
	check.Findings = n.certificateFindings()
	for i, found := range n.lookAll(ctx, n.inspecting, looks) {
		if looks[i].arrival && len(found) == 0 {
			check.Reached, check.Epoch = check.GetReached()+1, uint64(settled.Epoch)
		}
		for _, f := range found {
			check.Findings = append(check.Findings, findingToProto(looks[i], f))
		}
	}
	check.Took = durationpb.New(n.options.Clock.Boot() - began)
	return check, nil
}

// settledOf is where clients belong: to the writer, unless an operation may be changing that.
func settledOf(s *failover.State, group failover.GroupName, now failover.WallTime) Settled {
	g := s.Group(group)
	switch {
	case g == nil:
		return Settled{}
	case g.Operation != nil:
		return Settled{Moving: true}
	}
	return Settled{Primary: g.Writer(), Epoch: g.Epoch, SystemID: g.SystemID, LeftAlone: failover.RoutesLeftAlone(s, g, now)}
}

// under is where clients belong by a spec that need not be the one in force: the arbiters bring routes back to where that one has them.
func (s Settled) under(g *failover.Group, asked *arbiterv1.GroupSpec) Settled {
	if g == nil || s.LeftAlone != "" {
		return s
	}
	_, inForce, err := specsOf(g)
	if err != nil || proto.Equal(whoAndWhere(asked), whoAndWhere(inForce)) {
		return s
	}
	s.LeftAlone = "this spec is not applied, and the one in force has other members or routes"
	return s
}

// whoAndWhere is what of a spec says whom its routes may lead to.
func whoAndWhere(spec *arbiterv1.GroupSpec) *arbiterv1.GroupSpec {
	return &arbiterv1.GroupSpec{Members: spec.GetMembers(), Routes: spec.GetRoutes()}
}

// sooner leaves the caller of a call time to get its answer. Unlike the deadlines of actions this one is an ordinary one: nothing depends
// on it, and drivers tell a deadline that has passed (the target is silent) from a context that was cancelled (this arbiter's own doing).
func sooner(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := inspectLimit
	if deadline, bounded := ctx.Deadline(); bounded {
		limit = min(limit, time.Until(deadline)-inspectMargin)
	}
	return context.WithTimeout(ctx, limit)
}

func (l *look) target() target {
	return target{group: l.group, spec: l.spec, about: l.about, name: cmp.Or(l.name, string(l.member), l.what)}
}

// lookAll returns what each look found, as many at a time as there are places. It waits no longer than its context, whatever the looks do; and one that
// doesn't end keeps its place no longer than its limit.
func (n *Node) lookAll(ctx context.Context, places chan struct{}, looks []look) [][]Finding {
	type result struct {
		i     int
		found []Finding
	}
	ended := make(chan result, len(looks)) // roomy, so that those who come late need no reader
	begun := make([]atomic.Bool, len(looks))
	for i, l := range looks {
		n.group.Go("inspection", func(context.Context) error {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			begun[i].Store(true)
			limited, cancel := context.WithTimeout(ctx, l.limit)
			defer cancel()
			do := func(ctx context.Context) { ended <- result{i, l.do(ctx)} }
			if n.hanging.full(l.target()) {
				do = func(context.Context) { ended <- result{i, []Finding{unanswered(l, true)}} }
			}
			n.hanging.run(limited, l.target(), do, func() { <-places })
			return nil
		})
	}
	all := make([][]Finding, len(looks))
	heard := make([]bool, len(looks))
	for range looks {
		select {
		case r := <-ended:
			all[r.i], heard[r.i] = r.found, true
			continue
		case <-ctx.Done():
		}
		break
	}
	for i, l := range looks {
		if !heard[i] {
			all[i] = []Finding{unanswered(l, begun[i].Load())}
		}
	}
	return all
}

// busy is why a look has not begun.
const busy = "this arbiter was busy with other questions"

// unanswered is the finding that a look has not ended, or not even begun.
func unanswered(l look, begun bool) Finding {
	if !begun {
		return Finding{Blocks: true, Halts: true, NotAsked: true, What: l.what + " was not asked: " + busy, Next: "ask again"}
	}
	return Finding{Blocks: true, Halts: true, Unreachable: true, What: l.what + " gave no answer in time", Next: "find out what hangs; it would hang a failover too"}
}

func findingToProto(l look, f Finding) *arbiterv1.Finding {
	severity := arbiterv1.Severity_SEVERITY_ADVICE
	if f.Blocks {
		severity = arbiterv1.Severity_SEVERITY_BLOCKS
	}
	return &arbiterv1.Finding{
		Severity: severity, About: l.about, Member: string(cmp.Or(f.Member, l.member)), What: f.What, Next: f.Next, Unreachable: f.Unreachable,
	}
}

// obstacles puts what the committed state has against a failover into findings, and that the service is away.
func obstacles(s *failover.State, group failover.GroupName, d failover.Durations) []*arbiterv1.Finding {
	var list []*arbiterv1.Finding
	if wait := failover.CommitsWait(s, s.Group(group)); wait != "" {
		f := findingToProto(look{about: aboutGroup}, Finding{What: "clients' commits wait: " + wait, Next: `bring one back, or see docs/operations.md, "After a failover"`})
		f.Severity = arbiterv1.Severity_SEVERITY_OUTAGE
		list = append(list, f)
	}
	for _, o := range failover.Obstacles(s, group, d) {
		about := aboutGroup
		if o.Degraded {
			about = aboutPrimary
		}
		f := findingToProto(look{about: about}, Finding{Blocks: o.Blocks, What: o.Why, Next: o.Next})
		if o.Outage {
			f.Severity = arbiterv1.Severity_SEVERITY_OUTAGE
		}
		list = append(list, f)
	}
	return list
}

// excuse makes it advice that a member can't be asked, or reached by its clients, if a quorum sees it down: that is what a failover is for, and whether
// another one can take over is said by the group's own findings.
func excuse(s *failover.State, group failover.GroupName, checks []*arbiterv1.ArbiterCheck) {
	for _, check := range checks {
		for _, f := range check.GetFindings() {
			if f.GetUnreachable() && f.GetAbout() != aboutFence && failover.SeenDown(s, group, failover.MemberName(f.GetMember())) {
				f.Severity = arbiterv1.Severity_SEVERITY_ADVICE
				if f.GetAbout() == aboutDatabase {
					f.What = "it is down, so it was not looked at (" + f.GetWhat() + ")"
				} else {
					f.What = "it is down, and " + f.GetWhat()
				}
				f.Next = nextOfDown(s, s.Group(group), failover.MemberName(f.GetMember()))
			}
		}
		slices.SortStableFunc(check.GetFindings(), func(a, b *arbiterv1.Finding) int { return cmp.Compare(b.GetSeverity(), a.GetSeverity()) })
	}
}

// nextOfDown is what to do about a member that is down.
func nextOfDown(s *failover.State, g *failover.Group, member failover.MemberName) string {
	if member == g.Writer() && member == g.BeingPromoted() {
		return fmt.Sprintf("see what is done about its promotion: arbiterctl explain %s", g.Name)
	}
	if member == g.Writer() {
		return fmt.Sprintf("see what is done about the primary: arbiterctl explain %s", g.Name)
	}
	return fmt.Sprintf("%s; see whether it follows: arbiterctl status %s", g.BringBack(s, member), g.Name)
}
