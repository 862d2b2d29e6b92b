package failover

import (
	"bytes"
	"slices"
	"sort"
)

// applySpec creates or changes a group. New or changed members make it unadopted (S0).
func (c *change) applySpec(b ApplySpec) *Refusal {
	if refusal := checkSpec(b.Spec); refusal != nil {
		return refusal
	}
	if refusal := checkS0OneGroup(&c.state, b.Group, b.Spec); refusal != nil {
		return refusal
	}
	i, exists := c.state.groupAt(b.Group)
	if !exists {
		return c.createGroup(b, i)
	}
	if applied := c.state.Groups[i]; len(b.Source) > 0 && bytes.Equal(b.Source, applied.SpecSource) {
		return nil // that it was asked for is remembered: asked for again it must not undo what somebody else has applied since
	}
	g := c.group(b.Group)
	if b.Expected != 0 && b.Expected != g.SpecVersion {
		return refuse("", "%s is at spec version %d, not %d", g.Name, g.SpecVersion, b.Expected).
			advise("look at what changed: arbiterctl get %s", g.Name)
	}
	changed := changedMembers(g.Spec, b.Spec)
	if len(changed) > 0 || len(b.Spec.Members) != len(g.Spec.Members) {
		if g.Operation != nil {
			return refuse("S0", "members can't be changed while operation %s runs", g.Operation.ID)
		}
		if refusal := checkS15Machines(g); refusal != nil {
			return refusal
		}
	}
	for _, m := range g.Members {
		if _, stays := b.Spec.Member(m.Name); !stays && m.Authority != AuthorityNone && g.EverAdopted {
			return refuse("S0", "%s is %s: only a member that is proven unable to write can be removed", m.Name, authorityText(m.Authority))
		}
	}
	g.Spec, g.SpecSource = b.Spec, b.Source
	g.SpecVersion, g.SpecSince = g.SpecVersion+1, c.entry.Index
	g.Members = membersOf(b.Spec, g)
	g.dropLooks(changed)
	for _, name := range changed {
		m := g.Member(name)
		m.Since, m.FenceContradicted = c.entry.Index, ""
	}
	if st := g.Stranger; st != nil && g.Member(st.Member) == nil {
		g.Stranger = nil
	}
	if len(changed) > 0 {
		g.Adopted = false
		g.Stage = Steady
	}
	c.tell(g, GroupApplied, "", "spec version %d by %s", g.SpecVersion, b.Request.by())
	return nil
}

// checkSpec refuses what no rule could be kept with. Everything else about a spec is config's to check.
func checkSpec(spec *Spec) *Refusal {
	switch {
	case spec == nil || len(spec.Members) == 0:
		return refuse("", "the spec names no members")
	case spec.Policy.LeaseDuration <= 0:
		return refuse("", "policy.lease is not longer than nothing")
	case !slices.IsSortedFunc(spec.Members, func(a, b MemberSpec) int { return compare(a.Name, b.Name) }):
		return refuse("", "the members of the spec are not sorted by name")
	}
	for i := 1; i < len(spec.Members); i++ {
		if spec.Members[i].Name == spec.Members[i-1].Name {
			return refuse("", "two members are called %s", spec.Members[i].Name)
		}
	}
	return nil
}

func (c *change) createGroup(b ApplySpec, at int) *Refusal {
	if b.Expected != 0 {
		return refuse("", "there is no group %q to replace version %d of", b.Group, b.Expected)
	}
	was := c.unretire(b.Group)
	g := &Group{
		Name: b.Group, Spec: b.Spec, SpecSource: b.Source, SpecVersion: 1, SpecSince: c.entry.Index,
		Stage: Steady, Epoch: was.Epoch, Lease: was.Lease,
	}
	g.Members = membersOf(b.Spec, g)
	for i := range g.Members {
		g.Members[i].Since = c.entry.Index
	}
	c.state.Groups = slices.Insert(c.state.Groups, at, g)
	c.touched = append(c.touched, g.Name)
	c.tell(g, GroupApplied, "", "created by %s", b.Request.by())
	return nil
}

// unretire takes back what was kept of a deleted group of this name: its epoch (S5), and a lease that may be outstanding (S8).
func (c *change) unretire(name GroupName) RetiredEpoch {
	for i, r := range c.state.Retired {
		if r.Group == name {
			c.state.Retired = slices.Delete(slices.Clone(c.state.Retired), i, i+1)
			return r
		}
	}
	return RetiredEpoch{}
}

// membersOf lists the members of a spec, keeping what is known of those that were there before.
func membersOf(spec *Spec, before *Group) []Member {
	members := make([]Member, 0, len(spec.Members))
	for _, m := range spec.Members {
		if known := before.Member(m.Name); known != nil {
			members = append(members, *known)
			continue
		}
		members = append(members, Member{Name: m.Name})
	}
	sort.Slice(members, func(i, j int) bool { return members[i].Name < members[j].Name })
	return members
}

