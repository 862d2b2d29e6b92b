package demo

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// The words are those of `arbiterctl show`, which stands below.
func TestALineHasTheWordsOfShow(t *testing.T) {
	fault := time.Date(2026, 11, 20, 12, 4, 31, 0, time.UTC)
	at := func(after time.Duration) *timestamppb.Timestamp { return timestamppb.New(fault.Add(after)) }
	for want, step := range map[string]*arbiterv1.Step{
		"    31 ms  verdict down pg-a": {Name: "verdict", Began: at(31 * time.Millisecond), Member: "pg-a"},
		"   130 ms  catch up     pg-b at 0/5A11F28 (12 ms)": {
			Name: "catch_up", Began: at(130 * time.Millisecond), Detail: "pg-b at 0/5A11F28", Took: durationpb.New(12 * time.Millisecond),
		},
		"     0 ms  isolate      pg-a CONFIRMED_OFF bmc": {Name: "isolate", Began: at(-time.Millisecond), Member: "pg-a", Proof: "CONFIRMED_OFF bmc"},
	} {
		if got := line(step, fault); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
