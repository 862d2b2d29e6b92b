package probe

import (
	"testing"
	"time"
)

func TestStalls(t *testing.T) {
	wall := time.Unix(1000, 0)
	var s stalls
	if late := s.woke(0, wall); late != 0 {
		t.Fatalf("first wake-up: got %v late", late)
	}
	s.sleep(50 * ms)
	if late := s.woke(55*ms, wall.Add(55*ms)); late != 0 {
		t.Fatalf("5 ms late: got %v, want it to be ordinary", late)
	}
	s.sleep(100 * ms)
	if l := s.lateness(390*ms, 400*ms); l.Worst != 300*ms {
		t.Fatalf("a stall that lasts: got %+v", l)
	}
	if late := s.woke(600*ms, wall.Add(600*ms)); late != 500*ms {
		t.Fatalf("late: got %v, want 500ms", late)
	}
	s.sleep(650 * ms)
	if l := s.lateness(590*ms, 610*ms); l.Worst != 500*ms || l.Step != 0 {
		t.Fatalf("a stall that is over: got %+v", l)
	}
	if l := s.lateness(600*ms, 610*ms); l != (Lateness{}) {
		t.Fatalf("since it was over: got %+v", l)
	}
	for _, test := range []struct{ from, to, want time.Duration }{
		{0, 90 * ms, 0}, {0, 200 * ms, 100 * ms}, {200 * ms, 300 * ms, 100 * ms}, {500 * ms, time.Second, 100 * ms}, {0, time.Second, 500 * ms},
	} {
		if got := s.within(test.from, test.to); got != test.want {
			t.Errorf("stalled within %v to %v: got %v, want %v", test.from, test.to, got, test.want)
		}
	}
	s.woke(650*ms, wall.Add(650*ms-time.Hour))
	if l := s.lateness(600*ms, 651*ms); l.Step != time.Hour {
		t.Fatalf("the wall clock went back by an hour: got %+v", l)
	}
	s.sleep(2 * time.Minute)
	s.woke(2*time.Minute, wall.Add(2*time.Minute-time.Hour))
	if l := s.lateness(651*ms, 2*time.Minute); l != (Lateness{}) {
		t.Fatalf("after the step: got %+v", l)
	}
}
