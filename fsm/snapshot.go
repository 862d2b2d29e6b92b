package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// A snapshot is framed so that damage is found whoever carried it: this mark (it ends in the frame's own version), the length of
// the message as eight bytes, big end first, its SHA-256, the message (arbiter.v1.Snapshot), and nothing after it.
const (
	snapshotMark  = "ARBSNAP\x01"
	snapshotFrame = len(snapshotMark) + 8 + sha256.Size
)

// MaxSnapshotBytes bounds the message of a snapshot.
const MaxSnapshotBytes = 1 << 30

// snapshot is one state on its way to a file. It holds no copy: states never change.
type snapshot struct{ state *failover.State }

// Snapshot captures the applied state. After a halt it is refused: Raft would file it under the index of an entry that was not
// applied.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	if f.halted != nil {
		return nil, fmt.Errorf("take no snapshot: %w", f.halted)
	}
	return &snapshot{state: f.State()}, nil
}

// Persist writes the state. Raft runs it beside Apply.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	data, err := encodeSnapshot(s.state)
	if err == nil {
		_, err = sink.Write(data)
	}
	if err != nil {
		_ = sink.Cancel() // the first error is the one to tell
		return fmt.Errorf("write snapshot at %d: %w", s.state.Applied, err)
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("finish snapshot at %d: %w", s.state.Applied, err)
	}
	return nil
}

func (s *snapshot) Release() {} // has nothing to let go

// Restore replaces the state by a snapshot's. If that is impossible the state stays as it is and the error matches
// ErrCannotRestore; a snapshot that is newer than this build also halts, since Raft would try for ever, or fall back to an older
// one.
func (f *FSM) Restore(source io.ReadCloser) error {
	if f.halted != nil {
		return f.halted
	}
	state, err := decodeSnapshot(source)
	if err != nil {
		return f.refuseSnapshot(err)
	}
	f.publish(state.Applied, &state, nil)
	return nil
}

func (f *FSM) refuseSnapshot(cause error) error {
	if tooNew(cause) {
		return f.halt(fmt.Errorf("%w: %w; nothing was changed: %s", ErrCannotRestore, cause, upgrade))
	}
	return fmt.Errorf("%w: %w; nothing was changed: if this goes on while the other arbiters are well, its snapshot is damaged: %s",
		ErrCannotRestore, cause, LostArbiter)
}

func encodeSnapshot(state *failover.State) ([]byte, error) {
	encoded, err := state.CanonicalBytes()
	if err != nil {
		return nil, err
	}
	message, err := proto.MarshalOptions{Deterministic: true}.Marshal(&arbiterv1.Snapshot{
		Version: uint32(state.Version), ClusterId: state.ClusterID, Index: uint64(state.Applied), State: encoded,
	})
	if err != nil {
		return nil, err
	}
	if len(message) > MaxSnapshotBytes {
		return nil, fmt.Errorf("the state has %d bytes, the limit is %d", len(message), MaxSnapshotBytes)
	}
	return frame(message), nil
}

func frame(message []byte) []byte {
	framed := make([]byte, 0, snapshotFrame+len(message))
	framed = append(framed, snapshotMark...)
	framed = binary.BigEndian.AppendUint64(framed, uint64(len(message)))
	sum := sha256.Sum256(message)
	framed = append(framed, sum[:]...)
	return append(framed, message...)
}

func decodeSnapshot(source io.Reader) (failover.State, error) {
	message, err := unframe(source)
	if err != nil {
		return failover.State{}, err
	}
	snapshot := &arbiterv1.Snapshot{}
	if err := proto.Unmarshal(message, snapshot); err != nil {
		return failover.State{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if version := failover.EntryVersion(snapshot.GetVersion()); version > failover.CurrentVersion {
		return failover.State{}, fmt.Errorf("%w (%d, this arbiter understands up to %d)", errNewer, version, failover.CurrentVersion)
	}
	if field := wire.UnknownField(snapshot, message); field != "" {
		return failover.State{}, fmt.Errorf("%w: %s", errUnknown, field)
	}
	state, err := failover.StateFromBytes(snapshot.GetState())
	if err != nil {
		return failover.State{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if err := consistent(snapshot, &state); err != nil {
		return failover.State{}, err
	}
	return state, nil
}

// consistent finds a snapshot whose parts disagree, or whose groups would break the first entry that touches them.
func consistent(snapshot *arbiterv1.Snapshot, state *failover.State) error {
	if uint64(state.Applied) != snapshot.GetIndex() || state.ClusterID != snapshot.GetClusterId() || uint32(state.Version) != snapshot.GetVersion() {
		return fmt.Errorf("%w: its head and its state disagree", errMalformed)
	}
	for _, group := range state.Groups {
		if group == nil || group.Spec == nil {
			return fmt.Errorf("%w: it holds a group without a spec", errMalformed)
		}
	}
	return nil
}

// unframe reads the message and checks that it is whole. It allocates what it has read, not what the length promises.
func unframe(source io.Reader) ([]byte, error) {
	var head [snapshotFrame]byte
	if _, err := io.ReadFull(source, head[:]); err != nil {
		return nil, fmt.Errorf("%w: it ends within its head: %w", errMalformed, err)
	}
	mark, rest := head[:len(snapshotMark)], head[len(snapshotMark):]
	length, sum := binary.BigEndian.Uint64(rest), rest[8:]
	switch family := len(snapshotMark) - 1; {
	case !bytes.Equal(mark[:family], []byte(snapshotMark[:family])), length > MaxSnapshotBytes:
		return nil, fmt.Errorf("%w: it does not begin as a snapshot does", errMalformed)
	case mark[family] > snapshotMark[family]:
		return nil, fmt.Errorf("%w (frame %d, this arbiter reads up to %d)", errNewer, mark[family], snapshotMark[family])
	}
	message, err := io.ReadAll(io.LimitReader(source, int64(length)+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if uint64(len(message)) != length {
		return nil, fmt.Errorf("%w: not %d bytes follow its head", errMalformed, length)
	}
	if actual := sha256.Sum256(message); !bytes.Equal(actual[:], sum) {
		return nil, fmt.Errorf("%w: its checksum is wrong", errMalformed)
	}
	return message, nil
}
