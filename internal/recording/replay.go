package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// Replayed counts what a replay compared, and says whether that was all of a life.
type Replayed struct {
	Entries int    `json:"entries"`
	Steps   int    `json:"steps"`
	Outputs int    `json:"outputs"`
	Ending  Ending `json:"ending"`
	Why     string `json:"why,omitempty"` // it ended early
}

// Ending is how a recording ends.
type Ending string

// The endings.
const (
	EndedInOrder Ending = "in-order" // with its process: nothing is missing
	EndedEarly   Ending = "early"    // its process went on, and said why it recorded nothing more
	EndedCut     Ending = "cut"      // without a word, as where its process was killed
)

// String is the ending in words that go on from "all as recorded".
func (r Replayed) String() string {
	switch r.Ending {
	case EndedInOrder:
		return "to the end of the process"
	case EndedEarly:
		return "until the recording ended, before its process did: " + r.Why
	}
	return "until the recording was cut, as where its process was killed"
}

// Errors of a replay that shows nothing good.
var (
	// ErrDiffers says that a replay gave something else than was recorded.
	ErrDiffers = errors.New("the replay differs from what was recorded")
	// ErrNothing says that a recording holds no step of a Controller: its process ended before there was one, or nothing was recorded.
	ErrNothing = errors.New("nothing was recorded that could be compared")
)

// inputs are the kinds of what a Controller can be given, but for Applied.
var inputs = func() map[string]reflect.Type {
	kinds := map[string]reflect.Type{}
	for _, v := range []any{
		failover.Tick{},
		failover.Elected{},
		failover.Deposed{},
		failover.ProposalEnded{},
		failover.ConfirmEnded{},
		failover.ActionEnded{},
		failover.ViewSilent{},
		failover.Drain{},
		failover.HandOverFailed{},
		failover.Doubt{},
	} {
		kinds[kindOf(v)] = reflect.TypeOf(v)
	}
	return kinds
}()

// replay is a core that is given again what was recorded.
type replay struct {
	machine    *fsm.FSM
	halted     error
	states     map[failover.Index]*failover.State // from the one that the Controller knows on; 0 is the empty one
	events     []failover.Event                   // of the newest entry
	controller *failover.Controller
	done       Replayed
}

// Replay gives a recording to a new core and compares what comes back. A recording may end in the middle of a line: its process was
// killed. It may have a broken line before its end, or before the beginning of one: that is what could not be written. The error wraps
// ErrDiffers if something else came back, and names the line. It is ErrNothing if there was nothing to compare.
func Replay(recorded io.Reader) (Replayed, error) {
	r := newReplay()
	err := r.run(recorded)
	if err == nil && r.done.Steps == 0 {
		err = ErrNothing
	}
	return r.done, err
}

func newReplay() *replay {
	r := &replay{done: Replayed{Ending: EndedCut}}
	r.machine = fsm.New(fsm.Hooks{OnApplied: r.applied, Halt: func(err error) { r.halted = err }})
	r.states = map[failover.Index]*failover.State{0: r.machine.State()}
	return r
}

func (r *replay) run(recorded io.Reader) error {
	lines := bufio.NewReader(recorded)
	var broken error // the line before can't be read: nothing but the end may follow
	for number := 1; ; number++ {
		text, ended := lines.ReadBytes('\n')
		if ended != nil && !errors.Is(ended, io.EOF) {
			return fmt.Errorf("read the recording: %w", ended)
		}
		var l line
		err := json.Unmarshal(text, &l)
		switch {
		case len(bytes.TrimSpace(text)) == 0:
		case err != nil && broken == nil:
			broken = fmt.Errorf("line %d of the recording: %w", number, err)
		case broken != nil && err != nil && ended != nil && beginsEnd(text): // the disk was full again
		case broken != nil && l.End == nil:
			return broken
		default:
			broken = nil
			if err := r.take(l); err != nil {
				return fmt.Errorf("line %d of the recording: %w", number, err)
			}
		}
		if ended != nil {
			return nil // a line that is broken is where it was cut
		}
	}
}

