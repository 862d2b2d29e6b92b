package failover

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// world is the core as text: one state, one controller per arbiter, and a clock that only `tick` moves. Proposals are
// committed at once, in order, unless their arbiter is told to keep them; confirmations, looks and outcomes are given by
// the scenario.
type world struct {
	state    State
	now      time.Duration
	arbiters map[NodeID]*arbiter
	order    []NodeID
	sync     map[GroupName]SyncRule
	out      strings.Builder
	failure  error
}

// arbiter is one process of the world.
type arbiter struct {
	node        NodeID
	controller  *Controller
	term        Term
	wake        time.Duration
	proposals   []Propose
	keep        bool // proposals wait for `commit` or `lose`
	late        []lateEntry
	confirms    []ProposalID
	handConfirm bool
	started     map[GroupName]Start
	handOver    HandOver // the newest that it asked for
	asked       map[GroupName]Index
	sees        map[GroupName]map[MemberName]seen
	heard       map[GroupName]map[MemberName]bool // since its process began
	sequence    uint64
	incarnation uint64
	doubt       string
}

type lateEntry struct {
	term Term
	body Body
}

func newWorld() *world {
	return &world{state: NewState(), now: time.Hour, arbiters: map[NodeID]*arbiter{}, sync: map[GroupName]SyncRule{}}
}

func (w *world) wall() WallTime { return WallTime(w.now) }

