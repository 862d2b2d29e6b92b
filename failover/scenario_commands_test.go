package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// runOutcome: outcome [group=] KIND ... [timeline=N] [position=N]; the action that runs (anywhere) ends so.
func (w *world) runOutcome(a arguments) error {
	node, group := w.running(GroupName(a.settings["group"]))
	if node == nil {
		return fmt.Errorf("nothing runs")
	}
	start := node.started[group]
	if string(start.Action.Kind) != a.word(0) {
		return fmt.Errorf("what runs is %s", start.Action.Kind)
	}
	delete(node.started, group)
	w.step(node, ActionEnded{Group: group, Intent: start.Action.Intent, Outcome: outcomeOf(start.Action, a.words[1:]).withSettings(a.settings)})
	return nil
}

func (w *world) running(group GroupName) (*arbiter, GroupName) {
	for _, id := range w.order {
		for _, g := range sortedKeys(w.arbiters[id].started) {
			if group == "" || g == group {
				return w.arbiters[id], g
			}
		}
	}
	return nil, ""
}

// outcomeOf reads a grade of proof, done, failed, unknown, or the positions of standbys: member@position, or why there is none, member!why.
func outcomeOf(action Action, words []string) Outcome {
	o := Outcome{Result: ResultDone}
	for _, word := range words {
		member, position, ok := strings.Cut(word, "@")
		mute, why, silent := strings.Cut(word, "!")
		switch {
		case silent:
			o.Positions = append(o.Positions, MemberPosition{Member: MemberName(mute), Detail: why})
		case ok:
			var at uint64
			_, _ = fmt.Sscan(position, &at)
			o.Positions = append(o.Positions, MemberPosition{Member: MemberName(member), Answered: true, SystemID: "sys1", Received: LSN(at)})
		case word == "done":
		case word == "failed" || word == "unknown":
			o.Result, o.Detail = Result(word), "it said "+word
		case word == "ungranted":
			o.Result, o.Detail, o.GrantMissing = ResultFailed, "permission denied", true
		case action.Kind == ActionIsolate && word == string(ProofUnknown):
			o.Result, o.Proof, o.Detail = ResultUnknown, Proof{Grade: ProofUnknown}, "no device answered"
		case action.Kind == ActionIsolate:
			o.Proof, o.Detail = Proof{Grade: ProofGrade(word), By: "bmc"}, "read back"
		}
	}
	return o
}

// withSettings reads where a promotion came to: timeline=2 position=1000. Of a catch_up the timeline is that of all standbys.
func (o Outcome) withSettings(settings map[string]string) Outcome {
	_, _ = fmt.Sscan(settings["timeline"], &o.Timeline)
	_, _ = fmt.Sscan(settings["position"], (*uint64)(&o.Position))
	for i := range o.Positions {
		o.Positions[i].Timeline = o.Timeline
	}
	return o
}

func (w *world) runArbiter(command string, a arguments) error {
	node := w.arbiters[NodeID(a.word(0))]
	if node == nil {
		return fmt.Errorf("no such arbiter")
	}
	switch command {
	case "reign":
		if _, err := fmt.Sscan(a.word(1), (*uint64)(&node.term)); err != nil {
			return err
		}
		w.step(node, Elected{Term: node.term})
	case "depose":
		w.step(node, Deposed{})
	case "drain":
		w.step(node, Drain{Why: "asked"})
	case "in-doubt": // its own Controller hears of it
		w.step(node, Doubt{Why: "can't reach its reference points"})
	case "keep":
		node.keep = a.word(1) != "no"
	case "commit": // what was kept is committed late, as its arbiter proposed it
		for _, late := range node.late {
			w.commit(node.node, late.term, late.body)
		}
		node.late = nil
	case "lose":
		node.late = nil
	case "unknown":
		node.late = nil
		w.step(node, ProposalEnded{ID: node.controller.lastID, Unknown: true})
	case "confirm":
		return w.runConfirm(node, a.word(1))
	case "silent":
		other := w.arbiters[NodeID(a.word(1))]
		w.step(node, ViewSilent{Node: other.node, Incarnation: other.incarnation})
		other.incarnation, other.sequence = other.incarnation+1, 0 // its next stream is another one
	case "restart":
		node.incarnation, node.sequence = node.incarnation+1, 0
	case "cold": // its process is another one, which remembers nothing and has looked at nothing yet
		state := w.state
		node.controller, node.wake = NewController(node.node, DefaultSettings("c1"), &state, w.now), 0
		node.incarnation, node.sequence = node.incarnation+1, 0
		clear(node.heard)
		clear(node.sees)
		clear(node.started)
	case "doubt":
		node.doubt = a.word(1)
		w.commit("", 0, Observe{Batches: []Batch{w.batch(node, nil)}})
	}
	return nil
}

// runConfirm: confirm a by-hand | ok | fail | by-itself.
func (w *world) runConfirm(node *arbiter, how string) error {
	switch how {
	case "by-hand", "by-itself":
		node.handConfirm = how == "by-hand"
	case "ok", "fail":
		if len(node.confirms) == 0 {
			return fmt.Errorf("nothing is to be confirmed")
		}
		ids := node.confirms
		node.confirms = nil
		for _, id := range ids {
			w.step(node, ConfirmEnded{ID: id, OK: how == "ok"})
		}
	}
	return nil
}

