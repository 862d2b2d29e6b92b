package arbiter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
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
		failover.ActionIsolate:   isolateExecutor{base},
		failover.ActionCatchUp:   catchUpExecutor{base},
		failover.ActionPromote:   promoteExecutor{base},
		failover.ActionConfigure: configureExecutor{base},
		failover.ActionRoute:     routeExecutor{base},
		failover.ActionVerify:    verifyExecutor{base},
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
	return e.onRoutes(ctx, a, failover.RouteClosed, func(r Router) error { return r.Close(ctx, a, a.Member) })
}

func (e executors) onRoutes(ctx context.Context, a failover.Action, verb string, do func(Router) error) []failover.StepTime {
	began := e.clock.Boot()
	steps := make([]failover.StepTime, len(a.Spec.Routes))
	var wait sync.WaitGroup
	for i, r := range a.Spec.Routes {
		wait.Go(func() {
			start := e.clock.Boot()
			router, err := e.drivers.Router(ctx, r)
			if err == nil {
				err = do(router)
			}
			steps[i] = failover.StepTime{Name: r.Name + " " + verb, Start: start - began, Length: e.clock.Boot() - start}
			if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errFenceOver) {
				err = errFenceOver
			}
			if err != nil {
				steps[i].Name, steps[i].Detail, steps[i].Undone = failover.UndonePart(r.Name, verb), err.Error(), true
			}
		})
	}
	wait.Wait()
	return steps
}

// isolateExecutor fences a member while it closes the routes to it, ends the clients' sessions, and raises the tokens of the standbys,
// for which the grant of the lease is the intent (S9). Only the fence decides.
type isolateExecutor struct{ executors }

// Check counts only what was proven before. A machine that is found off although no command to switch it off is known to have succeeded may
// be in the middle of a restart, or have lost its power, and come back as a primary: it is told again.
func (e isolateExecutor) Check(ctx context.Context, a failover.Action) failover.Outcome {
	if !a.ReadBack {
		return notDone()
	}
	m := e.member(a)
	proof, steps := e.drivers.Fencer.ReadBack(ctx, m, a.Spec.Policy, e.answers(a))
	return isolated(a, proof, steps)
}

func (e isolateExecutor) Do(ctx context.Context, a failover.Action) failover.Outcome {
	beside, end := context.WithCancelCause(ctx)
	defer end(nil)
	sessions, endSessions := context.WithCancel(beside)
	defer endSessions()
	ended := make(chan []failover.StepTime, 3)
	go func() {
		closed := e.closeRoutes(beside, a)
		failpoint.Pass(ctx, "after-close-isolate")
		ended <- closed
	}()
	go func() {
		left := e.endSessions(sessions, a)
		failpoint.Pass(ctx, "after-sessions-isolate")
		ended <- left
	}()
	go func() {
		raised := e.raiseTokens(beside, a)
		failpoint.Pass(ctx, "after-tokens-isolate")
		ended <- raised
	}()
	proof, steps := e.drivers.Fencer.Isolate(ctx, e.member(a), a.Spec.Policy, e.answers(a))
	failpoint.Pass(ctx, "after-fence-isolate")
	if a.Spec.Policy.Accepts(proof.Grade) {
		endSessions() // no session of a member that can't write is worth waiting for, and one without power doesn't answer
	}
	// Whatever else goes on beside the fence has had its time: an old session can't commit any more.
	grace := time.AfterFunc(besideGrace, func() { end(errFenceOver) })
	defer grace.Stop()
	return isolated(a, proof, slices.Concat(<-ended, <-ended, <-ended, steps))
}

// besideGrace is what closing routes, raising tokens and, without a proof, ending sessions get after the fence has ended: a router that hangs must not make a
// failover late.
const besideGrace = 50 * time.Millisecond

var errFenceOver = errors.New("no answer before the fence was over; it is told again when clients are sent to the new primary")

