// Package recording keeps what the core of a running arbiter was given and what it answered, and replays it elsewhere: the same entries
// and the same inputs must lead to the same events and the same outputs, to the byte. That is what makes a decision on a real machine one
// that can be explained afterwards, and what a simulation shows one that a real machine would take.
//
// A recording is one life of one process: lines of JSON, in the order in which things happened. The log's entries stand before the inputs
// that tell of them. The last line says that the process ended in order, or why nothing more was recorded; a process that is killed
// writes none.
//
// A Recorder has one goroutine, from NewRecorder to Close, and may be used by several.
package recording

import (
	"context"
	"encoding/json"
	"errors"
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
	End      *end      `json:"end,omitempty"`
}

// end is the last line. Without one a recording was cut: its process was killed, or the end could not be written either.
type end struct {
	Why string `json:"why,omitempty"` // nothing more could be recorded; empty: the process ended in order
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

// Recorder writes a recording. Nobody waits for where it is written to: lines are kept in memory until a goroutine has written them, up to
// a limit, since a disk that hangs must never hold up an arbiter.
type Recorder struct {
	failed  func(error)
	written chan struct{} // closed when nothing more will be written
	closing chan struct{} // closed by Close

	mu    sync.Mutex
	some  sync.Cond // there are lines, or there will be no more
	kept  []byte    // lines that are yet to be written
	ended bool      // nothing more is recorded
	why   error     // before it was closed; failed was told
	close sync.Once
	cut   error // of the line that tells the end, where nobody was told of anything before; read it after written
}

// keptLimit is how much may be kept: a minute or more of a busy arbiter. One line may be longer, as that of a snapshot.
const keptLimit = 16 << 20

// errSlow ends a recording.
var errSlow = errors.New("what takes it is slow or hangs")

// NewRecorder returns one that writes to w until that fails or falls behind, which failed is told, once; then it records nothing more, and
// what it has written can still be replayed, up to a last line that says why. Close ends its goroutine.
func NewRecorder(w io.Writer, failed func(error)) *Recorder {
	r := &Recorder{failed: failed, written: make(chan struct{}), closing: make(chan struct{})}
	r.some.L = &r.mu
	go r.run(w)
	return r
}

// run writes what is kept, all that there is at a time, and the end.
func (r *Recorder) run(w io.Writer) {
	defer close(r.written)
	for lines := r.take(); lines != nil; lines = r.take() {
		if _, err := w.Write(lines); err != nil {
			r.end(err)
			r.writeEnd(w, "\n") // a part of a line may have been written
			return
		}
	}
	r.writeEnd(w, "")
}

// writeEnd writes the last line at once, since the process may be killed later. Where that fails, what is left of it is tried once more when
// the process ends: a disk may have room again by then.
func (r *Recorder) writeEnd(w io.Writer, before string) {
	r.mu.Lock()
	why, last := r.why, end{}
	r.mu.Unlock()
	if why != nil {
		last.Why = why.Error()
	}
	text, err := json.Marshal(line{End: &last})
	if err == nil {
		rest, written := fmt.Appendf(nil, "%s%s\n", before, text), 0
		if written, err = w.Write(rest); err != nil {
			<-r.closing
			_, err = w.Write(rest[written:])
		}
	}
	if why == nil {
		r.cut = err
	}
}

// take waits for lines; nil says that there will be no more.
func (r *Recorder) take() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.kept) == 0 && !r.ended {
		r.some.Wait()
	}
	lines := r.kept
	r.kept = nil
	return lines
}

func (r *Recorder) write(l line, err error) {
	var text []byte
	if err == nil {
		text, err = json.Marshal(l)
	}
	if err == nil && !r.keep(append(text, '\n')) {
		err = errSlow
	}
	if err != nil {
		r.end(err)
	}
}

// keep takes a line to be written, if there is room. Those that come after the end are passed over.
func (r *Recorder) keep(line []byte) (room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return true
	}
	if len(r.kept) > 0 && len(r.kept)+len(line) > keptLimit {
		return false
	}
	r.kept = append(r.kept, line...)
	r.some.Signal()
	return true
}

// end records nothing more. What is kept is still written, if it can be.
func (r *Recorder) end(why error) {
	r.mu.Lock()
	again := r.ended
	if r.ended = true; !again {
		r.why = why
	}
	r.some.Signal()
	r.mu.Unlock()
	if !again {
		r.failed(fmt.Errorf("write the recording: %w", why))
	}
}

// Close records nothing more but that its process ends, and waits until all is written or the context ends.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	r.ended = true
	r.some.Signal()
	r.mu.Unlock()
	r.close.Do(func() { close(r.closing) })
	select {
	case <-r.written:
		if r.cut != nil {
			return fmt.Errorf("write the end of the recording: %w", r.cut)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the end of the recording: %w", context.Cause(ctx))
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
