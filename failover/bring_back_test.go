package failover

import (
	"strings"
	"testing"
	"time"
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
		got := w.group(t).BringBack(&w.state, test.member)
		if rebuilt := strings.Contains(got, `"Bringing a fenced machine back"`); rebuilt != test.rebuilt || !strings.Contains(got, string(test.member)) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Nobody is told to start a member that is just being fenced; what the tries so far came to is told instead.
func TestBringBack_NotOneThatIsBeingFenced(t *testing.T) {
	w := given(t, adopted+"observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate UNKNOWN\n")
	g := w.group(t)
	if got := g.BringBack(&w.state, "pg-a"); !strings.HasPrefix(got, "leave pg-a as it is for now: it is being fenced") {
		t.Errorf("while it is fenced: %s", got)
	}
	if got := Explain(&w.state, "orders", Durations{LeaseLeft: time.Second, Running: true}).Summary; !strings.Contains(got, "the isolation of pg-a is in progress; it failed once before (") {
		t.Errorf("summary: %s", got)
	}
}

// A former primary that was rebuilt, and stopped then, is started too. What tells it from one that was not is what it said last.
func TestBringBack_OneThatWasRebuiltIsStarted(t *testing.T) {
	const promoted = "observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@1000 pg-c@990\noutcome promote done timeline=2\n" +
		"outcome configure done\noutcome route done\noutcome verify done\nobserve all: pg-b=primary@1000/2\n"
	for name, test := range map[string]struct {
		commands string
		member   MemberName
		rebuilt  bool // whether it has to be
	}{
		"in recovery on the primary's timeline":      {"observe all: pg-a=standby@1000/2\nobserve all: pg-a=stopped-standby@1000/2\n", "pg-a", false},
		"as two of three know":                       {"observe a,b: pg-a=stopped-standby@1000/2\nobserve c: pg-a=down(timeout)\n", "pg-a", false},
		"as one of three knows":                      {"observe a: pg-a=stopped-standby@1000/2\nobserve b,c: pg-a=down(timeout)\n", "pg-a", true},
		"as two know, of whom one doubts itself":     {"observe a,b: pg-a=stopped-standby@1000/2\nobserve c: pg-a=down(timeout)\ndoubt b late\n", "pg-a", true},
		"in recovery on its own timeline":            {"observe all: pg-a=stopped-standby@1000/1\n", "pg-a", true},
		"in recovery on one that it doesn't say":     {"observe all: pg-a=stopped-standby@1000\n", "pg-a", true},
		"in recovery on a newer one":                 {"observe all: pg-a=stopped-standby@1000/3\n", "pg-a", true},
		"of another system":                          {"observe all: pg-a=stopped-stranger@1000/2\n", "pg-a", true},
		"only what it was as the primary":            {"observe all: pg-a=old-primary(refused)@1000/2\n", "pg-a", true},
		"a rogue that was a standby when last asked": {"observe a: pg-c=primary@1000/3\noutcome isolate CONFIRMED_OFF\nobserve all: pg-c=stopped-standby@1000/2\n", "pg-c", true},
		"a rogue that is down":                       {"pause orders\nobserve a: pg-a=primary@1000/2\nobserve all: pg-a=stopped-standby@1000/2\n", "pg-a", true},
		"beside a primary that is down since":        {"observe all: pg-a=stopped-standby@1000/2\nobserve all: pg-b=down(refused)\n", "pg-a", false},
	} {
		w := given(t, adopted+promoted+test.commands)
		got := w.group(t).BringBack(&w.state, test.member)
		if rebuilt := strings.Contains(got, `"Bringing a fenced machine back"`); rebuilt != test.rebuilt {
			t.Errorf("%s: %s", name, got)
		}
	}
	w := given(t, adopted+promoted+"observe all: pg-a=stopped-standby@1000/2\n")
	g := w.group(t).clone()
	g.Member("pg-b").Promoting = true // for the second time, perhaps beside a third one that was the primary in between
	if got := g.BringBack(&w.state, "pg-a"); !strings.Contains(got, `"Bringing a fenced machine back"`) {
		t.Errorf("beside a promotion that is not proven: %s", got)
	}
}
