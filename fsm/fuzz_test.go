package fsm

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// FuzzDecode: Decode never panics, refuses with the one error that stops an arbiter, and what it accepts it also writes. The input is an
// entry without its checksum, which would keep the fuzzer out.
func FuzzDecode(f *testing.F) {
	for _, s := range wiretest.Samples(f) {
		f.Add(unsealed(encodeSample(f, s)))
	}
	for _, test := range cannotApply {
		f.Add(unsealed(changed(f, test.change)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := Decode(data); err == nil && Intact(data) != nil {
			t.Fatal("damaged, and read")
		}
		body, header, err := Decode(sealed(data))
		if err != nil {
			if body != nil || !errors.Is(err, ErrCannotApply) {
				t.Fatalf("got %v, %v", body, err)
			}
			return
		}
		again, err := Encode(body, header.Wall, header.Proposer)
		if err != nil {
			t.Fatalf("%+v was read and can't be written: %v", body, err)
		}
		second, _, err := Decode(again)
		if err != nil || !reflect.DeepEqual(body, second) {
			t.Fatalf("got  %+v, %v\nwant %+v", second, err, body)
		}
	})
}

func unsealed(entry []byte) []byte { return slices.Clone(entry[:len(entry)-checksumBytes]) }

// FuzzRestore: whatever a snapshot holds, it is restored whole or changes nothing. The input is a state, an index to
// file it under, and whether it is framed; a checksum would keep the fuzzer out.
func FuzzRestore(f *testing.F) {
	full, empty := fullState(), failover.NewState()
	f.Add(canonical(f, full), uint64(full.Applied), full.ClusterID, true)
	f.Add(canonical(f, &empty), uint64(0), "", true)
	f.Add(snapshotOf(f, &empty), uint64(0), "", false)
	f.Add([]byte(`{"Groups":[null]}`), uint64(0), "", true)
	f.Fuzz(func(t *testing.T, state []byte, index uint64, cluster string, framed bool) {
		data := state
		if framed {
			message, err := proto.Marshal(&arbiterv1.Snapshot{Version: 1, ClusterId: cluster, Index: index, State: state})
			if err != nil {
				t.Skip("not UTF-8")
			}
			data = frame(message)
		}
		machine := New(Hooks{})
		before := machine.State()
		if err := machine.Restore(readCloser(data)); err != nil {
			if !errors.Is(err, ErrCannotRestore) || machine.State() != before {
				t.Fatalf("got %v, changed %v", err, machine.State() != before)
			}
			return
		}
		again := New(Hooks{})
		if err := again.Restore(readCloser(persist(t, machine))); err != nil {
			t.Fatalf("what was restored can't be restored again: %v", err)
		}
		if !bytes.Equal(canonical(t, machine.State()), canonical(t, again.State())) {
			t.Fatal("the second restore has other bytes")
		}
	})
}
