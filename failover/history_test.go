package failover

import (
	"testing"
	"time"
)

// When a proof was committed is told from what brought it, as long as that is kept, and only of a proof that still holds.
func TestProvenAt(t *testing.T) {
	const fenced = "tick 1m\nobserve all: pg-a=down(refused)\nlook-again answers\ntick 1s\noutcome isolate CONFIRMED_OFF\n"
	const done = "outcome catch_up pg-b@1000 pg-c@990\noutcome promote done\noutcome configure done\noutcome route done\noutcome verify done\ntick 1h\n"
	for name, test := range map[string]struct {
		commands string
		member   MemberName
		proven   bool
	}{
		"in the operation":            {fenced, "pg-a", true},
		"after it":                    {fenced + done, "pg-a", true},
		"of who was promoted":         {fenced + done, "pg-b", false},
		"of a standby all along":      {fenced + done, "pg-c", false},
		"of nobody":                   {fenced, "pg-z", false},
		"told to stop":                {"observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate UNKNOWN\n", "pg-a", false},
		"once it is a rogue":          {fenced + done + "pause orders\nobserve a: pg-a=primary@1000\n", "pg-a", false},
		"vouched for":                 {"observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate UNKNOWN\nobserve all: pg-a=down(timeout)\nattest orders pg-a\n", "pg-a", true},
		"vouched for at its adoption": {"tick 1m\nobserve all: pg-c=down(timeout)\nadopt orders attest=pg-c\n", "pg-c", true},
	} {
		w := given(t, adopted+test.commands)
		g := w.group(t)
		at := g.ProvenAt(test.member)
		if (at != 0) != test.proven {
			t.Errorf("%s: %v", name, at)
		}
		if test.proven && (at > w.wall() || at < g.History.Epochs[0].Wall) {
			t.Errorf("%s: at %v", name, at)
		}
	}
	w := given(t, adopted+fenced)
	before := w.group(t).ProvenAt("pg-a")
	w.do(t, done)
	if after := w.group(t).ProvenAt("pg-a"); after != before || before == 0 {
		t.Errorf("it was proven at %v, and is said to have been at %v later", before, after)
	}
	w.do(t, "observe a: pg-a=primary@1000\ntick 1m\noutcome isolate CONFIRMED_OFF\n") // it comes back as a rogue, and is fenced anew
	if again := w.group(t).ProvenAt("pg-a"); again < before+WallTime(time.Hour) {
		t.Errorf("it was proven anew at %v, an hour after %v", again, before)
	}
	g := w.group(t).clone()
	g.History.Receipts = nil
	if at := g.ProvenAt("pg-a"); at != 0 {
		t.Errorf("of an operation that is not kept any more: %v", at)
	}
}
