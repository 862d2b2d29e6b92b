package failover

import (
	"strings"
	"testing"
)

// A release of what was aborted either has it go on, or is refused with what to do instead; explain advises it only in the first case. In between the
// group may have been paused, or be only observed.
func TestS14_AReleaseAfterAnAbortGoesOnOrIsRefused(t *testing.T) {
	const down = "observe all: pg-a=down(refused)\n"
	for name, begun := range map[string]string{
		"a rogue":                  "observe c: pg-c=primary@1000\n",
		"a primary that is down":   down,
		"a primary to be isolated": down + "look-again answers\n",
		"an operator's":            "failover orders\nlook-again answers\n",
		"a rogue beside it":        down + "look-again answers\nobserve c: pg-c=primary@1000\noutcome isolate CONFIRMED_OFF\n",
		"a former primary back":    down + "look-again answers\nreinstate orders\n",
	} {
		for _, setting := range []string{"", "apply orders automation=observe\n", "pause orders\n", "apply orders refence_rogues=no\n", "pause orders\napply orders automation=observe\n"} {
			for _, text := range []string{setting + begun + "ABORT\n", begun + setting + "ABORT\n", begun + "ABORT\n" + setting} {
				t.Run(name+": "+strings.ReplaceAll(text, "\n", "; "), func(t *testing.T) {
					w := newWorld()
					before, after, _ := strings.Cut(adopted+text, "ABORT\n")
					w.runWhatRuns(before)
					w.runWhatRuns("abort orders")
					if op := w.group(t).Operation; op == nil || !op.Aborted {
						return // nothing was done, and it is over
					}
					w.runWhatRuns("outcome isolate failed\n" + after)
					checkRelease(t, w)
				})
			}
		}
	}
}

// What was aborted before anything was done to the writer is not to be aborted again to get that writer back.
func TestReinstate_AfterAnAbortAdvisesNoAbort(t *testing.T) {
	for commands, advises := range map[string]string{leased: "arbiterctl abort orders", leased + "abort orders\n": "nothing has to be undone: bring pg-a back"} {
		w := given(t, commands)
		rejected, refused := w.entry("", 0, Reinstate{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied})
		if !refused || !strings.HasPrefix(rejected.Next, advises) {
			t.Errorf("%v, %+v", refused, rejected)
		}
	}
}

// runWhatRuns runs commands, but for outcomes of what is not running.
func (w *world) runWhatRuns(commands string) {
	for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
		fields := strings.Fields(line)
		if start := w.arbiters["a"]; len(fields) > 1 && fields[0] == "outcome" && string(start.started["orders"].Action.Kind) != fields[1] {
			continue
		}
		if err := w.run(fields); err != nil {
			panic(line + ": " + err.Error())
		}
		w.settle()
	}
}

func checkRelease(t *testing.T, w *world) {
	t.Helper()
	e := Explain(&w.state, "orders", w.leader("a").controller.Durations("orders", w.now, w.wall()))
	said := strings.Join(e.Next, "\n")
	held := w.group(t).Hold
	rejected, refused := w.entry("", 0, Release{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied})
	if strings.Contains(said, "arbiterctl release") == refused {
		t.Errorf("refused: %v; explain said:\n%s", refused, said)
	}
	if refused {
		if g := w.group(t); rejected.Rule != "S14" || !strings.Contains(rejected.Next, "arbiterctl ") || g.Hold != held {
			t.Errorf("%+v, %+v", rejected, g.Hold)
		}
		return
	}
	w.settle()
	w.runWhatRuns("look-again answers")
	g := w.group(t)
	if _, runs := w.arbiters["a"].started["orders"]; !runs && g.Stage != Held {
		t.Errorf("nothing is done, and it is %s", g.Stage)
	}
	if strings.Contains(said, "fences pg-c") || strings.Contains(said, "let pg-c be fenced") {
		if !w.fences("pg-c") {
			t.Errorf("pg-c is not fenced, it is %s for %s; explain said:\n%s", g.Stage, g.Hold.Reason, said)
		}
	}
}

// What a cool-down or another hold waits for is not released in a paused group either: it would pass unseen when the group is resumed.
func TestS14_NoReleaseInAPausedGroupBeforeAnythingWasDone(t *testing.T) {
	behind := strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@200 pg-c=standby@150", 1)
	w := given(t, behind+"observe all: pg-a=down(refused)\nlook-again answers\n")
	w.wantHeld(t, HoldLossBound)
	w.do(t, "pause orders\n")
	release := Release{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.state.Applied, AcceptLoss: true, LossBytes: 1000}
	w.refused(t, "S14", "", 0, release)
	w.do(t, "resume orders\n")
	w.accepted(t, "", 0, release)
}

// Who let an operation go on is kept with it, and with the epochs that it took then: what was fenced by a person's word is not told of as automatic.
func TestRelease_ItsActorIsKept(t *testing.T) {
	w := given(t, adopted+"apply orders refence_rogues=no\nobserve c: pg-c=primary@1000\n")
	w.wantHeld(t, HoldRefenceByHand)
	if by := w.group(t).Operation.ReleasedBy; by != "" {
		t.Errorf("before anybody released it, %q did", by)
	}
	w.do(t, "release orders\noutcome isolate CONFIRMED_OFF\n")
	h := w.group(t).History
	if op := h.Receipts[0].Operation; op.Kind != KindRefence || op.ReleasedBy != "dana" {
		t.Errorf("%s, released by %q", op.Kind, op.ReleasedBy)
	}
	if row := h.Epochs[len(h.Epochs)-1]; !strings.HasPrefix(row.Why, "refence: ") || !strings.HasSuffix(row.Why, ", released by dana") {
		t.Errorf("the epoch's row: %q", row.Why)
	}
	w = given(t, strings.Replace(adopted, "pg-b=standby@1000 pg-c=standby@990", "pg-b=standby@200 pg-c=standby@150", 1)+"failover orders\nlook-again answers\n")
	w.wantHeld(t, HoldLossBound)
	w.accepted(t, "", 0, Release{Request: w.request(), Group: "orders", Operation: w.group(t).Operation.ID, Seen: w.group(t).Turn(), AcceptLoss: true, LossBytes: 1000})
	if op := w.group(t).Operation; op.ReleasedBy != "dana" || op.why() != "failover: asked for by dana" {
		t.Errorf("one that the same person asked for: by %q, %q", op.ReleasedBy, op.why())
	}
	w = given(t, adopted+"observe c: pg-c=primary@1000\noutcome isolate CONFIRMED_OFF\n")
	h = w.group(t).History
	if op, row := h.Receipts[0].Operation, h.Epochs[len(h.Epochs)-1]; op.ReleasedBy != "" || strings.Contains(row.Why, "released") {
		t.Errorf("one that nobody released: by %q, %q", op.ReleasedBy, row.Why)
	}
}
