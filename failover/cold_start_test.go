package failover

import (
	"strings"
	"testing"
	"time"
)

const coldGroup = `arbiters a b c
group orders pg-a pg-b pg-c sync=pg-b max_loss=none cold_start_grace=2m
reign a 1
observe all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990
adopt orders
`

// stopped is a full stop after which all arbiters are there, and no member is.
const stopped = coldGroup + `cold a
cold b
cold c
reign b 2
observe all: pg-a=down(timeout) pg-b=down(timeout) pg-c=down(timeout)
`

// began says whether a failover has begun to act, after everybody has looked again.
func (w *world) began(t *testing.T) bool {
	t.Helper()
	w.do(t, "look-again answers")
	g := w.group(t)
	return g.Stage != Steady && g.Stage != Suspected && g.Stage != Confirmed || g.Epoch != 1
}

func TestColdStartGrace_WhoeverComesFirst(t *testing.T) {
	standbys := "observe all: pg-b=standby@1000\nobserve all: pg-c=standby@990\n"
	for name, order := range map[string]string{
		"primary last":       standbys + "tick 100s\nobserve all: pg-a=degraded(starting-up)\nobserve all: pg-a=primary@1000",
		"primary first":      "tick 100s\nobserve all: pg-a=primary@1000\n" + standbys,
		"primary in between": "observe all: pg-b=standby@1000\ntick 100s\nobserve all: pg-a=primary@1000\nobserve all: pg-c=standby@990",
		"the leader changes": standbys + "tick 50s\ndepose b\nreign c 3\nobserve all\ntick 50s\nlook-again answers\nobserve all: pg-a=primary@1000",
		"the leader is new":  standbys + "tick 50s\ndepose b\ncold b\nreign c 3\nobserve all: pg-a=down(timeout)\ntick 50s\nobserve all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990",
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, stopped)
			for _, line := range strings.Split(order, "\n") {
				if line == "" {
					continue
				}
				if w.do(t, line); w.began(t) {
					t.Fatalf("it fails over\n%s", w.out.String())
				}
			}
			if g := w.group(t); g.Stage != Steady || g.Writer() != "pg-a" {
				t.Errorf("it is %s, and %s the writer\n%s", g.Stage, g.Writer(), w.out.String())
			}
		})
	}
}

// What somebody remembers costs nothing: one arbiter of those who see it down is enough.
func TestColdStartGrace_WhatIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		name, views string
		waits       bool
	}{
		{"all of them remember it", "observe all: pg-a=down(timeout)", false},
		{"one was started again", "cold c\nobserve c: pg-b=standby@1000 pg-c=standby@990\nobserve all: pg-a=down(timeout)", false},
		{"two were started again", "cold b\ncold c\nobserve b,c: pg-b=standby@1000 pg-c=standby@990\nobserve all: pg-a=down(timeout)", false},
		{"lost with the leader", "observe b,c: pg-a=down(timeout)\ndepose a\nreign b 2\nobserve b,c", false},
		{"lost with the leader, while one was down", "cold c\nobserve c: pg-b=standby@1000 pg-c=standby@990\nobserve b,c: pg-a=down(timeout)\ndepose a\nreign c 2\nobserve b,c", false},
		{"who remembers it sees it up", "cold b\ncold c\nobserve b,c: pg-a=down(timeout) pg-b=standby@1000 pg-c=standby@990", true},
		{"who remembers it says nothing", "doubt a stalled\ncold b\ncold c\nobserve b,c: pg-a=down(timeout) pg-b=standby@1000 pg-c=standby@990", true},
		{"said to be starting, and then refused", "cold a\ncold b\ncold c\nreign a 2\nobserve all: pg-a=degraded(starting-up) pg-b=standby@1000 pg-c=standby@990\nobserve all: pg-a=down(refused)", false},
		{"heard by one, and then refused", "cold a\ncold b\ncold c\nreign a 2\nobserve all: pg-a=down(refused) pg-b=standby@1000 pg-c=standby@990\nobserve c: pg-a=primary@1000\nobserve c: pg-a=down(refused)", false},
		{"refuses passwords, and then refuses", "cold a\ncold b\ncold c\nreign a 2\nobserve all: pg-a=unknown(bad-credentials) pg-b=standby@1000 pg-c=standby@990\nobserve all: pg-a=down(refused)", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := given(t, coldGroup+test.views+"\n")
			if began := w.began(t); began == test.waits || w.group(t).Operation == nil {
				t.Errorf("it fails over: %v\n%s", began, w.out.String())
			}
		})
	}
}

func TestColdStartGrace_IsOffByDefaultHere(t *testing.T) {
	w := given(t, strings.Replace(stopped, " cold_start_grace=2m", "", 1)+"observe all: pg-b=standby@1000 pg-c=standby@990\n")
	if !w.began(t) {
		t.Errorf("it waits\n%s", w.out.String())
	}
}

