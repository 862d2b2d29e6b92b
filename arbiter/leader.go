package arbiter

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
	"github.com/arbiter-ha/arbiter/internal/recording"
	"github.com/arbiter-ha/arbiter/internal/supervise"
)

// consensus is what the loop needs of Raft.
type consensus interface {
	// Propose submits an entry and returns at once. Done gets its response, or an error if its fate is unknown.
	Propose(data []byte, done func(*fsm.Response, error))
	// Confirm succeeds once leadership at some time after the call is certain (S6).
	Confirm(ctx context.Context) error
	// HandOver gives leadership to another arbiter: to the named one, or to any if the name is empty. Failed is called if it
	// didn't.
	HandOver(o failover.HandOver, failed func())
}

// loop moves values between the Controller, Raft and the drivers. One goroutine owns the Controller; this file has no
// condition on a group's state in it.
type loop struct {
	node       failover.NodeID
	clock      clock.Clock
	log        hclog.Logger
	controller *failover.Controller
	raft       consensus
	runner     *runner
	lookAgain  func(failover.AskAgain)
	halt       func(why string)
	inputs     chan any
	applied    chan struct{} // has room for one: the newest state is what counts
	state      func() *failover.State
	seen       *failover.State // the newest that the Controller was given
	wake       time.Duration   // boot time at which the Controller wants a Tick; 0: none
	leading    *latch
	questions  chan question
	group      *supervise.Group // of the node: what waits for Raft belongs to it
	record     *recording.Recorder
	failpoint  failpoint.Func // nil but in builds for tests
}

// question is asked by the API: what only this process knows about a group.
type question struct {
	group  failover.GroupName
	answer chan failover.Durations
}

// inputsKept is room for inputs that come while the loop is at work; senders wait when it is full.
const inputsKept = 256

func (l *loop) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case in := <-l.inputs:
			l.step(in, timer)
		case <-l.applied:
			l.step(nil, timer)
		case <-timer.C:
			l.step(failover.Tick{}, timer)
		case q := <-l.questions:
			q.answer <- l.controller.Durations(q.group, l.clock.Boot(), failover.WallTimeOf(l.clock.Wall()))
		}
	}
}

// send gives the loop an input; it waits for room, and gives up when the loop has ended.
func (l *loop) send(ctx context.Context, what any) {
	select {
	case l.inputs <- what:
	case <-ctx.Done():
	}
}

// noteApplied is called on Raft's goroutine after every entry.
func (l *loop) noteApplied() {
	select {
	case l.applied <- struct{}{}:
	default:
	}
}

// pollLimit bounds how long the loop sleeps: Go's timers sleep through a suspend, so deadlines on the boot-time clock are
// polled (S6).
const pollLimit = 100 * time.Millisecond

// step gives the Controller an input, after the newest state: the end of a proposal must never be seen before its effect.
func (l *loop) step(what any, timer *time.Timer) {
	if state := l.state(); state != l.seen {
		l.seen = state
		l.give(failover.Applied{State: state})
	}
	if what != nil {
		l.give(what)
	}
	timer.Reset(l.sleep())
}

// give makes one step of the Controller. Each step asks for its next wake anew; where nothing was given, the last one stands.
func (l *loop) give(what any) {
	in := failover.Input{Now: l.clock.Boot(), Wall: failover.WallTimeOf(l.clock.Wall()), What: what}
	outputs := l.controller.Step(in)
	if l.record != nil {
		l.record.Step(in, outputs)
	}
	l.leading.set(l.controller.Leading())
	l.wake = 0
	for _, o := range outputs {
		if wake, ok := o.(failover.WakeAt); ok {
			l.wake = wake.At
			continue
		}
		l.carryOut(o)
	}
}

// sleep is how long the loop may sleep if nothing happens.
func (l *loop) sleep() time.Duration {
	if l.wake == 0 {
		return time.Hour
	}
	return min(max(l.wake-l.clock.Boot(), time.Millisecond), pollLimit)
}

