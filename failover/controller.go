package failover

import (
	"slices"
	"time"
)

// Controller is the leader's loop as a value machine: inputs go in, outputs come out, and there is no clock, goroutine or
// I/O in it. It keeps the order of S6 and S8 and the arithmetic of leases:
//
//	Propose(intent) -> Applied -> Confirm -> Confirmed -> Start(action) -> Ended(outcome) -> Confirm -> Confirmed -> Propose(outcome)
//
// Every arbiter has one, also while it follows: what it saw as a follower tells it how long things have lasted.
type Controller struct {
	self     NodeID
	settings Settings
	started  time.Duration
	state    *State
	term     Term // 0: not leading
	elected  time.Duration
	reigning bool // the own BeginReign is applied
	begin    proposal
	draining string // why leadership is being handed on; empty: it isn't
	groups   map[GroupName]*control
	lastID   uint64
}

// Settings are what a Controller needs to know beside the state.
type Settings struct {
	ClusterID string
	// Drift is how much two clocks may differ in rate, in parts per thousand: a holder counts its lease that much shorter and
	// a successor counts it that much longer.
	Drift int
	// ApplyBound is how long an own entry may take to be applied before this process ends itself: with a hung disk
	// hashicorp/raft keeps sending heartbeats and nobody else is elected.
	ApplyBound time.Duration
	// LookAgainEvery is how often arbiters are asked again to look again.
	LookAgainEvery time.Duration
}

// DefaultSettings are right for real machines.
func DefaultSettings(clusterID string) Settings {
	return Settings{ClusterID: clusterID, Drift: 10, ApplyBound: 5 * time.Second, LookAgainEvery: 250 * time.Millisecond}
}

// ProposalID names one proposal or confirmation of this process.
type ProposalID uint64

// Input is one thing that happened, at a time of the boot-time clock.
type Input struct {
	Now  time.Duration
	Wall WallTime
	What any // one of the types below
}

// What can happen.
type (
	// Tick is time passing.
	Tick struct{}
	// Elected says that this arbiter leads in a term.
	Elected struct{ Term Term }
	// Deposed says that this arbiter no longer leads.
	Deposed struct{}
	// Applied says that the state machine has moved.
	Applied struct{ State *State }
	// ProposalEnded says that a proposal was applied, refused, or that its fate is unknown.
	ProposalEnded struct {
		ID      ProposalID
		Unknown bool
		Refused bool
	}
	// ConfirmEnded answers Confirm.
	ConfirmEnded struct {
		ID ProposalID
		OK bool
	}
	// ActionEnded says that a started action has ended, and nothing of it runs any more.
	ActionEnded struct {
		Group   GroupName
		Intent  Index
		Outcome Outcome
	}
	// ViewSilent says that an arbiter's stream is silent.
	ViewSilent struct {
		Node        NodeID
		Incarnation uint64
	}
	// Drain asks to hand leadership on.
	Drain struct{ Why string }
)

// Output is one thing to do, one of the types below.
type Output any

// What a Controller asks for.
type (
	// Propose asks for an entry to be committed. Its fate comes back as ProposalEnded.
	Propose struct {
		ID   ProposalID
		Body Body
	}
	// Confirm asks whether this arbiter still led at some time after now (S6).
	Confirm struct{ ID ProposalID }
	// Start asks for an action. It ends at Deadline at the latest, and each of its effects asks first whether LeaseUntil has passed.
	Start struct {
		Action     Action
		Deadline   time.Duration
		LeaseUntil time.Duration
	}
	// Extend moves LeaseUntil of a running action.
	Extend struct {
		Group      GroupName
		Intent     Index
		LeaseUntil time.Duration
	}
	// Cancel ends a running action. ActionEnded comes when it has ended.
	Cancel struct {
		Group  GroupName
		Intent Index
		Why    string
	}
	// AskAgain asks all arbiters for looks that end after this request.
	AskAgain struct {
		Group GroupName
		Index Index
	}
	// WakeAt asks for a Tick at a time.
	WakeAt struct{ At time.Duration }
	// HandOver asks for Raft leadership to be given to another arbiter.
	HandOver struct{ Why string }
	// Halt asks for this process to end.
	Halt struct{ Why string }
	// Decided tells what was decided, for logs.
	Decided struct{ Decision Decision }
)

// refusedPause keeps a decision that Apply refuses from filling the log.
const refusedPause = 250 * time.Millisecond

type proposal struct {
	id ProposalID
	at time.Duration
}

// NewController makes the controller of one arbiter. now is its boot-time clock at the start of the process.
func NewController(self NodeID, settings Settings, state *State, now time.Duration) *Controller {
	c := &Controller{self: self, settings: settings, started: now, groups: map[GroupName]*control{}}
	c.observe(state, now)
	return c
}

// Step takes one input and returns what to do, in order.
func (c *Controller) Step(in Input) []Output {
	s := &step{Controller: c, now: in.Now, wall: in.Wall}
	switch what := in.What.(type) {
	case Elected:
		s.elect(what.Term)
	case Deposed:
		c.depose(s)
	case Applied:
		c.observe(what.State, in.Now)
	case ProposalEnded:
		s.proposalEnded(what)
	case ConfirmEnded:
		s.confirmEnded(what)
	case ActionEnded:
		s.actionEnded(what)
	case ViewSilent:
		s.viewSilent(what)
	case Drain:
		s.drain(what.Why)
	}
	s.drive()
	return s.out
}