// The grace ends, and the failover begins by itself.
func TestColdStartGrace_IsNeverEndless(t *testing.T) {
	w := given(t, stopped+"observe all: pg-b=standby@1000 pg-c=standby@990\n")
	w.do(t, "tick 119s")
	if w.began(t) {
		t.Fatalf("it does not wait\n%s", w.out.String())
	}
	w.do(t, "explain orders")
	text := w.out.String()
	for _, want := range []string{"pg-a is given 2m0s, of which 1s are left", "arbiterctl failover orders"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said:\n%s", want, text)
		}
	}
	w.do(t, "tick 1100ms")
	if !w.began(t) {
		t.Errorf("it still waits\n%s", w.out.String())
	}
}

// A failover that nobody could take over in is not advised: what is missing for it is, before the grace is over.
func TestColdStartGrace_NobodyToPromote(t *testing.T) {
	for name, test := range map[string]struct{ views, want, not string }{
		"somebody": {"observe all: pg-b=standby@1000 pg-c=standby@990", "don't wait:", "would be held"},
		"nobody":   {"tick 1s", "a failover would be held as things are; first start pg-b", "arbiterctl failover"},
		"too far":  {"observe all: pg-c=standby@10", "a failover would be held as things are; first bring the primary back", "don't wait:"},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, stopped+test.views+"\nexplain orders\n")
			if text := w.out.String(); !strings.Contains(text, test.want) || strings.Contains(text, test.not) {
				t.Errorf("%q is not said, or %q is:\n%s", test.want, test.not, text)
			}
		})
	}
}

// A new leader counts from when it saw the operation begin, and one that has only just started from its start.
func TestColdStartGrace_EndsForAnyLeader(t *testing.T) {
	w := given(t, stopped+"observe all: pg-b=standby@1000 pg-c=standby@990\ntick 100s\ndepose b\nreign c 3\nobserve all\ntick 21s\n")
	if !w.began(t) {
		t.Errorf("a follower has not counted\n%s", w.out.String())
	}
	w = given(t, stopped+"observe all: pg-b=standby@1000 pg-c=standby@990\ntick 100s\ndepose b\ncold c\nreign c 3\nobserve all: pg-a=down(timeout) pg-b=standby@1000 pg-c=standby@990\ntick 119s\n")
	if w.began(t) {
		t.Errorf("who has just started can't know how long it was\n%s", w.out.String())
	}
	w.do(t, "tick 2s")
	if !w.began(t) {
		t.Errorf("it is endless\n%s", w.out.String())
	}
}

func TestColdStartGrace_NotForAnOperator(t *testing.T) {
	w := given(t, stopped+"observe all: pg-b=standby@1000 pg-c=standby@990\n")
	if w.began(t) {
		t.Fatal("it does not wait")
	}
	w.do(t, "failover orders")
	if !w.began(t) {
		t.Errorf("an operator's failover waits\n%s", w.out.String())
	}
}

// A full stop in the middle of a failover: the new primary, which comes back last, is not given up for another one meanwhile.
func TestColdStartGrace_ForACandidateToo(t *testing.T) {
	const promoting = `arbiters a b c
group orders pg-a pg-b pg-c sync=pg-b max_loss=100 cold_start_grace=2m
reign a 1
observe all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990
adopt orders
observe all: pg-a=down(refused)
look-again answers
outcome isolate CONFIRMED_OFF
outcome catch_up pg-b@1000 pg-c@990
`
	const cold = "cold a\ncold b\ncold c\nreign b 2\nobserve all: pg-a=down(timeout) pg-b=down(timeout) pg-c=standby@990\ntick 3s\n"
	const dies = "observe all: pg-b=down(timeout)\n"
	givenUp := func(w *world) bool { return w.group(t).Member("pg-b").Authority == AuthorityRevoked }
	fail := func(w *world) {
		for range 3 {
			w.do(t, "look-again answers\noutcome promote unknown\ntick 1s")
		}
	}
	w := given(t, promoting+dies)
	if fail(w); !givenUp(w) {
		t.Errorf("a candidate that died is not given up\n%s", w.out.String())
	}
	w = given(t, promoting+cold)
	if fail(w); givenUp(w) {
		t.Errorf("the candidate is fenced before it had time to come back\n%s", w.out.String())
	}
	w.do(t, "explain orders")
	for _, want := range []string{"pg-b is given 2m0s, of which 1m5", "only after that"} {
		if text := w.out.String(); !strings.Contains(text, want) {
			t.Errorf("%q is not said:\n%s", want, text)
		}
	}
	waited := time.Duration(0)
	for began := w.now; !givenUp(w) && waited < 3*time.Minute; waited = w.now - began {
		w.do(t, "tick 11s\nlook-again answers\noutcome promote unknown")
	}
	if waited < 2*time.Minute || !givenUp(w) {
		t.Errorf("given up %v, %s after it was held\n%s", givenUp(w), waited, w.out.String())
	}
}
