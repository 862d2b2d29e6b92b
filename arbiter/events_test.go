package arbiter

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func numbered(from, to uint64) []failover.Event {
	var events []failover.Event
	for s := from; s <= to; s++ {
		events = append(events, failover.Event{Sequence: s})
	}
	return events
}

func TestEventLog_AfterAndReplay(t *testing.T) {
	l := newEventLog()
	if events, _ := l.after(0); len(events) != 0 || l.last() != 0 {
		t.Errorf("an empty log has %v", events)
	}
	_, more := l.after(0)
	l.add(nil)
	select {
	case <-more:
		t.Error("told of nothing")
	default:
	}
	l.add(numbered(5, 8))
	select {
	case <-more:
	default:
		t.Error("not told of new events")
	}
	l.add(numbered(6, 9)) // a replay that goes further
	for after, want := range map[uint64]int{0: 5, 4: 5, 6: 3, 8: 1, 9: 0, 100: 0} {
		if events, _ := l.after(after); len(events) != want || want > 0 && (events[0].Sequence <= after || events[want-1].Sequence != 9) {
			t.Errorf("after %d: %v, want %d", after, events, want)
		}
	}
}

func TestEventLog_IsBounded(t *testing.T) {
	l := newEventLog()
	l.add(numbered(1, 3*eventsKept))
	events, _ := l.after(0)
	if len(events) < eventsKept || len(events) > 2*eventsKept || l.last() != 3*eventsKept {
		t.Errorf("%d events are kept, the last is %d", len(events), l.last())
	}
	first := events[0]
	events[0] = failover.Event{}
	if again, _ := l.after(0); again[0] != first {
		t.Error("a caller's change reached the log")
	}
}

func TestDifferences(t *testing.T) {
	value := func(s string) *arbiterv1.Value { return &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: s}} }
	base := func() *arbiterv1.GroupSpec {
		return &arbiterv1.GroupSpec{
			Group: "pay", Engine: "postgres",
			Members: []*arbiterv1.MemberSpec{{Name: "db1", Address: "db1:5432"}, {Name: "db2", Address: "db2:5432"}},
			Policy:  &arbiterv1.Policy{Lease: durationpb.New(1500 * time.Millisecond), MaxLossBytes: proto.Uint64(0), AlsoDown: []string{"read-only"}},
			Routes:  []*arbiterv1.Route{{Router: "command", Settings: map[string]*arbiterv1.Value{"open": value("/bin/a")}}},
		}
	}
	tests := []struct {
		name   string
		change func(*arbiterv1.GroupSpec)
		want   []*arbiterv1.Difference
	}{
		{"nothing", func(*arbiterv1.GroupSpec) {}, nil},
		{
			"leaf in a list", func(s *arbiterv1.GroupSpec) { s.Members[1].Address = "x:1" },
			[]*arbiterv1.Difference{{Path: "members[1].address", Before: "db2:5432", After: "x:1"}},
		},
		{
			"duration", func(s *arbiterv1.GroupSpec) { s.Policy.Lease = durationpb.New(2 * time.Second) },
			[]*arbiterv1.Difference{{Path: "policy.lease", Before: "1.5s", After: "2s"}},
		},
		{
			"map", func(s *arbiterv1.GroupSpec) { s.Routes[0].Settings["open"] = value("/bin/b") },
			[]*arbiterv1.Difference{{Path: "routes[0].settings.open.literal", Before: "/bin/a", After: "/bin/b"}},
		},
		{
			"list of words grows", func(s *arbiterv1.GroupSpec) { s.Policy.AlsoDown = append(s.Policy.AlsoDown, "disk-full") },
			[]*arbiterv1.Difference{{Path: "policy.also_down[1]", After: "disk-full"}},
		},
		{
			"set to another, and unset", func(s *arbiterv1.GroupSpec) { s.Policy.MaxLossBytes = proto.Uint64(7); s.Policy.Lease = nil },
			[]*arbiterv1.Difference{{Path: "policy.lease", Before: "1.5s"}, {Path: "policy.max_loss_bytes", Before: "0", After: "7"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			after := base()
			test.change(after)
			got := differences(base(), after)
			if len(got) != len(test.want) {
				t.Fatalf("%v, want %v", got, test.want)
			}
			for i := range got {
				if !proto.Equal(got[i], test.want[i]) {
					t.Errorf("%v, want %v", got[i], test.want[i])
				}
			}
		})
	}
}
