package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// scheduleItems plans what goes wrong at a time.
func (s *sim) scheduleItems() {
	for _, item := range s.plan.Items {
		if item.Hook == "" {
			s.at(item.At, func() { s.apply(item, nil) })
		}
	}
}

// passes is called when an arbiter comes to a point of its work, where an item may strike it.
func (s *sim) passes(n *node, where, name string) {
	if s.healed || s.done {
		return
	}
	point := where + "-" + name
	for i, item := range s.plan.Items {
		if item.Hook != point {
			continue
		}
		s.hookUsed[i]++
		if s.hookUsed[i] != item.Count+1 {
			continue
		}
		if late := hookDelay(item); late > 0 {
			s.after(late, func() { s.apply(item, n) })
		} else {
			s.apply(item, n)
		}
	}
}

// hookDelay is how long after the point an item strikes: half of them at once, the others when what began there is on its way.
func hookDelay(item Item) time.Duration {
	if item.Amount%2 == 0 {
		return 0
	}
	return time.Duration(item.Amount) * 10 * time.Microsecond
}

// apply lets an item happen. struck is the arbiter that came to the item's point.
func (s *sim) apply(item Item, struck *node) {
	if s.healed || s.done {
		return
	}
	s.note("ITEM %s", item)
	s.busyFor(8 * time.Second)
	n := struck
	if n == nil {
		n = s.targetNode(item)
	}
	switch {
	case strings.HasPrefix(item.Kind, "op-") || item.Kind == "read":
		s.operate(item)
	case item.Kind == "blackout":
		s.blackout(item)
	case item.Kind == "outcome-again":
		s.outcomeAgain(item)
	case s.applyToNode(n, item):
	case s.applyToLinks(n, item):
	default:
		s.applyToMember(s.targetMember(item), item)
	}
	s.disturb()
}

// targetNode is the arbiter that an item is about: the leader, if the item says so.
func (s *sim) targetNode(item Item) *node {
	if item.Node < 0 {
		for _, n := range s.nodes {
			if n.alive && n.raft.role == leader {
				return n
			}
		}
	}
	return s.nodes[max(item.Node, 0)]
}

// targetMember is the member that an item is about: the one that writes, if the item says so.
func (s *sim) targetMember(item Item) *member {
	g := s.services[item.Group%len(s.services)]
	if item.Member < 0 && (item.Kind == "power-back" || item.Kind == "op-power-on" || item.Kind == "op-rebuild") {
		for _, m := range g.members {
			if !m.host.powered {
				return m
			}
		}
	}
	if item.Member < 0 {
		if s.ledger.newest != nil {
			if known := s.ledger.newest.Group(g.name); known != nil && g.member(known.Writer()) != nil {
				return g.member(known.Writer())
			}
		}
		return g.members[0]
	}
	return g.members[item.Member%len(g.members)]
}

// until undoes a fault later, before everything heals.
func (s *sim) until(d time.Duration, undo func()) {
	s.after(s.remaining(d), func() {
		undo()
		s.disturb()
	})
}

// remaining bounds a fault by the time in which things go wrong.
func (s *sim) remaining(d time.Duration) time.Duration {
	return min(d, max(s.plan.Length-s.now, 0))
}

func (s *sim) applyToNode(n *node, item Item) bool {
	d := s.remaining(item.For)
	switch item.Kind {
	case "kill":
		n.kill("killed")
		s.until(d, n.start)
	case "freeze":
		s.freezeNode(n, d, false)
	case "pause":
		s.freezeNode(n, d, true)
	case "wipe":
		if s.lostNodes() == 0 {
			n.wipe()
		}
	case "disk-stall":
		n.disk.stalled++
		s.until(s.remaining(2*item.For), n.disk.unstall)
	case "disk-full":
		n.disk.full = true
		s.until(d, func() { n.disk.full = false })
	case "disk-slow":
		n.disk.slow = 40 * time.Millisecond
		s.until(d, func() { n.disk.slow = 0 })
	case "lag":
		n.lag = time.Duration(item.Amount) * 3 * time.Millisecond
		s.until(d, func() { n.lag = 0 })
	case "wall-step":
		step := time.Duration(item.Amount-500) * 500 * time.Millisecond
		n.wallOffset += step
		s.wallSteps += max(step, -step)
		n.enter(func() { n.view.watch(ownview.Lateness{Step: max(step, -step)}) })
	case "election":
		n.enter(func() { n.raft.do(func() { n.raft.election() }) })
	case "reset-streams":
		for _, st := range append([]*stream(nil), s.streams...) {
			if st.from == n || item.Amount%3 == 0 {
				st.endServer()
				st.endSender()
			}
		}
	case "misread":
		n.enter(func() { n.routes.misread(s.services[item.Group%len(s.services)].name, d) })
	case "drain":
		n.enter(func() { n.input(failover.Drain{Why: "an operator asks for it"}) })
	default:
		return false
	}
	return true
}

