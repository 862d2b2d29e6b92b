package failover

import (
	"strings"
	"testing"
	"time"
)

const restarting = `arbiters a b c
group orders pg-a pg-b pg-c max_loss=100 restart_grace=10s
reign a 1
observe all: pg-a=primary@1000 pg-b=standby@1000 pg-c=standby@990
adopt orders
observe all: pg-a=degraded(shutting-down)
`

// waits says whether the failover waits for a restart, after everybody has looked again.
func (w *world) waits(t *testing.T) bool {
	t.Helper()
	if err := w.run([]string{"look-again", "answers"}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	g := w.group(t)
	if g.Operation == nil {
		t.Fatalf("no operation\n%s", w.out.String())
	}
	return g.Stage == Confirmed
}

func TestRestartGrace_WhatIsWaitedFor(t *testing.T) {
	tests := []struct {
		name, views string
		waits       bool
	}{
		{"refused after a word of it", "observe all: pg-a=down(refused)", true},
		{"reset after a word of it", "observe all: pg-a=down(reset)", true},
		{"told to a quorum", "observe c: pg-a=primary@1000\nobserve all: pg-a=down(refused)", true},
		{"told to one", "observe b,c: pg-a=primary@1000\nobserve all: pg-a=down(refused)", false},
		{"served since", "observe all: pg-a=primary@1000\nobserve all: pg-a=down(refused)", false},
		{"alive in another way since", "observe all: pg-a=degraded(too-many-connections)\nobserve all: pg-a=down(refused)", false},
		{"no answer", "observe all: pg-a=down(timeout)", false},
		{"no route", "observe all: pg-a=down(no-route)", false},
		{"no commit", "observe all: pg-a=down(write-stalled)", false},
		{"no answer to most of them", "observe a,b: pg-a=down(timeout)\nobserve c: pg-a=down(refused)", false},
		{"refused by a machine that did not answer before", "observe all: pg-a=down(timeout)\nobserve all: pg-a=down(refused)", false},
		{"credentials that don't work in between", "observe all: pg-a=unknown(bad-credentials)\nobserve all: pg-a=down(refused)", true},
		{"a new leader", "observe all: pg-a=down(refused)\ndepose a\nreign b 2\nobserve all", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := given(t, restarting+test.views).waits(t); got != test.waits {
				t.Errorf("waits: %v, want %v", got, test.waits)
			}
		})
	}
}

func TestRestartGrace_NoneByDefault(t *testing.T) {
	w := given(t, strings.Replace(restarting, " restart_grace=10s", "", 1)+"observe all: pg-a=down(refused)\n")
	if w.waits(t) {
		t.Error("a failover without restart_grace waits")
	}
}

// The grace ends also for a leader that has only just started, and while the leaders change.
func TestRestartGrace_IsNeverEndless(t *testing.T) {
	w := given(t, restarting+"observe all: pg-a=down(refused)\n")
	for round, leader := range []string{"b", "c", "a"} {
		if err := w.run(strings.Fields("tick 3s")); err != nil {
			t.Fatal(err)
		}
		for _, sight := range []string{"degraded(starting-up)", "down(refused)"} {
			if err := w.run(strings.Fields("observe all: pg-a=" + sight)); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range w.order {
			if w.arbiters[a].controller.Leading() {
				w.step(w.arbiters[a], Deposed{})
			}
		}
		w.arbiters[NodeID(leader)].term = Term(round + 2)
		w.step(w.arbiters[NodeID(leader)], Elected{Term: Term(round + 2)})
		w.settle()
		if err := w.run([]string{"observe", "all"}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if !w.waits(t) {
			t.Fatalf("after %d leaders it does not wait", round+1)
		}
	}
	if err := w.run(strings.Fields("tick 1100ms")); err != nil {
		t.Fatal(err)
	}
	if w.waits(t) {
		t.Errorf("it still waits\n%s", w.out.String())
	}

	state := w.state
	d := NewController("a", DefaultSettings("c1"), &state, w.now).Durations("orders", w.now+11*time.Second, 0)
	if d.Restarting != 11*time.Second {
		t.Errorf("an arbiter that has just started counts %s", d.Restarting)
	}
}

// An operator's failover does not wait, and a wait ends when somebody asks for one.
func TestRestartGrace_NotForAnOperator(t *testing.T) {
	w := given(t, restarting+"observe all: pg-a=down(refused)\n")
	if !w.waits(t) {
		t.Fatal("it does not wait")
	}
	if err := w.run([]string{"failover", "orders"}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if w.waits(t) {
		t.Error("the operator's failover waits for a restart")
	}
}

func TestRestartSign(t *testing.T) {
	spec := &Spec{Health: Health{Checks: []Check{{Name: "postgres", Required: true}, {Name: "tcp", Required: true}, {Name: "web"}}}}
	tests := []struct {
		postgres, tcp, web Reason
		want               restartSign
	}{
		{ReasonAnswered, ReasonAnswered, ReasonAnswered, restartOver},
		{ReasonAnswered, ReasonAnswered, ReasonStartingUp, restartOver},
		{ReasonStartingUp, ReasonAnswered, ReasonTimeout, restartSaid},
		{ReasonShuttingDown, ReasonRefused, ReasonAnswered, restartSaid},
		{ReasonCrashRecovery, ReasonTimeout, ReasonAnswered, restartOver},
		{ReasonRefused, ReasonAnswered, ReasonAnswered, restartUntold},
		{ReasonArbiterTrouble, ReasonAnswered, ReasonAnswered, restartUntold},
		{ReasonSlow, ReasonAnswered, ReasonAnswered, restartOver},
		{ReasonWriteStalled, ReasonAnswered, ReasonAnswered, restartOver},
	}
	for _, test := range tests {
		o := Observation{Checks: []CheckState{
			{Name: "postgres", Evidence: Evidence{Reason: test.postgres}},
			{Name: "tcp", Evidence: Evidence{Reason: test.tcp}},
			{Name: "web", Evidence: Evidence{Reason: test.web}},
		}}
		if got := spec.restartSign(o); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// A spec changes between two looks: what a check said that it doesn't have any more neither ends a restart nor begins one.
func TestRestartSign_OfChecksThatWereRemoved(t *testing.T) {
	spec := &Spec{Health: Health{Checks: []Check{{Name: "postgres", Required: true}}}}
	tests := []struct {
		postgres, removed Reason // postgres may be missing
		want              restartSign
	}{
		{ReasonStartingUp, ReasonTimeout, restartSaid},
		{ReasonRefused, ReasonTimeout, restartUntold},
		{ReasonRefused, ReasonStartingUp, restartUntold},
		{ReasonAnswered, ReasonRefused, restartOver},
		{"", ReasonTimeout, restartUntold},
		{"", ReasonAnswered, restartUntold},
	}
	for _, test := range tests {
		o := Observation{Checks: []CheckState{{Name: "removed", Evidence: Evidence{Reason: test.removed}}}}
		if test.postgres != "" {
			o.Checks = append(o.Checks, CheckState{Name: "postgres", Evidence: Evidence{Reason: test.postgres}})
		}
		if got := spec.restartSign(o); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
