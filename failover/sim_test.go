package failover

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestSimulatedClusters runs Controllers on clocks that drift, over a log whose leaders are deposed without knowing it, whose
// entries are lost or committed unseen, and members that die, freeze and come back. Each seed fixes every detail.
func TestSimulatedClusters(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 15
	}
	total := simCounts{}
	for seed := range seeds {
		s := newSim(uint64(seed))
		s.runAll()
		if s.failure != "" {
			t.Fatalf("seed %d at %s: %s\n%s", seed, s.now, s.failure, strings.Join(s.trace[max(0, len(s.trace)-60):], "\n"))
		}
		total.add(s.counts)
	}
	t.Logf("%+v", total)
	if total.done == 0 || total.reigns < seeds || total.refused == 0 || total.unknown == 0 || total.starts == 0 {
		t.Errorf("the simulation does not reach what it is for: %+v", total)
	}
}

type simCounts struct{ entries, refused, reigns, starts, unknown, done, recovered, held, rogues, restarts int }

func (c *simCounts) add(o simCounts) {
	c.entries, c.refused, c.reigns, c.starts = c.entries+o.entries, c.refused+o.refused, c.reigns+o.reigns, c.starts+o.starts
	c.unknown, c.done, c.recovered, c.held = c.unknown+o.unknown, c.done+o.done, c.recovered+o.recovered, c.held+o.held
	c.rogues, c.restarts = c.rogues+o.rogues, c.restarts+o.restarts
}

// sim is a world in true time; every process reads a clock of its own.
type sim struct {
	dice    *rand.Rand
	now     time.Duration
	queue   simQueue
	order   int
	state   State   // after the last committed entry
	log     []Entry // log[i] has index i+1
	states  []*State
	term    Term
	leader  NodeID
	nodes   []*simNode
	members map[GroupName]map[MemberName]*simMember
	calm    bool // no more faults
	counts  simCounts
	failure string
	trace   []string
}

type simEvent struct {
	at    time.Duration
	order int
	run   func()
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(e any)   { *q = append(*q, e.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (s *sim) after(d time.Duration, run func()) {
	s.order++
	heap.Push(&s.queue, simEvent{s.now + d, s.order, run})
}

func (s *sim) chance(percent int) bool { return s.dice.IntN(100) < percent }

func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.dice.Int64N(int64(d) + 1)) }

func (s *sim) fail(format string, args ...any) {
	if s.failure == "" {
		s.failure = fmt.Sprintf(format, args...)
	}
}

func (s *sim) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%12s ", s.now)+fmt.Sprintf(format, args...))
}

func newSim(seed uint64) *sim {
	s := &sim{dice: rand.New(rand.NewPCG(seed, 7)), state: NewState(), members: map[GroupName]map[MemberName]*simMember{}}
	first := s.state
	s.states = []*State{&first}
	s.commit(Entry{Body: SetVoters{Voters: []NodeID{"a", "b", "c"}}})
	for i, g := range []GroupName{"g1", "g2"} {
		members := []MemberName{"m1", "m2", "m3"}[:3-i]
		spec := testSpec(members...)
		spec.Policy.MaxLossBytes, spec.Policy.Cooldown = 1<<20, time.Second
		s.members[g] = map[MemberName]*simMember{}
		for j, m := range members {
			s.members[g][m] = &simMember{group: g, name: m, alive: true, primary: j == 0, position: 1000}
		}
		s.commit(Entry{Body: ApplySpec{Group: g, Spec: spec}})
	}
	for i, id := range []NodeID{"a", "b", "c"} {
		n := &simNode{sim: s, id: id, rate: 1 + (s.dice.Float64()-0.5)*0.008, offset: time.Duration(i+1) * time.Hour, sent: map[simKey]seen{}}
		n.start()
		s.nodes = append(s.nodes, n)
	}
	return s
}

