package fsm

import (
	"errors"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

var _ raft.ConfigurationStore = (*FSM)(nil) // which includes raft.FSM

func voters(nodes ...failover.NodeID) raft.Configuration {
	var configuration raft.Configuration
	for _, node := range nodes {
		configuration.Servers = append(configuration.Servers, raft.Server{ID: raft.ServerID(node), Address: raft.ServerAddress(node)})
	}
	return configuration
}

// entryLog returns the Raft log entry that proposes a body.
func entryLog(t tester, index, term uint64, body failover.Body, proposer failover.NodeID) *raft.Log {
	data, err := Encode(body, 0, proposer)
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Type: raft.LogCommand, Index: index, Term: term, Data: data}
}

func reign(t tester, index, term uint64, leader failover.NodeID) *raft.Log {
	body := failover.BeginReign{Term: failover.Term(term), Leader: leader, Version: 1, ClusterID: "c0ffee"}
	return entryLog(t, index, term, body, leader)
}

func TestStoreConfiguration(t *testing.T) {
	machine := New(Hooks{})
	configuration := voters("a3", "a1", "a2")
	configuration.Servers = append(configuration.Servers, raft.Server{ID: "a4", Suffrage: raft.Nonvoter}, raft.Server{ID: "a0", Suffrage: raft.Staging})
	machine.StoreConfiguration(1, configuration)
	if got := machine.State(); !slices.Equal(got.Voters, []failover.NodeID{"a1", "a2", "a3"}) || got.Applied != 1 {
		t.Fatalf("voters %v at %d", got.Voters, got.Applied)
	}
	if configuration.Servers[0].ID != "a3" {
		t.Fatal("Raft's own configuration was sorted")
	}
}

func TestApplyAnswersWithEvents(t *testing.T) {
	var applied []failover.Index
	var last []failover.Event
	machine := New(Hooks{OnApplied: func(index failover.Index, state *failover.State, events []failover.Event) {
		if state.Applied != index {
			t.Errorf("state of %d published at %d", state.Applied, index)
		}
		applied, last = append(applied, index), events
	}})
	machine.StoreConfiguration(1, voters("a1"))
	log := reign(t, 3, 2, "a1")
	response, ok := machine.Apply(log).(*Response)
	if !ok || response.Index != 3 || response.Rejection != nil || response.Skipped != nil {
		t.Fatalf("got %+v", response)
	}
	if len(response.Events) != 1 || response.Events[0].Kind != failover.ReignBegan || response.Events[0].Index != 3 {
		t.Fatalf("events %+v", response.Events)
	}
	if !reflect.DeepEqual(applied, []failover.Index{1, 3}) || !reflect.DeepEqual(last, response.Events) {
		t.Fatalf("published %v, %v", applied, last)
	}
	if reign := machine.State().Reign; reign.Leader != "a1" || reign.Term != 2 || reign.Index != 3 {
		t.Fatalf("reign %+v", reign)
	}
}

func TestApplyNamesTheRejection(t *testing.T) {
	machine := New(Hooks{})
	response, ok := machine.Apply(entryLog(t, 1, 1, failover.Pause{Group: "none"}, "a1")).(*Response)
	if !ok || response.Rejection == nil || response.Rejection.Kind != failover.Rejected || response.Rejection.Group != "none" {
		t.Fatalf("got %+v", response)
	}
	if machine.State().Applied != 1 {
		t.Fatal("a rejected entry is applied all the same")
	}
}

// TestHeaderReachesTheDomain: who proposed, when and in which term come from the entry, never from here.
func TestHeaderReachesTheDomain(t *testing.T) {
	wall, _ := wiretest.Header()
	data, err := Encode(failover.BeginReign{Term: 5, Leader: "a1", Version: 1}, wall, "a1")
	if err != nil {
		t.Fatal(err)
	}
	for term, want := range map[uint64]bool{4: false, 5: true} { // the domain refuses a reign of another term than its entry's
		response := New(Hooks{}).Apply(&raft.Log{Index: 9, Term: term, Data: data}).(*Response)
		if accepted := response.Rejection == nil; accepted != want {
			t.Errorf("term %d: accepted %v, want %v", term, accepted, want)
		}
		if event := response.Events[0]; event.Wall != wall || event.Index != 9 {
			t.Errorf("event %+v", event)
		}
	}
}

// TestUnknownEntryStops is habit H2: what is not understood stops the arbiter, once, and nothing is applied after it.
func TestUnknownEntryStops(t *testing.T) {
	for name, test := range cannotApply {
		t.Run(name, func(t *testing.T) {
			stopped := map[string][]byte{"unmarked": changed(t, test.change)}
			if !test.wellFormed {
				stopped["marked"] = changed(t, func(e *arbiterv1.Entry) { test.change(e); e.Ignorable = true })
			}
			for mark, data := range stopped {
				t.Run(mark, func(t *testing.T) { stops(t, data, test.want) })
			}
		})
	}
}