// changedMembers are those that are new, or have another address or fence target.
func changedMembers(before, after *Spec) []MemberName {
	var changed []MemberName
	for _, m := range after.Members {
		known, ok := before.Member(m.Name)
		if !ok || known.Address != m.Address || !sameFence(known.Fence, m.Fence) {
			changed = append(changed, m.Name)
		}
	}
	return changed
}

func sameFence(a, b []FenceLevel) bool {
	return slices.EqualFunc(a, b, func(x, y FenceLevel) bool {
		return slices.EqualFunc(x.Devices, y.Devices, func(d, e FenceDevice) bool {
			return d.Method == e.Method && slices.Equal(d.Settings, e.Settings)
		})
	})
}

// dropLooks forgets what was seen of members that are gone, or that are another machine since.
func (g *Group) dropLooks(changed []MemberName) {
	gone := func(m MemberName) bool { return g.Member(m) == nil || slices.Contains(changed, m) }
	g.Looks = slices.DeleteFunc(slices.Clone(g.Looks), func(l Look) bool { return gone(l.Observation.Member) })
	g.Paths = slices.DeleteFunc(slices.Clone(g.Paths), func(p PathLook) bool { return gone(p.Path.Member) })
}

func (c *change) deleteGroup(b DeleteGroup) *Refusal {
	i, ok := c.state.groupAt(b.Group)
	if !ok {
		return refuse("", "there is no group %q", b.Group)
	}
	g := c.state.Groups[i]
	if g.Operation != nil {
		return refuse("S0", "operation %s is in progress", g.Operation.ID)
	}
	if refusal := checkS15Machines(g); refusal != nil {
		return refusal
	}
	c.tell(g, GroupDeleted, "", "deleted by %s", b.Request.by())
	at, there := slices.BinarySearchFunc(c.state.Retired, g.Name, func(r RetiredEpoch, name GroupName) int { return compare(r.Group, name) })
	c.state.Retired = withRow(c.state.Retired, at, there, RetiredEpoch{Group: g.Name, Epoch: g.Epoch, Lease: g.Lease})
	c.state.Groups = slices.Delete(c.state.Groups, i, i+1)
	c.touched = append(c.touched, g.Name)
	return nil
}

// adopt records who the writer is (S0). It takes the next epoch.
func (c *change) adopt(b Adopt) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if g.Operation != nil && g.Stage != Held && (g.Lease != nil || pastIsolateIntent(g.EffectiveStage())) {
		return refuse("S0", "operation %s is in progress", g.Operation.ID).advise("wait for it, or abort it first: arbiterctl abort %s --operation %s", g.Name, g.Operation.ID)
	}
	if refusal := checkS4Vouched(g, c.entry, b); refusal != nil {
		return refusal
	}
	member, writable := b.Member, g.seenWritable(&c.state)
	if member == "" && len(writable) > 0 {
		member = writable[0] // two of them are refused below
	}
	if member == "" {
		return refuse("S0", "nobody is seen accepting writes in %s", g.Name).advise("%s", adviceWithoutWriter(&c.state, g))
	}
	promote, refusal := checkS0(&c.state, g, member, b.Attested)
	if refusal != nil {
		return refusal
	}
	if refusal := checkS0Settled(g, member, b.Attested); refusal != nil {
		return refusal
	}
	if spec, _ := g.Spec.Member(member); promote && spec.Priority == 0 {
		return refuse("", "nobody writes in %s, and %s, with priority 0, is never promoted", g.Name, member).
			advise("give it a priority above 0 first (arbiterctl apply), or adopt another member")
	}
	var ended OperationID
	if g.Operation != nil { // an operator settles by hand what the operation is held for
		ended = g.Operation.ID
		c.endOperation(g, OperationEnded, OperationStopped, "adopted by "+b.Request.by())
	}
	c.recordAdoption(g, b, member, promote, ended)
	c.trustFences(g, b.Request)
	if promote {
		c.beginOperation(g, OperatorAsked, Operation{
			Kind: KindFailover, Actor: b.Request.Actor, Reason: b.Request.Reason,
			RequestID: b.Request.ID, Wanted: member, Verdict: "adopted without a writer by " + b.Request.Actor,
		})
	}
	return nil
}

// trustFences takes the word of devices again that were seen to be wrong about their members: whoever adopts a group has looked at all of it. Where an
// arbiter still sees a member answer that its devices call off, that person is mistaken. What was seen before counts no more: a device that is wrong
// is so again by a new look, and an old one says nothing against one that was mended.
func (c *change) trustFences(g *Group, by Request) {
	var trusted []MemberName
	for i := range g.Members {
		m := &g.Members[i]
		switch node := g.stillContradicts(&c.state, m.Name); {
		case m.FenceContradicted == "":
		case node != "":
			m.FenceContradicted = node
			c.tell(g, ArmedChanged, m.Name, "the fence of %s is not believed: it said last that %s is off, and %s sees it answer. %s; once the devices are right and were asked again, which takes some seconds, adopt the group again",
				m.Name, m.Name, node, contradictionHint)
		default:
			m.FenceContradicted, m.Since = "", c.entry.Index
			trusted = append(trusted, m.Name)
			c.tell(g, ArmedChanged, m.Name, "the fence of %s is believed again: the group was adopted by %s", m.Name, by.by())
		}
	}
	g.dropLooks(trusted)
}

