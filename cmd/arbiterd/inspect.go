package main

import (
	"context"
	"fmt"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/engine"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fence"
	"github.com/arbiter-ha/arbiter/route"
)

// inspectors hand what the drivers find wrong to the node, in its words.
func inspectors(engines map[failover.Engine]service, fencer *fence.Fencer, routers *route.Routers) arbiter.Inspectors {
	return arbiter.Inspectors{
		Member: func(ctx context.Context, m failover.MemberSpec, spec *failover.Spec) []arbiter.Finding {
			e, known := engines[spec.Engine]
			if !known {
				return []arbiter.Finding{{
					Blocks: true, Halts: true, What: fmt.Sprintf("engine %q is unknown to this release", spec.Engine),
					Next: "upgrade this arbiter, or change the group's spec",
				}}
			}
			return findings(e.Preconditions(ctx, m, spec), ofEngine)
		},
		Fence: func(ctx context.Context, m failover.MemberSpec) []arbiter.Finding {
			return findings(fencer.Inspect(ctx, m), func(p fence.Problem) arbiter.Finding {
				return arbiter.Finding{Blocks: !p.Warning, Unreachable: p.Silent, What: p.Message, Next: p.Fix}
			})
		},
		Route: func(ctx context.Context, r failover.Route, group failover.GroupName, spec *failover.Spec, settled arbiter.Settled) []arbiter.Finding {
			request := route.Request{Group: group, Members: spec.Members, LeftAlone: settled.LeftAlone}
			return append(unverified(r), findings(routers.Inspect(ctx, r, request, settled.Primary), ofRoute)...)
		},
		Arrival: func(ctx context.Context, r failover.Route, spec *failover.Spec, settled arbiter.Settled) []arbiter.Finding {
			e, known := engines[spec.Engine]
			if !known {
				return []arbiter.Finding{{What: fmt.Sprintf("nothing is known of route %s: engine %q is unknown to this release", r.Name, spec.Engine), Next: "upgrade this arbiter"}}
			}
			want := engine.Arrival{Primary: settled.Primary, Epoch: settled.Epoch, SystemID: settled.SystemID}
			return findings(e.Arrives(ctx, r, spec, want), func(p engine.Problem) arbiter.Finding {
				f := ofEngine(p)
				f.Member = p.Member
				return f
			})
		},
		Astray: func(ctx context.Context, r failover.Route, group *failover.Group, primary failover.MemberName) (look arbiter.RouteLook) {
			astray, unread := routers.Astray(ctx, r, route.Request{Group: group.Name, Epoch: group.Epoch, Members: group.Spec.Members}, primary)
			look.Astray = findings(astray, ofRoute)
			if unread != nil {
				look.Unread = new(ofRoute(*unread))
			}
			return look
		},
		RunsProgram: route.RunsProgram,
	}
}

func ofEngine(p engine.Problem) arbiter.Finding {
	return arbiter.Finding{Blocks: p.Blocks, Halts: p.Halts, Unreachable: p.Unreachable, What: p.What, Next: p.Fix}
}

func ofRoute(p route.Problem) arbiter.Finding {
	return arbiter.Finding{Blocks: !p.Warning, Unreachable: p.Silent, Member: p.Member, What: p.Message, Next: p.Fix}
}

// unverified advises to give a route an address at which it can be proved: a failover works without.
func unverified(r failover.Route) []arbiter.Finding {
	if r.VerifyAddress != "" {
		return nil
	}
	return []arbiter.Finding{{
		What: fmt.Sprintf("route %s %s", r.Name, config.NoVerifyAddress), Next: "add it to the route in the group's spec: verify_address",
	}}
}

func findings[P any](problems []P, finding func(P) arbiter.Finding) []arbiter.Finding {
	list := make([]arbiter.Finding, len(problems))
	for i, p := range problems {
		list[i] = finding(p)
	}
	return list
}
