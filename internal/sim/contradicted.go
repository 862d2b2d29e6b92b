package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
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

// shownDevices are what one life of an arbiter was told by devices that were wrong and has reached since, by a plain reading of the rule.
type shownDevices struct {
	off  map[memberKey]calledOff // a machine that is on, of a member that was reached; until a look misses it
	owed map[memberKey]calledOff // a look has shown that, and the leader is yet to be told
	told map[memberKey]bool
}

type calledOff struct {
	at   time.Duration // on the boot clock
	asOf failover.Index
}

func newShownDevices() shownDevices {
	return shownDevices{map[memberKey]calledOff{}, map[memberKey]calledOff{}, map[memberKey]bool{}}
}

// devices takes what the devices of a member say of it, and whether it is on in truth, and was reached when the arbiter looked last. What they say takes the
// place of what they said before.
func (d *shownDevices) devices(now ownview.Moment, p failover.FencePath, on bool) {
	key := memberKey{Group: p.Group, Member: p.Member}
	delete(d.off, key)
	if owed, ok := d.owed[key]; !p.Off || ok && !isAbout(now.State, key, owed.asOf) {
		delete(d.owed, key)
		delete(d.told, key)
	}
	if _, owed := d.owed[key]; p.Off && on && !owed && !d.told[key] {
		d.off[key] = calledOff{now.Boot, p.AsOf}
	}
}

// isAbout says whether what was heard of a member by a state is about the machine that it is now.
func isAbout(s *failover.State, key memberKey, asOf failover.Index) bool {
	g := s.Group(key.Group)
	return g != nil && g.Member(key.Member) != nil && g.Member(key.Member).Since <= asOf
}

// look takes what an arbiter has seen of a member where it is now.
func (d *shownDevices) look(s *failover.State, r ownview.Report) {
	key := memberKey{Group: r.Observation.Group, Member: r.Observation.Member}
	off, said := d.off[key]
	if g := s.Group(key.Group); !said || g == nil {
		return
	} else if spec, ok := g.Spec.Member(key.Member); !ok || spec.Address != r.Address {
		return
	}
	switch {
	case missed(r):
		delete(d.off, key)
	case r.Good > 0 && r.Reached > off.at:
		delete(d.off, key)
		d.owed[key] = off
	}
}

func missed(r ownview.Report) bool { return r.Good == 0 && r.Reached == 0 }

// checkTold asks that what an arbiter sends tells of all devices that it knows to be wrong.
func (v *view) checkTold(b failover.Batch) {
	for _, p := range b.FencePaths {
		if key := (memberKey{Group: p.Group, Member: p.Member}); p.Contradicted {
			delete(v.shown.owed, key)
			v.shown.told[key] = true
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(v.shown.owed), memberKey.Compare) {
		if isAbout(v.node.state, key, v.shown.owed[key].asOf) {
			v.node.sim.fail("S3", "%s has reached %s of %s, which its devices had called off, and does not tell", v.node.id, key.Member, key.Group)
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
