package failover

import (
	"strings"
	"testing"
)

// Nobody is promoted beside a rogue (S2), whether it is fenced by itself, waits for a person, or its fence gave no proof: whoever asks whether a failover
// would work must read it.
func TestObstacles_ARogueBlocks(t *testing.T) {
	const rogue = "observe c: pg-c=primary@1000\n"
	for name, commands := range map[string]string{
		"by itself": rogue, "paused": "pause orders\n" + rogue, "by hand": "apply orders refence_rogues=no\n" + rogue, "no proof": rogue + "outcome isolate UNKNOWN\n",
	} {
		w := given(t, adopted+commands)
		found := Obstacles(&w.state, "orders", Durations{SinceLastFailover: -1})
		if len(found) == 0 || !found[0].Blocks || !strings.HasPrefix(found[0].Why, "pg-c accepts writes without authority") {
			t.Errorf("%s: %+v", name, found)
		}
	}
	w := given(t, adopted+rogue+"outcome isolate CONFIRMED_OFF\n")
	for _, o := range Obstacles(&w.state, "orders", Durations{SinceLastFailover: -1}) {
		if o.Blocks {
			t.Errorf("once it is proven to be off: %+v", o)
		}
	}
}