// runAll sets up, lets faults happen for a while, heals everything, and asks whether every operation came to its end.
func (s *sim) runAll() {
	s.elect(s.nodes[0])
	s.run(3 * time.Second)
	for _, g := range []GroupName{"g1", "g2"} {
		s.commit(Entry{Body: Adopt{Group: g, Member: "m1", Request: Request{Actor: "dana"}}})
		if !s.state.Group(g).Adopted {
			s.fail("%s was not adopted: %+v", g, s.state.Group(g).Looks)
		}
	}
	s.after(s.upTo(2*time.Second), s.fault)
	s.run(80 * time.Second)
	s.calm = true
	s.heal()
	s.run(90 * time.Second)
	for _, g := range s.state.Groups {
		op := g.Operation
		switch {
		case op == nil:
		case g.Stage == Held && g.Hold.Reason != "" && g.Hold.Detail != "":
			s.counts.held++
			if r := g.Hold.Reason; r != HoldNoCandidate && r != HoldLossBound && r != HoldPromote && r != HoldVerify {
				s.fail("%s is held for %s although everything is healed: %s", g.Name, r, g.Hold.Detail)
			}
		default:
			s.fail("%s is still %s although everything is healed", g.Name, g.Stage)
		}
		for _, r := range g.History.Receipts {
			switch r.Result {
			case OperationDone:
				s.counts.done++
			case OperationRecovered:
				s.counts.recovered++
			}
		}
	}
}

func (s *sim) run(d time.Duration) {
	end := s.now + d
	for s.failure == "" && len(s.queue) > 0 && s.queue[0].at <= end {
		e := heap.Pop(&s.queue).(simEvent)
		s.now = e.at
		e.run()
		s.checkWorld()
	}
	s.now = end
}

// checkWorld asks for what must hold at every moment, by the truth that no arbiter knows.
func (s *sim) checkWorld() {
	for _, g := range s.state.Groups {
		var acting []string
		for _, n := range s.nodes {
			if n.mayAct(g.Name) {
				acting = append(acting, string(n.id))
			}
		}
		if len(acting) > 1 {
			s.fail("%v hold a lease of %s at the same time", acting, g.Name)
		}
		var writable []MemberName
		for _, m := range sortedKeys(s.members[g.Name]) {
			if s.members[g.Name][m].writable() && !s.members[g.Name][m].rogue {
				writable = append(writable, m)
			}
		}
		if len(writable) > 1 {
			s.fail("%v of %s accept writes at the same time", writable, g.Name)
		}
	}
}

// fault breaks something and comes again.
func (s *sim) fault() {
	if s.calm {
		return
	}
	n := s.nodes[s.dice.IntN(len(s.nodes))]
	switch s.dice.IntN(10) {
	case 0, 1, 2:
		s.elect(n)
	case 3:
		n.freeze(s.upTo(6 * time.Second))
	case 4:
		n.restart()
	case 5:
		n.blind = s.chance(50)
	case 6:
		n.lag = s.upTo(3 * time.Second)
		s.after(4*time.Second, func() { n.lag = 0 })
	case 7, 8:
		s.anyMember().crash(s)
	case 9:
		s.anyMember().boot(s)
	}
	s.after(s.upTo(4*time.Second), s.fault)
}

func (s *sim) anyMember() *simMember {
	g := []GroupName{"g1", "g2"}[s.dice.IntN(2)]
	names := sortedKeys(s.members[g])
	if s.chance(60) { // the one that is primary by the log
		if w := s.state.Group(g).Writer(); w != "" {
			return s.members[g][w]
		}
	}
	return s.members[g][names[s.dice.IntN(len(names))]]
}

func (s *sim) heal() {
	for _, n := range s.nodes {
		n.blind, n.lag = false, 0
	}
	for _, g := range sortedKeys(s.members) {
		for _, m := range sortedKeys(s.members[g]) {
			s.members[g][m].boot(s)
		}
	}
}
