package failover

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRandomEntries applies random entries, sensible ones, stale ones and garbage, of several leaders, and asks after each
// whether the state is one that the safety rules allow, and whether what was planned would have been accepted.
func TestRandomEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRandomWorld(t, rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 30).Draw(t, "noise"))
		for range rapid.IntRange(20, 150).Draw(t, "entries") {
			r.apply(t, r.draw(t))
			for _, g := range randomGroups {
				r.rests(t, g)
			}
		}
	})
}

var (
	randomNodes  = []NodeID{"a", "b", "c", "x"} // x does not vote
	randomGroups = []GroupName{"g1", "g2"}
)

// randomWorld is a state with what the generator needs to make entries that often make sense.
type randomWorld struct {
	dice     *rand.Rand
	noise    int // in percent: how much of what happens was not planned
	state    State
	before   []byte // of state
	term     Term
	leader   NodeID
	sequence map[NodeID]uint64
	requests int
	foreign  MemberName // that is another database now, in the eyes of most
}

// rare is true once in so many times.
func (r *randomWorld) rare(n int) bool { return r.dice.IntN(n) == 0 }

func (r *randomWorld) between(low, high int) int { return low + r.dice.IntN(high-low+1) }

func pick[T any](dice *rand.Rand, from []T) T { return from[dice.IntN(len(from))] }

func newRandomWorld(t *rapid.T, seed uint64, noise int) *randomWorld {
	r := &randomWorld{state: NewState(), sequence: map[NodeID]uint64{}, dice: rand.New(rand.NewPCG(seed, 1)), noise: noise}
	r.apply(t, r.entry(SetVoters{Voters: []NodeID{"a", "b", "c"}}))
	for i, g := range randomGroups {
		members := []MemberName{"m1", "m2", "m3"}[:3-i]
		spec := testSpecOf(g, members...)
		spec.Policy.RefenceRogues = r.rare(2)
		spec.Policy.MaxLossBytes = pick(r.dice, []uint64{0, 10000})
		r.apply(t, r.entry(ApplySpec{Group: g, Spec: spec}))
	}
	r.apply(t, r.reign("a"))
	for _, n := range []NodeID{"a", "b", "c"} {
		r.apply(t, r.entry(r.healthy(n)))
	}
	for _, g := range randomGroups {
		r.apply(t, r.entry(Adopt{Group: g, Member: "m1"}))
	}
	return r
}

func (r *randomWorld) entry(body Body) Entry {
	return Entry{Index: r.state.Applied + 1, Term: r.term, Wall: WallTime(r.state.Applied) * WallTime(time.Second), Proposer: r.leader, Body: body}
}

func (r *randomWorld) reign(node NodeID) Entry {
	r.term, r.leader = r.term+1, node
	return r.entry(BeginReign{Term: r.term, Leader: node, Version: CurrentVersion, ClusterID: "c1"})
}

func (r *randomWorld) healthy(node NodeID) Observe {
	r.sequence[node]++
	b := Batch{Node: node, Incarnation: 1, Sequence: r.sequence[node], Whole: true, Version: CurrentVersion}
	for _, g := range r.state.Groups {
		for i, m := range g.Members {
			s := standbyAt(1000)
			if i == 0 {
				s = primaryAt(1000)
			}
			b.Observations = append(b.Observations, s.observation(g.Name, m.Name, SyncRule{}, r.state.Applied, 0))
		}
	}
	return Observe{Batches: []Batch{b}}
}

// apply applies an entry and checks everything that must hold across it.
func (r *randomWorld) apply(t *rapid.T, e Entry) []Event {
	t.Helper()
	if r.before == nil {
		r.before = bytesOf(t, r.state)
	}
	after, events := Next(r.state, e)
	if string(bytesOf(t, r.state)) != string(r.before) {
		t.Fatalf("%T changed the state that it was given", e.Body)
	}
	afterBytes := bytesOf(t, after)
	if r.rare(4) {
		restored, err := StateFromBytes(r.before)
		if err != nil {
			t.Fatal(err)
		}
		again, eventsAgain := Next(restored, e)
		if string(bytesOf(t, again)) != string(afterBytes) || !reflect.DeepEqual(events, eventsAgain) {
			t.Fatalf("%T goes another way on a restored state", e.Body)
		}
	}
	if r.rare(4) { // two futures of one state share no row
		later := e
		later.Index, later.Wall = e.Index+1, e.Wall+WallTime(time.Hour)
		Next(r.state, later)
		if string(bytesOf(t, after)) != string(afterBytes) {
			t.Fatalf("%T changed what another one had made of the same state", e.Body)
		}
	}
	checkChange(t, &r.state, &after, e, events)
	var counted Fleet
	for _, g := range after.Groups {
		checkGroup(t, &after, g)
		counted.Adopted += g.countsAs()
		if since := g.downSince(); since != 0 {
			counted.Turned = append(counted.Turned, since)
		}
	}
	slices.Sort(counted.Turned)
	counted.Down = len(counted.Turned)
	if after.Fleet.Adopted != counted.Adopted || after.Fleet.Down != counted.Down || !slices.Equal(after.Fleet.Turned, counted.Turned) {
		t.Fatalf("the fleet is %+v, counted %+v", counted, after.Fleet)
	}
	r.state, r.before = after, afterBytes
	return events
}

