package fsm

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/fsm/wire/wiretest"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func encodeSample(t tester, s wiretest.Sample) []byte {
	wall, proposer := wiretest.Header()
	data, err := Encode(s.Body, wall, proposer)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return data
}

func TestSamplesRoundTrip(t *testing.T) {
	wall, proposer := wiretest.Header()
	for _, s := range wiretest.Samples(t) {
		body, header, err := Decode(encodeSample(t, s))
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		if !reflect.DeepEqual(body, s.Body) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", s.Name, body, s.Body)
		}
		if want := (Header{Version: 1, Wall: wall, Proposer: proposer}); header != want {
			t.Errorf("%s: header %+v, want %+v", s.Name, header, want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	damaged := failover.ApplySpec{Group: "pay", Source: []byte{0x1a, 0x7f}}
	foreign := failover.ApplySpec{Group: "pay", Source: protowire.AppendVarint(protowire.AppendTag([]byte(nil), 99, protowire.VarintType), 1)}
	tooMuch := failover.HoldOperation{Group: "pay", Detail: strings.Repeat("x", MaxEntryBytes)}
	need := failover.Observation{Facts: failover.Facts{SyncRule: failover.SyncRule{Need: -1}}}
	tests := map[string]struct {
		body failover.Body
		want string
	}{
		"a configuration":         {failover.SetVoters{}, "SetVoters"},
		"a pointer":               {&failover.Pause{}, "Pause"},
		"nothing":                 {nil, "nil"},
		"a name that isn't UTF-8": {failover.Pause{Group: "pay\xff"}, "UTF-8"},
		"no source":               {failover.ApplySpec{Group: "pay", Spec: &failover.Spec{}}, "NewApplySpec"},
		"a damaged source":        {damaged, "read back"},
		"a source it can't read":  {foreign, "field 99"},
		"too much":                {tooMuch, "limit"},
		"a negative count":        {failover.Observe{Batches: []failover.Batch{{Observations: []failover.Observation{need}}}}, "sync_need"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := Encode(test.body, 0, "a1")
			if data != nil || !errors.Is(err, ErrCannotEncode) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %d bytes, %v; want an error with %q", len(data), err, test.want)
			}
		})
	}
}

// TestEncodeMendsWordsForPeople: a server may complain in any character set, and that must not keep its state out of
// the log.
func TestEncodeMendsWordsForPeople(t *testing.T) {
	evidence := failover.Evidence{Reason: failover.ReasonRefused, Detail: "Verbindung abgew\xfcrgt"}
	body := failover.Observe{Batches: []failover.Batch{{Observations: []failover.Observation{{
		Group: "pay", Member: "db1", Checks: []failover.CheckState{{Name: "tcp", Evidence: evidence}},
	}}}}}
	data, err := Encode(body, 0, "a1")
	if err != nil {
		t.Fatal(err)
	}
	decoded, _, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := decoded.(failover.Observe).Batches[0].Observations[0].Checks[0].Evidence.Detail; got != "Verbindung abgew\uFFFDrgt" {
		t.Fatalf("got %q", got)
	}
}

// TestApplySpecKeepsItsBytes: what the state keeps are the bytes of the entry, in whatever order they are, not those
// that this build would write.
func TestApplySpecKeepsItsBytes(t *testing.T) {
	body, err := wire.NewApplySpec(wiretest.Request, wiretest.WrittenSpec(), wiretest.EffectiveSpec(), 3)
	if err != nil {
		t.Fatal(err)
	}
	written, err := proto.Marshal(&arbiterv1.ApplySpec{Written: wiretest.WrittenSpec()})
	if err != nil {
		t.Fatal(err)
	}
	effective := bytes.TrimPrefix(body.Source, written)
	body.Source = slices.Concat(effective, written)
	data, err := Encode(body, 0, "a1")
	if err != nil {
		t.Fatal(err)
	}
	decoded, _, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(decoded, body) {
		t.Fatalf("got %+v\nwant %+v", decoded, body)
	}
}

// changed returns the bytes of a sample entry after a change to its message.
func changed(t tester, change func(*arbiterv1.Entry)) []byte {
	entry := &arbiterv1.Entry{
		Version: 1, Proposer: "a1", Kind: &arbiterv1.Entry_Observe{Observe: &arbiterv1.Observe{Batches: []*arbiterv1.Batch{
			{Node: "a2", Observations: []*arbiterv1.Observation{{Group: "pay", Facts: &arbiterv1.Facts{Role: "primary"}}}},
		}}},
	}
	change(entry)
	data, err := proto.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	return sealed(data)
}

func unknown(number protowire.Number) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 7)
}

