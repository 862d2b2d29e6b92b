package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/engine"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fence"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/secret"
	"github.com/arbiter-ha/arbiter/probe"
	"github.com/arbiter-ha/arbiter/route"
)

// drivers hands the concrete drivers to the node, which knows them only by its own interfaces. Call end when the node has ended: it closes what
// drivers keep open.
func drivers(fencing *fence.Fencer, secrets *secret.Reader) (all arbiter.Drivers, end func()) {
	routers, postgres := route.NewRouters(secrets), engine.NewPostgres(secrets)
	engines := map[failover.Engine]service{failover.EnginePostgres: postgres, failover.EngineHTTP: engine.NewHTTP(secrets)}
	return arbiter.Drivers{
		Fencer: fencer{fencing},
		Engine: func(name failover.Engine) (arbiter.Engine, error) {
			found, known := engines[name]
			if !known {
				return nil, fmt.Errorf("engine %q is unknown to this release; upgrade this arbiter, or change the group's spec", name)
			}
			return found, nil
		},
		Router: func(ctx context.Context, r failover.Route) (arbiter.Router, error) {
			driver, err := routers.Of(ctx, r)
			return router{driver}, err
		},
		Inspect: inspectors(engines, fencing, routers),
		Answers: func(m failover.MemberSpec, wait time.Duration) arbiter.Answers {
			return arbiter.Answers(fence.AnswersAt(m.Address, wait))
		},
	}, postgres.Close
}

// service is all that an engine does for a kind of service.
type service interface {
	arbiter.Engine
	Preconditions(ctx context.Context, member failover.MemberSpec, spec *failover.Spec) []engine.Problem
	Arrives(ctx context.Context, route failover.Route, spec *failover.Spec, want engine.Arrival) []engine.Problem
}

func checkers(node failover.NodeID, secrets *secret.Reader) map[failover.CheckKind]probe.Checker {
	return map[failover.CheckKind]probe.Checker{
		failover.CheckTCP:      &probe.TCP{},
		failover.CheckHTTP:     probe.NewHTTP(secrets),
		failover.CheckPostgres: probe.NewPostgres(probe.PostgresOptions{Node: node, Secrets: secrets}),
		failover.CheckService:  probe.NewService(node, secrets),
	}
}

// fencer adapts the type of the hook that looks whether a member still answers.
type fencer struct{ *fence.Fencer }

func (f fencer) Isolate(ctx context.Context, m failover.MemberSpec, p failover.Policy, a arbiter.Answers) (failover.Proof, []failover.StepTime) {
	return f.Fencer.Isolate(ctx, m, p, fence.Answers(a))
}

func (f fencer) ReadBack(ctx context.Context, m failover.MemberSpec, p failover.Policy, a arbiter.Answers) (failover.Proof, []failover.StepTime) {
	return f.Fencer.ReadBack(ctx, m, p, fence.Answers(a))
}

// router tells a route driver for whom it is asked.
type router struct{ route.Router }

func (r router) Close(ctx context.Context, a failover.Action, members ...failover.MemberName) error {
	return r.Router.Close(ctx, requestOf(a), members...)
}

func (r router) Open(ctx context.Context, a failover.Action, member failover.MemberName) error {
	return r.Router.Open(ctx, requestOf(a), member)
}

func requestOf(a failover.Action) route.Request {
	return route.Request{Group: a.Group, Operation: a.Operation, Epoch: a.Epoch, Members: a.Spec.Members}
}

// prober adapts the scheduler's values to the node's.
type prober struct{ *probe.Scheduler }

func newProber(c clock.Clock, secrets *secret.Reader, log hclog.Logger) func(failover.NodeID, func() failover.Index, func(arbiter.Report)) arbiter.Prober {
	return func(node failover.NodeID, applied func() failover.Index, report func(arbiter.Report)) arbiter.Prober {
		return prober{probe.NewScheduler(probe.Options{
			Node: node, Clock: c, Applied: applied, Checkers: checkers(node, secrets), Logger: log,
			Report: func(r probe.Report) { report(reportOf(r)) },
		})}
	}
}

func reportOf(r probe.Report) arbiter.Report {
	return arbiter.Report{
		Observation: r.Observation, Address: r.Address, SpecSince: r.SpecSince, Began: r.Began, Ended: r.Ended, Good: good(r.Look), Towards: r.Towards,
		Check: r.Check, Dead: failover.ClassOf(r.Look.Evidence.Reason) == failover.EvidenceDead, Reached: reached(r.Look),
		Told: arbiter.Told{Began: r.ToldBegan, Ended: r.ToldEnded},
	}
}

// reached is when a look began that reached the member over a new connection, whatever the member then said.
func reached(l probe.Look) time.Duration {
	class, reason := failover.ClassOf(l.Evidence.Reason), l.Evidence.Reason
	said := class == failover.EvidenceGood || class == failover.EvidenceFailing || reason == failover.ReasonBadCredentials
	if !said || l.Held {
		return 0
	}
	return l.Began
}

// good is how long a look took that found nothing wrong.
func good(l probe.Look) time.Duration {
	if l.Evidence.Reason != failover.ReasonAnswered || l.Partial {
		return 0
	}
	return max(l.Ended-l.Began, 1)
}

func (p prober) SetTargets(targets []arbiter.Target) {
	list := make([]probe.Target, len(targets))
	for i, t := range targets {
		list[i] = probe.Target(t)
	}
	p.Scheduler.SetTargets(list)
}

func (p prober) Lateness(since time.Duration) arbiter.Lateness {
	return arbiter.Lateness(p.Scheduler.Lateness(since))
}
