package failover

import (
	"fmt"
	"strings"
	"testing"
)

// rogueSituations are where a rogue may turn up: alone, and at the stages of a failover.
var rogueSituations = []struct{ name, before, after string }{
	{"at rest", "", ""},
	{"after the fence", "observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate CONFIRMED_OFF\n", "outcome catch_up pg-b@1000\n"},
	{"while promoting", "observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@1000 pg-c@990\n", "outcome promote failed\n"},
	{"once promoted", "observe all: pg-a=down(refused)\nlook-again answers\noutcome isolate CONFIRMED_OFF\noutcome catch_up pg-b@1000 pg-c@990\noutcome promote done\n", "outcome configure failed\n"},
}

// rogueSettings are what decides whether a rogue is fenced by itself.
type rogueSettings struct {
	automation Automation
	refence    bool
	paused     bool
	fence      string // what an arbiter says of it; empty: nothing
	came       string // before the rogue was there, or after: under full automation, or when it had waited for a person
	cooled     bool   // an automatic failover was done a moment ago
}

func everyRogueSetting() (all []rogueSettings) {
	both := []bool{false, true}
	for _, automation := range []Automation{AutomationFull, AutomationObserve} {
		for _, refence := range both {
			for _, paused := range both {
				for _, fence := range []string{"", "silent", "contradicted"} {
					for _, came := range []string{"before", "after", "after it was held"} {
						for _, cooled := range both {
							if cooled && fence != "" {
								continue // each alone is enough
							}
							all = append(all, rogueSettings{automation, refence, paused, fence, came, cooled})
						}
					}
				}
			}
		}
	}
	return all
}

// commands bring a group under the settings.
func (r rogueSettings) commands() string {
	refence := map[bool]string{false: "no", true: "yes"}[r.refence]
	text := fmt.Sprintf("apply orders automation=%s refence_rogues=%s\n", r.automation, refence)
	if r.paused {
		text += "pause orders\n"
	}
	if r.fence != "" {
		text += "paths a orders pg-c " + r.fence + "\n"
	}
	return text
}

// withRogue is a world in which pg-c is a rogue.
func withRogue(t *testing.T, before, after string, r rogueSettings) *world {
	t.Helper()
	w := given(t, adopted+before)
	if r.cooled {
		i, _ := w.state.groupAt("orders")
		w.state.Groups[i] = w.state.Groups[i].clone()
		w.state.Groups[i].LastFailover = w.wall()
	}
	const rogue = "observe c: pg-c=primary@1000\n"
	goOn := func() {
		if start, runs := w.arbiters["a"].started["orders"]; runs && strings.HasPrefix(after, "outcome "+string(start.Action.Kind)) {
			w.do(t, after)
		}
	}
	switch r.came {
	case "before":
		w.do(t, r.commands()+rogue)
	case "after":
		w.do(t, rogue+r.commands())
	default:
		w.do(t, "apply orders refence_rogues=no\n"+rogue)
		goOn()
		w.do(t, r.commands())
	}
	goOn()
	return w
}

func (w *world) fences(member MemberName) bool {
	start, runs := w.arbiters["a"].started["orders"]
	return runs && start.Action.Kind == ActionIsolate && start.Action.Member == member
}

// left gives what runs, but for a fence of a member, time to end, again and again.
func (w *world) left(t *testing.T, member MemberName) {
	t.Helper()
	for range 6 {
		if w.fences(member) {
			return
		}
		if start, runs := w.arbiters["a"].started["orders"]; runs {
			w.do(t, "outcome "+string(start.Action.Kind)+" failed\n")
		}
		w.do(t, "tick 11s\n")
	}
}

// explain never says that a rogue waits for a person that is fenced by itself, nor the opposite; and who is told to let it be fenced does so by that.
func TestExplain_SaysOfARogueWhatBecomesOfIt(t *testing.T) {
	for _, at := range rogueSituations {
		for _, settings := range everyRogueSetting() {
			t.Run(fmt.Sprintf("%s %+v", at.name, settings), func(t *testing.T) {
				checkRogueWords(t, settings, func() *world { return withRogue(t, at.before, at.after, settings) })
			})
		}
	}
}

func checkRogueWords(t *testing.T, settings rogueSettings, situation func() *world) {
	t.Helper()
	w := situation()
	if w.group(t).Operation == nil || w.group(t).Member("pg-c").Authority != AuthorityRevoked {
		t.Fatal("there is no rogue")
	}
	d := w.leader("a").controller.Durations("orders", w.now, w.wall())
	e := Explain(&w.state, "orders", d)
	said := e.Summary + "\n" + strings.Join(e.Next, "\n")
	for _, guard := range e.Decision.Guards {
		if guard.OK {
			said += "\n" + guard.Detail
		}
	}
	if settings.refence && strings.Contains(said, "only by hand") {
		t.Errorf("the policy fences rogues by itself, and it is said:\n%s", said)
	}
	leaves := w.group(t).leavesRogues()
	w.left(t, "pg-c")
	fenced := w.fences("pg-c")
	for _, words := range []string{"only by hand", "nothing happens", "let pg-c be fenced"} {
		if fenced && strings.Contains(said, words) {
			t.Errorf("fenced by itself, and it is said:\n%s", said)
		}
	}
	if !fenced && strings.Contains(said, "by itself") && !strings.Contains(said, "nothing happens") {
		t.Errorf("not fenced, and it is said:\n%s", said)
	}
	if !fenced && !leaves && !strings.Contains(said, "arbiterctl attest orders pg-c") {
		t.Errorf("nothing is said of what to do:\n%s", said)
	}
	if leaves == strings.Contains(e.WouldDo, "fence pg-c") && leaves {
		t.Errorf("it goes on beside the rogue, and it is said: %s", e.WouldDo)
	}
	for _, verb := range []string{"release", "resume"} {
		if !strings.Contains(said, "pg-c be fenced: arbiterctl "+verb) {
			continue
		}
		w := situation()
		w.do(t, verb+" orders\n")
		if w.left(t, "pg-c"); !w.fences("pg-c") {
			t.Errorf("%s does not have it fenced, though it is said:\n%s", verb, said)
		}
	}
}
