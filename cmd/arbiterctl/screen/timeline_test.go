package screen

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What lies between two entries of a step is of others: it is not named, so that no two rows seem to share entries.
func TestEntriesText_NamesNoEntryOfOthers(t *testing.T) {
	for want, entries := range map[string][]uint64{
		"": nil, "log 7": {7}, "log 7-8": {8, 7}, "log 7, 9": {7, 9}, "log 5-7, 9": {9, 5, 6, 7, 7},
	} {
		if got := entriesText(entries); got != want {
			t.Errorf("%v is %q, want %q", entries, got, want)
		}
	}
}

// The intent that several tries share is named by the first.
func TestTelling_TriesShareAnIntent(t *testing.T) {
	said := telling{intents: map[uint64]bool{}}
	for i, want := range []string{"log 15-16", "log 17", "log 18"} {
		if got := said.log(&arbiterv1.Step{IntentIndex: 15, OutcomeIndex: uint64(16 + i)}); got != want {
			t.Errorf("try %d: %q, want %q", i+1, got, want)
		}
	}
}

func TestTelling_SaysAReasonOnce(t *testing.T) {
	said := telling{held: "no fence gave a proof (level 1: time limit reached)", parts: map[string]bool{}}
	for i, c := range [][2]string{{"time limit reached", "see held"}, {"connection refused", "connection refused"}, {"connection refused", "as before"}} {
		if got := said.part(c[0]); got != c[1] {
			t.Errorf("%d: %q, want %q", i, got, c[1])
		}
	}
}

func TestANumberIsKeptApartFromHowLongItTook(t *testing.T) {
	took := durationpb.New(64 * time.Millisecond)
	for want, part := range map[string]*arbiterv1.StepTime{
		"refuses epochs before 2 in 64 ms":                              {Name: "refuses epochs before 2", Length: took},
		"not done: refuses epochs before 2 after 64 ms (no connection)": {Name: "refuses epochs before 2", Length: took, Undone: true, Detail: "no connection"},

		"opened pg-b 64 ms":        {Name: "opened pg-b", Length: took},
		"token of pg-2 left alone": {Name: "token of pg-2 left alone"},
	} {
		if got := partText(part, false, &telling{parts: map[string]bool{}}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
