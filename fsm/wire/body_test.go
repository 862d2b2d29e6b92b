package wire_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// TestEveryBodyHasASample reads the domain's source: a body without a sample has no place on the wire, and the tests here and in
// fsm run over the samples.
func TestEveryBodyHasASample(t *testing.T) {
	files, err := filepath.Glob("../../failover/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var bodies []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if method, ok := declaration.(*ast.FuncDecl); ok && method.Recv != nil && method.Name.Name == "body" {
				bodies = append(bodies, method.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	sampled := []string{"SetVoters"} // comes from Raft's configuration entries, see TestStoreConfiguration of fsm
	for _, s := range wiretest.Samples(t) {
		sampled = append(sampled, reflect.TypeOf(s.Body).Name())
	}
	slices.Sort(bodies)
	slices.Sort(sampled)
	if sampled = slices.Compact(sampled); !slices.Equal(bodies, sampled) {
		t.Fatalf("bodies:  %v\nsamples: %v", bodies, sampled)
	}
}

// TestEveryKindHasASample is the same from the side of the wire.
func TestEveryKindHasASample(t *testing.T) {
	kinds := (&arbiterv1.Entry{}).ProtoReflect().Descriptor().Oneofs().ByName("kind")
	var want, got []string
	for i := range kinds.Fields().Len() {
		want = append(want, string(kinds.Fields().Get(i).Name()))
	}
	for _, s := range wiretest.Samples(t) {
		got = append(got, s.Kind())
		entry, _ := write(t, s.Body)
		if field := entry.ProtoReflect().WhichOneof(kinds); string(field.Name()) != s.Kind() {
			t.Errorf("%T is written as %s, want %s", s.Body, field.Name(), s.Kind())
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(want, got) {
		t.Fatalf("kinds:   %v\nsamples: %v", want, got)
	}
}

// TestSamplesSetEveryField: the bytes of the samples are kept for ever, so they must show where every field is.
func TestSamplesSetEveryField(t *testing.T) {
	set := fields{}
	for _, s := range wiretest.Samples(t) {
		set.visit(reflect.ValueOf(s.Body))
	}
	set.wantAllSet(t)
}

type testerOf interface{ Fatal(args ...any) }

// write puts a body into an entry, and returns it as its reader has it, with its bytes.
func write(t testerOf, body failover.Body) (*arbiterv1.Entry, []byte) {
	entry := &arbiterv1.Entry{}
	if err := wire.Write(entry, body, 0); err != nil {
		t.Fatal(err)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	read := &arbiterv1.Entry{}
	if err := proto.Unmarshal(data, read); err != nil {
		t.Fatal(err)
	}
	return read, data
}

// TestAnyBodyRoundTrips: a field of the domain that the wire doesn't carry, or that one direction forgets, is lost here.
func TestAnyBodyRoundTrips(t *testing.T) {
	kinds := map[string]reflect.Type{}
	for _, s := range wiretest.Samples(t) {
		kinds[s.Kind()] = reflect.TypeOf(s.Body)
	}
	for name, kind := range kinds {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			body := wiretest.AnyBody(t, kind)
			entry, data := write(t, body)
			again, _, err := wire.Read(entry, data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again, body) {
				t.Fatalf("got  %+v\nwant %+v", again, body)
			}
			if _, second := write(t, again); !bytes.Equal(second, data) {
				t.Fatal("what is read is written in other bytes")
			}
		}))
	}
}

// TestBatchesTravelAsTheyAreLogged: the stream to the leader and the log have one form of a batch.
func TestBatchesTravelAsTheyAreLogged(t *testing.T) {
	message, err := wire.BatchToProto(wiretest.Batch())
	if err != nil {
		t.Fatal(err)
	}
	batch, err := wire.BatchFromProto(message)
	if err != nil || !reflect.DeepEqual(batch, wiretest.Batch()) {
		t.Fatalf("got %+v, %v", batch, err)
	}
	message.Observations[0].Since = &timestamppb.Timestamp{Seconds: 1 << 35}
	if _, err := wire.BatchFromProto(message); err == nil || !strings.Contains(err.Error(), "since") {
		t.Fatalf("got %v", err)
	}
	for _, need := range []int{-1, 1 << 32} {
		batch := wiretest.Batch()
		batch.Observations[0].Facts.SyncRule.Need = need
		if _, err := wire.BatchToProto(batch); err == nil || !strings.Contains(err.Error(), "sync_need") {
			t.Fatalf("a rule that needs %d standbys: got %v", need, err)
		}
	}
}

func TestUnknownField(t *testing.T) {
	entry, data := write(t, wiretest.Samples(t)[1].Body)
	if found := wire.UnknownField(entry, data); found != "" {
		t.Fatalf("found %q in what this build wrote", found)
	}
	entry.GetObserve().GetBatches()[0].ProtoReflect().SetUnknown([]byte{50<<3&0x7f | 0x80, 50 >> 4, 7})
	data, err := proto.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	if found := wire.UnknownField(entry, data); !strings.Contains(found, "field 50 at") || !strings.Contains(found, "batches[0]") {
		t.Fatalf("found %q", found)
	}
}
