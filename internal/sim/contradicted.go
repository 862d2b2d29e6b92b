package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// This file is about devices whose word an arbiter's own look has shown to be wrong (S3): they say that a member is off, and it is reached.

// pathTo asks the devices of a member for its status, which changes nothing.
func (s *sim) pathTo(n *node, key memberKey, m *member) failover.FencePath {
	path := failover.FencePath{Group: key.Group, Member: key.Member, Detail: "asked", AsOf: n.state.Applied}
	if !s.net.bothWays(string(n.id), bmc(m.host)) {
		return path
	}
	for level := range m.service.plan.Levels {
		if mode := s.device(m.host, level).mode; mode != failing && mode != hanging {
			path.Armed = true
			path.Off = path.Off || mode == lying || !m.host.powered
		}
	}
	return path
}

// lied notes that a device said off of a machine that is on: what its servers do once they are proven to have stopped by that is the device's.
func (s *sim) lied(h *host) {
	s.note("the device lies: %s is on", h.name)
	for _, m := range s.membersOn(h) {
		if m.primary {
			m.lied = s.now
		}
	}
}

// excuseLie excuses a member that may write after an isolation that began at a time, if a device has lied about it since, and no arbiter
// had shown that its devices do.
func (s *sim) excuseLie(m *member, began time.Duration) {
	if m.lied > 0 && m.lied >= began && !s.contradicted[memberKey{Group: m.service.name, Member: m.name}] {
		m.excused("a device lied about it")
	}
}

// noteContradicted keeps which members' devices were seen to be wrong, by a plain reading of the rule: from such a look on, until it is another
// machine, or the group is adopted anew.
func (s *sim) noteContradicted(e *entry, b failover.Batch) {
	for _, p := range b.FencePaths {
		key := memberKey{Group: p.Group, Member: p.Member}
		g := e.after.Group(p.Group)
		if g == nil || g.Member(p.Member) == nil || p.AsOf < g.Member(p.Member).Since {
			continue
		}
		if p.Contradicted && !s.contradicted[key] {
			s.contradicted[key] = true
			s.counts.contradicted++
		}
	}
}

// forgetContradicted is for members of which nothing counts any more that was seen before an entry: they are another machine since, or were adopted.
func (s *sim) forgetContradicted(e *entry) {
	for key := range s.contradicted {
		g := e.after.Group(key.Group)
		if g == nil || g.Member(key.Member) == nil || g.Member(key.Member).Since == e.Index {
			delete(s.contradicted, key)
		}
	}
}

// drawLiars is what goes wrong around a device that calls a member off that is on: in some of the runs it has done so for a while when the
// member is to be fenced, and the arbiters that could tell are struck, or can't reach it any more.
func drawLiars(d dice, p *Plan) []Item {
	if d.chance(75) {
		return nil
	}
	var items []Item
	for range 1 + d.IntN(2) {
		at, group := d.between(12*time.Second, p.Length), d.IntN(len(p.Groups))
		items = append(items,
			Item{Kind: "device-lying", At: at, Group: group, Member: -1, For: d.between(5*time.Second, 20*time.Second), Amount: 2 * d.IntN(500)},
			Item{
				Kind: pick(d, []string{"crash", "stall", "cut-member", "cut-member", "host-freeze", "op-failover"}), At: at + d.between(4*time.Second, 25*time.Second), Group: group, Member: -1,
				For: d.between(4*time.Second, 30*time.Second), Amount: d.IntN(1000),
			})
		for range d.IntN(3) {
			items = append(items, Item{
				Kind: pick(d, []string{"kill", "kill", "reset-streams", "election", "cut-bmc", "device-failing", "drain"}), At: at + d.between(2*time.Second, 25*time.Second), Node: d.IntN(p.Nodes+1) - 1,
				Group: group, Member: -1, For: d.between(200*time.Millisecond, 12*time.Second), Amount: d.IntN(1000),
			})
		}
	}
	return items
}