// stillContradicts is an arbiter that sees a member answer whose devices have called it off to that arbiter, and have not taken it back; empty if none does.
func (g *Group) stillContradicts(s *State, member MemberName) NodeID {
	for _, p := range g.Paths {
		look, current := g.currentLook(s, p.Node, member)
		if p.Path.Member == member && p.Path.Contradicted && current && p.Generation == look.Generation && answers(look.Observation) {
			return p.Node
		}
	}
	return ""
}

// recordAdoption makes a member the writer, or nobody if one is to be promoted. An operation may have been ended for it.
func (c *change) recordAdoption(g *Group, b Adopt, member MemberName, promote bool, ended OperationID) {
	g.SystemID = g.systemID(&c.state, member)
	g.Epoch = max(g.Epoch, g.highestToken()) + 1
	wasAdopted := g.Adopted
	g.Adopted, g.EverAdopted, g.Stranger = true, true, nil
	for i := range g.Members {
		m, word := &g.Members[i], Proof{}
		if slices.Contains(b.Attested, m.Name) {
			word = g.attested(&c.state, m, b.Request, c.entry.Wall)
			c.keepWord(g, m, ended, b.Request, word)
		}
		m.Authority, m.NoneSince, m.Rogue, m.ReadBack, m.Promoting, m.Proof = AuthorityNone, c.entry.Index, false, false, false, word
		if m.Name == member && !promote {
			m.Authority, m.NoneSince = AuthorityWriter, 0
		}
	}
	if !promote || !wasAdopted { // while a group stays adopted its last primary is known, also to whoever succeeds it by hand
		g.beginPrimary(&c.state, PrimaryFacts{Member: g.Writer()})
	}
	g.History.addEpoch(EpochRow{
		Epoch: g.Epoch, Writer: g.Writer(), Index: c.entry.Index, Term: c.entry.Term, Wall: c.entry.Wall,
		Why: "adopted by " + b.Request.by(),
	})
	text := "%s is the writer under epoch %d, by %s"
	if promote {
		text = "nobody writes; %s is to be promoted, since epoch %d, by %s"
	}
	c.tell(g, GroupAdopted, member, text, member, g.Epoch, b.Request.Actor)
}

// highestToken is the highest epoch that any member was ever seen to hold: epochs only grow, also past a lost log (S5).
func (g *Group) highestToken() Epoch {
	var highest Epoch
	for _, l := range g.Looks {
		highest = max(highest, l.Observation.Facts.Epoch)
	}
	return highest
}

func (c *change) pause(b Pause) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if g.Pause != nil {
		return refuse("", "%s is paused already, by %s", g.Name, g.Pause.Actor)
	}
	g.Pause = &Paused{Actor: b.Request.Actor, Reason: b.Request.Reason, Since: c.entry.Wall}
	c.tell(g, GroupPaused, "", "paused by %s", b.Request.by())
	return nil
}

func (c *change) resume(b Resume) *Refusal {
	g, refusal := c.mustGroup(b.Group)
	if refusal != nil {
		return refusal
	}
	if g.Pause == nil {
		return refuse("", "%s is not paused", g.Name)
	}
	g.Pause = nil
	c.tell(g, GroupResumed, "", "resumed by %s", b.Request.by())
	return nil
}

// restored follows an operator's restore from backup (S5): nothing automatic happens until primaries are adopted anew.
func (c *change) restored(b Restored) *Refusal {
	for _, g := range c.state.Groups {
		g = c.group(g.Name)
		g.Epoch = max(g.Epoch, b.EpochsAbove)
		g.Adopted, g.Operation, g.Stage, g.HeldFrom, g.Hold, g.Stranger = false, nil, Steady, "", Hold{}, nil
		g.Pause = &Paused{Actor: b.Request.Actor, Reason: "restored from backup: " + b.Request.Reason, Since: c.entry.Wall}
		for i := range g.Members {
			m := &g.Members[i]
			*m = Member{Name: m.Name, Verdict: m.Verdict, Told: m.Told, Promoting: m.Promoting, Since: m.Since}
		}
		g.EverAdopted = false
	}
	c.state.Retired = slices.Clone(c.state.Retired)
	for i := range c.state.Retired {
		c.state.Retired[i].Epoch = max(c.state.Retired[i].Epoch, b.EpochsAbove)
	}
	c.emit(Event{Kind: StateRestored, Text: "restored from backup by " + b.Request.Actor})
	return nil
}
