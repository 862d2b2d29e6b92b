package arbiter

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// wait lets virtual time pass.
func wait(t *testing.T, c clock.Clock, d time.Duration) {
	t.Helper()
	if err := clock.Wait(t.Context(), c, d); err != nil {
		t.Fatal(err)
	}
}

// deposeUnheard makes a second leader while the first one still waits for answers to heartbeats that it sent before:
// the answers of its followers are held in the network, and one of them is made to stand for election, as by a request
// to take over that was under way for long. The new leader commits an entry. It takes no time worth mentioning.
func deposeUnheard(t *testing.T, c *testCluster) (old, elected *RaftNode, voter raft.ServerID) {
	t.Helper()
	old = c.leader()
	wait(t, c.clock, time.Second)
	followers := c.others(old.ID())
	for _, id := range followers {
		c.network.hold(id, old.ID())
	}
	wait(t, c.clock, 45*time.Millisecond) // more than the longest pause between heartbeats: each now waits for an answer
	for _, id := range followers {
		c.network.cut(old.ID(), id)
	}
	elected, voter = c.nodes[followers[0]], followers[1]
	through := c.nodes[voter].options.Transport
	err := through.TimeoutNow(elected.ID(), raft.ServerAddress(elected.ID()), &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}, &raft.TimeoutNowResponse{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if _, _, err := elected.Apply([]byte("by the new leader"), time.Second); err != nil {
		t.Fatalf("the second leader can't commit: %v", err)
	}
	if old.Term() >= elected.Term() || !old.BelievesLeader() {
		t.Fatalf("the first leader has heard of it: term %d and %d", old.Term(), elected.Term())
	}
	return old, elected, voter
}

// Raft's own check counts answers by when they arrive. It succeeds here after another leader has been elected and has
// committed an entry. This test is the reason for Confirmer; if it fails after an upgrade of Raft, read what changed.
func TestS6_VerifyLeaderIsNotProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		old, _, voter := deposeUnheard(t, c)
		verified := old.raft.VerifyLeader()
		synctest.Wait()
		c.network.release(voter, old.ID())
		if err := verified.Error(); err != nil {
			t.Fatalf("VerifyLeader = %v; the trap is gone", err)
		}
	})
}

func TestS6_ConfirmRefusesAnswersToEarlierHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		old, elected, voter := deposeUnheard(t, c)
		refused := make(chan error, 1)
		go func() {
			_, err := old.Confirm(t.Context())
			refused <- err
		}()
		synctest.Wait()
		c.network.release(voter, old.ID())
		synctest.Wait()
		if _, ok := old.options.Transport.AnsweredSince(voter, old.Term()); !ok {
			t.Fatal("the late answer has not arrived; the test tests nothing")
		}
		err := <-refused
		var why *NotConfirmedError
		if !errors.Is(err, ErrNotConfirmed) || !errors.As(err, &why) {
			t.Fatalf("Confirm = %v, want ErrNotConfirmed", err)
		}
		if confirmation, err := elected.Confirm(t.Context()); err != nil || confirmation.Term != elected.Term() {
			t.Errorf("the new leader's Confirm = %+v, %v", confirmation, err)
		}
	})
}

// The same, where the old leader's heartbeats reach the voter again: it learns that it was deposed.
func TestS6_ConfirmEndsWhenANewerTermIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		old, elected, voter := deposeUnheard(t, c)
		c.network.change(old.ID(), voter, func(l *faultLink) { l.cut = false })
		c.network.release(voter, old.ID())
		asked := c.clock.Boot()
		if _, err := old.Confirm(t.Context()); !errors.Is(err, ErrNotConfirmed) {
			t.Fatalf("Confirm = %v, want ErrNotConfirmed", err)
		}
		if took := c.clock.Boot() - asked; took > lan().Lease {
			t.Errorf("it took %v to notice", took)
		}
		if old.BelievesLeader() || !elected.BelievesLeader() {
			t.Error("the old leader still leads")
		}
	})
}

