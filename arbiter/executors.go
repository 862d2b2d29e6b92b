package arbiter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

// executor carries out one kind of action. Do is idempotent and carries the epoch; Check looks, without changing anything,
// whether the effect is already there, so that a crash between the act and its record is harmless.
type executor interface {
	Check(ctx context.Context, a failover.Action) failover.Outcome
	Do(ctx context.Context, a failover.Action) failover.Outcome
}

func newExecutors(d Drivers, c clock.Clock, answerWait func(failover.GroupName, failover.MemberName) time.Duration) map[failover.ActionKind]executor {
	base := executors{drivers: d, clock: c, answerWait: answerWait}
	return map[failover.ActionKind]executor{
		failover.ActionIsolate:   isolate{base},
		failover.ActionCatchUp:   catchUp{base},
		failover.ActionPromote:   promote{base},
		failover.ActionConfigure: configure{base},
		failover.ActionRoute:     route{base},
		failover.ActionVerify:    verify{base},
	}
}

type executors struct {
	drivers    Drivers
	clock      clock.Clock
	answerWait func(failover.GroupName, failover.MemberName) time.Duration
}

// answers is a fresh look at whether the action's member still answers.
func (e executors) answers(a failover.Action) Answers {
	return e.drivers.Answers(e.member(a), e.answerWait(a.Group, a.Member))
}

// notDone is what Check says where looking costs as much as doing again.
func notDone() failover.Outcome { return failover.Outcome{Result: failover.ResultUnknown} }

func failed(err error) failover.Outcome {
	return failover.Outcome{Result: failover.ResultFailed, Detail: err.Error()}
}

func (e executors) member(a failover.Action) failover.MemberSpec {
	m, _ := a.Spec.Member(a.Member)
	return m
}

// others are the members that the action is not about and that were not the former writer.
func (e executors) others(a failover.Action) []failover.MemberSpec {
	return slices.DeleteFunc(slices.Clone(a.Spec.Members), func(m failover.MemberSpec) bool {
		return m.Name == a.Member || m.Name == a.Former
	})
}

// closeRoutes keeps clients away from a member on all routes at once. It reports steps, and never decides anything.
func (e executors) closeRoutes(ctx context.Context, a failover.Action) []failover.StepTime {
	return e.onRoutes(a, "closed", func(r Router) error { return r.Close(ctx, a, a.Member) })
}

func (e executors) onRoutes(a failover.Action, verb string, do func(Router) error) []failover.StepTime {
	began := e.clock.Boot()
	steps := make([]failover.StepTime, len(a.Spec.Routes))
	var wait sync.WaitGroup
	for i, r := range a.Spec.Routes {
		wait.Go(func() {
			start := e.clock.Boot()
			router, err := e.drivers.Router(r)
			if err == nil {
				err = do(router)
			}
			steps[i] = failover.StepTime{Name: r.Name + " " + verb, Start: start - began, Length: e.clock.Boot() - start}
			if err != nil {
				steps[i].Name, steps[i].Detail = r.Name+" not "+verb, err.Error()
			}
		})
	}
	wait.Wait()
	return steps
}

// isolate fences a member while it closes the routes to it. Only the fence decides.
type isolate struct{ executors }

func (e isolate) Check(ctx context.Context, a failover.Action) failover.Outcome {
	m := e.member(a)
	proof, steps := e.drivers.Fencer.ReadBack(ctx, m, a.Spec.Policy, e.answers(a))
	return isolated(a, proof, steps)
}

func (e isolate) Do(ctx context.Context, a failover.Action) failover.Outcome {
	closed := make(chan []failover.StepTime, 1)
	go func() { closed <- e.closeRoutes(ctx, a) }()
	m := e.member(a)
	proof, steps := e.drivers.Fencer.Isolate(ctx, m, a.Spec.Policy, e.answers(a))
	return isolated(a, proof, append(<-closed, steps...))
}

func isolated(a failover.Action, proof failover.Proof, steps []failover.StepTime) failover.Outcome {
	o := failover.Outcome{Result: failover.ResultUnknown, Proof: proof, Steps: steps, Detail: proof.Detail}
	if a.Spec.Policy.Accepts(proof.Grade) {
		o.Result = failover.ResultDone
		o.Detail = fmt.Sprintf("%s by %s", proof.Grade, proof.By)
	}
	return o
}

// catchUp makes every reachable standby stop following, takes their tokens to the epoch, and reads how far each has got.
type catchUp struct{ executors }