func bytesOf(t *rapid.T, s State) []byte {
	data, err := s.CanonicalBytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rejection(events []Event) (Event, bool) {
	for _, e := range events {
		if e.Kind == Rejected {
			return e, true
		}
	}
	return Event{}, false
}

// draw makes the next entry: half of the time what the leader's planner wants.
func (r *randomWorld) draw(t *rapid.T) Entry {
	if r.dice.IntN(100) >= r.noise {
		if body := r.planned(t, pick(r.dice, randomGroups)); body != nil {
			return r.entry(body)
		}
	}
	e := r.entry(r.drawBody())
	if b, ok := e.Body.(BeginReign); ok {
		e.Term, e.Proposer = b.Term, b.Leader
	} else if r.rare(10) {
		e.Term = Term(r.between(0, int(r.term)+1))
		e.Proposer = pick(r.dice, randomNodes)
	}
	return e
}

// planned is the entry that the Controller would propose. It must be accepted: nothing happened in between.
func (r *randomWorld) planned(t *rapid.T, name GroupName) Body {
	g := r.state.Group(name)
	if g == nil || r.term == 0 {
		return nil
	}
	d := r.durations(g)
	decision := Plan(&r.state, name, d)
	Explain(&r.state, name, d)
	if decision.LookAgain != 0 && !r.rare(4) {
		return r.answer(g, decision.LookAgain)
	}
	body := proposalOf(decision, &r.state, g, r.leader, r.term)
	if body == nil {
		if g.Operation != nil && g.Operation.Intent != nil && decision.Step == StepTry {
			return r.conclusion(g)
		}
		return nil
	}
	_, events := Next(r.state, r.entry(body))
	if refused, ok := rejection(events); ok {
		t.Fatalf("planned %s %s %s (%s) in stage %s/%s, refused: %s %s", decision.Step, decision.Action, decision.Member, decision.Rule,
			g.Stage, g.HeldFrom, refused.Rule, refused.Text)
	}
	return body
}

// rests asks that a leader to whom nothing happens comes to rest: to an action to try, or to something to wait for. It must do so whether
// all has lasted long, or has just begun.
func (r *randomWorld) rests(t *rapid.T, name GroupName) {
	r.restsAfter(t, name, Durations{VerdictStood: time.Hour, Restarting: time.Hour, InStage: time.Hour, SinceAttempt: time.Hour, SinceLastFailover: time.Hour})
	r.restsAfter(t, name, Durations{SinceLastFailover: time.Hour})
}

func (r *randomWorld) restsAfter(t *rapid.T, name GroupName, long Durations) {
	s, trace := r.state, ""
	for range 10 {
		g := s.Group(name)
		if g == nil {
			return
		}
		d := long
		if l := g.Lease; l != nil && l.Holder == r.leader && l.Term == r.term && l.Epoch == g.Epoch {
			d.LeaseLeft = time.Second
		}
		decision := Plan(&s, name, d)
		body := proposalOf(decision, &s, g, r.leader, r.term)
		if body == nil {
			return
		}
		trace += fmt.Sprintf("\n%s/%s: %s %s %s (%s) %s", g.Stage, g.HeldFrom, decision.Step, decision.Action, decision.Member, decision.Rule, decision.Detail)
		if decision.Step == StepHold {
			long.InStage = 0
		}
		s, _ = Next(s, Entry{Index: s.Applied + 1, Term: r.term, Proposer: r.leader, Body: body})
	}
	t.Fatalf("the leader of %s never comes to rest:%s", name, trace)
}

// proposalOf is what the Controller makes of a decision.
func proposalOf(d Decision, s *State, g *Group, self NodeID, term Term) Body {
	switch d.Step {
	case StepAcquire:
		return AcquireLease{Group: g.Name, Holder: self, Term: term, AfterEpoch: g.Epoch, Duration: g.LeaseDuration()}
	case StepRelease:
		return ReleaseLease{Group: g.Name, Holder: self, Epoch: g.Lease.Epoch}
	case StepIntend:
		return Intend{
			Group: g.Name, Epoch: g.Epoch, Operation: g.Operation.ID, Action: d.Action, Member: d.Member,
			Reinstate: d.Reinstate, Basis: d.Basis, Rule: d.Rule,
		}
	case StepHold:
		return HoldOperation{Group: g.Name, Operation: g.Operation.ID, Reason: d.Hold, Detail: d.Detail}
	}
	return nil
}

func (r *randomWorld) durations(g *Group) Durations {
	long := func() time.Duration {
		return pick(r.dice, []time.Duration{0, time.Second, time.Hour, time.Hour})
	}
	d := Durations{VerdictStood: long(), Restarting: long(), InStage: long(), SinceAttempt: long(), SinceLastFailover: -1}
	if g.LastFailover != 0 {
		d.SinceLastFailover = long()
	}
	own := g.Lease != nil && g.Lease.Holder == r.leader && g.Lease.Term == r.term && g.Lease.Epoch == g.Epoch
	switch {
	case own && !r.rare(10):
		d.LeaseLeft = time.Second
	case !own && g.Lease != nil:
		d.LeaseWait = pick(r.dice, []time.Duration{0, 0, time.Second})
	}
	return d
}

// conclusion is an outcome of the open intent.
func (r *randomWorld) conclusion(g *Group) Body {
	op := g.Operation
	o := Outcome{Result: pick(r.dice, []Result{ResultDone, ResultDone, ResultDone, ResultFailed, ResultUnknown})}
	switch op.Intent.Action {
	case ActionIsolate:
		o.Proof = Proof{Grade: pick(r.dice, []ProofGrade{ProofConfirmedOff, ProofConfirmedOff, ProofUnknown, ProofDemotedCleanly, ""}), By: "bmc"}
	case ActionCatchUp:
		for _, m := range g.Members {
			o.Positions = append(o.Positions, MemberPosition{
				Member: m.Name, Answered: !r.rare(4),
				SystemID: "sys1", Received: LSN(r.between(900, 1000)),
			})
		}
	}
	return Conclude{Group: g.Name, Epoch: op.Intent.Epoch, Operation: op.ID, Intent: op.Intent.Index, Outcome: o}
}

// answer is what all voters answer that are asked to look again: the same as before.
func (r *randomWorld) answer(g *Group, asked Index) Body {
	var o Observe
	for _, node := range r.state.Voters {
		if view, _ := r.state.View(node); view.Current {
			r.sequence[node] = view.Sequence + 1
			o.Batches = append(o.Batches, Batch{
				Node: node, Incarnation: 1, Sequence: r.sequence[node], Version: CurrentVersion,
				Answers: []Answer{{Group: g.Name, Index: asked}},
			})
		}
	}
	return o
}

// checkGroup asks for what holds in every state.
func checkGroup(t *rapid.T, s *State, g *Group) {
	t.Helper()
	writers, revoked := 0, 0
	for _, m := range g.Members {
		switch m.Authority {
		case AuthorityWriter:
			writers++
		case AuthorityRevoked:
			if !m.Rogue {
				revoked++
			}
		case AuthorityUnset:
			if g.Adopted {
				t.Fatalf("%s of an adopted group has no authority", m.Name)
			}
		}
	}
	if writers > 1 || writers == 1 && revoked > 0 {
		t.Fatalf("S1: %d writers and %d revoked in %s", writers, revoked, g.Name)
	}
	if idle := g.Stage == Steady || g.Stage == Suspected; idle != (g.Operation == nil) {
		t.Fatalf("%s is %s with operation %v", g.Name, g.Stage, g.Operation)
	}
	if (g.Stage == Held) != (g.HeldFrom != "") || g.Stage == Held && (g.Hold.Reason == "" || g.HeldFrom == Held) {
		t.Fatalf("%s is %s from %q for %q", g.Name, g.Stage, g.HeldFrom, g.Hold.Reason)
	}
	if op := g.Operation; op != nil {
		if stage := g.EffectiveStage(); transitions[stage] == nil {
			t.Fatalf("%s is in no stage of the table: %s", g.Name, stage)
		}
		if pastPromoteIntent(g.EffectiveStage()) && (op.Candidate == "" || g.Writer() != op.Candidate) {
			t.Fatalf("S7: %s is %s and its writer is %q, the candidate %q", g.Name, g.Stage, g.Writer(), op.Candidate)
		}
	}
	if member := foreignTo(s, g); g.Adopted && g.Operation == nil && member != "" {
		t.Fatalf("S0: %s is adopted, and a majority sees %s answer as another database", g.Name, member)
	}
	for _, d := range []Durations{{}, {LeaseLeft: time.Second, InStage: time.Hour, SinceAttempt: time.Hour, VerdictStood: time.Hour}} {
		if decision := Plan(s, g.Name, d); decision.Step == "" {
			t.Fatalf("no answer in stage %s", g.Stage)
		}
	}
}

// foreignTo is a naive model of S0's last clause: a member that a majority of current views without doubt sees well, under one identifier
// that is not the recorded one.
func foreignTo(s *State, g *Group) MemberName {
	votes := map[string]int{}
	for _, l := range g.Looks {
		v, _ := s.View(l.Node)
		status, _ := g.Spec.StatusOf(l.Observation)
		id := l.Observation.Facts.SystemID
		counts := v.Current && v.Doubt == "" && v.Generation == l.Generation && slices.Contains(s.Voters, l.Node)
		if counts && status == StatusUp && id != "" && g.SystemID != "" && id != g.SystemID {
			key := string(l.Observation.Member) + " " + id
			if votes[key]++; votes[key]*2 > len(s.Voters) {
				return l.Observation.Member
			}
		}
	}
	return ""
}

// mayUnadopt is a naive model of what makes a group unadopted.
func mayUnadopt(s *State, g *Group, e Entry) bool {
	switch e.Body.(type) {
	case ApplySpec, Restored:
		return true
	}
	return g.Operation == nil && g.Stranger != nil && g.Stranger.Member == foreignTo(s, g)
}

// checkChange asks for what holds across one entry.
func checkChange(t *rapid.T, before, after *State, e Entry, events []Event) {
	t.Helper()
	for i, event := range events {
		if event.Sequence != before.EventSeq+uint64(i)+1 || event.Index != e.Index {
			t.Fatalf("event %d has number %d after %d", i, event.Sequence, before.EventSeq)
		}
	}
	if _, ok := rejection(events); ok && len(events) == 1 && !isObserve(e.Body) {
		same := *before
		same.Applied, same.EventSeq = after.Applied, after.EventSeq
		if string(bytesOf(t, same)) != string(bytesOf(t, *after)) {
			t.Fatalf("a refused %T changed the state", e.Body)
		}
	}
	for _, old := range before.Groups {
		g := after.Group(old.Name)
		if g == nil {
			if retiredEpoch(after, old.Name) < old.Epoch {
				t.Fatalf("S5: the epoch of deleted %s fell", old.Name)
			}
			continue
		}
		if g.Epoch < old.Epoch {
			t.Fatalf("S5: the epoch of %s fell from %d to %d", g.Name, old.Epoch, g.Epoch)
		}
		if old.Adopted && !g.Adopted && !mayUnadopt(after, g, e) {
			t.Fatalf("S0: a %T made %s unadopted", e.Body, g.Name)
		}
		for _, m := range g.Members {
			if was := old.Member(m.Name); was != nil && was.Authority != m.Authority {
				if err := mayBecome(old, *was, m, e); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, r := range before.Retired {
		g := after.Group(r.Group)
		if g == nil && retiredEpoch(after, r.Group) < r.Epoch || g != nil && g.Epoch < r.Epoch {
			t.Fatalf("S5: the epoch of deleted %s was forgotten", r.Group)
		}
	}
}

func isObserve(b Body) bool { _, ok := b.(Observe); return ok }

func retiredEpoch(s *State, name GroupName) Epoch {
	for _, r := range s.Retired {
		if r.Group == name {
			return r.Epoch
		}
	}
	return 0
}

// mayBecome is a naive model of who may get which authority by which entry (S0, S2, S3, S12).
func mayBecome(g *Group, was, is Member, e Entry) error {
	switch b := e.Body.(type) {
	case Adopt, Restored:
		return nil
	case Intend:
		if b.Member == was.Name && (b.Action == ActionPromote && is.Authority == AuthorityWriter ||
			b.Action == ActionIsolate && is.Authority == AuthorityRevoked) {
			return nil
		}
	case Conclude:
		proven := b.Outcome.Result == ResultDone && g.Spec.Policy.Accepts(b.Outcome.Proof.Grade)
		if was.Authority == AuthorityRevoked && is.Authority == AuthorityNone && proven && g.Operation.Intent.Member == was.Name {
			return nil
		}
	case Attest:
		if was.Authority == AuthorityRevoked && is.Authority == AuthorityNone && b.Member == was.Name {
			return nil
		}
	case Observe:
		if was.Authority == AuthorityNone && is.Authority == AuthorityRevoked && is.Rogue {
			return nil
		}
	}
	return fmt.Errorf("%s went from %s to %s by a %T", was.Name, was.Authority, is.Authority, e.Body)
}
