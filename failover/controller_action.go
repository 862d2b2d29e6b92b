package failover

import (
	"strings"
	"time"
)

// unconfirmedPause is how long to wait before leadership is asked for again.
const unconfirmedPause = 50 * time.Millisecond

// askedInARow is how soon after a confirmation that did not come another one is of the same row: those have one bound together.
const askedInARow = 20 * unconfirmedPause

type running struct {
	action      Action
	deadline    time.Duration
	leaseUntil  time.Duration
	cancelled   bool
	cutShort    string // why, if it was cancelled for a reason that has nothing to do with it
	cancelledAt time.Duration
}

// watchRunning cancels an action whose lease or time is over. Effects ask for themselves too (Start.LeaseUntil): this is
// what ends the rest.
func (s *step) watchRunning(g *Group, gc *control) {
	r := gc.running
	if r == nil || r.cancelled {
		return
	}
	switch {
	case !g.hasOpen(r.action.Intent):
		s.cancel(gc, "its intent is closed")
	case gc.own.until <= s.now:
		s.cancel(gc, "the lease has run out")
	case r.deadline <= s.now:
		s.cancel(gc, "it took longer than "+r.action.Timeout().String())
	default:
		if r.leaseUntil != gc.own.until {
			r.leaseUntil = gc.own.until
			s.emit(Extend{Group: g.Name, Intent: r.action.Intent, LeaseUntil: r.leaseUntil})
		}
		s.wakeAt(min(gc.own.until, r.deadline))
	}
}

func (s *step) cancel(gc *control, why string) {
	if gc.running == nil || gc.running.cancelled {
		return
	}
	gc.running.cancelled, gc.running.cancelledAt = true, s.now
	s.emit(Cancel{Group: gc.running.action.Group, Intent: gc.running.action.Intent, Why: why})
}

// stuck says that what runs was cancelled and does not end. Then another arbiter goes on as soon as the lease, which is not
// released, has run out.
func (s *step) stuck(gc *control) bool {
	r := gc.running
	if r == nil || !r.cancelled {
		return false
	}
	end := r.cancelledAt + s.settings.ApplyBound
	if s.now < end {
		s.wakeAt(end)
	}
	return s.now >= end
}

// offerStuck hands leadership on where what was cancelled does not end.
func (s *step) offerStuck(group GroupName, gc *control) {
	if s.stuck(gc) && s.draining.Why == "" {
		s.offerTo(s.state.Voters, "the cancelled action of "+string(group)+" does not end")
	}
}

// try starts the action whose intent is open, once leadership is confirmed after the intent was applied (S6).
func (s *step) try(g *Group, gc *control) {
	intent := g.Operation.Intent
	action := s.action(g)
	if s.fenceBusy(action) {
		s.wakeAt(s.now + 50*time.Millisecond)
		return
	}
	if !s.confirmed(gc, intent.Index) {
		s.confirmFor(gc, intent.Index)
		return
	}
	gc.forgetConfirmation()
	if gc.own.until <= s.now || gc.own.epoch != g.Epoch || intent.Epoch != g.Epoch {
		return // the lease is read last
	}
	gc.running = &running{action: action, deadline: s.now + action.Timeout(), leaseUntil: gc.own.until}
	s.emit(Start{Action: action, Deadline: gc.running.deadline, LeaseUntil: gc.own.until})
	s.wakeAt(min(gc.own.until-time.Duration(g.Lease.Duration)/2, gc.running.deadline))
}

// hasOpen says whether the intent at an index is open.
func (g *Group) hasOpen(intent Index) bool {
	return g.Operation != nil && g.Operation.Intent != nil && g.Operation.Intent.Index == intent
}

func (s *step) action(g *Group) Action {
	op, intent := g.Operation, g.Operation.Intent
	a := Action{
		Group: g.Name, Operation: op.ID, Kind: intent.Action, Member: intent.Member, Epoch: intent.Epoch, Intent: intent.Index,
		Attempt: op.Attempts + 1, Tried: op.tried(intent.Action, intent.Member), Reinstate: intent.Reinstate, SystemID: g.SystemID, Spec: g.Spec,
	}
	if intent.Action == ActionIsolate {
		a.ReadBack = g.Member(intent.Member).ReadBack
	}
	a.EpochOnly = op.Kind == KindReroute && intent.Action == ActionPromote
	if op.From != intent.Member || intent.Action == ActionCatchUp {
		a.Former = op.From
	}
	for _, m := range g.Members {
		if Tally(s.state, g, m.Name).Status == StatusDown {
			a.Down = append(a.Down, m.Name)
		}
	}
	return a
}

