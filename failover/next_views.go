package failover

import (
	"fmt"
	"slices"
	"sort"
)

// beginReign starts the time of a new leader: all views are void until they are sent whole (S8).
func (c *change) beginReign(b BeginReign) *Refusal {
	if b.Term <= c.state.Reign.Term || b.Term != c.entry.Term || b.Leader != c.entry.Proposer {
		return refuse("S8", "a reign of %s in term %d cannot follow term %d", b.Leader, b.Term, c.state.Reign.Term)
	}
	c.state.Reign = Reign{Term: b.Term, Leader: b.Leader, Index: c.entry.Index}
	c.state.Version = max(c.state.Version, b.Version)
	if c.state.ClusterID == "" {
		c.state.ClusterID = b.ClusterID
	}
	for i := range c.state.Views {
		c.state.Views[i].Generation++
		c.state.Views[i].Current = false
	}
	c.emit(Event{Kind: ReignBegan, Text: string(b.Leader) + " leads"})
	c.touchBusy()
	return nil
}

func (c *change) setVoters(b SetVoters) *Refusal {
	if slices.Equal(c.state.Voters, b.Voters) {
		return nil
	}
	c.state.Voters = slices.Clone(b.Voters)
	slices.Sort(c.state.Voters)
	c.emit(Event{Kind: VotersChanged, Text: "voters: " + joinNodes(c.state.Voters)})
	c.touchAll()
	return nil
}

func (c *change) expireView(b ExpireView) *Refusal {
	v := c.view(b.Node)
	if v.Incarnation != b.Incarnation || !v.Current {
		return refuse("", "the view of %s is not the one that went silent", b.Node)
	}
	c.voidView(v, "its stream is silent")
	return nil
}

// view returns the editable view of an arbiter, made if there is none.
func (c *change) view(node NodeID) *View {
	i := sort.Search(len(c.state.Views), func(i int) bool { return c.state.Views[i].Node >= node })
	if i == len(c.state.Views) || c.state.Views[i].Node != node {
		c.state.Views = slices.Insert(c.state.Views, i, View{Node: node})
	}
	return &c.state.Views[i]
}

func (c *change) voidView(v *View, why string) {
	v.Generation++
	v.Current = false
	c.emit(Event{Kind: ViewVoided, Text: "the view of " + string(v.Node) + " is void: " + why})
	c.touchBusy()
}

// touchBusy settles again every group that a voided view may move: those that are not steady.
func (c *change) touchBusy() {
	for _, g := range c.state.Groups {
		if g.Stage != Steady {
			c.group(g.Name)
		}
	}
}

func (c *change) observe(b Observe) *Refusal {
	for _, batch := range b.Batches {
		if c.acceptBatch(batch) {
			c.takeBatch(batch)
		}
	}
	return nil
}

// acceptBatch keeps the order of one arbiter's batches: only the next one counts; a gap voids the view.
func (c *change) acceptBatch(b Batch) bool {
	if !slices.Contains(c.state.Voters, b.Node) {
		c.emit(Event{Kind: Rejected, Text: string(b.Node) + " does not vote: its view is not taken"})
		return false
	}
	v := c.view(b.Node)
	newer := b.Incarnation > v.Incarnation || b.Incarnation == v.Incarnation && b.Sequence > v.Sequence
	switch {
	case b.Whole && newer:
		v.Generation++
		v.Current, v.Incarnation, v.Sequence, v.Version = true, b.Incarnation, b.Sequence, b.Version
		c.setDoubt(v, b.Doubt)
		c.touchBusy()
		return true
	case !newer:
		c.emit(Event{Kind: Rejected, Rule: "S4", Text: "a batch of " + string(b.Node) + " was already taken"})
	case !v.Current:
		c.emit(Event{Kind: Rejected, Rule: "S8", Text: "the view of " + string(b.Node) + " is void and must be sent whole"})
	case b.Incarnation != v.Incarnation || b.Sequence != v.Sequence+1:
		c.voidView(v, "a batch is missing")
	default:
		v.Sequence = b.Sequence
		c.setDoubt(v, b.Doubt)
		return true
	}
	return false
}

func (c *change) setDoubt(v *View, doubt string) {
	if v.Doubt == doubt {
		return
	}
	v.Doubt = doubt
	text := string(v.Node) + " trusts its view again"
	if doubt != "" {
		text = string(v.Node) + " doubts its own view: " + doubt
	}
	c.emit(Event{Kind: ViewDoubted, Text: text})
	c.touchAll()
}