// blackout stops all arbiters and all machines at once. Each comes back when it does.
func (s *sim) blackout(item Item) {
	for _, n := range s.nodes {
		if n.alive {
			n.kill("the power is cut")
			s.until(s.worldDice.between(0, item.For), n.start)
		}
	}
	for _, h := range s.hosts {
		if h.powered {
			s.powerOff(h)
			s.after(s.remaining(s.worldDice.between(0, item.For)), func() { s.powerOn(h, "the power is back") })
		}
	}
}

// outcomeAgain lets whoever leads propose once more what an action of the group has come to: the newest outcome that closed its intent, or one before
// it. One that left its intent open, as an unknown one does, ended a try only, and would end another one.
func (s *sim) outcomeAgain(item Item) {
	group, back := s.services[item.Group%len(s.services)].name, item.Amount%4
	for i := len(s.ledger.entries) - 1; i >= 0; i-- {
		e := s.ledger.entries[i]
		if e == nil || rejection(e.events) != nil {
			continue
		}
		b, ok := e.Body.(failover.Conclude)
		if !ok || b.Group != group || b.Outcome.Result != failover.ResultDone {
			continue
		}
		if back--; back < 0 {
			s.call(b, nil)
			return
		}
	}
}

// election lets a server that votes begin an election, as one does whose heartbeats came late.
func (r *raft) election() {
	if r.role != leader && r.votes() {
		r.campaign(false, true)
	}
}

// lostNodes is how many arbiters are gone for good.
func (s *sim) lostNodes() int {
	n := 0
	for _, node := range s.nodes {
		if node.gone {
			n++
		}
	}
	return n
}

// freezeNode stops a process, or its whole machine, for a time. Only a hypervisor stops the clock too.
func (s *sim) freezeNode(n *node, d time.Duration, clock bool) {
	if clock && n.frozen > 0 {
		return
	}
	n.freeze()
	began := n.boot()
	if clock {
		n.clock.stop(s.now)
	}
	s.until(d, func() {
		if clock {
			n.clock.goOn(s.now)
			n.pausedAt = s.now
		}
		n.wake()
		slept := n.boot() - began
		n.post(n.dice.between(0, 2*ownview.WatchInterval), func() { n.view.watch(ownview.Lateness{Worst: slept}) })
	})
}

// cut cuts one direction of a link, for a time.
func (s *sim) cut(d time.Duration, from, to string) {
	if from == to {
		return
	}
	s.net.link(from, to).cut++
	s.until(d, func() { s.net.link(from, to).cut-- })
}

// machines are all ends of links but the arbiters'.
func (s *sim) machines() []string {
	var list []string
	for _, h := range s.hosts {
		list = append(list, h.name, bmc(h))
	}
	for _, g := range s.services {
		list = append(list, g.router.name())
	}
	return list
}

func (s *sim) applyToLinks(n *node, item Item) bool {
	d, self := s.remaining(item.For), string(n.id)
	var others []string
	for _, o := range s.nodes {
		others = append(others, string(o.id))
	}
	switch item.Kind {
	case "cut-node", "cut-in", "cut-out":
		all := others
		if item.Amount%2 == 0 {
			all = append(others, s.machines()...)
		}
		for _, o := range all {
			if item.Kind != "cut-in" {
				s.cut(d, self, o)
			}
			if item.Kind != "cut-out" {
				s.cut(d, o, self)
			}
		}
	case "cut-pair":
		o := others[item.Amount%len(others)]
		s.cut(d, self, o)
		if item.Amount%3 > 0 {
			s.cut(d, o, self)
		}
	case "cut-zone": // an arbiter, a member of each group and their devices: all of one zone
		inside := map[string]bool{self: true}
		for _, g := range s.services {
			m := g.members[item.Amount%len(g.members)]
			inside[m.host.name], inside[bmc(m.host)] = true, true
		}
		all := append(others, s.machines()...)
		for _, a := range all {
			for _, b := range all {
				if inside[a] != inside[b] {
					s.cut(d, a, b)
				}
			}
		}
	case "halves":
		for i, a := range others {
			for j, b := range others {
				if item.Amount>>i&1 != item.Amount>>j&1 {
					s.cut(d, a, b)
				}
			}
		}
	case "loss", "slow", "dup":
		for _, o := range append(others, s.machines()...) {
			s.trouble(item, d, self, o)
			s.trouble(item, d, o, self)
		}
	default:
		return false
	}
	return true
}