func (e catchUp) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e catchUp) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	standbys := slices.DeleteFunc(slices.Clone(a.Spec.Members), func(m failover.MemberSpec) bool { return m.Name == a.Former })
	o := failover.Outcome{Result: failover.ResultUnknown, Positions: e.positions(ctx, a, engine, standbys)}
	o.Detail = "no standby answered"
	for _, p := range o.Positions {
		if p.Answered {
			o.Result = failover.ResultDone
		}
	}
	if o.Result == failover.ResultDone {
		o.Detail = describePositions(o.Positions)
	}
	return o
}

// positions asks all standbys at once.
func (e catchUp) positions(ctx context.Context, a failover.Action, engine Engine, standbys []failover.MemberSpec) []failover.MemberPosition {
	positions := make([]failover.MemberPosition, len(standbys))
	var wait sync.WaitGroup
	for i, m := range standbys {
		wait.Go(func() { positions[i] = engine.StopFollowing(ctx, m, a.Spec, a.Epoch, a.SystemID) })
	}
	wait.Wait()
	slices.SortFunc(positions, func(x, y failover.MemberPosition) int {
		if x.Member < y.Member {
			return -1
		}
		return 1
	})
	return positions
}

func describePositions(positions []failover.MemberPosition) string {
	text := ""
	for _, p := range positions {
		if text != "" {
			text += ", "
		}
		if p.Answered {
			text += fmt.Sprintf("%s at %s", p.Member, p.Position())
		} else {
			text += fmt.Sprintf("%s silent", p.Member)
		}
	}
	return text
}

// promote makes the candidate primary, proven by the epoch row.
type promote struct{ executors }

func (e promote) Check(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	return engine.Promoted(ctx, a)
}

func (e promote) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	return engine.Promote(ctx, a)
}

// configure makes the other standbys follow the new primary. One that is not reachable holds nobody up: it is named in the
// outcome.
type configure struct{ executors }

func (e configure) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e configure) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	primary, others := e.member(a), e.others(a)
	outcomes := make([]failover.Outcome, len(others))
	steps := make([]failover.StepTime, len(others))
	began := e.clock.Boot()
	var wait sync.WaitGroup
	for i, m := range others {
		wait.Go(func() {
			start := e.clock.Boot()
			outcomes[i] = engine.Follow(ctx, m, primary, a.Spec, a.Epoch, a.SystemID)
			steps[i] = failover.StepTime{Name: string(m.Name) + " follows " + string(a.Member), Start: start - began, Length: e.clock.Boot() - start}
			if outcomes[i].Result != failover.ResultDone {
				steps[i].Name, steps[i].Detail = string(m.Name)+" does not follow", outcomes[i].Detail
			}
		})
	}
	wait.Wait()
	return configured(a, outcomes, steps)
}

func configured(a failover.Action, outcomes []failover.Outcome, steps []failover.StepTime) failover.Outcome {
	o := failover.Outcome{Result: failover.ResultDone, Steps: steps}
	following := 0
	for _, one := range outcomes {
		if one.Result == failover.ResultDone {
			following++
		} else {
			o.Detail += "; " + one.Detail
		}
	}
	o.Detail = fmt.Sprintf("%d of %d standbys follow %s", following, len(outcomes), a.Member) + o.Detail
	return o
}

// route sends clients to the new primary. All routes must do so.
type route struct{ executors }

func (e route) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e route) Do(ctx context.Context, a failover.Action) failover.Outcome {
	o := failover.Outcome{Result: failover.ResultDone, Detail: "clients are sent to " + string(a.Member)}
	o.Steps = e.onRoutes(a, "opened "+string(a.Member), func(r Router) error { return r.Open(ctx, a, a.Member) })
	for _, s := range o.Steps {
		if s.Detail != "" {
			o.Result, o.Detail = failover.ResultFailed, s.Name+": "+s.Detail
		}
	}
	return o
}

// verify proves every route by a write, and without routes the new primary itself.
type verify struct{ executors }

func (e verify) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e verify) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	addresses := []string{}
	for _, r := range a.Spec.Routes {
		if r.VerifyAddress != "" {
			addresses = append(addresses, r.VerifyAddress)
		}
	}
	if len(addresses) == 0 {
		addresses = append(addresses, e.member(a).Address)
	}
	var all failover.Outcome
	for _, address := range addresses {
		o := engine.VerifyThroughRoute(ctx, address, a)
		if o.Result != failover.ResultDone {
			return o
		}
		o.Steps = append(all.Steps, o.Steps...)
		all = o
	}
	return all
}
