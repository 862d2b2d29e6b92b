package failover

import (
	"fmt"
	"time"
)

// drawBody makes any entry, with fields that are mostly those of the present state.
func (r *randomWorld) drawBody() Body {
	group := pick(r.dice, append([]GroupName{"nobody"}, randomGroups...))
	member := pick(r.dice, []MemberName{"m1", "m2", "m3", "m9"})
	var op OperationID
	var epoch Epoch
	var intent Index
	if g := r.state.Group(group); g != nil {
		epoch = g.Epoch - Epoch(pick(r.dice, []int{0, 0, 0, 0, 1}))
		if g.Operation != nil {
			op = g.Operation.ID
			if g.Operation.Intent != nil {
				intent = g.Operation.Intent.Index
			}
		}
	}
	if r.rare(20) {
		op = "g1-1"
	}
	switch kind := r.between(0, 23); kind {
	case 0:
		return BeginReign{Term: r.nextTerm(), Leader: r.leader, Version: CurrentVersion}
	case 1, 2, 3, 4, 5, 6:
		return r.drawObserve()
	case 7:
		return ExpireView{Node: pick(r.dice, randomNodes), Incarnation: 1}
	case 8:
		return r.drawSpec(group)
	case 9:
		return AcquireLease{Group: group, Holder: r.leader, Term: r.term, AfterEpoch: epoch, Duration: 2e9}
	case 10:
		return RenewLease{Group: group, Holder: r.leader, Epoch: epoch}
	case 11:
		return ReleaseLease{Group: group, Holder: r.leader, Epoch: epoch}
	case 12, 13, 14:
		action := pick(r.dice, []ActionKind{ActionIsolate, ActionCatchUp, ActionPromote, ActionConfigure, ActionRoute, ActionScale, ActionVerify})
		return Intend{Group: group, Epoch: epoch, Operation: op, Action: action, Member: member, Reinstate: r.rare(4)}
	case 15, 16:
		if g := r.state.Group(group); g != nil && intent != 0 {
			c := r.conclusion(g).(Conclude)
			c.Epoch, c.Operation = epoch, op
			return c
		}
		return Conclude{Group: group, Epoch: epoch, Operation: op, Intent: intent, Outcome: Outcome{Result: ResultDone}}
	case 17:
		return HoldOperation{Group: group, Operation: op, Reason: HoldVerify, Detail: "drawn"}
	}
	return r.drawRequest(group, member, op)
}

func (r *randomWorld) nextTerm() Term {
	term := Term(r.between(max(int(r.term)-1, 0), int(r.term)+2))
	if term > r.term {
		r.term, r.leader = term, pick(r.dice, []NodeID{"a", "b", "c"})
	}
	return term
}

func (r *randomWorld) drawRequest(group GroupName, member MemberName, op OperationID) Body {
	r.requests++
	seen := r.state.Applied
	if r.rare(5) {
		seen = Index(r.between(0, int(seen)+2))
	}
	request := Request{Actor: "dana", Reason: "test", ID: pick(r.dice, []string{"", "again", fmt.Sprint(r.requests)})}
	switch r.between(0, 11) {
	case 0:
		return Adopt{
			Request: request, Group: group, Seen: seen, Member: pick(r.dice, []MemberName{"", member}),
			Attested: pick(r.dice, [][]MemberName{nil, nil, {"m1"}, {"m2"}, {"m3"}, {"m2", "m3"}, {"m1", "m3"}, {"m2", "m2"}}),
		}
	case 1:
		return Pause{Request: request, Group: group}
	case 2:
		return Resume{Request: request, Group: group}
	case 3, 4:
		return StartOperation{Request: request, Group: group, Kind: KindFailover, Candidate: pick(r.dice, []MemberName{"", member})}
	case 5:
		return Release{Request: request, Group: group, Operation: op, Seen: seen, AcceptLoss: r.rare(2), LossBytes: 10000}
	case 6:
		return Abort{Request: request, Group: group, Operation: op}
	case 7:
		return Reinstate{Request: request, Group: group, Operation: op, Seen: seen}
	case 8:
		return Attest{Request: request, Group: group, Operation: op, Seen: seen, Member: member}
	case 9:
		if r.rare(10) {
			return Restored{Request: request, EpochsAbove: Epoch(r.between(0, 30))}
		}
		return SetVoters{Voters: pick(r.dice, [][]NodeID{{"a", "b", "c"}, {"a", "b", "c"}, {"a", "b"}, {"c", "a", "b"}, nil})}
	case 10:
		return DeleteGroup{Request: request, Group: group}
	}
	return nil // no entry at all
}

