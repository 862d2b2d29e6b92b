package arbiter

import (
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// A dry run of a resumption asks the core, changes nothing, and answers a repetition of what was carried out.
// A failover that an operator asks for takes the place of an automatic one that has done nothing: the answer is about the new one.
func TestStartedBy_IsTheNewOperation(t *testing.T) {
	s := ordersScript(t)
	s.failPaused()
	before, first := s.find().Operation.ID, len(s.events)
	s.commit(failover.StartOperation{Request: operator, Group: s.group, Kind: failover.KindFailover})
	answer := startedBy(s.events[first:])
	if now := s.find().Operation.ID; answer.GetOperation() != string(now) || now == before || !strings.Contains(answer.GetPlan(), string(now)+" began: asked for by dana") {
		t.Errorf("%s took the place of %s: %v", now, before, answer)
	}
	repeated := startedBy([]failover.Event{{Kind: failover.Repeated, Operation: "orders-7", Text: "as before"}})
	if repeated.GetOperation() != "orders-7" || repeated.GetPlan() != "as before" {
		t.Errorf("asked for once more: %v", repeated)
	}
}

func TestRehearseResume(t *testing.T) {
	g := &failover.Group{
		Name: "orders", Spec: &failover.Spec{Policy: failover.Policy{Automation: failover.AutomationFull, RefenceRogues: true}}, Adopted: true, EverAdopted: true,
		Stage: failover.Confirmed, Operation: &failover.Operation{ID: "orders-7", Kind: failover.KindRefence, Automatic: true, From: "b"},
		Members: []failover.Member{{Name: "a", Authority: failover.AuthorityWriter}, {Name: "b", Authority: failover.AuthorityRevoked, Rogue: true}},
	}
	state := &failover.State{Applied: 7, Groups: []*failover.Group{g}, Requests: []failover.AnsweredRequest{{ID: "done-before"}}}
	ask := func(id string) failover.Resume {
		return failover.Resume{Request: failover.Request{ID: id, Actor: "dana"}, Group: "orders"}
	}
	nothingElse := func(resumed *failover.State) failover.Resumption {
		return failover.Resuming(resumed, "orders", failover.Durations{}, nil)
	}
	if _, err := rehearseResume(state, ask(""), nothingElse); err == nil || !strings.Contains(err.Error(), "not paused") {
		t.Errorf("not paused: %v", err)
	}
	if answer, err := rehearseResume(state, ask("done-before"), nothingElse); err != nil || answer.GetActs() {
		t.Errorf("a repetition: %v, %v", answer, err)
	}
	g.Pause = &failover.Paused{Actor: "dana"}
	answer, err := rehearseResume(state, ask("done-now"), nothingElse)
	if err != nil || !answer.GetActs() || !strings.Contains(answer.GetPlan(), "fence b") {
		t.Errorf("a rogue: %v, %v", answer, err)
	}
	if g.Pause == nil {
		t.Error("the dry run has resumed it")
	}
}

// Whoever adopts a group is told whether its fences are believed again.
func TestAdoptedBy(t *testing.T) {
	answer := adoptedBy([]failover.Event{
		{Kind: failover.GroupAdopted, Member: "a", Epoch: 3, Text: "a is the writer"}, {Kind: failover.ArmedChanged, Member: "b", Text: "the fence of b is believed again"},
	})
	if answer.GetMember() != "a" || answer.GetEpoch() != 3 || len(answer.GetNotes()) != 1 || answer.GetNotes()[0] != "the fence of b is believed again" {
		t.Errorf("%v", answer)
	}
}