func TestConfirm_Majorities(t *testing.T) {
	tests := map[string]struct {
		size, silent int
		want         error
	}{
		"one alone":      {1, 0, nil},
		"three of three": {3, 0, nil},
		"two of three":   {3, 1, nil},
		"one of three":   {3, 2, ErrNotConfirmed},
		"three of five":  {5, 2, nil},
		"two of five":    {5, 3, ErrNotConfirmed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestCluster(t, test.size)
				leader := c.leader()
				silent := c.others(leader.ID())[:test.silent]
				for _, id := range silent {
					c.network.hold(id, leader.ID())
				}
				ctx, cancel := clock.WithTimeout(t.Context(), c.clock, 50*time.Millisecond)
				defer cancel()
				asked := c.clock.Boot()
				confirmation, err := leader.Confirm(ctx)
				if !errors.Is(err, test.want) {
					t.Fatalf("Confirm = %v, want %v", err, test.want)
				}
				if err == nil {
					if confirmation.Term != leader.Term() || confirmation.At != asked {
						t.Errorf("confirmed %+v, want term %d at %v", confirmation, leader.Term(), asked)
					}
					return
				}
				var why *NotConfirmedError
				if !errors.As(err, &why) || !errors.Is(err, clock.ErrDeadline) {
					t.Fatalf("Confirm = %v, want a NotConfirmedError by the deadline", err)
				}
				slices.Sort(why.Silent)
				if !slices.Equal(why.Silent, silent) || !strings.Contains(err.Error(), string(silent[0])) {
					t.Errorf("silent are %v, want %v", why.Silent, silent)
				}
			})
		})
	}
}

// verifications counts the questions to Raft whose answers nobody has heard. It lets no second one through: enough of them would keep Raft's
// heartbeats waiting under a lock, and virtual time with them.
type verifications struct {
	raftView
	mu                sync.Mutex
	asked, open, most int
}

type verification struct {
	raft.Future
	of *verifications
}

var errOpen = errors.New("an earlier question is open")

func (q *verifications) VerifyLeader() raft.Future {
	q.mu.Lock()
	q.asked++
	q.open++
	q.most = max(q.most, q.open)
	first := q.open == 1
	q.mu.Unlock()
	if !first {
		return refusedVerification{}
	}
	return verification{q.raftView.VerifyLeader(), q}
}

type refusedVerification struct{}

func (refusedVerification) Error() error { return errOpen }

func (q verification) Error() error {
	err := q.Future.Error()
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	q.of.open--
	return err
}

func (q *verifications) count() (asked, most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked, q.most
}

// Raft's main loop waits for its disk, and many ask for confirmation meanwhile, as each question to the API does: all are answered, by the
// heartbeats that go on beside, and Raft's queue, which is short, is not filled.
func TestS6_ConfirmBesideASlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		counted := &verifications{raftView: leader.confirmer.raft}
		leader.confirmer.raft = counted
		term := leader.Term()
		c.disks[leader.ID()].delay.Store(int64(time.Second))
		var asking sync.WaitGroup
		for range 600 {
			asking.Go(func() { _, _, _ = leader.Apply([]byte("x"), 3*time.Second) }) // the disk must have something to write
			asking.Go(func() {
				ctx, cancel := clock.WithTimeout(t.Context(), c.clock, 500*time.Millisecond)
				defer cancel()
				if _, err := leader.Confirm(ctx); err != nil {
					t.Errorf("Confirm = %v", err)
				}
			})
			wait(t, c.clock, 10*time.Millisecond)
		}
		c.disks[leader.ID()].delay.Store(0) // a Raft that stops while its disk hangs answers nothing more
		asking.Wait()
		leader.confirmer.wait()
		if asked, most := counted.count(); most != 1 || asked < 2 {
			t.Errorf("%d questions, %d of them open at once, want one at a time", asked, most)
		}
		if !leader.BelievesLeader() || leader.Term() != term {
			t.Errorf("the leader was deposed: its term was %d and is %d", term, leader.Term())
		}
	})
}

// Who asks while a question to Raft is open needs heartbeats of its own: they are sent as soon as that one is answered. So nobody waits
// longer than for the answers of others, and for its own.
func TestConfirm_TheSecondWaitsForTwoRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		const oneWay = time.Millisecond
		for _, id := range c.others(leader.ID()) {
			c.network.change(id, leader.ID(), func(l *faultLink) { l.delay = oneWay })
			c.network.change(leader.ID(), id, func(l *faultLink) { l.delay = oneWay })
		}
		var asking sync.WaitGroup
		for range 100 {
			for range 2 {
				asking.Go(func() {
					asked := c.clock.Boot()
					if _, err := leader.Confirm(t.Context()); err != nil {
						t.Errorf("Confirm = %v", err)
					}
					if took := c.clock.Boot() - asked; took > 4*oneWay {
						t.Errorf("it took %v", took)
					}
				})
				wait(t, c.clock, oneWay)
			}
			asking.Wait()
			wait(t, c.clock, 47*time.Millisecond)
		}
	})
}