// runQuestion: plan|explain|state|verdict|steps GROUP [member or arbiter]; explain also takes what the time limits add up to, limits=12s.
func (w *world) runQuestion(command string, a arguments) error {
	g := w.state.Group(GroupName(a.word(0)))
	if g == nil {
		return fmt.Errorf("no such group")
	}
	d := w.leader(a.word(1)).controller.Durations(g.Name, w.now, w.wall())
	switch command {
	case "plan":
		w.planText(Plan(&w.state, g.Name, d))
	case "explain":
		longest, _ := time.ParseDuration(a.settings["limits"])
		e := Explain(&w.state, g.Name, d).Within(longest)
		w.print("%s", e.Summary)
		if e.WouldDo != "" { // an empty line would end the block
			w.print("%s", e.WouldDo)
		}
		for _, next := range e.Next {
			w.print("  next: %s", next)
		}
	case "obstacles":
		w.obstaclesText(g.Name, d)
	case "state":
		w.stateText(g)
	case "verdict":
		w.print("%s: %s", Tally(&w.state, g, MemberName(a.word(1))).Status, Tally(&w.state, g, MemberName(a.word(1))).Why())
	case "epochs":
		for _, row := range g.History.Epochs {
			epochs := fmt.Sprint(row.Epoch)
			if row.First != 0 {
				epochs = fmt.Sprintf("%d-%d", row.First, row.Epoch)
			}
			w.print("%s %s %s %s %s", epochs, row.Writer, row.Holder, row.Why, row.Proof)
		}
	case "steps":
		if g.Operation == nil {
			return fmt.Errorf("no operation")
		}
		for _, step := range g.Operation.Steps {
			w.print("%s %s %s %s", step.Name, step.Member, step.Result, step.Detail)
		}
	}
	return nil
}

func (w *world) obstaclesText(group GroupName, d Durations) {
	found := Obstacles(&w.state, group, d)
	if len(found) == 0 {
		w.print("none")
	}
	for _, o := range found {
		kind := "advice"
		switch {
		case o.Outage:
			kind = "outage"
		case o.Blocks:
			kind = "blocks"
		}
		w.print("%s: %s", kind, o.Why)
		if o.Next != "" {
			w.print("  next: %s", o.Next)
		}
	}
}

func (w *world) leader(named string) *arbiter {
	if a := w.arbiters[NodeID(named)]; a != nil {
		return a
	}
	for _, id := range w.order {
		if w.arbiters[id].controller.Leading() {
			return w.arbiters[id]
		}
	}
	return w.arbiters[w.order[0]]
}

// runRequest commits what operators ask for: COMMAND GROUP [member] key=value...
func (w *world) runRequest(command string, a arguments) error {
	name := GroupName(a.word(0))
	request := Request{ID: a.settings["id"], Actor: cmp.Or(a.settings["actor"], "dana"), Reason: "test"}
	var id OperationID
	if g := w.state.Group(name); g != nil && g.Operation != nil {
		id = g.Operation.ID
	}
	if of := a.settings["of"]; of != "" {
		id = OperationID(of)
	}
	seen := w.state.Applied // who asks looks before
	_, _ = fmt.Sscan(a.settings["seen"], (*uint64)(&seen))
	var body Body
	switch command {
	case "adopt":
		body = Adopt{Request: request, Group: name, Member: MemberName(a.word(1)), Attested: splitMembers(a.settings["attest"]), Seen: seen}
	case "pause":
		body = Pause{Request: request, Group: name}
	case "resume":
		body = Resume{Request: request, Group: name}
	case "delete":
		body = DeleteGroup{Request: request, Group: name}
	case "failover":
		start := StartOperation{Request: request, Group: name, Kind: KindFailover, Candidate: MemberName(a.settings["to"])}
		_, _ = fmt.Sscan(a.settings["epoch"], (*uint64)(&start.Epoch))
		body = start
	case "astray": // what the arbiter that leads, or that is named, says of the routes
		leader := w.leader(a.settings["by"])
		start := StartOperation{Request: Request{Reason: "the front door sends no clients to the primary"}, Group: name, Kind: KindReroute}
		if g := w.state.Group(name); g != nil {
			start.Epoch, start.SpecSince = g.Epoch, g.SpecSince
		}
		_, _ = fmt.Sscan(a.settings["epoch"], (*uint64)(&start.Epoch))
		w.commit(leader.node, leader.term, start)
		return nil
	case "release":
		release := Release{Request: request, Group: name, Operation: id, Seen: seen}
		if loss, ok := a.settings["accept_loss"]; ok {
			release.AcceptLoss, release.LossUnknown, release.Member = true, loss == "unknown", MemberName(a.settings["member"])
			_, _ = fmt.Sscan(loss, &release.LossBytes)
		}
		body = release
	case "abort":
		body = Abort{Request: request, Group: name, Operation: id}
	case "reinstate":
		body = Reinstate{Request: request, Group: name, Operation: id, Seen: seen}
	case "attest":
		body = Attest{Request: request, Group: name, Operation: id, Seen: seen, Member: MemberName(a.word(1))}
	case "restored":
		restored := Restored{Request: request}
		_, _ = fmt.Sscan(a.settings["above"], (*uint64)(&restored.EpochsAbove))
		body = restored
	default:
		return fmt.Errorf("unknown command")
	}
	w.commit("", 0, body)
	return nil
}

func splitMembers(text string) []MemberName {
	var members []MemberName
	for _, m := range strings.Split(text, ",") {
		if m != "" {
			members = append(members, MemberName(m))
		}
	}
	slices.Sort(members)
	return members
}