// Leading says whether this arbiter leads and its BeginReign is applied: only then may it answer as the leader (S8).
func (c *Controller) Leading() bool { return c.reigning }

// Durations returns what only this process knows about a group, for explanations.
func (c *Controller) Durations(name GroupName, now time.Duration, wall WallTime) Durations {
	g, gc := c.state.Group(name), c.groups[name]
	if g == nil || gc == nil {
		return Durations{SinceLastFailover: -1}
	}
	return c.durations(g, gc, now, wall)
}

// observe follows the state: it notes when this process first saw each lease, stage and operation.
func (c *Controller) observe(state *State, now time.Duration) {
	c.state = state
	for _, g := range state.Groups {
		gc, ok := c.groups[g.Name]
		if !ok {
			gc = &control{}
			c.groups[g.Name] = gc
		}
		gc.observe(c, g, now)
	}
	for name := range c.groups { // forgetting has no order
		if state.Group(name) == nil {
			delete(c.groups, name)
		}
	}
	if c.term != 0 && state.Reign.Term == c.term && state.Reign.Leader == c.self {
		c.reigning = true
	}
}

// depose forgets everything that the reign gave. What runs is cancelled, never undone.
func (c *Controller) depose(s *step) {
	c.term, c.reigning, c.begin, c.draining = 0, false, proposal{}, ""
	for _, g := range c.state.Groups {
		gc := c.groups[g.Name]
		if gc.running != nil && !gc.running.cancelled {
			gc.running.cancelled = true
			s.emit(Cancel{Group: g.Name, Intent: gc.running.action.Intent, Why: "leadership was lost"})
		}
		gc.forgetReign()
	}
}

func (c *Controller) nextID() ProposalID {
	c.lastID++
	return ProposalID(c.lastID)
}

// margin is what drift adds to or takes from a length of time.
func (c *Controller) margin(d time.Duration) time.Duration {
	return d*time.Duration(c.settings.Drift)/1000 + 5*time.Millisecond
}

// step is the work of one input.
type step struct {
	*Controller
	now  time.Duration
	wall WallTime
	out  []Output
	wake time.Duration
}

func (s *step) emit(o Output) { s.out = append(s.out, o) }

func (s *step) elect(term Term) {
	if s.term == term {
		return
	}
	s.depose(s)
	s.term, s.elected = term, s.now
	s.begin = s.propose(BeginReign{Term: term, Leader: s.self, Version: s.state.VotersUnderstand(), ClusterID: s.settings.ClusterID})
}

func (s *step) propose(body Body) proposal {
	p := proposal{id: s.nextID(), at: s.now}
	s.emit(Propose{ID: p.id, Body: body})
	return p
}

// proposalEnded closes a proposal. If its fate is unknown nothing is sent again: this arbiter hands leadership on, and the next
// reign reads what was committed (S4).
func (s *step) proposalEnded(p ProposalEnded) {
	if p.Unknown && s.term != 0 {
		s.emit(HandOver{Why: "the fate of an own entry is unknown"})
		s.depose(s)
		return
	}
	if s.begin.id == p.ID {
		s.begin = proposal{}
	}
	for _, g := range s.state.Groups {
		gc := s.groups[g.Name]
		if gc.proposed.id != p.ID {
			continue
		}
		gc.proposed = proposal{}
		if p.Refused {
			gc.pausedUntil = s.now + refusedPause
		}
	}
}

func (s *step) viewSilent(v ViewSilent) {
	if view, ok := s.state.View(v.Node); s.reigning && ok && view.Current && view.Incarnation == v.Incarnation {
		s.propose(ExpireView(v))
	}
}

// drain hands leadership on: first what runs is ended and the leases are released, so that the successor need not wait.
func (s *step) drain(why string) {
	if s.term != 0 {
		s.draining = why
	}
}

// drive goes through the groups that have anything in progress and asks for the next tick.
func (s *step) drive() {
	s.wake = 0
	s.bound(s.begin)
	if s.reigning {
		busy := false
		for _, g := range s.state.Groups {
			if gc := s.groups[g.Name]; g.Operation != nil || g.Lease != nil || gc.busy() {
				busy = s.driveGroup(g, gc) || busy
			}
		}
		if s.draining != "" && !busy {
			s.emit(HandOver{Why: s.draining})
			s.draining = ""
		}
	}
	if s.wake > 0 {
		s.emit(WakeAt{At: s.wake})
	}
}

// bound ends the process when an own entry isn't applied in time.
func (s *step) bound(p proposal) {
	if p.id == 0 {
		return
	}
	if s.now-p.at >= s.settings.ApplyBound {
		s.emit(Halt{Why: "an own entry was not applied within " + s.settings.ApplyBound.String()})
		return
	}
	s.wakeAt(p.at + s.settings.ApplyBound)
}

func (s *step) wakeAt(t time.Duration) {
	if s.wake == 0 || t < s.wake {
		s.wake = max(t, s.now+time.Millisecond)
	}
}

// fenceBusy says whether a fence of the same machine runs for another group (S15).
func (s *step) fenceBusy(group GroupName, target string) bool {
	return slices.ContainsFunc(s.state.Groups, func(g *Group) bool {
		running := s.groups[g.Name].running
		return g.Name != group && running != nil && running.fenceTarget == target
	})
}
