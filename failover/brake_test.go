package failover

import (
	"testing"
	"time"
)

// TestBrakeCountsWhatTurnedDownTogether, whether it is held or not, and nothing else.
func TestBrakeCountsWhatTurnedDownTogether(t *testing.T) {
	at := WallTime(100 * time.Hour)
	minutes := func(n int) WallTime { return at + WallTime(n)*WallTime(time.Minute) }
	tests := []struct {
		name   string
		turned []WallTime
		braked bool
	}{
		{"all at once", []WallTime{at, at, at, at, at}, true},
		{"one after the other within the window", []WallTime{minutes(-10), minutes(-5), at, minutes(5), minutes(10)}, true},
		{"one of them before", []WallTime{minutes(-11), minutes(-5), at, minutes(5), minutes(10)}, false},
		{"one of them later", []WallTime{minutes(-10), minutes(-5), at, minutes(5), minutes(11)}, false},
		{"all others days before", []WallTime{minutes(-9999), minutes(-9999), minutes(-9999), minutes(-9999), at}, false},
	}
	for _, test := range tests {
		s := NewState()
		s.Fleet = Fleet{Adopted: 6, Down: len(test.turned), Turned: test.turned}
		if guard := brakeGuard(&s, &Group{DownSince: at}); guard.OK == test.braked {
			t.Errorf("%s: %s", test.name, guard.Detail)
		}
	}
}

// TestBrakeLetsGoWhenAGroupIsWell: it counts from the verdict to the end of its operation.
func TestBrakeLetsGoWhenAGroupIsWell(t *testing.T) {
	for _, test := range []struct {
		commands string
		down     int
	}{{adopted, 0}, {leased, 1}, {verifying, 1}, {finished, 0}, {leased + "observe all: pg-a=primary@1000\n", 0}} {
		w := given(t, test.commands)
		if g, fleet := w.group(t), w.state.Fleet; fleet.Down != test.down || len(fleet.Turned) != test.down || (g.DownSince != 0) != (test.down > 0) {
			t.Errorf("%s: %+v, down since %d", g.Stage, fleet, g.DownSince)
		}
	}
}
