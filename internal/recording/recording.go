// Package recording keeps what the core of a running arbiter was given and what it answered, and replays it elsewhere: the same entries
// and the same inputs must lead to the same events and the same outputs, to the byte. That is what makes a decision on a real machine one
// that can be explained afterwards, and what a simulation shows one that a real machine would take.
//
// A recording is one life of one process: lines of JSON, in the order in which things happened. The log's entries stand before the inputs
// that tell of them.
//
// There are no goroutines here; a Recorder may be used by several.
package recording

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
)

// line is one thing that happened; one field of it is set.
type line struct {
	Begin    *begin    `json:"begin,omitempty"`
	Entry    *entry    `json:"entry,omitempty"`
	Events   *events   `json:"events,omitempty"`
	Snapshot *snapshot `json:"snapshot,omitempty"`
	Step     *step     `json:"step,omitempty"`
}

// begin is the start of the Controller.
type begin struct {
	Node     failover.NodeID   `json:"node"`
	Settings failover.Settings `json:"settings"`
	State    failover.Index    `json:"state"` // that it began with
	Now      time.Duration     `json:"now"`
}

// entry is what Raft gave the state machine: bytes, or who votes.
type entry struct {
	Index  uint64              `json:"index"`
	Term   uint64              `json:"term,omitempty"`
	Data   []byte              `json:"data,omitempty"`
	Voters *raft.Configuration `json:"voters,omitempty"`
}

// events are what an entry led to.
type events struct {
	Index  failover.Index  `json:"index"`
	Events json.RawMessage `json:"events"`
}

type snapshot struct {
	Data []byte `json:"data"`
}

// step is one step of the Controller.
type step struct {
	Now     time.Duration     `json:"now"`
	Wall    failover.WallTime `json:"wall"`
	Kind    string            `json:"kind"`
	Input   json.RawMessage   `json:"input,omitempty"` // but of Applied
	State   failover.Index    `json:"state,omitempty"` // of Applied
	Outputs []output          `json:"outputs"`
}

type output struct {
	Kind  string          `json:"kind"`
	Value json.RawMessage `json:"value"`
}

// Recorder writes a recording.
type Recorder struct {
	mu     sync.Mutex
	lines  *json.Encoder
	err    error
	failed func(error)
}

// NewRecorder returns one that writes to w until that fails, which failed is told, once; then it writes nothing more, and what it has
// written can still be replayed.
func NewRecorder(w io.Writer, failed func(error)) *Recorder {
	return &Recorder{lines: json.NewEncoder(w), failed: failed}
}

func (r *Recorder) write(l line, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	if err == nil {
		err = r.lines.Encode(l)
	}
	if err != nil {
		r.err = fmt.Errorf("write the recording: %w", err)
		r.failed(r.err)
	}
}

// Begin records that a Controller starts: NewController is called with the same.
func (r *Recorder) Begin(node failover.NodeID, settings failover.Settings, state *failover.State, now time.Duration) {
	r.write(line{Begin: &begin{node, settings, state.Applied, now}}, nil)
}

// Step records what the Controller was given, and what it answered.
func (r *Recorder) Step(in failover.Input, outputs []failover.Output) {
	s := step{Now: in.Now, Wall: in.Wall, Kind: kindOf(in.What)}
	var err error
	if applied, ok := in.What.(failover.Applied); ok {
		s.State = applied.State.Applied
	} else {
		s.Input, err = json.Marshal(in.What)
	}
	if err == nil {
		s.Outputs, err = outputsOf(outputs)
	}
	r.write(line{Step: &s}, err)
}

func outputsOf(list []failover.Output) ([]output, error) {
	all := make([]output, 0, len(list))
	for _, o := range list {
		value, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("record %T: %w", o, err)
		}
		if p, ok := o.(failover.Propose); ok { // of which JSON leaves out what kind of entry it is
			value = fmt.Appendf(nil, `{"body":%q,"propose":%s}`, kindOf(p.Body), value)
		}
		all = append(all, output{kindOf(o), value})
	}
	return all, nil
}

func kindOf(v any) string { return reflect.TypeOf(v).Name() }
