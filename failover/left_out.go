package failover

import "slices"

// leftOut is a group that an entry about the arbiters would have changed so that S1 refuses it. No entry is known that does; if one did, it must cost
// that group only: an arbiter's view of all others, or the reign that all others wait for, is in the same entry.
type leftOut struct {
	group   GroupName
	refusal *Refusal
}

// ofArbiters says whether an entry is about the arbiters and what they see, of any number of groups.
func (e Entry) ofArbiters() bool {
	switch e.Body.(type) {
	case BeginReign, SetVoters, Observe, ExpireView:
		return true
	}
	return false
}

func (c *change) leavesOut(name GroupName) bool {
	return slices.ContainsFunc(c.leftOut, func(l leftOut) bool { return l.group == name })
}

// tellLeftOut tells of each group that was left out. What its arbiters saw of it before counts no more, since they have sent something newer: nothing
// is begun on it by what they saw until they send it again, with their next change of it or their next whole view.
func (c *change) tellLeftOut() {
	b, _ := c.entry.Body.(Observe)
	sent := func(node NodeID) bool {
		return slices.ContainsFunc(b.Batches, func(batch Batch) bool { return batch.Node == node })
	}
	for _, l := range c.leftOut {
		i, _ := c.state.groupAt(l.group)
		g := c.state.Groups[i].clone()
		g.Looks = slices.DeleteFunc(slices.Clone(g.Looks), func(look Look) bool { return sent(look.Node) })
		g.Paths = slices.DeleteFunc(slices.Clone(g.Paths), func(p PathLook) bool { return sent(p.Node) })
		g.Answers = slices.DeleteFunc(slices.Clone(g.Answers), func(a AnswerRow) bool { return sent(a.Node) })
		c.state.Groups[i] = g
		c.emit(Event{Kind: Rejected, Group: l.group, Rule: l.refusal.Rule, Text: l.refusal.Why, Next: l.refusal.Next})
	}
}
