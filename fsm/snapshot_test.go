package fsm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// sink is a raft.SnapshotSink in memory; err makes writing or closing fail.
type sink struct {
	bytes.Buffer
	closed, cancelled    bool
	writeError, endError error
}

func (s *sink) ID() string    { return "in memory" }
func (s *sink) Cancel() error { s.cancelled = true; return nil }
func (s *sink) Close() error  { s.closed = true; return s.endError }
func (s *sink) Write(p []byte) (int, error) {
	if s.writeError != nil {
		return 0, s.writeError
	}
	return s.Buffer.Write(p)
}

func readCloser(data []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(data)) }

// persist takes a snapshot as Raft does.
func persist(t tester, machine *FSM) []byte {
	taken, err := machine.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Release()
	var out sink
	if err := taken.Persist(&out); err != nil || !out.closed || out.cancelled {
		t.Fatalf("persist: %v, closed %v, cancelled %v", err, out.closed, out.cancelled)
	}
	return out.Bytes()
}

func snapshotOf(t tester, state *failover.State) []byte {
	data, err := encodeSnapshot(state)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func canonical(t tester, state *failover.State) []byte {
	data, err := state.CanonicalBytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// stateBytes returns the state inside a snapshot.
func stateBytes(t tester, data []byte) []byte {
	message := &arbiterv1.Snapshot{}
	if err := proto.Unmarshal(data[snapshotFrame:], message); err != nil {
		t.Fatal(err)
	}
	return message.GetState()
}

// fullState has something in every field.
func fullState() *failover.State {
	state := stamped[failover.State]()
	state.Version = failover.CurrentVersion
	return &state
}

func TestSnapshotHoldsTheWholeState(t *testing.T) {
	before := fullState()
	var published []failover.Index
	machine := New(Hooks{OnApplied: func(index failover.Index, state *failover.State, events []failover.Event) {
		published = append(published, index)
		if len(events) != 0 {
			t.Errorf("S13: a restore gave %d events", len(events))
		}
		if !reflect.DeepEqual(state, before) {
			t.Error("the published state is not the snapshot's")
		}
	}})
	if err := machine.Restore(readCloser(snapshotOf(t, before))); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(machine.State(), before) {
		t.Fatalf("got  %+v\nwant %+v", machine.State(), before)
	}
	if !reflect.DeepEqual(published, []failover.Index{before.Applied}) {
		t.Fatalf("published %v, want one at %d", published, before.Applied)
	}
	if again := persist(t, machine); !bytes.Equal(again, snapshotOf(t, before)) {
		t.Fatal("a snapshot of the restored state has other bytes")
	}
}

func TestPersistCancelsWhenItCannotWrite(t *testing.T) {
	full := errors.New("no space left on device")
	for name, out := range map[string]*sink{"write": {writeError: full}, "close": {endError: full}} {
		t.Run(name, func(t *testing.T) {
			taken, err := New(Hooks{}).Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if err := taken.Persist(out); !errors.Is(err, full) {
				t.Fatalf("got %v", err)
			}
			if out.cancelled != (name == "write") {
				t.Fatalf("cancelled: %v", out.cancelled)
			}
		})
	}
}

// TestSnapshotIsOfItsMoment: entries that are applied while a snapshot is written are not in it.
func TestSnapshotIsOfItsMoment(t *testing.T) {
	machine := New(Hooks{})
	machine.StoreConfiguration(1, voters("a1"))
	taken, err := machine.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	want := snapshotOf(t, machine.State())
	machine.StoreConfiguration(2, voters("a1", "a2"))
	var out sink
	if err := taken.Persist(&out); err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Fatalf("the snapshot is not of the moment when it was taken (%v)", err)
	}
}

// message returns the framed bytes of a snapshot of fullState after a change.
func message(t tester, change func(*arbiterv1.Snapshot)) []byte {
	state := fullState()
	m := &arbiterv1.Snapshot{
		Version: uint32(state.Version), ClusterId: state.ClusterID, Index: uint64(state.Applied), State: canonical(t, state),
	}
	change(m)
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return frame(data)
}

func TestRestoreRefuses(t *testing.T) {
	good := snapshotOf(t, fullState())
	flip := func(at int) []byte { data := bytes.Clone(good); data[at] ^= 0x10; return data }
	var cut failover.State
	cut.Groups = []*failover.Group{nil}
	tests := map[string]struct {
		data  []byte
		halts bool
		want  string
	}{
		"nothing":                 {nil, false, "ends within its head"},
		"half a head":             {good[:snapshotFrame/2], false, "ends within its head"},
		"another file":            {bytes.Repeat([]byte("PK"), 100), false, "does not begin"},
		"a length out of bounds":  {flip(len(snapshotMark)), false, "does not begin"},
		"half a body":             {good[:len(good)/2], false, "bytes follow"},
		"something behind":        {append(bytes.Clone(good), 0), false, "bytes follow"},
		"a flipped bit":           {flip(len(good) - 10), false, "checksum"},
		"a flipped checksum":      {flip(snapshotFrame - 1), false, "checksum"},
		"not a message":           {frame([]byte{0xff}), false, "malformed"},
		"not a state":             {message(t, func(m *arbiterv1.Snapshot) { m.State = []byte("{") }), false, "malformed"},
		"another index":           {message(t, func(m *arbiterv1.Snapshot) { m.Index++ }), false, "disagree"},
		"another cluster":         {message(t, func(m *arbiterv1.Snapshot) { m.ClusterId = "other" }), false, "disagree"},
		"no version":              {message(t, func(m *arbiterv1.Snapshot) { m.Version = 0 }), false, "disagree"},
		"a group without content": {snapshotOf(t, &cut), false, "without a spec"},
		"a newer frame":           {append([]byte("ARBSNAP\x02"), good[8:]...), true, "frame 2"},
		"a newer version":         {message(t, func(m *arbiterv1.Snapshot) { m.Version = 9 }), true, "9, this arbiter understands up to 1"},
		"an unknown field":        {message(t, func(m *arbiterv1.Snapshot) { m.ProtoReflect().SetUnknown(unknown(12)) }), true, "field 12"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var halts []error
			machine := New(Hooks{Halt: func(err error) { halts = append(halts, err) }})
			machine.StoreConfiguration(1, voters("a1"))
			before := machine.State()
			err := machine.Restore(readCloser(test.data))
			if !errors.Is(err, ErrCannotRestore) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if machine.State() != before {
				t.Error("the state was changed")
			}
			if test.halts != (len(halts) == 1) || !test.halts && len(halts) > 0 {
				t.Errorf("halted with %v", halts)
			}
			if err := machine.Restore(readCloser(good)); test.halts != (err != nil) {
				t.Errorf("a good snapshot afterwards: %v", err)
			}
		})
	}
}

func TestRestoreTellsReadErrors(t *testing.T) {
	broken := errors.New("connection reset")
	good := snapshotOf(t, fullState())
	source := io.MultiReader(bytes.NewReader(good[:len(good)/2]), errorReader{broken})
	if err := New(Hooks{}).Restore(io.NopCloser(source)); !errors.Is(err, broken) || !errors.Is(err, ErrCannotRestore) {
		t.Fatalf("got %v", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestFrameIsWhatItsCommentSays(t *testing.T) {
	framed := frame([]byte("hello"))
	sum := sha256.Sum256([]byte("hello"))
	want := "ARBSNAP\x01" + "\x00\x00\x00\x00\x00\x00\x00\x05" + string(sum[:]) + "hello"
	if string(framed) != want {
		t.Fatalf("got %q", framed)
	}
}