func (w *world) print(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// commit applies one entry and tells every arbiter.
func (w *world) commit(node NodeID, term Term, body Body) []Event {
	entry := Entry{Index: w.state.Applied + 1, Term: term, Wall: w.wall(), Proposer: node, Body: body}
	before, _ := w.state.CanonicalBytes()
	state, events := Next(w.state, entry)
	if after, _ := w.state.CanonicalBytes(); string(before) != string(after) {
		w.failure = fmt.Errorf("entry %d changed the state that it was given", entry.Index)
	}
	w.state = state
	for _, e := range events {
		w.printEvent(e)
	}
	shared := state
	for _, id := range w.order {
		w.step(w.arbiters[id], Applied{State: &shared})
	}
	return events
}

func (w *world) printEvent(e Event) {
	text := fmt.Sprintf("%d %s", e.Index, e.Kind)
	if e.Group != "" {
		text += " " + string(e.Group)
	}
	if e.From != e.To {
		text += fmt.Sprintf(" %s->%s", e.From, e.To)
	}
	if e.Rule != "" {
		text += " [" + e.Rule + "]"
	}
	w.print("%s: %s", text, e.Text)
}

func (w *world) step(a *arbiter, what any) {
	for _, output := range a.controller.Step(Input{Now: w.now, Wall: w.wall(), What: what}) {
		switch o := output.(type) {
		case WakeAt:
			a.wake = o.At
			if o.At <= w.now {
				w.failure = fmt.Errorf("%s wants to be woken in the past", a.node)
			}
		case Propose:
			a.proposals = append(a.proposals, o)
		case Confirm:
			a.confirms = append(a.confirms, o.ID)
		default:
			w.printOutput(a, o)
		}
	}
}

func (w *world) printOutput(a *arbiter, output any) {
	switch o := output.(type) {
	case Start:
		a.started[o.Action.Group] = o
		how := ""
		if o.Action.Reinstate {
			how = " (reinstate)"
		}
		if o.Action.ReadBack {
			how += " (read back first)"
		}
		if o.Action.EpochOnly {
			how += " (epoch only)"
		}
		w.print("%s: start %s %s of %s, epoch %d, try %d%s", a.node, o.Action.Kind, o.Action.Member, o.Action.Group, o.Action.Epoch, o.Action.Attempt, how)
	case Extend:
		w.print("%s: extend lease of the running action of %s", a.node, o.Group)
	case Cancel:
		w.print("%s: cancel the action of %s: %s", a.node, o.Group, o.Why)
	case AskAgain:
		a.asked[o.Group] = o.Index
		w.print("%s: ask again for looks at %s since %d", a.node, o.Group, o.Index)
	case HandOver:
		a.handOver = o
		w.print("%s: hand over to %q: %s", a.node, o.To, o.Why)
	case Halt:
		w.print("%s: halt: %s", a.node, o.Why)
	case Decided:
		d := o.Decision
		w.print("%s: decided %s %s %s (%s): %s", a.node, d.Step, d.Action, d.Member, d.Rule, d.Detail)
	}
}

// settle commits what the arbiters propose until nothing moves any more.
func (w *world) settle() {
	for round := 0; ; round++ {
		if round > 100 {
			w.failure = fmt.Errorf("the arbiters never stop proposing")
			return
		}
		moved := false
		for _, id := range w.order {
			moved = w.settleOne(w.arbiters[id]) || moved
		}
		if !moved || w.failure != nil {
			return
		}
	}
}

func (w *world) settleOne(a *arbiter) (moved bool) {
	for n := 0; len(a.proposals) > 0; n++ {
		if n > 1000 {
			w.failure = fmt.Errorf("%s never stops proposing", a.node)
			return false
		}
		p := a.proposals[0]
		a.proposals, moved = a.proposals[1:], true
		if a.keep {
			a.late = append(a.late, lateEntry{a.term, p.Body})
			w.print("%s: proposed %s (kept)", a.node, bodyText(p.Body))
			continue
		}
		events := w.commit(a.node, a.term, p.Body)
		refused := slices.ContainsFunc(events, func(e Event) bool { return e.Kind == Rejected })
		w.step(a, ProposalEnded{ID: p.ID, Refused: refused})
	}
	for !a.handConfirm && len(a.confirms) > 0 {
		id := a.confirms[0]
		a.confirms, moved = a.confirms[1:], true
		w.step(a, ConfirmEnded{ID: id, OK: true})
	}
	return moved
}

func bodyText(b Body) string {
	text := fmt.Sprintf("%T", b)
	return strings.TrimPrefix(text, "failover.")
}

// tick moves time, waking arbiters when they asked for it.
func (w *world) tick(d time.Duration) {
	end := w.now + d
	for wakes := 0; ; wakes++ {
		next, who := end, (*arbiter)(nil)
		for _, id := range w.order {
			if a := w.arbiters[id]; a.wake != 0 && a.wake < next {
				next, who = a.wake, a
			}
		}
		w.now = max(w.now, next)
		if who == nil {
			break
		}
		if wakes > 20000 {
			w.failure = fmt.Errorf("%s wakes too often", who.node)
			return
		}
		who.wake = 0
		w.step(who, Tick{})
		w.settle()
	}
}

func (w *world) addArbiter(node NodeID) {
	state := w.state
	w.arbiters[node] = &arbiter{
		node: node, controller: NewController(node, DefaultSettings("c1"), &state, w.now), started: map[GroupName]Start{},
		asked: map[GroupName]Index{}, sees: map[GroupName]map[MemberName]seen{}, heard: map[GroupName]map[MemberName]bool{}, incarnation: 1,
	}
	w.order = append(w.order, node)
	slices.Sort(w.order)
}

// batch is what an arbiter would send now: its whole view if it must, else what the scenario just changed, and looks that do not
// count any more as old as they were sent.
func (w *world) batch(a *arbiter, changed map[GroupName][]MemberName) Batch {
	view, _ := w.state.View(a.node)
	whole := !view.Current
	a.sequence++
	b := Batch{Node: a.node, Incarnation: a.incarnation, Sequence: a.sequence, Whole: whole, Doubt: a.doubt, Version: CurrentVersion}
	var groups []GroupName
	for name := range a.sees {
		groups = append(groups, name)
	}
	slices.Sort(groups)
	for _, name := range groups {
		var members []MemberName
		for m := range a.sees[name] {
			if whole || slices.Contains(changed[name], m) || w.outdated(a.node, name, m) {
				members = append(members, m)
			}
		}
		slices.Sort(members)
		for _, m := range members {
			b.Observations = append(b.Observations, w.remember(a, a.sees[name][m].observation(name, m, w.sync[name], w.state.Applied, w.wall())))
		}
	}
	return b
}

// remember is an observation with what its arbiter has heard of the member since its process began.
func (w *world) remember(a *arbiter, o Observation) Observation {
	if a.heard[o.Group] == nil {
		a.heard[o.Group] = map[MemberName]bool{}
	}
	if g := w.state.Group(o.Group); g != nil && g.Spec.Hears(o) {
		a.heard[o.Group][o.Member] = true
	}
	o.Heard = a.heard[o.Group][o.Member]
	return o
}

// outdated says whether the look that the arbiters have of a member does not count any more, as old as it is.
func (w *world) outdated(node NodeID, name GroupName, member MemberName) bool {
	g := w.state.Group(name)
	if g == nil || g.Member(member) == nil {
		return false
	}
	look, there := g.look(node, member)
	return !there || look.Observation.AsOf < g.Member(member).NotBefore(look.Observation)
}

// stateText is a group as an operator would want it read out.
func (w *world) stateText(g *Group) {
	w.print("%s: %s%s, epoch %d, adopted %v, paused %v", g.Name, g.Stage, heldText(g), g.Epoch, g.Adopted, g.Pause != nil)
	for _, m := range g.Members {
		w.print("  %s %s %s%s", m.Name, authorityText(m.Authority), m.Verdict, proofText(m))
	}
	if l := g.Lease; l != nil {
		w.print("  lease: %s in term %d, epoch %d", l.Holder, l.Term, l.Epoch)
	}
	if op := g.Operation; op != nil {
		w.print("  operation: %s %s, from %q, candidate %q, attempts %d%s", op.Kind, op.ID, op.From, op.Candidate, op.Attempts, intentText(op))
	}
	for i, r := range g.History.Receipts {
		w.print("  receipt %d: %s %s, %s to %q, epoch %d", i+1, r.Operation.Kind, r.Result, r.Operation.From, r.To, r.EpochAfter)
	}
}

func heldText(g *Group) string {
	if g.Stage != Held {
		return ""
	}
	return fmt.Sprintf(" at %s for %s (%s)", g.HeldFrom, g.Hold.Reason, g.Hold.Detail)
}

func proofText(m Member) string {
	text := ""
	if m.Proof.Grade != "" {
		text = fmt.Sprintf(" (%s by %s)", m.Proof.Grade, m.Proof.By)
	}
	if m.Rogue {
		text += " ROGUE"
	}
	return text
}

func intentText(op *Operation) string {
	if op.Intent == nil {
		return ""
	}
	return fmt.Sprintf(", open intent to %s %s", op.Intent.Action, op.Intent.Member)
}

func (w *world) planText(d Decision) {
	w.print("%s %s %s (%s): %s", d.Step, d.Action, d.Member, d.Rule, d.Detail)
	for _, guard := range d.Guards {
		mark := "ok"
		if !guard.OK {
			mark = "NO"
		}
		w.print("  %s %s: %s", mark, guard.Name, guard.Detail)
	}
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}
