package arbiter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/supervise"
)

// slowRaft takes its time to confirm, whatever the context says.
type slowRaft struct {
	consensus
	confirmed chan struct{}
}

func (r slowRaft) Confirm(context.Context) error {
	<-r.confirmed
	return nil
}

// loopOn is a loop of an arbiter that has applied nothing; nobody runs it.
func loopOn(t *testing.T, raft consensus) *loop {
	return &loop{
		node: "az-a", clock: clock.Monotonic(), log: quiet(), raft: raft, inputs: make(chan any, 1), state: fsm.New(fsm.Hooks{}).State,
		group: supervise.NewGroup(t.Context()),
	}
}

// Whoever stops an arbiter waits for all that its loop has begun.
func TestLoop_WhatItBeginsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raft, waited := slowRaft{confirmed: make(chan struct{})}, make(chan struct{})
		l := loopOn(t, raft)
		l.failpoint = func(string) bool { <-waited; return false }
		l.confirm(failover.Confirm{ID: 1})
		l.proposeAgain(nil, "pause")
		l.group.Stop(nil)
		synctest.Wait()
		if running, want := l.group.Running(), []string{"confirmation", "proposal once more"}; !slices.Equal(running, want) {
			t.Errorf("%v run, want %v", running, want)
		}
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.group.WaitFor(limited); !errors.Is(err, supervise.ErrStillRunning) {
			t.Errorf("nothing was waited for: %v", err)
		}
		close(raft.confirmed)
		close(waited)
		if err := l.group.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// noRaft must not be asked.
type noRaft struct{ consensus }

// An entry that can't be written was never handed to Raft: its fate is known, and nobody need stop leading for it (S4).
func TestLoop_WhatCannotBeEncodedIsRefused(t *testing.T) {
	l := loopOn(t, noRaft{})
	l.propose(failover.Propose{ID: 7, Body: failover.HoldOperation{Group: "pay", Detail: strings.Repeat("x", fsm.MaxEntryBytes)}})
	if got := <-l.inputs; got != (failover.ProposalEnded{ID: 7, Refused: true}) {
		t.Errorf("%+v", got)
	}
}