// touchAll settles every group again, after what may let looks count that did not before: they can give a verdict, a rogue (S12) or
// another database (S0) to a group that was at rest.
func (c *change) touchAll() {
	for _, g := range c.state.Groups {
		c.group(g.Name)
	}
}

func (c *change) takeBatch(b Batch) {
	generation := c.view(b.Node).Generation
	for _, o := range b.Observations {
		g := c.group(o.Group)
		if g.sees(o.Member, o.AsOf) {
			look := Look{Node: b.Node, Generation: generation, Index: c.entry.Index, Observation: o}
			look.RestartSince = g.restartSince(look)
			c.setLook(g, look)
			g.notePrimary(&c.state, look)
		}
	}
	for _, p := range b.FencePaths {
		g := c.group(p.Group)
		if g.sees(p.Member, p.AsOf) {
			c.tellPath(g, b.Node, p)
			g.setPath(PathLook{Node: b.Node, Generation: generation, Path: p})
			c.noteContradiction(g, b.Node, p)
		}
	}
	for _, a := range b.Answers {
		if g := c.group(a.Group); g != nil {
			g.setAnswer(AnswerRow{Node: b.Node, Generation: generation, Asked: a.Index, Index: c.entry.Index})
		}
	}
}

// sees says whether something that was seen of a member, by an arbiter that had applied the entries up to an index when it began, is
// about the member as it is now. Its arbiter looks again, and sends that.
func (g *Group) sees(member MemberName, asOf Index) bool {
	if g == nil {
		return false
	}
	m := g.Member(member)
	return m != nil && asOf >= m.Since
}

// setLook puts a look in its place. A batch has many, most often of one group after the other, whose looks are copied once for all of them.
func (c *change) setLook(g *Group, l Look) {
	if c.looksOf != g {
		g.Looks, c.looksOf = slices.Clone(g.Looks), g
	}
	if i, there := g.lookAt(l.Node, l.Observation.Member); there {
		g.Looks[i] = l
	} else {
		g.Looks = slices.Insert(g.Looks, i, l)
	}
}

// tellPath tells when an arbiter's way to a member's fence was lost or found. That one is there at first is no news.
func (c *change) tellPath(g *Group, node NodeID, p FencePath) {
	was := true
	if i, ok := g.pathAt(node, p.Member); ok {
		was = g.Paths[i].Path.Armed
	}
	if was == p.Armed {
		return
	}
	text := fmt.Sprintf("%s reaches the fence of %s", node, p.Member)
	if !p.Armed {
		text = fmt.Sprintf("%s does not reach the fence of %s: %s", node, p.Member, p.Detail)
	}
	c.emit(Event{Kind: ArmedChanged, Group: g.Name, Member: p.Member, Text: text})
}

// noteContradiction keeps that the devices of a member are wrong about it beyond the look that showed it: when the member falls silent, that is what
// counts. What they say later proves nothing of it, also not that they are right: another machine is switched on again, too. Only a person can tell, by
// another fence in the spec, or by adopting the group anew. A proof that the operation has of them already is void (S3): beside a writer that makes a
// rogue of the member; where nobody writes, the proof is asked for again before anybody is promoted.
func (c *change) noteContradiction(g *Group, node NodeID, p FencePath) {
	m := g.Member(p.Member)
	if !p.Contradicted || m.FenceContradicted != "" {
		return
	}
	m.FenceContradicted = node
	c.tell(g, ArmedChanged, m.Name, "the fence of %s is not armed: %s. %s", m.Name, m.contradiction(), contradictionHint)
	if op := g.Operation; op != nil && op.Kind == KindRefence && g.isVoid(m) {
		m.Authority, m.RevokedSince, m.Proof, m.Rogue = AuthorityRevoked, c.entry.Index, Proof{}, true
		c.tell(g, AuthorityChanged, m.Name, "%s is REVOKED: its proof is void, since %s (S3)", m.Name, m.contradiction())
	}
}

func (g *Group) pathAt(node NodeID, member MemberName) (int, bool) {
	return slices.BinarySearchFunc(g.Paths, node, func(row PathLook, node NodeID) int {
		if c := compare(row.Node, node); c != 0 {
			return c
		}
		return compare(row.Path.Member, member)
	})
}

func (g *Group) setPath(p PathLook) {
	i, there := g.pathAt(p.Node, p.Path.Member)
	g.Paths = withRow(g.Paths, i, there, p)
}

func (g *Group) setAnswer(a AnswerRow) {
	i, there := slices.BinarySearchFunc(g.Answers, a.Node, func(r AnswerRow, n NodeID) int { return compare(r.Node, n) })
	g.Answers = withRow(g.Answers, i, there, a)
}