// raiseTokens takes the other members' tokens to the epoch. Those that can't be reached now are taken there by catch_up and promote: that the fence
// was quicker than one of them is no trouble, and told as what it is.
func (e executors) raiseTokens(ctx context.Context, a failover.Action) []failover.StepTime {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return nil
	}
	_, steps := e.onStandbys(ctx, a, fmt.Sprintf("refuses epochs before %d", a.Epoch), func(ctx context.Context, m failover.MemberSpec) failover.Outcome {
		o := engine.RaiseToken(ctx, m, a.Spec, a.Epoch)
		if errors.Is(context.Cause(ctx), errFenceOver) && strings.Contains(o.Detail, context.Canceled.Error()) { // and not for a reason of its own
			o.Detail = errFenceOver.Error()
		}
		return o
	})
	for i, m := range e.others(a) {
		if s := &steps[i]; s.Undone && s.Detail == errFenceOver.Error() {
			s.Name, s.Detail, s.Undone = fmt.Sprintf("token of %s left to catch up", m.Name), "", false
		}
	}
	return steps
}

// endSessions ends the clients' sessions on the old primary, if it still listens. It reports, and never decides anything.
func (e executors) endSessions(ctx context.Context, a failover.Action) []failover.StepTime {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return nil
	}
	start := e.clock.Boot()
	o := engine.EndSessions(ctx, e.member(a), a.Spec, a.Epoch)
	if o.Result != failover.ResultDone {
		return nil // as is usual: it is down
	}
	return []failover.StepTime{{Name: failover.SessionsEnded, Length: e.clock.Boot() - start, Detail: o.Detail}}
}

func isolated(a failover.Action, proof failover.Proof, steps []failover.StepTime) failover.Outcome {
	o := failover.Outcome{Result: failover.ResultUnknown, Proof: proof, Steps: steps, Detail: proof.Detail}
	if a.Spec.Policy.Accepts(proof.Grade) {
		o.Result = failover.ResultDone
		o.Detail = fmt.Sprintf("%s by %s", proof.Grade, proof.By)
	}
	return o
}

// catchUpExecutor makes every reachable standby stop following, takes their tokens to the epoch, and reads how far each has got.
type catchUpExecutor struct{ executors }

func (e catchUpExecutor) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e catchUpExecutor) Do(ctx context.Context, a failover.Action) failover.Outcome {
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
	o.GrantMissing = o.Result != failover.ResultDone && slices.ContainsFunc(o.Positions, func(p failover.MemberPosition) bool { return p.GrantMissing })
	if o.Result == failover.ResultDone {
		o.Detail = describePositions(o.Positions)
	}
	return o
}

// positions asks all standbys at once. Once one has answered, the others are waited for several times as long, and at least
// catchUpGrace: a standby that is gone must not cost the whole time limit.
func (e catchUpExecutor) positions(parent context.Context, a failover.Action, engine Engine, standbys []failover.MemberSpec) []failover.MemberPosition {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	began := e.clock.Boot()
	var first sync.Once
	positions := make([]failover.MemberPosition, len(standbys))
	if !slices.ContainsFunc(standbys, func(m failover.MemberSpec) bool { return !slices.Contains(a.Down, m.Name) }) {
		a.Down = nil // there is no other
	}
	together(ctx, a, standbys, func(ctx context.Context, i int, m failover.MemberSpec) {
		positions[i] = engine.StopFollowing(ctx, m, a.Spec, a.Epoch, a.SystemID)
		failpoint.Pass(ctx, "after-standby-catch_up")
		if positions[i].Answered {
			first.Do(func() {
				time.AfterFunc(max(4*(e.clock.Boot()-began), catchUpGrace), func() { cancel(errTooSlow) })
			})
		}
	})
	slices.SortFunc(positions, func(x, y failover.MemberPosition) int { return strings.Compare(string(x.Member), string(y.Member)) })
	return positions
}

// catchUpGrace is the least that a standby is waited for after another one has answered.
const catchUpGrace = time.Second

var errTooSlow = errors.New("it did not answer while others did")

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

// promoteExecutor makes the candidate primary, proven by the epoch row.
type promoteExecutor struct{ executors }

func (e promoteExecutor) Check(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	return engine.Promoted(ctx, a)
}

func (e promoteExecutor) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	return engine.Promote(ctx, a)
}

// configureExecutor points the other standbys at the new primary. It does not wait until they stream: that takes longer than clients should
// wait for their route, and verify looks at it. A standby that is not reachable holds nobody up: it is named in the outcome.
type configureExecutor struct{ executors }