// cannotApply lists entries that this build must not apply. Those that are well-formed may be marked as ignorable.
var cannotApply = map[string]struct {
	change     func(*arbiterv1.Entry)
	wellFormed bool
	want       []string
}{
	"newer version": {func(e *arbiterv1.Entry) { e.Version = 2 }, true, []string{"log language 2", "up to 1", "upgrade this arbiter"}},
	"newer reign": {func(e *arbiterv1.Entry) {
		e.Kind = &arbiterv1.Entry_BeginReign{BeginReign: &arbiterv1.BeginReign{Term: 1, Version: 2}}
	}, true, []string{"may use version 2", "upgrade this arbiter"}},
	"no version": {func(e *arbiterv1.Entry) { e.Version = 0 }, false, []string{"no version", "leave this arbiter stopped"}},
	"no kind":    {func(e *arbiterv1.Entry) { e.Kind = nil }, false, []string{"no kind", "leave this arbiter stopped"}},
	"unknown kind": {func(e *arbiterv1.Entry) {
		e.Kind = nil
		e.ProtoReflect().SetUnknown(unknown(77))
	}, true, []string{"field 77", "upgrade this arbiter"}},
	"unknown field beside the kind": {func(e *arbiterv1.Entry) { e.ProtoReflect().SetUnknown(unknown(9)) }, true, []string{"field 9"}},
	"unknown field in the kind": {func(e *arbiterv1.Entry) {
		e.GetObserve().ProtoReflect().SetUnknown(unknown(50))
	}, true, []string{"field 50", "observe"}},
	"unknown field deep inside": {func(e *arbiterv1.Entry) {
		e.GetObserve().Batches[0].Observations[0].Facts.ProtoReflect().SetUnknown(unknown(51))
	}, true, []string{"field 51", "observations[0].facts"}},
	"unknown field in a time": {func(e *arbiterv1.Entry) {
		e.Wall = &timestamppb.Timestamp{}
		e.Wall.ProtoReflect().SetUnknown(unknown(52))
	}, true, []string{"field 52", "wall"}},
	"unknown field in a value of a map": {func(e *arbiterv1.Entry) {
		spec := wiretest.EffectiveSpec()
		spec.Routes[0].Settings["backend"].ProtoReflect().SetUnknown(unknown(53))
		e.Kind = &arbiterv1.Entry_ApplySpec{ApplySpec: &arbiterv1.ApplySpec{Effective: spec}}
	}, true, []string{"field 53", "backend"}},
	"a time that does not fit": {func(e *arbiterv1.Entry) { e.Wall = &timestamppb.Timestamp{Seconds: 1 << 35} }, false, []string{"wall", "leave this arbiter stopped"}},
	"a spec without an effective form": {func(e *arbiterv1.Entry) {
		e.Kind = &arbiterv1.Entry_ApplySpec{ApplySpec: &arbiterv1.ApplySpec{Written: wiretest.WrittenSpec()}}
	}, false, []string{"apply_spec"}},
}

func TestDecodeRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, test := range cannotApply {
		for _, marked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				data := changed(t, func(e *arbiterv1.Entry) { test.change(e); e.Ignorable = marked })
				body, _, err := Decode(data)
				var cannot *CannotApplyError
				if body != nil || !errors.Is(err, ErrCannotApply) || !errors.As(err, &cannot) {
					t.Fatalf("got %v, %v", body, err)
				}
				if cannot.Ignorable != (marked && test.wellFormed) {
					t.Errorf("marked %v, well-formed %v: Ignorable is %v", marked, test.wellFormed, cannot.Ignorable)
				}
				for _, want := range append(test.want, "nothing was changed") {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not say %q", err, want)
					}
				}
			})
		}
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	whole := changed(t, func(*arbiterv1.Entry) {})
	for length := range len(whole) {
		// Cut between two fields it is still a message; then its kind is missing.
		if _, _, err := Decode(whole[:length]); !errors.Is(err, ErrCannotApply) {
			t.Errorf("cut to %d of %d bytes: %v", length, len(whole), err)
		}
	}
	for at := range whole {
		for bit := range 8 {
			flipped := slices.Clone(whole)
			flipped[at] ^= 1 << bit
			if _, _, err := Decode(flipped); !errors.Is(err, ErrCannotApply) || !strings.Contains(err.Error(), "leave this arbiter stopped") {
				t.Errorf("bit %d of byte %d is another one: %v", bit, at, err)
			}
		}
	}
	if _, _, err := Decode(make([]byte, MaxEntryBytes+1)); !errors.Is(err, ErrCannotApply) {
		t.Errorf("too long: %v", err)
	}
}

// TestIgnorableIsNoLicence: an entry that is understood is applied whether or not its proposer marked it.
func TestIgnorableIsNoLicence(t *testing.T) {
	body, header, err := Decode(changed(t, func(e *arbiterv1.Entry) { e.Ignorable = true }))
	if err != nil || body == nil || !header.Ignorable {
		t.Fatalf("got %v, %+v, %v", body, header, err)
	}
}

func TestVersionOfIsUnderstood(t *testing.T) {
	for _, s := range wiretest.Samples(t) {
		if v := VersionOf(s.Body); v == 0 || v > failover.CurrentVersion {
			t.Errorf("%s needs version %d, this build understands %d", s.Name, v, failover.CurrentVersion)
		}
	}
}