func (l *loop) carryOut(output failover.Output) {
	switch o := output.(type) {
	case failover.Propose:
		l.propose(o)
	case failover.Confirm:
		l.confirm(o)
	case failover.Start:
		l.log.Info("action started", "group", o.Action.Group, "action", o.Action.Kind, "member", o.Action.Member,
			"epoch", o.Action.Epoch, "intent", o.Action.Intent, "attempt", o.Action.Attempt)
		l.runner.start(o)
	case failover.Extend:
		l.runner.extend(o)
	case failover.Cancel:
		l.log.Warn("action cancelled", "group", o.Group, "intent", o.Intent, "why", o.Why)
		l.runner.cancel(o)
	case failover.AskAgain:
		l.lookAgain(o)
	case failover.HandOver:
		l.log.Warn("handing leadership over", "to", o.To, "why", o.Why)
		l.raft.HandOver(o, func() { l.send(l.group.Context(), failover.HandOverFailed{ID: o.ID}) })
	case failover.Halt:
		l.halt(o.Why)
	case failover.Decided:
		l.log.Info("decided", "group", o.Decision.Group, "step", o.Decision.Step, "rule", o.Decision.Rule, "why", o.Decision.Detail)
	}
}

func (l *loop) propose(p failover.Propose) {
	name := l.nameOf(p.Body) // before it changes what it is named after
	l.pass("before-commit", name)
	data, err := encode(l.state(), p.Body, failover.WallTimeOf(l.clock.Wall()), l.node)
	if err != nil {
		l.log.Error("own entry not proposed", "entry", name, "why", err)
		l.group.Go("refusal", func(ctx context.Context) error { // the loop can't wait for itself
			l.send(ctx, failover.ProposalEnded{ID: p.ID, Refused: true})
			return nil
		})
		return
	}
	l.raft.Propose(data, func(response *fsm.Response, err error) {
		l.pass("after-commit", name)
		end := failover.ProposalEnded{ID: p.ID, Unknown: err != nil}
		if err != nil {
			l.log.Warn("fate of an own entry is unknown", "entry", name, "error", err)
		} else if response.Rejection != nil {
			end.Refused = true
			l.log.Warn("own entry refused", "entry", name, "rule", response.Rejection.Rule, "why", response.Rejection.Text)
		}
		l.send(l.group.Context(), end)
	})
	l.proposeAgain(data, name)
}

// pass is where a build for tests may end this process.
func (l *loop) pass(where, entry string) {
	if l.failpoint != nil {
		l.failpoint(where + "-" + entry)
	}
}

// proposeAgain is where a build for tests may let an entry get into the log once more, whenever it likes: as what a network delivers twice.
func (l *loop) proposeAgain(data []byte, entry string) {
	if l.failpoint == nil {
		return
	}
	l.group.Go("proposal once more", func(context.Context) error { // the place may be one to wait at
		if l.failpoint("again-commit-" + entry) {
			l.raft.Propose(data, func(*fsm.Response, error) {})
		}
		return nil
	})
}

// nameOf names an entry for logs and failpoints.
func (l *loop) nameOf(b failover.Body) string {
	switch b := b.(type) {
	case failover.Intend:
		return "intend-" + string(b.Action)
	case failover.Conclude:
		return "conclude-" + l.actionOf(b)
	case failover.AcquireLease:
		return "acquire-lease"
	case failover.RenewLease:
		return "renew-lease"
	case failover.ReleaseLease:
		return "release-lease"
	case failover.HoldOperation:
		return "hold"
	}
	return fmt.Sprintf("%T", b)
}

// actionOf names the action whose outcome it is.
func (l *loop) actionOf(c failover.Conclude) string {
	group := l.state().Group(c.Group)
	if group == nil || group.Operation == nil || group.Operation.Intent == nil || group.Operation.Intent.Index != c.Intent {
		return "closed" // the entry will be refused
	}
	return string(group.Operation.Intent.Action)
}

func (l *loop) confirm(c failover.Confirm) {
	l.group.Go("confirmation", func(ctx context.Context) error {
		err := l.raft.Confirm(ctx)
		if err != nil {
			l.log.Warn("leadership not confirmed", "error", err)
		}
		l.send(ctx, failover.ConfirmEnded{ID: c.ID, OK: err == nil})
		return nil
	})
}

// durations asks the loop what only this process knows about a group.
func (l *loop) durations(ctx context.Context, group failover.GroupName) failover.Durations {
	q := question{group: group, answer: make(chan failover.Durations, 1)}
	select {
	case l.questions <- q:
		return <-q.answer
	case <-ctx.Done():
		return failover.Durations{SinceLastFailover: -1}
	}
}