func (e configureExecutor) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e configureExecutor) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	primary, others := e.member(a), e.others(a)
	not, steps := e.onStandbys(ctx, a, "points at "+string(a.Member), func(ctx context.Context, m failover.MemberSpec) failover.Outcome {
		defer failpoint.Pass(ctx, "after-standby-configure")
		return engine.Point(ctx, m, primary, a.Spec, a.Epoch, a.SystemID)
	})
	detail := fmt.Sprintf("%d of %d standbys point at %s", len(others)-len(not), len(others), a.Member)
	if len(not) > 0 {
		detail += ", not: " + strings.Join(not, ", ")
	}
	return failover.Outcome{Result: failover.ResultDone, Steps: steps, Detail: detail}
}

// routeExecutor sends clients to the new primary. All routes must do so.
type routeExecutor struct{ executors }

func (e routeExecutor) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e routeExecutor) Do(ctx context.Context, a failover.Action) failover.Outcome {
	o := failover.Outcome{Result: failover.ResultDone, Detail: "clients are sent to " + string(a.Member)}
	o.Steps = e.onRoutes(ctx, a, "opened "+string(a.Member), func(r Router) error { return r.Open(ctx, a, a.Member) })
	for _, s := range o.Steps {
		if s.Detail != "" {
			o.Result, o.Detail = failover.ResultFailed, s.Name+": "+s.Detail
		}
	}
	return o
}

// verifyExecutor proves every route that has an address to write to, and where none has one the new primary itself; the other routes are named as
// not verified. Meanwhile it looks whether the other standbys stream, which is told but decides nothing.
type verifyExecutor struct{ executors }

func (e verifyExecutor) Check(context.Context, failover.Action) failover.Outcome { return notDone() }

func (e verifyExecutor) Do(ctx context.Context, a failover.Action) failover.Outcome {
	engine, err := e.drivers.Engine(a.Spec.Engine)
	if err != nil {
		return failed(err)
	}
	following := make(chan []failover.StepTime, 1)
	go func() {
		// Half of the time: a standby that is gone must not make the proof itself late.
		limited, cancel := clock.WithTimeout(ctx, e.clock, a.Timeout()/2)
		defer cancel()
		primary := e.member(a)
		_, steps := e.onStandbys(limited, a, "follows "+string(a.Member), func(ctx context.Context, m failover.MemberSpec) failover.Outcome {
			// Under the epoch of a leader that took over since they were pointed, nobody has been told of it yet (S9).
			if o := engine.RaiseToken(ctx, m, a.Spec, a.Epoch); o.Result != failover.ResultDone {
				return o
			}
			return engine.AwaitFollowing(ctx, m, primary, a.Spec, a.Epoch)
		})
		following <- steps
	}()
	o := e.verifyRoutes(ctx, a, engine)
	failpoint.Pass(ctx, "after-routes-verify")
	o.Steps = append(o.Steps, <-following...)
	return o
}

func (e verifyExecutor) verifyRoutes(ctx context.Context, a failover.Action, engine Engine) failover.Outcome {
	var addresses, unproven []string
	for _, r := range a.Spec.Routes {
		if r.VerifyAddress != "" {
			addresses = append(addresses, r.VerifyAddress)
		} else {
			unproven = append(unproven, r.Name)
		}
	}
	if len(addresses) == 0 {
		addresses = append(addresses, e.member(a).Address)
	}
	outcomes := make([]failover.Outcome, len(addresses))
	var tried sync.WaitGroup
	for i, address := range addresses { // side by side: one that leads nowhere must not take the others' time
		tried.Go(func() { outcomes[i] = engine.VerifyThroughRoute(ctx, address, a) })
	}
	tried.Wait()
	o := verified(outcomes)
	if len(unproven) > 0 {
		o.Detail += "; not verified, without verify_address: " + strings.Join(unproven, ", ")
	}
	return o
}

// verified is the outcome for all addresses: done if all are, and otherwise with what every other one says.
func verified(outcomes []failover.Outcome) failover.Outcome {
	all := failover.Outcome{Result: failover.ResultDone}
	var said, missing []string
	for _, o := range outcomes {
		all.Steps, all.Took = append(all.Steps, o.Steps...), max(all.Took, o.Took)
		if o.Result == failover.ResultDone {
			said = append(said, o.Detail)
			continue
		}
		missing = append(missing, o.Detail)
		if all.Result == failover.ResultDone || o.Result == failover.ResultUnknown {
			all.Result = o.Result
		}
	}
	if len(missing) > 0 {
		said = missing
	}
	all.Detail = strings.Join(said, "; ")
	return all
}
