package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// This file is about a writer that somebody restarts as a standby: it answers, and nobody can write.

// drawRecoveries is who restarts members as standbys, in a fifth of the runs, and what goes wrong beside that; and which groups fail over by it.
func drawRecoveries(d dice, p *Plan) []Item {
	if d.chance(80) {
		return nil
	}
	for i := range p.Groups {
		p.Groups[i].RecoveryDown = d.chance(30)
	}
	var items []Item
	for range 1 + d.IntN(3) {
		at, group := d.between(12*time.Second, p.Length), d.IntN(len(p.Groups))
		items = append(items, Item{Kind: "into-recovery", At: at, Group: group, Member: pick(d, []int{-1, -1, -1, d.IntN(3)}), Amount: d.IntN(1000)})
		for range d.IntN(3) {
			items = append(items, Item{
				Kind: pick(d, []string{"crash", "bounce", "host-freeze", "cut-member-some", "stall", "router-forgets", "op-failover", "op-pause", "op-resume", "op-adopt", "kill", "election", "reset-streams"}),
				At:   max(at+d.between(-8*time.Second, 8*time.Second), 12*time.Second), Node: d.IntN(p.Nodes+1) - 1, Group: group, Member: -1,
				For: d.between(200*time.Millisecond, 12*time.Second), Amount: d.IntN(1000),
			})
		}
	}
	return items
}

// intoRecovery restarts a primary as a standby of another member, or of nobody.
func (m *member) intoRecovery(which int) {
	if !m.primary || !m.host.powered || m.state == starting {
		return
	}
	m.crash(0)
	m.primary, m.orphans, m.follows = false, false, ""
	if other := m.service.members[which%len(m.service.members)]; other != m {
		m.follows = other.name
	}
	m.sim.counts.recoveries++
	m.sim.note("somebody restarts %s of %s as a standby of %q", m.name, m.service.name, m.follows)
	m.boot(m.sim.worldDice.between(300*time.Millisecond, 3*time.Second))
}

// endRecovery does what explain names for a writer in recovery: it is restarted as a primary, or another one takes over.
func (o *sensibleOperator) endRecovery(g *failover.Group) bool {
	next := failover.Explain(o.sim.ledger.newest, g.Name, failover.Durations{SinceLastFailover: -1}).Next
	m := o.service.member(g.Writer())
	if m == nil || m.primary || !slices.ContainsFunc(next, func(line string) bool {
		return strings.HasPrefix(line, string(m.name)+" is in recovery") && strings.Contains(line, "standby.signal")
	}) {
		return false
	}
	if !o.tookOver && o.sim.worldDice.chance(50) { // who has tried that, and was held, goes the other way
		o.tookOver = true
		return slices.ContainsFunc(next, func(line string) bool { return o.give(g, line) })
	}
	o.sim.note("an operator restarts %s of %s as a primary", m.name, g.Name)
	o.tookOver = false
	m.crash(0)
	m.primary, m.follows = true, ""
	o.boot(m)
	return true
}

// inRecovery counts by a plain reading of the views the voters that see a member in recovery, by looks that were told it themselves since it became the
// writer.
func (s *sim) inRecovery(state *failover.State, g *failover.Group, name failover.MemberName) int {
	m, seen := g.Member(name), 0
	for _, look := range g.Looks {
		view, ok := state.View(look.Node)
		o := look.Observation
		if !ok || !view.Current || view.Doubt != "" || view.Generation != look.Generation || !slices.Contains(state.Voters, look.Node) || o.Member != name {
			continue
		}
		if o.Facts.Role == failover.RoleStandby && !o.Facts.Stale && o.AsOf >= m.WriterSince && failover.ClassOf(o.Checks[0].Evidence.Reason) == failover.EvidenceGood {
			seen++
		}
	}
	return seen
}

// checkRecovery asks of every entry that nobody takes a writer that most see in recovery for one that serves, that no operation is over since that one has
// recovered, and that no failover that has done nothing waits beside it, but for one that an operator has aborted: who did is at work there.
func (s *sim) checkRecovery(e *entry) {
	for _, g := range e.after.Groups {
		if g == e.before.Group(g.Name) || !g.Adopted {
			continue
		}
		w, op := g.Member(g.Writer()), g.Operation
		if w == nil || w.Promoting || s.inRecovery(e.after, g, w.Name) < e.after.Majority() {
			continue
		}
		v := failover.Tally(e.after, g, w.Name)
		if v.Status == failover.StatusUp {
			s.fail("recovery", "%s of %s is the writer and in recovery, and counts as up: %s", w.Name, g.Name, v.Why())
		}
		if v.Status != failover.StatusDown && op != nil && op.Automatic && !op.Aborted && op.Kind == failover.KindFailover && beforeActing(g) {
			s.fail("recovery", "%s of %s is the writer and in recovery, and %s waits beside it: %s", w.Name, g.Name, op.ID, v.Why())
		}
		last := len(g.History.Receipts) - 1
		if last >= 0 && g.History.Receipts[last].Index == e.Index && g.History.Receipts[last].Result == failover.OperationRecovered {
			s.fail("recovery", "%s of %s is over since %s has recovered, and most see that it is in recovery: %s", g.History.Receipts[last].Operation.ID, g.Name, w.Name, v.Why())
		}
	}
}

// foundDown says whether what a look saw counts as dead: also a standby where the writer should be, where the policy says so.
func (s *sim) foundDown(key memberKey, saw sight) bool {
	if failover.ClassOf(saw.reason) == failover.EvidenceDead {
		return !saw.late
	}
	return s.service(key.Group).plan.RecoveryDown && saw.facts.Role == failover.RoleStandby
}
