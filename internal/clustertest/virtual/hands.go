package virtual

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clustertest/fake"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

// Mood is how the drivers of an arbiter behave.
type Mood struct {
	// Hang is how long a call hangs before it does anything, whatever its context says, and without a look at it afterwards.
	Hang time.Duration
	// Slow is how long a call takes before it does anything, while its context lasts.
	Slow time.Duration
	// Late is how long what was sent takes to arrive. The caller waits for it while its context lasts.
	Late time.Duration
	// Lost lets what was asked happen, and the answer be lost.
	Lost bool
}

var (
	errGone   = errors.New("the arbiter that asked is gone")
	errSilent = errors.New("no answer")
)

// hands are the drivers of one run of an arbiter.
type hands struct {
	run   *run
	world *World
	net   *Network
}

func (h hands) drivers() arbiter.Drivers {
	return arbiter.Drivers{
		Fencer:  h,
		Engine:  func(failover.Engine) (arbiter.Engine, error) { return h, nil },
		Router:  func(context.Context, failover.Route) (arbiter.Router, error) { return router{h}, nil },
		Inspect: arbiter.Inspectors{Astray: router{h}.astray, RunsProgram: func(failover.Route) bool { return false }},
		Answers: func(m failover.MemberSpec, _ time.Duration) arbiter.Answers {
			return func(context.Context, failover.ProofGrade) (bool, string) {
				_, answers := h.look(m.Name)
				return answers, "looked at the simulated world"
			}
		},
	}
}

// look shows a member, as far as it can be reached.
func (h hands) look(name failover.MemberName) (failover.Facts, bool) {
	if !h.net.Passes(h.run.host(), string(name)) {
		return failover.Facts{}, false
	}
	return h.world.facts(name)
}

// probe is what an arbiter's look at a member comes to.
func (h hands) probe(name failover.MemberName) fake.Look {
	time.Sleep(lookTakes)
	facts, ok := h.look(name)
	switch {
	case ok:
		return fake.Look{Facts: facts, Evidence: failover.Evidence{Reason: failover.ReasonAnswered}, Reached: true}
	case h.net.Passes(h.run.host(), string(name)):
		return fake.Look{Evidence: failover.Evidence{Reason: failover.ReasonRefused, Detail: "nobody listens"}, Dead: true}
	}
	return fake.Look{Evidence: failover.Evidence{Reason: failover.ReasonTimeout, Detail: "no answer"}, Dead: true}
}

