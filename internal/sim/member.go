package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// host is one machine of the protected services. Two groups may have a member on the same one.
type host struct {
	name    string
	powered bool
	fenced  bool // a device switched it off, and nobody meant it to come back
	frozen  int  // nothing on it runs; its kernel still accepts connections
}

// serviceState is where one server stands.
type serviceState int

const (
	stopped serviceState = iota
	starting
	running
)

// member is one server, as it truly is.
type member struct {
	sim      *sim
	service  *service
	name     failover.MemberName
	host     *host
	address  string
	system   string
	state    serviceState
	starts   int  // counts starts: what was asked of an earlier one is forgotten
	primary  bool // it accepts writes, or would if it were started
	orphans  bool // its main process is gone, and sessions that were open go on committing
	follows  failover.MemberName
	head     position
	token    failover.Epoch // kept on its disk
	refuses  bool           // it refuses older epochs than its token
	stalled  int            // its disk: nothing is committed
	full     int
	leaving  bool // a promotion was asked for and it has not left recovery yet
	held     map[failover.MemberName]position
	waiting  []position // commits that wait for standbys
	sessions bool       // a client holds an open session
	keptDown bool       // by an operator who switched its machine on: it would start as a primary without a right to it
	excuse   excuse
	lied     time.Duration // when a device last called its machine off that was on
}

// excuse is why a member may be accepting writes although nobody meant it to, in breach of a proof's assumptions. It excuses nothing that is
// proven by an isolation that began after it.
type excuse struct {
	why   string
	since time.Duration
}

func (m *member) excused(why string) { m.excuse = excuse{why: why, since: m.sim.now} }

// branch is one timeline of a history of writes.
type branch struct {
	parent *branch
	fork   failover.LSN // where it left its parent
	number uint32
}

// position is how much of a history a member holds.
type position struct {
	branch *branch
	at     failover.LSN
}

// holds says whether everything up to another position is part of this one.
func (p position) holds(other position) bool {
	limit := p.at
	for b := p.branch; b != nil; b = b.parent {
		if b == other.branch {
			return other.at <= limit
		}
		limit = min(limit, b.fork)
	}
	return false
}

// lacks is how many bytes of another position are no part of this one.
func (p position) lacks(other position) uint64 {
	limit := p.at
	for b := p.branch; b != nil; b = b.parent {
		theirs := other.at
		for o := other.branch; o != nil; o = o.parent {
			if o == b {
				return uint64(other.at - min(limit, theirs))
			}
			theirs = min(theirs, o.fork)
		}
		limit = min(limit, b.fork)
	}
	return uint64(other.at)
}

// up says whether the server runs and can answer.
func (m *member) up() bool { return m.host.powered && m.host.frozen == 0 && m.state == running }

// writes says whether the server commits what open sessions send, as far as it depends on itself.
func (m *member) writes() bool {
	return m.primary && m.host.powered && m.host.frozen == 0 && (m.state == running || m.orphans) && m.stalled == 0 && m.full == 0
}

// connected says whether a standby receives from this member.
func (m *member) connected(s *member) bool {
	return s.follows == m.name && !s.primary && s.up() && m.sim.net.bothWays(m.host.name, s.host.name) && s.system == m.system
}

// acknowledges says whether this member confirms commits to clients at this moment.
func (m *member) acknowledges() bool {
	if !m.writes() {
		return false
	}
	n := 0
	for _, s := range m.service.members {
		if s != m && m.connected(s) && m.head.holds(s.head) {
			n++
		}
	}
	return n >= m.service.plan.SyncNeed
}

// changed is called after anything about the member changed.
func (m *member) changed() {
	m.sim.checkWriters(m.service)
	m.sim.pokeMember(m)
	for _, other := range m.service.members {
		if other.primary && other.writes() {
			other.replicate()
		}
	}
}

// boot starts the server as it is configured, after a moment.
func (m *member) boot(takes time.Duration) {
	if !m.host.powered || m.state != stopped {
		return
	}
	m.state, m.orphans = starting, false
	m.starts++
	start := m.starts
	m.changed()
	m.sim.after(takes, func() {
		if m.starts == start && m.state == starting && m.host.powered {
			m.state = running
			m.sim.note("%s of %s runs, primary %v, follows %q", m.name, m.service.name, m.primary, m.follows)
			m.changed()
		}
	})
}

