package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// sim is one run. It lives in true time; every machine has a clock of its own.
type sim struct {
	plan      *Plan
	now       time.Duration
	queue     eventQueue
	order     uint64
	net       *network
	netDice   dice
	worldDice dice
	checkDice dice
	nodes     []*node
	byID      map[failover.NodeID]*node
	hosts     []*host
	services  []*service
	devices   map[deviceKey]*device
	streams   []*stream
	ledger    *ledger
	trace     trace
	counts    counts
	failure   *Violation
	healed    bool // nothing goes wrong any more
	done      bool
	begun     map[startKey]bool
	releases  map[failover.GroupName]int
	term      failover.Term                      // the highest that anybody led in
	views     map[failover.NodeID]*failover.View // as they should be
	reported  map[runKey]int                     // outcomes that actions came to, less those that counted
	epochs    map[failover.GroupName]failover.Epoch
	wishes    map[string]string // what was asked for by each request that was carried out
	hookUsed  map[int]int       // by item: how often its point was passed
	requests  int
	wallSteps time.Duration // how far wall clocks were set, all together: no two of them are further apart
	sensible  []*sensibleOperator
	settledAt time.Duration

	contradicted map[memberKey]bool // members whose devices were seen to be wrong
}

// deviceKey names one device: that of a level, on a machine.
type deviceKey struct {
	host  *host
	level int
}

// Violation is a check that failed.
type Violation struct {
	Check string
	Text  string
	At    time.Duration
}

// fail notes the first check that failed, which ends the run.
func (s *sim) fail(check, format string, args ...any) {
	if s.failure != nil {
		return
	}
	s.failure = &Violation{Check: check, Text: fmt.Sprintf(format, args...), At: s.now}
	s.note("VIOLATION %s: %s", check, s.failure.Text)
	s.done = true
}

func (s *sim) over() bool { return s.failure != nil }

var nodeNames = []failover.NodeID{"a", "b", "c", "d", "e", "f"}

func newSim(p *Plan, keep bool) *sim {
	s := &sim{
		plan: p, byID: map[failover.NodeID]*node{}, devices: map[deviceKey]*device{}, begun: map[startKey]bool{}, releases: map[failover.GroupName]int{}, views: map[failover.NodeID]*failover.View{}, contradicted: map[memberKey]bool{}, reported: map[runKey]int{},
		epochs: map[failover.GroupName]failover.Epoch{}, wishes: map[string]string{}, hookUsed: map[int]int{},
		netDice: newDice(p.Seed, "streams"), worldDice: newDice(p.Seed, "world"), checkDice: newDice(p.Seed, "checks"),
	}
	s.trace = trace{hash: fnv.New64a(), keep: keep}
	s.net = newNetwork(s)
	s.ledger = &ledger{sim: s}
	s.buildServices()
	clocks := newDice(p.Seed, "clocks")
	for i := range p.Nodes + 1 {
		n := newNode(s, nodeNames[i])
		n.spare = i == p.Nodes
		n.clock = bootClock{rate: 1 + (clocks.Float64()-0.5)*0.009, base: clocks.between(time.Minute, 100*time.Hour)}
		s.nodes = append(s.nodes, n)
		s.byID[n.id] = n
	}
	var voters []failover.NodeID
	for _, n := range s.nodes[:p.Nodes] {
		voters = append(voters, n.id)
	}
	first := &entry{voters: voters, Entry: failover.Entry{Index: 1, Term: 1, Body: failover.SetVoters{Voters: voters}}}
	for _, n := range s.nodes[:p.Nodes] {
		n.raft.term, n.raft.log = 1, []*entry{first}
		s.after(clocks.between(0, 300*time.Millisecond), n.start)
	}
	return s
}

func (s *sim) buildServices() {
	for i, plan := range s.plan.Groups {
		g := &service{sim: s, name: failover.GroupName(fmt.Sprintf("g%d", i+1)), plan: plan}
		g.router = &router{service: g}
		trunk := &branch{number: 1}
		for j := range plan.Members {
			m := &member{
				sim: s, service: g, name: failover.MemberName(fmt.Sprintf("db%d", j+1)), state: running, refuses: plan.Refuses,
				head: position{trunk, 1000}, system: "system-" + string(g.name), follows: "db1",
			}
			m.address = string(g.name) + "-" + string(m.name) + ":5432"
			if j == 0 && i == 1 && s.plan.SharedHost {
				m.host = s.hosts[0]
			} else {
				m.host = &host{name: "host-" + string(g.name) + "-" + string(m.name), powered: true}
				s.hosts = append(s.hosts, m.host)
			}
			g.members = append(g.members, m)
		}
		g.members[0].primary, g.members[0].follows = true, ""
		g.router.to = "db1"
		s.services = append(s.services, g)
		s.sensible = append(s.sensible, &sensibleOperator{sim: s, service: g})
	}
}

