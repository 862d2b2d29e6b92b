package failover

import (
	"cmp"
	"maps"
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
	reigning bool // the own BeginReign is applied, and none since
	begin    proposal
	draining Drain // why leadership is about to be handed on, once all is ended; empty: it isn't
	leaving  leaving
	offered  map[NodeID]offer // the voters that leadership was offered to in this reign, as long as that keeps it from being offered again
	hearing  hearing
	halted   bool
	silent   map[NodeID]silentView // of this reign
	groups   map[GroupName]*control
	lastID   ProposalID
	firstID  ProposalID // of this reign
}

// leaving is what a Controller keeps of a hand-over that it asked for. Until it is deposed it does nothing.
type leaving struct {
	asked HandOver
	since time.Duration
	must  bool  // it can't go on leading
	tried bool  // one that must be was asked for a second time
	then  Drain // asked for meanwhile: what to do when this one fails
}

func (l leaving) on() bool { return l.asked.Why != "" }

// offer is what a Controller keeps of a hand-over that it asked for by itself, to somebody by name.
type offer struct {
	generation uint64 // of the view of whom it was made to
	at         time.Duration
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
	// LookAgainEvery is when arbiters are asked again to look again; the pauses after that grow to four times as long.
	LookAgainEvery time.Duration
}

// DefaultSettings are right for real machines.
func DefaultSettings(clusterID string) Settings {
	return Settings{ClusterID: clusterID, Drift: 10, ApplyBound: 5 * time.Second, LookAgainEvery: 250 * time.Millisecond}
}

// offerLasts is how long leadership isn't offered again to one that did not take it over: what is begun is cut short by every offer. A longer
// action than this one can end in between.
const offerLasts = 3 * time.Minute

// refusedPause keeps a decision that Apply refuses from filling the log.
const refusedPause = 250 * time.Millisecond

type proposal struct {
	id ProposalID
	at time.Duration
}

// NewController makes the controller of one arbiter. now is its boot-time clock at the start of the process.
func NewController(self NodeID, settings Settings, state *State, now time.Duration) *Controller {
	c := &Controller{self: self, settings: settings, started: now, groups: map[GroupName]*control{}, silent: map[NodeID]silentView{}, offered: map[NodeID]offer{}}
	c.observe(state, now, 0)
	return c
}

// Step takes one input and returns what to do, in order. Time in inputs never goes back.
func (c *Controller) Step(in Input) []Output {
	if c.halted {
		return nil
	}
	s := &step{Controller: c, now: in.Now, wall: in.Wall}
	switch what := in.What.(type) {
	case Elected:
		s.elect(what.Term)
	case Deposed:
		c.depose(s)
	case Applied:
		c.observe(what.State, in.Now, in.Wall)
		if c.term != 0 && what.State.Reign.Term > c.term {
			c.depose(s) // another one reigns; Raft has not said so yet
		}
	case ProposalEnded:
		s.proposalEnded(what)
	case ConfirmEnded:
		s.confirmEnded(what)
	case ActionEnded:
		s.actionEnded(what)
	case ViewSilent:
		s.viewSilent(what)
	case Drain:
		s.drain(what)
	case HandOverFailed:
		s.handOverFailed(what.ID)
	case Doubt:
		s.doubt(what.Why)
	}
	s.forgetGone()
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
func (c *Controller) observe(state *State, now time.Duration, wall WallTime) {
	c.state = state
	for _, g := range state.Groups {
		gc, ok := c.groups[g.Name]
		if !ok {
			gc = &control{}
			c.groups[g.Name] = gc
		}
		gc.observe(c, g, now)
		gc.observeFailover(c, g, now, wall)
	}
	maps.DeleteFunc(c.offered, func(node NodeID, o offer) bool {
		view, counts := state.viewThatCounts(node)
		return !counts || view.Generation != o.generation
	})
	c.reigning = c.term != 0 && state.Reign.Term == c.term && state.Reign.Leader == c.self
}

// forgetGone drops what is kept of groups that were deleted. What runs of one is ended, and is known until then, also to a new group of that name: its
// machine may be another group's too (S15). An arbiter that was frozen while its lease ran out may hear only now of the end of both.
func (s *step) forgetGone() {
	if len(s.groups) == len(s.state.Groups) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if s.state.Group(name) != nil {
			continue
		}
		gc := s.groups[name]
		if s.cancel(gc, "its group was deleted"); gc.running == nil {
			delete(s.groups, name)
			continue
		}
		s.groups[name] = &control{running: gc.running}
	}
}

// offerStuckOfGone is offerStuck for groups that were deleted, which nothing else is done for: what another group needs may wait for what is stuck (S15).
func (s *step) offerStuckOfGone() {
	if !s.reigning || len(s.groups) == len(s.state.Groups) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if s.state.Group(name) == nil {
			s.offerStuck(name, s.groups[name])
		}
	}
}

// depose forgets everything that the reign gave. What runs is cancelled, never undone.
func (c *Controller) depose(s *step) {
	c.term, c.reigning, c.begin, c.draining, c.leaving = 0, false, proposal{}, Drain{}, leaving{}
	clear(c.silent)
	clear(c.offered)
	for _, g := range c.state.Groups {
		gc := c.groups[g.Name]
		s.cancel(gc, "leadership was lost")
		gc.forgetReign()
	}
}

