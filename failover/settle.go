package failover

import (
	"cmp"
	"fmt"
	"slices"
)

// settle draws the conclusions from what an entry changed, in every group that it touched: verdicts, restarts, rogues (S12), members that
// became another database (S0), suspicion, confirmation, recovery. It ends with S1, which holds for every state that Next returns; of a refusal it
// says which group it is about.
func (c *change) settle() (GroupName, *Refusal) {
	for _, name := range c.touched {
		i, ok := c.state.groupAt(name)
		if !ok {
			continue // deleted by this entry
		}
		g := c.state.Groups[i]
		c.noteVerdicts(g)
		c.noteRestarts(g)
		c.stopReroute(g)
		if g.EverAdopted {
			c.unmaskRogues(g)
		}
		c.unadoptChanged(g)
		if g.Adopted {
			c.followViews(g)
			c.unadoptChanged(g) // an operation may have ended
			c.tellWithheld(g)
		}
		g.noteDown(c.entry.Wall)
		if refusal := checkS1(g); refusal != nil {
			return name, refusal
		}
	}
	return "", nil
}

// noteVerdicts tells when the verdict on a member changed. That views are void, as all are when a new reign begins, is no news of a member: until a
// majority has sent them anew it is unknown to what decides, and what is told next is what differs from what was told last.
func (c *change) noteVerdicts(g *Group) {
	for i := range g.Members {
		m := &g.Members[i]
		v := Tally(&c.state, g, m.Name)
		told, first := cmp.Or(m.Told, m.Verdict), m.Verdict == ""
		m.Verdict, m.Told = v.Status, ""
		switch {
		case v.Status == told || first && v.Status == StatusUnknown:
		case v.Status == StatusUnknown && g.sentAnew(&c.state, m.Name) < c.state.Majority():
			m.Told = told
		default:
			c.tell(g, MemberChanged, m.Name, "%s is %s: %s", m.Name, v.Status, v.Why())
		}
	}
}

// unmaskRogues revokes members that write without authority. Their proof is void. They are isolated before anything else is begun: no
// promotion passes beside one (S2), and a primary that can't be replaced is not killed. A failover that is due after that begins anew.
func (c *change) unmaskRogues(g *Group) {
	for _, name := range rogues(&c.state, g) {
		m := g.Member(name)
		m.Authority, m.RevokedSince, m.Rogue, m.Proof = AuthorityRevoked, c.entry.Index, true, Proof{}
		c.tell(g, AuthorityChanged, name, "ROGUE: %s accepts writes without authority; its proof is void (S12)", name)
	}
	if !g.Adopted || g.Operation != nil && !g.nothingDone() {
		return
	}
	for _, m := range g.Members {
		if m.Authority == AuthorityRevoked && m.Rogue {
			if g.Operation != nil {
				c.endOperation(g, OperationEnded, OperationStopped, fmt.Sprintf("%s accepts writes without authority, which goes first", m.Name))
			}
			c.beginOperation(g, RogueSeen, Operation{
				Kind: KindRefence, Automatic: true, From: m.Name,
				Verdict: string(m.Name) + " accepts writes without authority",
			})
			return
		}
	}
}

// followViews moves a group between steady, suspected and confirmed, and back when the primary recovered before anything was done.
func (c *change) followViews(g *Group) {
	if g.Operation != nil && (!g.Operation.Automatic || g.Operation.Kind != KindFailover) {
		return
	}
	subject := g.Writer()
	if g.Operation != nil {
		subject = g.Operation.From
	}
	if subject == "" || pastIsolateIntent(g.EffectiveStage()) {
		return
	}
	v := Tally(&c.state, g, subject)
	switch stage := g.EffectiveStage(); {
	case stage == Steady && len(v.For) > 0:
		c.must(c.advance(g, ViewsFailing, "%s", v.Why()))
		c.confirm(g, v)
	case stage == Suspected && v.Status == StatusDown:
		c.confirm(g, v)
	case stage == Suspected && len(v.For) == 0 && v.recovered():
		c.must(c.advance(g, ViewsRecovered, "%s", v.Why()))
	case g.Operation != nil && v.Status != StatusDown && v.recovered() && !c.underRepair(g, v):
		c.endUndone(g, v)
		if len(v.For) > 0 {
			c.must(c.advance(g, ViewsFailing, "%s", v.Why()))
		}
	}
}

