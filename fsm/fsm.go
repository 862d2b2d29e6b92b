package fsm

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// Hooks are told what the log does. They run on Raft's goroutine, so they must be quick and must not wait for Raft. Any may be nil.
type Hooks struct {
	// OnApplied gets every new state: after each entry with its events, after a restore with none. The state and the events must
	// not be changed. A replay after a restart delivers the same events again, with the same numbers.
	OnApplied func(index failover.Index, state *failover.State, events []failover.Event)
	// OnSkipped gets a *CannotApplyError for every entry that was passed over because its proposer allows that.
	OnSkipped func(err error)
	// Halt is called once, with the reason to tell the operator, when this arbiter must stop. If the reason is a panic while an
	// entry was applied, the stack of the panic is still there to be logged.
	Halt func(err error)
}

// Response is what Raft's Apply future returns for an applied entry. (For an entry that was not applied it returns an error.)
type Response struct {
	Index     failover.Index
	Events    []failover.Event
	Rejection *failover.Event // the first event of kind failover.Rejected, nil if there is none
	Skipped   error           // why the entry was passed over, nil if it was not
}

// FSM is Raft's state machine: a thin shell around failover.Next.
type FSM struct {
	hooks  Hooks
	halted error // why nothing is applied any more; only Raft's goroutine uses it

	mu    sync.RWMutex
	state *failover.State // what it points to never changes
}

// New returns the machine of an empty log.
func New(hooks Hooks) *FSM {
	empty := failover.NewState()
	return &FSM{hooks: hooks, state: &empty}
}

// State returns the newest applied state. It must not be changed; it never changes by itself.
func (f *FSM) State() *failover.State {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state
}

// Apply applies one committed entry. It returns a *Response, or an error if this arbiter can't go on; then nothing is applied any
// more.
func (f *FSM) Apply(log *raft.Log) any {
	if f.halted != nil {
		return f.halted
	}
	index := failover.Index(log.Index)
	body, header, err := Decode(log.Data)
	if err != nil {
		return f.refuse(index, err)
	}
	return f.advance(failover.Entry{
		Index: index, Term: failover.Term(log.Term), Wall: header.Wall, Proposer: header.Proposer, Body: body,
	})
}

// StoreConfiguration makes an entry of Raft's own configuration entries: who votes comes from the log. Raft calls it for every
// committed configuration, the first one included, and again in a replay; after a restore the snapshot has the voters.
func (f *FSM) StoreConfiguration(index uint64, configuration raft.Configuration) {
	if f.halted != nil {
		return
	}
	var voters []failover.NodeID
	for _, server := range configuration.Servers {
		if server.Suffrage == raft.Voter {
			voters = append(voters, failover.NodeID(server.ID))
		}
	}
	slices.Sort(voters) // Raft promises no order
	f.advance(failover.Entry{Index: failover.Index(index), Body: failover.SetVoters{Voters: voters}})
}

// advance applies an entry that was understood and publishes what came of it.
func (f *FSM) advance(entry failover.Entry) any {
	if applied := f.State().Applied; entry.Index <= applied {
		return f.halt(&CannotApplyError{Index: entry.Index, Cause: fmt.Errorf("%w, up to %d", errOrder, applied)})
	}
	state, events, halted := f.next(entry)
	if halted != nil {
		return halted
	}
	f.publish(entry.Index, &state, events)
	response := &Response{Index: entry.Index, Events: events}
	if i := slices.IndexFunc(events, func(e failover.Event) bool { return e.Kind == failover.Rejected }); i >= 0 {
		response.Rejection = &events[i]
	}
	return response
}

// next is failover.Next with a panic turned into a halt: every replica meets the same one at the same entry, and an operator needs
// more than a stack trace of Raft's goroutine. Halt runs before the stack unwinds, so that it can log it.
func (f *FSM) next(entry failover.Entry) (state failover.State, events []failover.Event, halted error) {
	defer func() {
		if fault := recover(); fault != nil {
			cause := fmt.Errorf("%w: %T: %v", errFailed, entry.Body, fault)
			halted = f.halt(&CannotApplyError{Index: entry.Index, Version: VersionOf(entry.Body), Cause: cause})
		}
	}()
	state, events = failover.Next(*f.State(), entry)
	return state, events, nil
}

// refuse passes over an entry that is not understood if its proposer allows it, and halts otherwise.
func (f *FSM) refuse(index failover.Index, err error) any {
	var cannot *CannotApplyError
	if !errors.As(err, &cannot) {
		return f.halt(fmt.Errorf("apply log entry %d: %w", index, err))
	}
	cannot.Index = index
	if !cannot.Ignorable {
		return f.halt(cannot)
	}
	state := *f.State() // shares everything; only the position differs
	state.Applied = index
	f.publish(index, &state, nil)
	if f.hooks.OnSkipped != nil {
		f.hooks.OnSkipped(cannot)
	}
	return &Response{Index: index, Skipped: cannot}
}

func (f *FSM) publish(index failover.Index, state *failover.State, events []failover.Event) {
	f.mu.Lock()
	f.state = state
	f.mu.Unlock()
	if f.hooks.OnApplied != nil {
		f.hooks.OnApplied(index, state, events)
	}
}

// halt ends applying for good. Raft itself would go on with the next entry, so from now on everything is refused.
func (f *FSM) halt(err error) error {
	f.halted = err
	if f.hooks.Halt != nil {
		f.hooks.Halt(err)
	}
	return err
}