func (s *sim) node(id failover.NodeID) *node { return s.byID[id] }

func (s *sim) service(name failover.GroupName) *service {
	for _, g := range s.services {
		if g.name == name {
			return g
		}
	}
	return nil
}

// memberAt is the server that a spec's address leads to, nil if there is none.
func (s *sim) memberAt(key memberKey, address string) *member {
	if g := s.service(key.Group); g != nil {
		if m := g.member(key.Member); m != nil && m.address == address {
			return m
		}
	}
	return nil
}

func (s *sim) membersOn(h *host) []*member {
	var list []*member
	for _, g := range s.services {
		for _, m := range g.members {
			if m.host == h {
				list = append(list, m)
			}
		}
	}
	return list
}

func (s *sim) device(h *host, level int) *device {
	key := deviceKey{h, level}
	if s.devices[key] == nil {
		s.devices[key] = &device{host: h}
	}
	return s.devices[key]
}

// disturb is called after anything about machines, processes or links changed: what goes on by itself in quiet times is looked at again.
func (s *sim) disturb() {
	for _, n := range s.nodes {
		if !n.alive {
			continue
		}
		n.raft.disturbed()
		n.sender.leaderChanged()
		n.prober.pokeAll()
	}
	for _, g := range s.services {
		s.checkWriters(g)
		for _, m := range g.members {
			if m.primary && m.writes() {
				m.replicate()
			}
		}
	}
	for _, after := range []time.Duration{closedNoticed, servedSilence, openedSilence} {
		s.after(after, func() { s.checkStreams(after) })
	}
}

func (s *sim) addStream(st *stream) {
	s.streams = append(slices.DeleteFunc(s.streams, (*stream).dead), st)
}

func (s *sim) checkStreams(after time.Duration) {
	for _, st := range slices.Clone(s.streams) {
		if !st.dead() {
			st.check(after)
		}
	}
}

// streamsBroken ends the sides of streams that a dead process had.
func (s *sim) streamsBroken(n *node) {
	for _, st := range slices.Clone(s.streams) {
		if st.from == n {
			st.senderEnded = true
			st.tellOther()
		}
		if st.to == n {
			st.serverEnded = true
			st.tellOther()
		}
	}
}

// pokeMember lets every arbiter's next look see what changed.
func (s *sim) pokeMember(m *member) {
	for _, n := range s.nodes {
		if n.alive {
			for _, other := range m.service.members {
				n.prober.poke(memberKey{Group: m.service.name, Member: other.name})
			}
		}
	}
}

// pokeGrowth lets those who see a primary failing see that its standby goes on receiving.
func (s *sim) pokeGrowth(m *member) {
	for _, n := range s.nodes {
		if !n.alive {
			continue
		}
		if g := n.prober.growth[m.service.name]; g != nil && g.failing {
			n.prober.poke(memberKey{Group: m.service.name, Member: m.name})
		}
	}
}

// limit ends a run that would never end.
const limit = 40_000_000

// run plays the plan to its end.
func (s *sim) run() {
	s.scheduleItems()
	for _, g := range s.services {
		s.after(time.Second, g.clients)
	}
	for _, o := range s.sensible {
		s.after(3*time.Second, o.begin)
	}
	s.at(s.plan.Length+time.Millisecond, s.heal)
	for events := 0; !s.done && len(s.queue) > 0; events++ {
		if events > limit {
			s.fail("endless", "too many events")
			break
		}
		e := s.queue.pop()
		s.now = e.at
		e.run()
	}
	if s.ledger.newest != nil {
		if data, err := s.ledger.newest.CanonicalBytes(); err == nil {
			_, _ = s.trace.hash.Write(data)
		}
	}
	_, _ = fmt.Fprintf(s.trace.hash, "%+v %d", s.counts, s.order)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