// beginsEnd says whether a line that was cut can be the last one of a recording.
func beginsEnd(text []byte) bool {
	const beginning = `{"end":`
	return bytes.HasPrefix(text, []byte(beginning)) || strings.HasPrefix(beginning, string(text))
}

func (r *replay) applied(index failover.Index, state *failover.State, events []failover.Event) {
	r.states[index], r.events = state, events
}

func (r *replay) take(l line) error {
	switch {
	case r.done.Ending != EndedCut:
		return errors.New("it stands after the end")
	case l.End != nil && l.End.Why != "":
		r.done.Ending, r.done.Why = EndedEarly, l.End.Why
	case l.End != nil:
		r.done.Ending = EndedInOrder
	case l.Entry != nil && l.Entry.Voters != nil:
		r.done.Entries++
		r.machine.StoreConfiguration(l.Entry.Index, *l.Entry.Voters)
	case l.Entry != nil:
		r.done.Entries++
		r.machine.Apply(&raft.Log{Index: l.Entry.Index, Term: l.Entry.Term, Data: l.Entry.Data})
	case l.Snapshot != nil:
		return r.machine.Restore(io.NopCloser(bytes.NewReader(l.Snapshot.Data)))
	case l.Events != nil:
		return r.compareEvents(*l.Events)
	case l.Begin != nil:
		state, err := r.state(l.Begin.State)
		if err == nil {
			r.controller = failover.NewController(l.Begin.Node, l.Begin.Settings, state, l.Begin.Now)
		}
		return err
	case l.Step != nil:
		return r.step(*l.Step)
	default:
		return errors.New("it says nothing that is known here")
	}
	return nil
}

// state is that of an index. What is older is forgotten: the Controller is given newer ones only.
func (r *replay) state(index failover.Index) (*failover.State, error) {
	state := r.states[index]
	if state == nil {
		return nil, fmt.Errorf("it tells of the state at %d before anything led to it", index)
	}
	for i := range r.states {
		if i < index {
			delete(r.states, i)
		}
	}
	return state, nil
}

func (r *replay) compareEvents(want events) error {
	if r.halted != nil {
		return fmt.Errorf("entry %d: %w", want.Index, r.halted)
	}
	got, err := json.Marshal(r.events)
	if err == nil && !bytes.Equal(got, want.Events) {
		err = fmt.Errorf("%w: entry %d led to %s, and leads to %s", ErrDiffers, want.Index, want.Events, got)
	}
	return err
}

func (r *replay) step(s step) error {
	if r.controller == nil {
		return errors.New("a step stands before the Controller's start")
	}
	what, err := r.input(s)
	if err != nil {
		return err
	}
	got, err := outputsOf(r.controller.Step(failover.Input{Now: s.Now, Wall: s.Wall, What: what}))
	if err != nil {
		return err
	}
	r.done.Steps++
	r.done.Outputs += len(got)
	for i := range max(len(got), len(s.Outputs)) {
		if i >= len(got) || i >= len(s.Outputs) || got[i].Kind != s.Outputs[i].Kind || !bytes.Equal(got[i].Value, s.Outputs[i].Value) {
			return fmt.Errorf("%w: output %d of %s was %s, and is %s", ErrDiffers, i+1, s.Kind, inWords(s.Outputs, i), inWords(got, i))
		}
	}
	return nil
}

func inWords(list []output, i int) string {
	if i >= len(list) {
		return "nothing"
	}
	return fmt.Sprintf("%s %s", list[i].Kind, list[i].Value)
}

func (r *replay) input(s step) (any, error) {
	if s.Kind == kindOf(failover.Applied{}) {
		state, err := r.state(s.State)
		return failover.Applied{State: state}, err
	}
	kind, ok := inputs[s.Kind]
	if !ok {
		return nil, fmt.Errorf("nothing that a Controller is given is called %q", s.Kind)
	}
	what := reflect.New(kind)
	if err := json.Unmarshal(s.Input, what.Interface()); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Kind, err)
	}
	return what.Elem().Interface(), nil
}