func (s *sim) trouble(item Item, d time.Duration, from, to string) {
	l := s.net.link(from, to)
	switch item.Kind {
	case "loss":
		l.loss = 10 + item.Amount%50
		s.until(d, func() { l.loss = 0 })
	case "slow":
		l.slow = time.Duration(5+item.Amount) * time.Millisecond
		s.until(d, func() { l.slow = 0 })
	case "dup":
		l.dup = 30
		s.until(d, func() { l.dup = 0 })
	}
}

func (s *sim) applyToMember(m *member, item Item) {
	d := s.remaining(item.For)
	switch item.Kind {
	case "crash", "bounce":
		m.crash(0)
		if item.Kind == "bounce" || item.Amount%2 == 0 { // what supervises it starts it again
			s.after(d, func() {
				if m.keptDown {
					m.mayBeRogue("what supervises it started it")
				}
				m.boot(s.worldDice.between(300*time.Millisecond, 3*time.Second))
			})
		}
	case "orphans":
		m.crash(min(d, 8*time.Second))
	case "host-off":
		s.powerOff(m.host)
		if item.Amount%2 == 0 {
			s.after(d, func() { s.powerOn(m.host, "its power came back by itself") })
		}
	case "power-back":
		s.powerOn(m.host, "its power came back by itself")
	case "host-freeze":
		m.host.frozen++
		s.until(d, func() { m.host.frozen--; m.changed() })
	case "into-recovery":
		m.intoRecovery(item.Amount)
	case "stall":
		m.stalled++
		s.until(d, func() { m.stalled--; m.acknowledge(); m.changed() })
	case "full":
		m.full++
		s.until(d, func() { m.full--; m.acknowledge(); m.changed() })
	case "replaced":
		s.replace(m)
	case "router":
		m.service.router.broken++
		s.until(d, func() { m.service.router.broken-- })
	case "router-blind":
		m.service.router.blind++
		s.until(d, func() { m.service.router.blind-- })
	case "router-forgets":
		m.service.router.forget(item.Amount)
	case "cut-member", "cut-member-some", "cut-replication", "cut-bmc":
		s.cutMember(m, item, d)
	case "device-slow", "device-hanging", "device-failing", "device-lying":
		dev := s.device(m.host, item.Amount%2)
		dev.mode = deviceMode(strings.TrimPrefix(item.Kind, "device-"))
		s.until(d*3, func() { dev.mode = honest })
	default:
		s.fail("model", "unknown item %s", item.Kind)
	}
	m.changed()
}

// replace puts another, empty database under the same name and address.
func (s *sim) replace(m *member) {
	m.state, m.orphans, m.leaving = stopped, false, false
	m.starts++
	m.stopCommits()
	m.system = fmt.Sprintf("%s-new-%d", m.service.name, s.order)
	m.head, m.follows, m.token = position{&branch{number: 1}, 100}, "", 0
	if !m.primary {
		m.primary = true // a new database is one of its own
		m.excused("it is another database")
	}
	if m.excuse.why == "" {
		m.excused("it is another database")
	}
	m.boot(time.Second)
}

func (s *sim) cutMember(m *member, item Item, d time.Duration) {
	var ends []string
	for i, n := range s.nodes {
		if item.Kind == "cut-member" || item.Kind == "cut-member-some" && item.Amount>>i&1 == 1 {
			ends = append(ends, string(n.id))
		}
	}
	for i, o := range m.service.members {
		if o != m && (item.Kind == "cut-replication" || item.Kind == "cut-member" && item.Amount>>i&1 == 1) {
			ends = append(ends, o.host.name)
		}
	}
	if item.Kind == "cut-bmc" {
		for i, n := range s.nodes {
			if item.Amount>>i&1 == 1 {
				s.cut(d*2, string(n.id), bmc(m.host))
			}
		}
	}
	for _, end := range ends {
		s.cut(d, m.host.name, end)
		if item.Amount%4 > 0 {
			s.cut(d, end, m.host.name)
		}
	}
}

// heal ends the time in which things go wrong: every fault has been undone by now.
func (s *sim) heal() {
	s.healed = true
	s.note("HEAL")
	for _, n := range s.nodes {
		if !n.alive && !n.spare {
			n.start()
		}
	}
	s.after(20*time.Millisecond, s.disturb)
	for _, o := range s.sensible {
		s.after(s.worldDice.between(0, time.Second), o.help)
	}
	s.after(settleLook, s.watchSettled)
}
