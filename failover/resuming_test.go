package failover

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whoever resumes a group is told beforehand whether somebody is fenced by that, and who; and nobody is of whom it was not told.
func TestResuming_SaysWhatBecomesOfIt(t *testing.T) {
	const down = "observe all: pg-a=down(refused)\n"
	const beyond = down + "look-again answers\noutcome isolate CONFIRMED_OFF\n"
	const promotedIt = beyond + "outcome catch_up pg-b@1000 pg-c@990\noutcome promote done\n"
	const rogue = "observe c: pg-c=primary@1000\n"
	for name, commands := range map[string]string{
		"nothing":                         "pause orders\n",
		"a rogue":                         "pause orders\n" + rogue,
		"a rogue that waits":              "apply orders refence_rogues=no\n" + rogue + "pause orders\n",
		"a primary that is down":          "pause orders\n" + down,
		"one to have been down for long":  "apply orders minimum_unhealthy=5s\npause orders\n" + down,
		"nobody to promote":               "pause orders\nobserve all: pg-b=down(refused) pg-c=down(refused)\n" + down,
		"a primary that some see down":    "pause orders\nobserve a: pg-a=down(refused)\n",
		"an aborted failover":             "pause orders\n" + down + "abort orders\n",
		"an operator's failover":          "pause orders\nfailover orders\n",
		"a failover with a rogue":         beyond + "pause orders\n" + rogue + "outcome catch_up pg-b@1000\n",
		"a rogue beside a new primary":    promotedIt + "pause orders\n" + rogue,
		"a failover without a rogue":      beyond + "pause orders\n",
		"a reinstatement beside a rogue":  beyond + "pause orders\n" + rogue + "outcome catch_up pg-b@1000\nreinstate orders\n",
		"an aborted one beside a rogue":   beyond + "pause orders\n" + rogue + "outcome catch_up pg-b@1000\nabort orders\n",
		"a rogue and a primary that fell": "pause orders\n" + down + rogue,
	} {
		for _, setting := range []string{"", "automation=observe", "refence_rogues=no", "paths a orders pg-c contradicted", "paths a orders pg-a contradicted"} {
			t.Run(name+" "+setting, func(t *testing.T) {
				w := given(t, adopted+commands)
				switch {
				case strings.HasPrefix(setting, "paths"):
					w.do(t, setting+"\n")
				case setting != "":
					w.do(t, "apply orders "+setting+"\n")
				}
				checkResuming(t, w)
			})
		}
	}
}

func checkResuming(t *testing.T, w *world) {
	t.Helper()
	fenced := func() string {
		if start, runs := w.arbiters["a"].started["orders"]; runs && start.Action.Kind == ActionIsolate {
			return string(start.Action.Member)
		}
		return ""
	}
	if w.group(t).Operation != nil && !w.group(t).Operation.Automatic || fenced() != "" {
		return // what is fenced here is fenced in a paused group, too
	}
	copied, _ := Next(w.state, Entry{Index: w.state.Applied + 1, Body: Resume{Request: w.request(), Group: "orders"}})
	told := Resuming(&copied, "orders", w.leader("a").controller.Durations("orders", w.now, w.wall()), nil)
	w.do(t, "resume orders\nlook-again answers\n")
	for range 3 {
		if start, runs := w.arbiters["a"].started["orders"]; runs && start.Action.Kind != ActionIsolate {
			w.do(t, "outcome "+string(start.Action.Kind)+" failed\n")
		}
		if fenced() == "" {
			w.do(t, "tick 11s\nlook-again answers\n")
		}
	}
	got := fenced()
	waits := told.Acts && got == "" && strings.Contains(told.What, "begins as soon as") // for what does not come here
	if told.Acts != (got != "") && !waits || got != "" && !strings.Contains(told.What, fmt.Sprintf("fence %s by fence_test", got)) {
		t.Errorf("fenced: %q; told %v: %s", got, told.Acts, told.What)
	}
	if told.What == "" || strings.Contains(told.What, "..") || strings.Contains(told.What, ": .") {
		t.Errorf("words: %q", told.What)
	}
	t.Log(told.What)
}

// A new reign has heard nobody yet, and a standby may catch up: neither lasts, so a failover that waits for it is told of, and asked about.
func TestResuming_TellsOfAFailoverThatWaitsForWhatComesByItself(t *testing.T) {
	for name, commands := range map[string]string{
		"views":     "pause orders\nobserve all: pg-a=down(refused)\nreign b 2\n",
		"a standby": "observe all: pg-b=standby@1 pg-c=standby@1\npause orders\nobserve all: pg-a=down(refused)\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, adopted+commands)
			copied, _ := Next(w.state, Entry{Index: w.state.Applied + 1, Body: Resume{Request: w.request(), Group: "orders"}})
			told := Resuming(&copied, "orders", Durations{SinceLastFailover: -1}, nil)
			if !told.Acts || !strings.Contains(told.What, "A failover of pg-a begins as soon as") || !strings.Contains(told.What, "fence pg-a by fence_test") {
				t.Errorf("%v: %s", told.Acts, told.What)
			}
		})
	}
}

// Routes that were led elsewhere while the group was paused are led back as soon as it is resumed, if they may be.
func TestResuming_TellsOfAReroute(t *testing.T) {
	elsewhere := []RouterAnswer{{Route: "lb-1"}, {Route: "lb-2", Astray: "pg-b: clients arrive at it"}, {Route: "lb-3", Silent: "refused"}}
	const back = "Routes lead elsewhere than to pg-a (route lb-2, pg-b: clients arrive at it): they are led back at once, under a new epoch."
	const nothing = "Nothing waits for it: what is wrong from now on is acted on."
	for name, c := range map[string]struct {
		log      string
		routers  []RouterAnswer
		reroutes Reroutes
		want     string
	}{
		"astray":                 {"", elsewhere, Reroutes{}, back},
		"as they should be":      {"", elsewhere[:1], Reroutes{}, nothing},
		"not known":              {"", elsewhere[2:], Reroutes{}, nothing},
		"the primary is down":    {"observe all: pg-a=unknown(bad-credentials)\n", elsewhere, Reroutes{}, nothing},
		"nothing is automatic":   {"apply orders automation=observe\n", elsewhere, Reroutes{}, "Nothing is begun by itself: policy.automation is observe."},
		"after many in a row":    {"", elsewhere, Reroutes{Done: 3}, "They are not led back at once: its routes are left alone until"},
		"the group has no route": {"apply orders routes=none\n", elsewhere, Reroutes{}, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, adopted+c.log+"pause orders\n")
			copied, _ := Next(w.state, Entry{Index: w.state.Applied + 1, Body: Resume{Request: w.request(), Group: "orders"}})
			copied.Group("orders").Reroutes = c.reroutes
			told := Resuming(&copied, "orders", Durations{SinceLastFailover: -1, SinceReroute: time.Second}, c.routers)
			if told.Acts || told.What != c.want && !strings.Contains(told.What, c.want) {
				t.Errorf("%v: %s", told.Acts, told.What)
			}
		})
	}
}