// ask does something to the outside world: it waits as the mood says, asks for the permit, sends what is to happen, and waits for the
// answer. What was sent happens, also when nobody waits for it any more.
func (h hands) ask(ctx context.Context, what, host string, epoch failover.Epoch, do func() error) error {
	mood := h.run.mood()
	call := h.run.began(what, epoch)
	defer h.run.returns(call)
	if err := h.linger(ctx, mood); err != nil {
		return err
	}
	may := ctx
	if mood.Hang > 0 { // as one that was frozen, and wakes up before anything has ended its context: the permit alone can stop it
		may = context.WithoutCancel(ctx)
	}
	if err := permit.Check(may); err != nil {
		return err
	}
	if !h.run.acts(call) {
		return errGone
	}
	answer := make(chan error, 1)
	passes := h.net.Passes(h.run.host(), host)
	if passes {
		time.AfterFunc(usualDelay+mood.Late, func() { answer <- do() })
	}
	select {
	case err := <-answer:
		if mood.Lost {
			return errSilent
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.run.dead:
		return errGone
	}
}

// linger is what a call does before it does anything.
func (h hands) linger(ctx context.Context, mood Mood) error {
	select {
	case <-time.After(mood.Hang):
	case <-h.run.dead:
		return errGone
	}
	if mood.Hang > 0 {
		return nil
	}
	select {
	case <-time.After(mood.Slow):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.run.dead:
		return errGone
	}
}

// Isolate implements arbiter.Fencer: it switches a machine off.
func (h hands) Isolate(ctx context.Context, m failover.MemberSpec, _ failover.Policy, _ arbiter.Answers) (failover.Proof, []failover.StepTime) {
	err := h.ask(ctx, "isolate "+string(m.Name), "fence", 0, func() error {
		h.world.change(m.Name, fmt.Sprintf("%s is switched off by %s", m.Name, h.run), func(m *member) { m.powered, m.running = false, false })
		return nil
	})
	if err != nil {
		return failover.Proof{Grade: failover.ProofUnknown, By: "fence_fake", Detail: err.Error()}, nil
	}
	return failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_fake"}, nil
}

// ReadBack implements arbiter.Fencer.
func (h hands) ReadBack(_ context.Context, m failover.MemberSpec, _ failover.Policy, _ arbiter.Answers) (failover.Proof, []failover.StepTime) {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if !h.net.Passes(h.run.host(), "fence") || h.world.find(m.Name).powered {
		return failover.Proof{Grade: failover.ProofUnknown, By: "fence_fake", Detail: "it is on, or does not answer"}, nil
	}
	return failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_fake"}, nil
}

// PathStatus implements arbiter.Fencer.
func (h hands) PathStatus(context.Context, failover.MemberSpec) failover.FencePath {
	if !h.net.Passes(h.run.host(), "fence") {
		return failover.FencePath{Detail: "fence_fake does not answer"}
	}
	return failover.FencePath{Armed: true, Detail: "fence_fake answers"}
}

// act does something to a member that answers, unless its token is of a later epoch.
func (h hands) act(ctx context.Context, what string, name failover.MemberName, epoch failover.Epoch, do func(*member)) failover.Outcome {
	var o failover.Outcome
	what += " " + string(name)
	h.world.mu.Lock()
	starts := h.world.find(name).starts
	h.world.mu.Unlock()
	err := h.ask(ctx, what, string(name), epoch, func() error {
		h.world.change(name, fmt.Sprintf("%s under epoch %d by %s", what, epoch, h.run), func(m *member) {
			switch {
			case !m.up() || m.starts != starts:
				o = failover.Outcome{Result: failover.ResultUnknown, Detail: fmt.Sprintf("%s does not answer", name)}
			case m.token > epoch:
				o = failover.Outcome{Result: failover.ResultFailed, Detail: fmt.Sprintf("%s refuses epoch %d, it holds %d", name, epoch, m.token)}
			default:
				m.token = epoch
				do(m)
				o = failover.Outcome{Result: failover.ResultDone, Timeline: m.timeline, Position: m.position}
			}
		})
		return nil
	})
	if err != nil {
		return failover.Outcome{Result: failover.ResultUnknown, Detail: err.Error()}
	}
	return o
}

// EndSessions implements arbiter.Primaries.
func (h hands) EndSessions(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch) failover.Outcome {
	return h.act(ctx, "end sessions of", m.Name, epoch, func(*member) {})
}

// RaiseToken implements arbiter.Standbys.
func (h hands) RaiseToken(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch) failover.Outcome {
	return h.act(ctx, "raise token of", m.Name, epoch, func(*member) {})
}

// Promote implements arbiter.Primaries.
func (h hands) Promote(ctx context.Context, a failover.Action) failover.Outcome {
	return h.act(ctx, "promote", a.Member, a.Epoch, func(m *member) {
		if !m.primary && !a.EpochOnly {
			m.primary, m.follows, m.timeline = true, "", m.timeline+1
		}
	})
}

// Promoted implements arbiter.Primaries.
func (h hands) Promoted(_ context.Context, a failover.Action) failover.Outcome {
	if f, ok := h.look(a.Member); ok && f.Role == failover.RolePrimary && f.Epoch == a.Epoch {
		return failover.Outcome{Result: failover.ResultDone, Timeline: f.Timeline, Position: f.Written}
	}
	return failover.Outcome{Result: failover.ResultUnknown}
}

// VerifyThroughRoute implements arbiter.Primaries.
func (h hands) VerifyThroughRoute(ctx context.Context, _ string, a failover.Action) failover.Outcome {
	h.world.mu.Lock()
	to := h.world.front
	h.world.mu.Unlock()
	if to != a.Member {
		return failover.Outcome{Result: failover.ResultFailed, Detail: fmt.Sprintf("clients are sent to %q", to)}
	}
	return h.act(ctx, "verify", a.Member, a.Epoch, func(m *member) { m.position++ })
}

// StopFollowing implements arbiter.Standbys.
func (h hands) StopFollowing(ctx context.Context, m failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch, _ string) failover.MemberPosition {
	o := h.act(ctx, "stop following at", m.Name, epoch, func(m *member) { m.follows = "" })
	p := failover.MemberPosition{Member: m.Name, Answered: o.Result == failover.ResultDone, Detail: o.Detail}
	if p.Answered {
		p.SystemID, p.Timeline, p.Received, p.Replayed, p.Epoch = fake.SystemID, o.Timeline, o.Position, o.Position, epoch
	}
	return p
}

// Point implements arbiter.Standbys.
func (h hands) Point(ctx context.Context, standby, primary failover.MemberSpec, _ *failover.Spec, epoch failover.Epoch, _ string) failover.Outcome {
	return h.act(ctx, "point at "+string(primary.Name), standby.Name, epoch, func(m *member) {
		if !m.primary {
			m.follows = primary.Name
		}
	})
}

// AwaitFollowing implements arbiter.Standbys.
func (h hands) AwaitFollowing(_ context.Context, standby, _ failover.MemberSpec, _ *failover.Spec, _ failover.Epoch) failover.Outcome {
	if f, ok := h.look(standby.Name); ok && f.Streaming {
		return failover.Outcome{Result: failover.ResultDone}
	}
	return failover.Outcome{Result: failover.ResultFailed, Detail: "it receives from nobody"}
}

// router is the one router.
type router struct{ hands }

// Close implements arbiter.Router.
func (r router) Close(ctx context.Context, a failover.Action, members ...failover.MemberName) error {
	return r.send(ctx, "close", a, func(now failover.MemberName) failover.MemberName {
		for _, m := range members {
			if m == now {
				return ""
			}
		}
		return now
	})
}

// Open implements arbiter.Router.
func (r router) Open(ctx context.Context, a failover.Action, to failover.MemberName) error {
	return r.send(ctx, "open to "+string(to), a, func(failover.MemberName) failover.MemberName { return to })
}

// astray is arbiter.Inspectors.Astray: a router that can't be reached is silent until the limit of whoever asks.
func (r router) astray(ctx context.Context, _ failover.Route, _ *failover.Group, primary failover.MemberName) arbiter.RouteLook {
	if err := r.linger(ctx, r.run.mood()); err != nil {
		return unread(err)
	}
	if !r.net.Passes(r.run.host(), "router") {
		<-ctx.Done()
		return unread(context.Cause(ctx))
	}
	if front := r.world.Front(); front != primary {
		return arbiter.RouteLook{Astray: []arbiter.Finding{{Member: primary, What: fmt.Sprintf("clients are sent to %q", front)}}}
	}
	return arbiter.RouteLook{}
}

// unread is a look that was told nothing.
func unread(err error) arbiter.RouteLook {
	return arbiter.RouteLook{Unread: &arbiter.Finding{Unreachable: true, What: err.Error()}}
}

func (r router) send(ctx context.Context, what string, a failover.Action, to func(failover.MemberName) failover.MemberName) error {
	return r.ask(ctx, what, "router", a.Epoch, func() error {
		r.world.mu.Lock()
		defer r.world.mu.Unlock()
		r.world.front = to(r.world.front)
		r.world.history.Note("world", "the route leads to %q: %s by %s", r.world.front, what, r.run)
		return nil
	})
}
