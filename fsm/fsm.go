package fsm

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// Hooks are told what the log does. They run on Raft's goroutine, so they must be quick and must not wait for Raft. Any may be nil.
type Hooks struct {
	// OnApplied gets every new state: after each entry with its events, after a restore with none. The state and the events must not be
	// changed. A replay after a restart delivers the same events again, with the same numbers.
	OnApplied func(index failover.Index, state *failover.State, events []failover.Event)
	// OnSkipped gets a *CannotApplyError for every entry that was passed over because its proposer allows that.
	OnSkipped func(err error)
	// Halt is called once, with the reason to tell the operator, when this arbiter must stop.
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
	state  atomic.Pointer[failover.State]
	halted error // why nothing is applied any more; only Raft's goroutine uses it
}

// New returns the machine of an empty log.
func New(hooks Hooks) *FSM {
	f := &FSM{hooks: hooks}
	empty := failover.NewState()
	f.state.Store(&empty)
	return f
}

// State returns the newest applied state. It must not be changed; it never changes by itself.
func (f *FSM) State() *failover.State { return f.state.Load() }

// Apply applies one committed entry. It returns a *Response, or an error if this arbiter can't go on; then nothing is applied any more.
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

// StoreConfiguration makes an entry of Raft's own configuration entries: who votes comes from the log. Raft calls it for
// every committed configuration, the first one included, and again in a replay; after a restore the snapshot has the voters.
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
	state, events, err := next(f.State(), entry)
	if err != nil {
		return f.halt(err)
	}
	f.publish(entry.Index, &state, events)
	response := &Response{Index: entry.Index, Events: events}
	if i := slices.IndexFunc(events, func(e failover.Event) bool { return e.Kind == failover.Rejected }); i >= 0 {
		response.Rejection = &events[i]
	}
	return response
}

// next is failover.Next with a panic turned into an error: every replica meets the same one at the same entry, and an operator needs more than
// a stack trace of Raft's goroutine.
func next(state *failover.State, entry failover.Entry) (after failover.State, events []failover.Event, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			cause := fmt.Errorf("%w: %T: %v\n%s", errFailed, entry.Body, fault, debug.Stack())
			err = &CannotApplyError{Index: entry.Index, Version: failover.CurrentVersion, Cause: cause}
		}
	}()
	after, events = failover.Next(*state, entry)
	return after, events, nil
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
	f.state.Store(state)
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
