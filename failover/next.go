package failover

import "fmt"

// change is the work of one entry: a copy of the state that may be edited, and the events so far.
type change struct {
	state   State
	entry   Entry
	events  []Event
	before  State
	touched []GroupName // groups already copied, made or deleted, in order
	looksOf *Group      // the one whose looks were copied last
	leftOut []leftOut   // groups that stay as they were, whatever the entry says
}

// Next applies one committed entry. It is pure and total: it never fails, and an entry that is stale or that a rule
// refuses changes nothing but the event counter, and yields a Rejected event. An entry about the arbiters themselves is applied without the groups
// that S1 refuses to have changed so.
func Next(s State, e Entry) (State, []Event) {
	var without []leftOut
	for {
		c := &change{state: s.clone(), before: s, entry: e, leftOut: without}
		c.state.Applied = e.Index
		refusal := c.apply()
		if refusal == nil {
			var wrong GroupName
			if wrong, refusal = c.settle(); refusal != nil && e.ofArbiters() {
				without = append(without, leftOut{wrong, refusal})
				continue
			}
		}
		if refusal != nil {
			return refused(s, e, refusal)
		}
		c.tellLeftOut()
		c.recount()
		return c.state, c.events
	}
}

func refused(s State, e Entry, refusal *Refusal) (State, []Event) {
	c := &change{state: s, entry: e}
	c.state.Applied = e.Index
	c.emit(Event{Kind: Rejected, Group: groupOf(e.Body), Rule: refusal.Rule, Text: refusal.Why, Next: refusal.Next})
	return c.state, c.events
}

// apply carries an entry out, unless it is a request that was carried out already.
func (c *change) apply() *Refusal {
	asked := askedBy(c.entry.Body)
	if asked == nil || asked.request.ID == "" {
		return c.carryOut()
	}
	if done, again := c.state.Answered(asked.request.ID); again {
		return c.repeat(done)
	}
	refusal := c.carryOut()
	if refusal == nil {
		c.remember(asked)
	}
	return refusal
}

func (c *change) carryOut() *Refusal {
	switch b := c.entry.Body.(type) {
	case BeginReign:
		return c.beginReign(b)
	case SetVoters:
		return c.setVoters(b)
	case Observe:
		return c.observe(b)
	case ExpireView:
		return c.expireView(b)
	case ApplySpec:
		return c.applySpec(b)
	case DeleteGroup:
		return c.deleteGroup(b)
	case Adopt:
		return c.adopt(b)
	case Pause:
		return c.pause(b)
	case Resume:
		return c.resume(b)
	case StartOperation:
		return c.startOperation(b)
	case Restored:
		return c.restored(b)
	}
	return c.applyToOperation()
}

func (c *change) applyToOperation() *Refusal {
	switch b := c.entry.Body.(type) {
	case AcquireLease:
		return c.acquireLease(b)
	case RenewLease:
		return c.renewLease(b)
	case ReleaseLease:
		return c.releaseLease(b)
	case Intend:
		return c.intend(b)
	case Conclude:
		return c.conclude(b)
	case HoldOperation:
		return c.holdOperation(b)
	case Release:
		return c.release(b)
	case Abort:
		return c.abort(b)
	case Reinstate:
		return c.reinstate(b)
	case Attest:
		return c.attest(b)
	}
	return refuse("", "an entry of type %T has no meaning", c.entry.Body)
}

// group returns a copy of a group that may be edited, nil if there is none, or if it is left out.
func (c *change) group(name GroupName) *Group {
	i, ok := c.state.groupAt(name)
	if !ok || c.leavesOut(name) {
		return nil
	}
	if g := c.state.Groups[i]; g == c.before.Group(name) { // it is still the one of the state before
		c.state.Groups[i] = g.clone()
		c.touched = append(c.touched, name)
	}
	return c.state.Groups[i]
}

func (c *change) mustGroup(name GroupName) (*Group, *Refusal) {
	if g := c.group(name); g != nil {
		return g, nil
	}
	return nil, refuse("", "there is no group %q", name).advise("see `arbiterctl status` for the groups there are")
}

func (c *change) emit(e Event) {
	c.state.EventSeq++
	e.Sequence, e.Index, e.Wall = c.state.EventSeq, c.entry.Index, c.entry.Wall
	c.events = append(c.events, e)
}

// tell emits an event about a group and its present operation.
func (c *change) tell(g *Group, kind EventKind, member MemberName, text string, args ...any) {
	e := Event{Kind: kind, Group: g.Name, Member: member, Epoch: g.Epoch, Text: fmt.Sprintf(text, args...)}
	if g.Operation != nil {
		e.Operation = g.Operation.ID
	}
	c.emit(e)
}

// advance moves a group by the table, or refuses. While an operation is aborted it stays held, whatever is proven.
func (c *change) advance(g *Group, kind EventKind, text string, args ...any) *Refusal {
	to, ok := g.target(kind)
	if !ok {
		return refuse("S4", "%s is %s: %s has no meaning there", g.Name, g.Stage, kind)
	}
	from := g.Stage
	switch {
	case to == Held:
		if from != Held {
			g.HeldFrom = from
		}
	case from == Held && to != Steady && (g.Operation.Aborted || staysHeld(g, kind, to)):
		g.HeldFrom, to = to, Held
	default:
		if from == Held && g.Operation != nil {
			g.Operation.ProofsBefore = c.entry.Index
		}
		g.HeldFrom, g.Hold = "", Hold{}
	}
	g.Stage = to
	e := Event{Kind: kind, Group: g.Name, From: from, To: to, Epoch: g.Epoch, Text: fmt.Sprintf(text, args...)}
	if g.Operation != nil {
		e.Operation, e.Member = g.Operation.ID, subject(g.Operation)
	}
	c.emit(e)
	return nil
}

// staysHeld says that a held operation stays held: neither a grant nor one more try of what did not succeed supplies what is
// missing. Only success, another condition or an operator does.
func staysHeld(g *Group, kind EventKind, to Stage) bool {
	op := g.Operation
	if kind == LeaseGranted {
		return to == g.HeldFrom
	}
	last, ok := op.lastTry()
	return ok && !g.supplied() && to == g.HeldFrom && op.Intent != nil && kind == intended[op.Intent.Action] &&
		last.Name == string(op.Intent.Action) && last.Member == op.Intent.Member
}

func subject(o *Operation) MemberName {
	if o.Candidate != "" {
		return o.Candidate
	}
	return o.From
}

// groupOf returns the group that an entry is about, empty if it is about all or none.
func groupOf(b Body) GroupName {
	switch b := b.(type) {
	case ApplySpec:
		return b.Group
	case DeleteGroup:
		return b.Group
	case Adopt:
		return b.Group
	case Pause:
		return b.Group
	case Resume:
		return b.Group
	case StartOperation:
		return b.Group
	case AcquireLease:
		return b.Group
	case RenewLease:
		return b.Group
	case ReleaseLease:
		return b.Group
	case Intend:
		return b.Group
	case Conclude:
		return b.Group
	case HoldOperation:
		return b.Group
	case Release:
		return b.Group
	case Abort:
		return b.Group
	case Reinstate:
		return b.Group
	case Attest:
		return b.Group
	}
	return ""
}
