package arbiter

import (
	"context"
	"errors"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/supervise"
)

// Who asks for a hand-over while another one is under way hears of its own, which the Controller begins when the other has failed.
func TestGiveUpLead_HearsOfItsOwnHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{leading: newLatch(), vain: newHandOvers(), loop: &loop{inputs: make(chan any, 10)}}
		n.leading.set(true)
		ended := make(chan error, 1)
		go func() { ended <- n.giveUpLead(t.Context(), failover.Drain{Why: "shutting down"}) }()
		synctest.Wait()
		if asked := <-n.loop.inputs; asked != (failover.Drain{Why: "shutting down"}) {
			t.Fatalf("%+v", asked)
		}
		n.vain.fail(failover.Drain{Why: "it doubts its own view", To: "az-b"}, context.Canceled)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("took another one's failure for its own: %v", err)
		default:
		}
		n.vain.fail(failover.Drain{Why: "shutting down"}, context.DeadlineExceeded)
		if err := <-ended; !errors.Is(err, errKeptLead) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if len(n.vain.waiting) != 0 {
			t.Errorf("%d still wait", len(n.vain.waiting))
		}
	})
}

// Neither a hand-over that waits behind another one nor an orderly stop with all that belongs to it is cut off by systemd.
func TestHandOverAndDrain_EndBeforeSystemdKills(t *testing.T) {
	unit, err := os.ReadFile("../deploy/arbiterd.service")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(unit)
	if found == nil {
		t.Fatal("the unit has no TimeoutStopSec in seconds")
	}
	limit, err := time.ParseDuration(string(found[1]) + "s")
	if err != nil || handOverLimit >= limit || drainLimit+raftLimit+2*restLimit >= limit {
		t.Errorf("a hand-over may take %v, a drain %v, and systemd kills after %v (%v)", handOverLimit, drainLimit+raftLimit+2*restLimit, limit, err)
	}
}

// One that a later request has replaced is never begun: who asked for it does not wait for ever.
func TestGiveUpLead_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{leading: newLatch(), vain: newHandOvers(), loop: &loop{inputs: make(chan any, 10)}}
		n.leading.set(true)
		err := n.giveUpLead(context.Background(), failover.Drain{Why: "patching", To: "az-b"})
		if !errors.Is(err, errKeptLead) || !errors.Is(err, errReplaced) {
			t.Errorf("%v", err)
		}
	})
}

// vainRaft hands leadership to nobody.
type vainRaft struct{ consensus }

func (vainRaft) HandOver(_ failover.HandOver, failed func()) { failed() }

// The Controller is told which of its hand-overs failed.
func TestLoop_NamesTheHandOverThatFailed(t *testing.T) {
	l := &loop{raft: vainRaft{}, log: quiet(), inputs: make(chan any, 1), group: supervise.NewGroup(t.Context())}
	l.carryOut(failover.HandOver{ID: 7, Why: "patching"})
	if got := <-l.inputs; got != (failover.HandOverFailed{ID: 7}) {
		t.Errorf("%+v", got)
	}
}
