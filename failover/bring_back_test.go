package failover

import (
	"strings"
	"testing"
)

// What to do about a member that is down depends on whether it may have written what the primary lacks: the steps for a former primary copy or rewind
// it, and one that was only stopped is started.
func TestBringBack_OneThatWasOnlyStoppedIsStarted(t *testing.T) {
	const done = "outcome configure done\noutcome route done\noutcome verify done\n"
	const failover = "observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@1000 pg-c@990\noutcome promote done\n" + done
	for name, test := range map[string]struct {
		commands string
		member   MemberName
		rebuilt  bool
	}{
		"a stopped standby":                     {"observe all: pg-c=down(refused)\n", "pg-c", false},
		"a stopped standby after a failover":    {failover + "observe all: pg-c=down(refused)\n", "pg-c", false},
		"a fenced primary":                      {failover, "pg-a", true},
		"a fenced rogue":                        {"observe c: pg-c=primary@1000\noutcome isolate CONFIRMED_OFF\nobserve all: pg-c=down(timeout)\n", "pg-c", true},
		"a rogue that is down":                  {"pause orders\nobserve c: pg-c=primary@1000\nobserve all: pg-c=down(refused)\n", "pg-c", true},
		"one that was vouched for":              {"observe all: pg-c=down(timeout)\nadopt orders attest=pg-c\n", "pg-c", true},
		"a former primary that was a standby":   {failover + "observe all: pg-a=standby@1000 pg-b=primary@1000\nadopt orders\nobserve all: pg-a=down(refused)\n", "pg-a", false},
		"one of a group that is not adopted":    {"apply orders address=pg-c:new:5432\nobserve all: pg-c=down(refused)\n", "pg-c", true},
		"a new one of which nothing is known":   {"restored\nobserve all: pg-c=down(refused)\n", "pg-c", true},
		"a stopped standby beside another gone": {"observe all: pg-b=down(refused) pg-c=down(refused)\n", "pg-b", false},
	} {
		w := given(t, adopted+test.commands)
		got := w.group(t).BringBack(test.member)
		if rebuilt := strings.Contains(got, `"A rogue"`); rebuilt != test.rebuilt || !strings.Contains(got, string(test.member)) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