// confirmFor asks for a confirmation, once, for the intent at an index.
func (s *step) confirmFor(gc *control, intent Index) {
	if gc.confirm.id != 0 && gc.confirming == intent {
		s.bound(gc.confirm)
		return
	}
	if gc.confirming != intent || s.now-gc.confirmedAt > askedInARow {
		gc.confirmFrom = s.now
	}
	gc.confirming, gc.confirmed = intent, false
	gc.confirm = proposal{id: s.nextID(), at: gc.confirmFrom}
	s.emit(Confirm{ID: gc.confirm.id})
	s.bound(gc.confirm)
}

// confirmed says whether leadership was confirmed for an intent, just now.
func (s *step) confirmed(gc *control, intent Index) bool {
	return gc.confirmed && gc.confirming == intent && gc.confirmedAt == s.now
}

func (s *step) confirmEnded(e ConfirmEnded) {
	for _, g := range s.state.Groups {
		gc := s.groups[g.Name]
		if gc.confirm.id != e.ID {
			continue
		}
		gc.confirm, gc.confirmed, gc.confirmedAt = proposal{}, e.OK, s.now
		if e.OK {
			gc.confirmFrom = s.now
		} else { // asked again as long as this arbiter thinks that it leads, and no longer than the bound for all attempts in a row
			gc.pausedUntil = s.now + unconfirmedPause
		}
	}
}

func (s *step) actionEnded(e ActionEnded) {
	gc, ok := s.groups[e.Group]
	if !ok || gc.running == nil || gc.running.action.Intent != e.Intent {
		return
	}
	if why := gc.running.cutShort; why != "" && e.Outcome.Result != ResultDone {
		e.Outcome.Detail = strings.TrimSuffix("cut short to hand leadership on ("+why+"): "+e.Outcome.Detail, ": ")
		if !s.cutShortBefore(gc.running.action) {
			e.Outcome.Result = ResultCutShort
		}
	}
	gc.running, gc.attemptAt, gc.attemptEver = nil, s.now, true
	if s.reigning {
		gc.ended = &e
		gc.forgetConfirmation()
	}
}

// cutShortBefore says whether the try before this one was cut short already. Then this one counts, or a leader that hands its leadership on
// again and again, in vain, would never come to hold the operation.
func (s *step) cutShortBefore(a Action) bool {
	g := s.state.Group(a.Group)
	if g == nil || !g.hasOpen(a.Intent) {
		return false
	}
	last, ok := g.Operation.lastTry()
	return ok && last.Result == ResultCutShort && last.Name == string(a.Kind) && last.Member == a.Member
}

// concludeEnded commits an outcome, once leadership is confirmed after the action ended.
func (s *step) concludeEnded(g *Group, gc *control) {
	switch {
	case s.confirmed(gc, gc.ended.Intent):
	case s.now < gc.pausedUntil:
		s.wakeAt(gc.pausedUntil)
		return
	default:
		s.confirmFor(gc, gc.ended.Intent)
		return
	}
	gc.forgetConfirmation()
	op := g.Operation
	gc.proposed = s.propose(Conclude{Group: g.Name, Epoch: op.Intent.Epoch, Operation: op.ID, Intent: gc.ended.Intent, Outcome: gc.ended.Outcome})
	gc.told, gc.ended = gc.ended, nil
}

// unrecorded is the detail of an outcome that could not go into the log as it was.
const unrecorded = "what came of it could not be written to the log"

// withoutWords is an outcome that was refused while its intent is open, as one that anybody can take: nobody knows. Otherwise the action would be
// tried again at once, and its outcome refused, for ever; so it counts as a try, and in the end the operation is held.
func (e ActionEnded) withoutWords() *ActionEnded {
	e.Outcome = Outcome{Result: ResultUnknown, Detail: unrecorded}
	return &e
}

// fenceBusy says whether a fence of the same machine runs for another group (S15).
func (s *step) fenceBusy(a Action) bool {
	if a.Kind != ActionIsolate {
		return false
	}
	for group, gc := range s.groups { // also of groups that were deleted
		running := gc.running
		if group != a.Group && running != nil && running.action.Kind == ActionIsolate && a.sharesMachine(running.action) {
			return true
		}
	}
	return false
}

// sharesMachine says whether the members that two actions are done to share a machine.
func (a Action) sharesMachine(other Action) bool {
	mine, _ := a.Spec.Member(a.Member)
	theirs, _ := other.Spec.Member(other.Member)
	return sharesMachine(mine, theirs)
}
