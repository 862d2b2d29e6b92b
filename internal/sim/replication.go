package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// service is one protected group as it truly is.
type service struct {
	sim     *sim
	name    failover.GroupName
	plan    GroupPlan
	members []*member
	router  *router
	acked   []position // how far each timeline's commits were acknowledged to clients
	busy    time.Duration
	sticky  *member // whom the client that keeps its session writes to
}

func (g *service) member(name failover.MemberName) *member {
	for _, m := range g.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// busyFor makes clients write often for a while: around faults each write matters, in quiet times few do.
func (s *sim) busyFor(d time.Duration) {
	for _, g := range s.services {
		g.busy = max(g.busy, s.now+d)
	}
}

// The pauses between the writes of one client.
const (
	writePauseBusy = 60 * time.Millisecond
	writePauseIdle = 2 * time.Second
)

// clients write for ever: one through the router with a new session each time, one that keeps its session as long as it can.
func (g *service) clients() {
	pause := writePauseIdle
	if g.sim.now < g.busy {
		pause = writePauseBusy
	}
	if m := g.router.target(); m != nil && m.up() && m.writes() {
		m.commit()
		if g.sticky == nil {
			g.sticky, m.sessions = m, true
		}
	}
	if m := g.sticky; m != nil {
		if !m.sessions || !m.host.powered || m.state != running && !m.orphans {
			g.sticky = nil
		} else if m.writes() {
			m.commit()
		}
	}
	g.sim.after(g.sim.worldDice.between(pause/2, pause), g.clients)
}

// commit writes to the own disk and waits for the standbys that must confirm.
func (m *member) commit() {
	m.head.at += 8
	m.sim.counts.writes++
	m.waiting = append(m.waiting, m.head)
	m.acknowledge()
	m.replicate()
}

// replicate sends the log to all standbys that are connected.
func (m *member) replicate() {
	head, start := m.head, m.starts
	for _, s := range m.service.members {
		if s == m || !m.connected(s) || m.held[s.name] == head {
			continue
		}
		net := m.sim.net
		net.datagram(m.host.name, s.host.name, func() {
			if !m.connected(s) || !head.holds(s.head) {
				return
			}
			if s.head != head {
				s.head = head
				m.sim.pokeGrowth(s)
			}
			net.datagram(s.host.name, m.host.name, func() {
				if m.starts == start && m.primary && m.head.holds(head) {
					if m.held == nil {
						m.held = map[failover.MemberName]position{}
					}
					if !m.held[s.name].holds(head) {
						m.held[s.name] = head
					}
					m.acknowledge()
				}
			})
		})
	}
}

// acknowledge tells clients of the commits that enough standbys hold.
func (m *member) acknowledge() {
	if !m.writes() {
		return
	}
	for len(m.waiting) > 0 {
		n := 0
		for _, held := range m.held {
			if held.holds(m.waiting[0]) {
				n++
			}
		}
		if n < m.service.plan.SyncNeed {
			return
		}
		m.service.ack(m, m.waiting[0])
		m.waiting = m.waiting[1:]
	}
}

func (g *service) ack(m *member, p position) {
	g.sim.counts.acks++
	g.sim.checkAck(m)
	if m.excuse.why != "" {
		return // nobody promised to keep what a machine took that should have been off
	}
	for i := range g.acked {
		if g.acked[i].branch == p.branch {
			g.acked[i].at = max(g.acked[i].at, p.at)
			return
		}
	}
	g.acked = append(g.acked, p)
}
