package chaos

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func words(schedule []Fault) string {
	var lines []string
	for _, f := range schedule {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func TestOneSeedIsOneSchedule(t *testing.T) {
	first := words(Draw(7, 10*time.Minute))
	if again := words(Draw(7, 10*time.Minute)); again != first {
		t.Errorf("the same seed gave\n%s\nand\n%s", first, again)
	}
	if other := words(Draw(8, 10*time.Minute)); other == first {
		t.Error("another seed gave the same schedule")
	}
	if longer := words(Draw(7, 11*time.Minute)); !strings.HasPrefix(longer, first) {
		t.Error("a longer run begins otherwise")
	}
}

func TestAnHourHasEveryKindAndSeveralAtOnce(t *testing.T) {
	schedule := Draw(1, time.Hour)
	var kinds []Kind
	atOnce, most := []Fault(nil), 0
	for i, f := range schedule {
		if i > 0 && f.At <= schedule[i-1].At || f.At >= time.Hour {
			t.Errorf("%s is out of order", f)
		}
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
		atOnce = append(slices.DeleteFunc(atOnce, func(g Fault) bool { return g.At+g.Length < f.At }), f)
		most = max(most, len(atOnce))
		if slices.ContainsFunc(f.Others, func(role string) bool { return slices.Contains(f.Roles, role) }) {
			t.Errorf("%s: a host on both sides", f)
		}
	}
	if len(kinds) != len(choices) {
		t.Errorf("%d kinds of %d", len(kinds), len(choices))
	}
	if most < 3 {
		t.Errorf("never more than %d at once", most)
	}
}

func TestInARingEachHostHearsAnotherMajority(t *testing.T) {
	for _, size := range []int{3, 5, 6} {
		ring := make([]*hosts.Host, size)
		for i := range ring {
			ring[i] = new(hosts.Host)
		}
		deafTo := map[*hosts.Host]int{}
		for _, d := range ringDirections(ring) {
			if d.From == d.To {
				t.Error("a host is cut from itself")
			}
			deafTo[d.To]++
		}
		for i, h := range ring {
			if heard := size - deafTo[h]; heard != size/2+1 {
				t.Errorf("host %d of %d hears %d", i, size, heard)
			}
		}
	}
}

func TestHolds(t *testing.T) {
	event := func(ms int, kind, operation, from, to, text string) *arbiterv1.Event {
		return &arbiterv1.Event{Kind: kind, Operation: operation, StageFrom: from, StageTo: to, Text: text, Wall: timestamppb.New(at(ms))}
	}
	holds := holdsOf([]*arbiterv1.Event{
		event(0, "operation-held", "one", "isolating", "held", "unproven"),
		event(10, "operation-held", "one", "held", "held", "still"),
		event(20, "attempt-ended", "one", "held", "held", ""),
		event(30, "isolation-proven", "one", "held", "isolated", ""),
		event(40, "operation-held", "two", "confirmed", "held", "cool-down"),
	})
	if len(holds) != 2 || holds[0].Ended != "isolation-proven" || holds[0].Until.Sub(holds[0].From) != 30*time.Millisecond ||
		holds[0].Reason != "unproven" || holds[1].Ended != "" {
		t.Errorf("%+v", holds)
	}
}

func TestAFailoverIsFalseWithoutAFaultOnThePrimary(t *testing.T) {
	s := &storm{
		injected: []*Injected{
			{Fault: Fault{Kind: CrashDatabase}, Hosts: []string{"pg-a"}, Began: at(0), Ended: at(5000)},
			{Fault: Fault{Kind: CutTwoWays}, Hosts: []string{"az-a", "pg-b"}, Began: at(60_000), Ended: at(70_000)},
			{Fault: Fault{Kind: CrashDatabase}, Hosts: []string{"pg-c"}, Began: at(0), Ended: at(0), Skipped: "busy"},
		},
		repaired: []Repair{{Host: "pg-a", Began: at(30_000), Ended: at(40_000)}},
	}
	for _, test := range []struct {
		member string
		ms     int
		want   bool
	}{
		{"pg-a", -1, false},
		{"pg-a", 1000, true},
		{"pg-a", 14_000, true},
		{"pg-a", 16_000, false},
		{"pg-a", 45_000, true}, // it was repaired
		{"pg-b", 1000, false},
		{"pg-b", 65_000, true},
		{"pg-c", 1000, false},
	} {
		if got := s.blamed(test.member, at(test.ms)); got != test.want {
			t.Errorf("%s at %d: %v", test.member, test.ms, got)
		}
	}
}

// The picture has a row for each kind of fault, each member, holds and outages.
func TestPictureHasARowForEverything(t *testing.T) {
	r := &Report{
		Minutes: 1, Began: at(0), outages: []Span{{at(100), at(900)}}, Holds: []Hold{{From: at(200), Until: at(300)}},
		reigns:   []Reign{{"pg-a", at(0), at(100)}, {"pg-b", at(400), at(2000)}},
		injected: []Injected{{Fault: Fault{Kind: CrashDatabase}, Began: at(100), Ended: at(200)}, {Fault: Fault{Kind: CutRing}, Began: at(100), Ended: at(200)}},
	}
	if _, rows, err := r.picture(); err != nil || rows != 6 {
		t.Errorf("%d rows, %v", rows, err)
	}
	path := t.TempDir() + "/timeline.svg"
	if err := r.WritePlot(path); err != nil {
		t.Fatal(err)
	}
}

func TestReportForMachines(t *testing.T) {
	r := &Report{Kind: "chaos", Minutes: 10, Faults: 3, Failovers: 2, FalseFailovers: 1, OutagesMS: []float64{231.5}}
	path := t.TempDir() + "/report.json"
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	want := `{"kind":"chaos","minutes":10,"faults":3,"failovers":2,"false_failovers":1,"lost_acked":0,"double_writable":0,"outages_ms":[231.5],`
	if err != nil || !strings.HasPrefix(string(text), want) {
		t.Errorf("%s, %v", text, err)
	}
}