func TestConfirm_CountsOnlyVotersOfTheCurrentConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		leader := c.leader()
		c.join("az-z")
		if err := leader.AddNonvoter("az-z", "az-z", time.Second); err != nil {
			t.Fatal(err)
		}
		wait(t, c.clock, time.Second)
		for _, id := range c.others(leader.ID()) {
			c.network.hold(id, leader.ID())
		}
		ctx, cancel := clock.WithTimeout(t.Context(), c.clock, 50*time.Millisecond)
		defer cancel()
		if _, err := leader.Confirm(ctx); !errors.Is(err, ErrNotConfirmed) {
			t.Errorf("Confirm = %v with only a non-voter answering, want ErrNotConfirmed", err)
		}
	})
}

func TestConfirm_FollowerIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, 3)
		follower := c.nodes[c.others(c.leader().ID())[0]]
		asked := c.clock.Boot()
		if _, err := follower.Confirm(t.Context()); !errors.Is(err, raft.ErrNotLeader) || !errors.Is(err, ErrNotConfirmed) {
			t.Errorf("Confirm = %v, want ErrNotConfirmed for ErrNotLeader", err)
		}
		if took := c.clock.Boot() - asked; took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// The meaning of Confirmation, on random faults: nobody had won a later term before the confirmed moment.
func TestS6_ConfirmedMeansNoLaterLeaderBefore(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			c := newTestCluster(t, 3+2*int(seed%2))
			type won struct {
				term uint64
				at   time.Duration
			}
			var mu sync.Mutex
			var wins []won
			var confirmed []Confirmation
			ctx, stop := context.WithCancel(t.Context())
			var watching sync.WaitGroup
			for _, node := range c.nodes {
				watching.Go(func() {
					for transition := range node.Leadership() {
						mu.Lock()
						if transition.Leader {
							wins = append(wins, won{transition.Term, transition.At})
						}
						mu.Unlock()
					}
				})
				watching.Go(func() {
					for ctx.Err() == nil {
						limited, cancel := clock.WithTimeout(ctx, c.clock, 300*time.Millisecond)
						confirmation, err := node.Confirm(limited)
						cancel()
						if err == nil {
							mu.Lock()
							confirmed = append(confirmed, confirmation)
							mu.Unlock()
						}
						_ = clock.Wait(ctx, c.clock, 5*time.Millisecond)
					}
				})
			}
			random := rand.New(rand.NewPCG(seed, 1))
			pick := func() raft.ServerID { return c.ids[random.IntN(len(c.ids))] }
			for end := c.clock.Boot() + 20*time.Second; c.clock.Boot() < end; {
				from, to := pick(), pick()
				switch random.IntN(6) {
				case 0:
					c.network.cut(from, to)
				case 1:
					c.network.hold(from, to)
				case 2:
					c.network.release(from, to)
				case 3:
					delay := time.Duration(random.IntN(150)) * time.Millisecond
					c.network.change(from, to, func(l *faultLink) { l.delay = delay })
				case 4:
					go func() { _ = c.nodes[from].TransferLeadership("", 200*time.Millisecond) }()
				case 5:
					c.network.heal()
				}
				wait(t, c.clock, time.Duration(random.IntN(120))*time.Millisecond)
			}
			stop()
			c.close()
			watching.Wait()
			for _, confirmation := range confirmed {
				for _, win := range wins {
					if win.term > confirmation.Term && win.at < confirmation.At {
						t.Errorf("seed %d: confirmed term %d at %v, but term %d was won at %v", seed, confirmation.Term, confirmation.At, win.term, win.at)
					}
				}
			}
			if len(confirmed) == 0 || len(wins) < 2 {
				t.Errorf("seed %d: %d confirmations and %d elections show nothing", seed, len(confirmed), len(wins))
			}
		})
	}
}