// crash ends the server. With orphans, sessions that are open go on committing for a while.
func (m *member) crash(orphans time.Duration) {
	if m.state == stopped {
		return
	}
	m.state, m.leaving = stopped, false
	m.starts++
	m.orphans = orphans > 0 && m.primary
	if !m.orphans {
		m.stopCommits()
	}
	start := m.starts
	m.sim.after(orphans, func() {
		if m.orphans && m.starts == start {
			m.orphans = false
			m.stopCommits()
			m.changed()
		}
	})
	m.sim.note("%s of %s crashes, orphans %v", m.name, m.service.name, m.orphans)
	m.changed()
}

// stopCommits forgets what is not on disk: who waited for a commit never hears of it.
func (m *member) stopCommits() { m.waiting, m.held, m.sessions = nil, nil, false }

// powerOff takes the power of a machine away.
func (s *sim) powerOff(h *host) {
	h.powered = false
	for _, m := range s.membersOn(h) {
		m.state, m.orphans, m.leaving = stopped, false, false
		m.starts++
		m.stopCommits()
		m.changed()
	}
}

// powerOn gives it back. Servers start by themselves, as they were: a machine that had been fenced breaks the promise of the proof.
func (s *sim) powerOn(h *host, why string) {
	if h.powered {
		return
	}
	h.powered = true
	for _, m := range s.membersOn(h) {
		if h.fenced || m.keptDown {
			m.mayBeRogue(why)
		}
		m.boot(s.worldDice.between(500*time.Millisecond, 3*time.Second))
	}
	h.fenced = false
}

// mayBeRogue excuses a server that is about to start beside what the arbiters know, if it would start as a primary.
func (m *member) mayBeRogue(why string) {
	if m.primary && m.sim.writerOf(m.service) != m {
		m.excused(why)
		m.sim.counts.rogues++
	}
}

// switchOn is an operator's hand that takes care: a server on the machine that would start as a primary without a right to it is kept down.
func (s *sim) switchOn(h *host) {
	if h.powered {
		return
	}
	h.powered, h.fenced = true, false
	for _, m := range s.membersOn(h) {
		m.keptDown = m.primary && s.writerOf(m.service) != m
		if !m.keptDown {
			m.boot(s.worldDice.between(500*time.Millisecond, 3*time.Second))
		}
	}
}

// becomePrimary ends recovery: a new timeline begins.
func (m *member) becomePrimary(by string) {
	m.primary, m.leaving, m.follows = true, false, ""
	m.head.branch = &branch{parent: m.head.branch, fork: m.head.at, number: m.head.branch.number + 1}
	m.held, m.waiting = nil, nil
	m.sim.note("%s of %s leaves recovery on timeline %d at %d, asked by %s", m.name, m.service.name, m.head.branch.number, m.head.at, by)
	m.sim.counts.promotions++
	m.sim.checkNothingLost(m)
	m.changed()
}

// rebuild makes the member a standby of another one, with a copy of its data, as an operator does it by hand.
func (m *member) rebuild(from *member) {
	m.state, m.orphans, m.leaving = stopped, false, false
	m.starts++
	m.stopCommits()
	m.primary, m.follows, m.excuse, m.keptDown = false, from.name, excuse{}, false
	m.head, m.token, m.system = from.head, max(m.token, from.token), from.system
	m.sim.note("%s of %s is rebuilt as a standby of %s", m.name, m.service.name, from.name)
	m.sim.switchOn(m.host)
	m.boot(m.sim.worldDice.between(time.Second, 3*time.Second))
}

// raise takes the token of a server to an epoch, or refuses an older one (S9).
func (m *member) raise(epoch failover.Epoch) bool {
	if !m.refuses {
		return true
	}
	if epoch < m.token {
		m.sim.counts.stale++
		m.sim.note("%s of %s refuses epoch %d, it holds %d", m.name, m.service.name, epoch, m.token)
		return false
	}
	m.token = epoch
	return true
}