func (r *randomWorld) drawSpec(group GroupName) Body {
	members := pick(r.dice, [][]MemberName{{"m1", "m2", "m3"}, {"m1", "m2", "m3"}, {"m1", "m2"}, {"m2", "m3"}, {"m1"}, {}})
	spec := testSpecOf(group, members...)
	spec.Policy.RefenceRogues = r.rare(2)
	spec.Policy.MaxLossBytes = 10000
	if r.rare(2) {
		spec.Routes = nil
	}
	if r.rare(10) {
		spec.Policy.Automation = AutomationObserve
	}
	if r.rare(3) {
		spec.Health.RestartGrace = time.Minute
	}
	if len(members) > 0 && r.rare(6) {
		spec.Members[0].Address = "elsewhere:5432"
	}
	if group == "nobody" {
		spec = nil
	}
	return ApplySpec{Request: Request{Actor: "dana"}, Group: group, Spec: spec, Expected: uint64(pick(r.dice, []int{0, 0, 0, 1}))}
}

// drawObserve makes one to three batches: mostly the next ones, sometimes gaps, repetitions, old looks, strangers.
func (r *randomWorld) drawObserve() Body {
	kinds := []seen{
		primaryAt(1000), standbyAt(1000), standbyAt(990), dead(ReasonRefused), dead(ReasonTimeout), dead(ReasonTimeout), dead(ReasonSlow),
		dead(ReasonBadCredentials), dead(ReasonShuttingDown), dead(ReasonStartingUp),
	}
	if r.rare(10) {
		r.foreign = pick(r.dice, []MemberName{"", "", "m2", "m3"})
	}
	var batches []Batch
	for range r.between(1, 3) {
		node := pick(r.dice, randomNodes)
		view, _ := r.state.View(node)
		r.sequence[node] += uint64(pick(r.dice, []int{1, 1, 1, 1, 1, 1, 1, 2, 0}))
		b := Batch{
			Node: node, Incarnation: 1, Sequence: r.sequence[node], Version: CurrentVersion,
			Whole: !view.Current || r.rare(10),
		}
		if r.rare(20) {
			b.Doubt = "slow"
		}
		for _, g := range r.state.Groups {
			for _, m := range g.Members {
				if b.Whole || r.rare(2) {
					asOf := r.state.Applied - Index(pick(r.dice, []int{0, 0, 3}))
					b.Observations = append(b.Observations, r.look(g, m, kinds).observation(g.Name, m.Name, SyncRule{}, asOf, 0))
				}
			}
			if g.Operation != nil && !r.rare(4) {
				asked := g.Operation.ConfirmedAt
				if last, ok := g.Operation.lastTry(); ok {
					asked = last.Outcome
				}
				if g.Operation.Intent != nil {
					asked = max(asked, g.Operation.Intent.Index)
				}
				b.Answers = append(b.Answers, Answer{Group: g.Name, Index: asked})
			}
			if r.rare(10) {
				b.FencePaths = append(b.FencePaths, FencePath{Group: g.Name, Member: g.Members[0].Name, Armed: r.rare(2)})
			}
		}
		batches = append(batches, b)
	}
	return Observe{Batches: batches}
}

// look is mostly what a member would show: the writer is up or down, the others are standbys.
func (r *randomWorld) look(g *Group, m Member, kinds []seen) seen {
	if r.rare(4) {
		return pick(r.dice, kinds)
	}
	if m.Name == r.foreign && !r.rare(4) {
		s := standbyAt(995)
		s.system = "sys2"
		return s
	}
	if m.Name == g.Writer() {
		return pick(r.dice, []seen{primaryAt(1000), dead(ReasonRefused), dead(ReasonRefused)})
	}
	return standbyAt(995)
}