func (c *Controller) nextID() ProposalID {
	c.lastID++
	return c.lastID
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
	s.term, s.elected, s.firstID = term, s.now, s.lastID+1
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
	if p.ID < s.firstID {
		return // of an earlier reign
	}
	if p.Unknown {
		if s.term != 0 {
			s.resign("the fate of an own entry is unknown")
		}
		return
	}
	if s.begin.id == p.ID {
		s.begin = proposal{}
		if p.Refused {
			s.resign("its reign was refused") // it would lead for ever without reigning
			return
		}
	}
	s.expiryEnded(p)
	for _, g := range s.state.Groups {
		if gc := s.groups[g.Name]; gc.proposed.id == p.ID {
			s.groupProposalEnded(g, gc, p.Refused)
		}
	}
}

func (s *step) groupProposalEnded(g *Group, gc *control, refused bool) {
	told := gc.told
	gc.proposed, gc.told = proposal{}, nil
	switch {
	case !refused:
	case told == nil || !g.hasOpen(told.Intent):
		gc.pausedUntil = s.now + refusedPause
	case told.Outcome.Detail != unrecorded:
		gc.ended = told.withoutWords()
	default:
		s.resign("the outcome of an action of " + string(g.Name) + " was refused")
	}
}

// resign gives leadership up for good: this arbiter can't go on with it.
func (s *step) resign(why string) {
	s.depose(s)
	s.leave(Drain{Why: why}, true)
}

// drain hands leadership on: first what runs is ended and the leases are released, so that the successor need not wait.
func (s *step) drain(to Drain) {
	to.Why = cmp.Or(to.Why, "it was asked for")
	switch {
	case s.term == 0:
	case s.leaving.on():
		s.leaving.then = to
	default:
		s.draining = to
	}
}

// doubt hands leadership on in the same order, to an arbiter that doesn't doubt.
func (s *step) doubt(why string) {
	if s.reigning && !s.leaving.on() && s.draining.Why == "" {
		s.offerTo(s.state.Voters, "it doubts its own view: it "+why)
	}
}

// offerTo hands leadership on to the first of these voters that may have it. If none may, this arbiter goes on.
func (s *step) offerTo(voters []NodeID, why string) bool {
	i := slices.IndexFunc(voters, s.mayOffer)
	if i >= 0 {
		s.draining = Drain{Why: why, To: voters[i]}
	}
	return i >= 0
}

// mayOffer says whether a voter's view counts, and it didn't fail to take leadership over a while ago.
func (s *step) mayOffer(to NodeID) bool {
	_, counts := s.state.viewThatCounts(to)
	if !counts || to == s.self {
		return false
	}
	o, offered := s.offered[to]
	if again := o.at + offerLasts; offered && s.now < again {
		s.wakeAt(again)
		return false
	}
	return true
}

func (s *step) leave(to Drain, must bool) {
	asked := HandOver{ID: s.nextID(), Why: to.Why, To: to.To}
	s.emit(asked)
	if view, counts := s.state.viewThatCounts(to.To); counts {
		s.offered[to.To] = offer{view.Generation, s.now}
	}
	s.draining, s.leaving = Drain{}, leaving{asked: asked, since: s.now, must: must}
}

// handOverFailed goes on leading at once, if this leader can: somebody must. The end of an older hand-over says nothing of this one.
func (s *step) handOverFailed(id ProposalID) {
	if s.leaving.on() && !s.leaving.must && s.leaving.asked.ID == id {
		s.stay()
	}
}

// stay ends a hand-over in vain. One that was asked for meanwhile is begun.
func (s *step) stay() { s.draining, s.leaving = s.leaving.then, leaving{} }

// leaveAgain bounds the wait for being deposed. A leader that can go on does so; one that can't asks once more, and then ends this process, which gives leadership away for certain.
func (s *step) leaveAgain() {
	switch l := &s.leaving; {
	case s.now-l.since < s.settings.ApplyBound:
	case !l.must:
		s.stay()
		return
	case l.tried:
		s.halt("leadership could not be handed over: " + l.asked.Why)
		return
	default:
		s.emit(l.asked)
		l.since, l.tried = s.now, true
	}
	s.wakeAt(s.leaving.since + s.settings.ApplyBound)
}

// drive goes through the groups that have anything in progress and asks for the next tick.
func (s *step) drive() {
	s.bound(s.begin)
	if s.leaving.on() {
		s.leaveAgain()
	}
	if !s.leaving.on() {
		s.listen()
		s.expireViews()
		s.driveGroups()
	}
	if s.wake > 0 {
		s.emit(WakeAt{At: s.wake})
	}
}

func (s *step) driveGroups() {
	s.offerStuckOfGone()
	busy, draining := false, s.draining.Why != ""
	for _, g := range s.state.Groups {
		if gc := s.groups[g.Name]; s.reigning && (g.Operation != nil || g.Lease != nil || gc.busy()) {
			busy = s.driveGroup(g, gc) || busy
		}
	}
	switch {
	case draining && !busy:
		s.leave(s.draining, false)
		s.wakeAt(s.now + s.settings.ApplyBound)
	case !draining && s.draining.Why != "": // one of the groups asks for it
		s.wakeAt(s.now)
	}
}

// halt asks for the end of this process. Nothing else is done from then on.
func (s *step) halt(why string) {
	s.emit(Halt{Why: why})
	s.halted = true
}

// bound ends the process when an own entry isn't applied in time.
func (s *step) bound(p proposal) {
	if p.id == 0 {
		return
	}
	if s.now-p.at >= s.settings.ApplyBound {
		s.halt("an own entry was not applied, or leadership not confirmed, within " + s.settings.ApplyBound.String())
		return
	}
	s.wakeAt(p.at + s.settings.ApplyBound)
}

func (s *step) wakeAt(t time.Duration) {
	if s.wake == 0 || t < s.wake {
		s.wake = max(t, s.now+time.Millisecond)
	}
}