func stops(t *testing.T, data []byte, want []string) {
	var halts []error
	applied := 0
	machine := New(Hooks{
		Halt:      func(err error) { halts = append(halts, err) },
		OnApplied: func(failover.Index, *failover.State, []failover.Event) { applied++ },
		OnSkipped: func(err error) { t.Errorf("skipped: %v", err) },
	})
	machine.Apply(reign(t, 16, 2, "a1"))
	before, snapshot := machine.State(), persist(t, machine)
	first, _ := machine.Apply(&raft.Log{Index: 17, Term: 2, Data: data}).(error)
	if !errors.Is(first, ErrCannotApply) {
		t.Fatalf("got %v", first)
	}
	for _, text := range append(want, "log entry 17") {
		if !strings.Contains(first.Error(), text) {
			t.Errorf("%q does not say %q", first, text)
		}
	}
	machine.StoreConfiguration(18, voters("a1"))
	again, _ := machine.Apply(reign(t, 19, 3, "a1")).(error)
	if !errors.Is(again, first) || len(halts) != 1 || !errors.Is(halts[0], first) {
		t.Errorf("afterwards %v; halted with %v", again, halts)
	}
	if _, err := machine.Snapshot(); !errors.Is(err, first) {
		t.Errorf("snapshot: %v; Raft would file it under entry 19", err)
	}
	if err := machine.Restore(readCloser(snapshot)); !errors.Is(err, first) {
		t.Errorf("restore: %v", err)
	}
	if machine.State() != before || applied != 1 {
		t.Errorf("the state was changed, %d entries were published", applied)
	}
}

func TestIgnorableEntryIsSkippedAloud(t *testing.T) {
	for name, test := range cannotApply {
		if !test.wellFormed {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var skipped []error
			var published []failover.Index
			machine := New(Hooks{
				Halt:      func(err error) { t.Errorf("halted: %v", err) },
				OnSkipped: func(err error) { skipped = append(skipped, err) },
				OnApplied: func(index failover.Index, state *failover.State, events []failover.Event) {
					if state.Applied != index || len(events) > 0 && index == 2 {
						t.Errorf("at %d: %d, %v", index, state.Applied, events)
					}
					published = append(published, index)
				},
			})
			machine.StoreConfiguration(1, voters("a1"))
			before := *machine.State()
			data := changed(t, func(e *arbiterv1.Entry) { test.change(e); e.Ignorable = true })
			response, ok := machine.Apply(&raft.Log{Index: 2, Term: 1, Data: data}).(*Response)
			if !ok || !errors.Is(response.Skipped, ErrCannotApply) || response.Index != 2 || len(response.Events) != 0 {
				t.Fatalf("got %+v", response)
			}
			if len(skipped) != 1 || !strings.Contains(skipped[0].Error(), "log entry 2") {
				t.Errorf("told %v", skipped)
			}
			before.Applied = 2
			if !reflect.DeepEqual(*machine.State(), before) {
				t.Errorf("more than the position changed: %+v", machine.State())
			}
			if _, ok := machine.Apply(reign(t, 3, 2, "a1")).(*Response); !ok || !slices.Equal(published, []failover.Index{1, 2, 3}) {
				t.Errorf("it did not go on: %v", published)
			}
		})
	}
}

// TestPanicInNextStops: a fault in the domain meets every replica at the same entry; it must stop them with a message.
func TestPanicInNextStops(t *testing.T) {
	var halts []error
	var stack string
	machine := New(Hooks{Halt: func(err error) { halts, stack = append(halts, err), string(debug.Stack()) }})
	machine.state = &failover.State{Groups: []*failover.Group{nil}} // no entry leads here, and no snapshot (see TestRestoreRefuses)
	before := machine.State()
	err, _ := machine.Apply(reign(t, 5, 1, "a1")).(error)
	if !errors.Is(err, ErrCannotApply) || len(halts) != 1 || machine.State() != before {
		t.Fatalf("got %v, halted with %v", err, halts)
	}
	for _, want := range []string{"log entry 5", "failover.BeginReign", "nil pointer", "report this"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q", want)
		}
	}
	if !strings.Contains(stack, "failover.Next") {
		t.Errorf("Halt can't see where it failed:\n%s", stack)
	}
}

// TestS13EntryCountsOnce: an entry that the state already has, for example from a snapshot, is never applied again.
func TestS13EntryCountsOnce(t *testing.T) {
	for _, index := range []uint64{3, 4} {
		machine := New(Hooks{})
		machine.Apply(reign(t, 4, 2, "a1"))
		if err, _ := machine.Apply(reign(t, index, 3, "a2")).(error); !errors.Is(err, ErrCannotApply) || machine.State().Reign.Leader != "a1" {
			t.Errorf("entry %d after 4: %v", index, err)
		}
	}
}

func TestStateCanBeReadWhileEntriesAreApplied(t *testing.T) {
	machine := New(Hooks{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for machine.State().Applied < 200 {
			if s := machine.State(); s.Applied > 1 && len(s.Voters) == 0 {
				t.Error("half a state was read")
				return
			}
		}
	}()
	machine.StoreConfiguration(1, voters("a1"))
	for index := uint64(2); index <= 200; index++ {
		machine.Apply(reign(t, index, index, "a1"))
	}
	<-done
}