// endUndone ends a failover for which nothing was done, since its primary is not down. It ends, and a later fault begins another, also where the primary only
// starts up, or is in recovery: what was asked and waited for was about another fault. But then nobody can write, and nothing has recovered.
func (c *change) endUndone(g *Group, v Verdict) {
	if v.Up == 0 || len(v.InRecovery) >= c.state.Majority() {
		c.endOperation(g, OperationEnded, OperationStopped, fmt.Sprintf("%s; %d of %d see it up", v.Why(), v.Up, v.Voters))
		return
	}
	c.endOperation(g, ViewsRecovered, OperationRecovered, v.Why())
}

// underRepair says that an operator has aborted the failover, and has its primary in recovery: who is at work there may stop it again, and nothing is to come of
// that. A rogue (S12) and another database (S0) go first.
func (c *change) underRepair(g *Group, v Verdict) bool {
	_, stranger := strangerSeen(&c.state, g)
	return g.Operation.Aborted && len(v.InRecovery) >= c.state.Majority() && !stranger &&
		!slices.ContainsFunc(g.Members, func(m Member) bool { return m.Authority == AuthorityRevoked })
}

func (c *change) confirm(g *Group, v Verdict) {
	if v.Status != StatusDown {
		return
	}
	c.beginOperation(g, QuorumConfirmed, Operation{Kind: KindFailover, Automatic: true, From: v.Member, Verdict: v.Why(), Basis: v.Basis})
	g.Operation.addStep(Step{
		Name: "fault", Began: firstSeen(&c.state, g, v), Ended: c.entry.Wall, Member: v.Member,
		Result: ResultDone, Detail: firstEvidence(&c.state, g, v),
	})
	g.Operation.addStep(Step{
		Name: "verdict", Began: c.entry.Wall, Ended: c.entry.Wall, Member: v.Member,
		Result: ResultDone, Detail: v.Why(), Outcome: c.entry.Index,
	})
}

// tellWithheld tells once what a failover would do that the policy only observes: as soon as the arbiters have looked again, on which it would begin.
func (c *change) tellWithheld(g *Group) {
	op := g.Operation
	if op == nil || op.Withheld || !op.Automatic || op.Kind != KindFailover || g.Stage != Confirmed || g.Spec.Policy.Automation == AutomationFull ||
		TallySince(&c.state, g, op.From, op.ConfirmedAt).Status != StatusDown {
		return
	}
	op.Withheld = true
	what := cmp.Or(leftToDo(&c.state, g), "nobody could be promoted")
	detail := fmt.Sprintf("policy.automation is %s; %s", g.Spec.Policy.Automation, what)
	op.addStep(Step{
		Name: "withheld", Began: c.entry.Wall, Ended: c.entry.Wall, Member: op.From, Result: ResultDone, Detail: detail, Outcome: c.entry.Index,
	})
	c.tell(g, FailoverWithheld, op.From, "failover %s is not begun: %s", op.ID, detail)
}

// firstSeen is when the first of the arbiters that count saw the fault.
func firstSeen(s *State, g *Group, v Verdict) WallTime {
	var first WallTime
	for _, node := range v.For {
		if look, ok := g.currentLook(s, node, v.Member); ok && (first == 0 || look.Observation.Since < first) {
			first = look.Observation.Since
		}
	}
	return first
}

func firstEvidence(s *State, g *Group, v Verdict) string {
	text := ""
	for _, node := range v.For {
		look, _ := g.currentLook(s, node, v.Member)
		_, why := g.StatusOf(look.Observation)
		if text != "" {
			text += ", "
		}
		text += string(why.Reason) + " (" + string(node) + ")"
	}
	return text
}

// must is for moves that the caller has just checked against the table.
func (c *change) must(refusal *Refusal) {
	if refusal != nil {
		panic("transition table: " + refusal.Error())
	}
}
