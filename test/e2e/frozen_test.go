package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// frozen is the one arbiter that was stopped at its failpoint.
func (s *stage) frozen() *lab.Arbiter {
	s.t.Helper()
	var frozen *lab.Arbiter
	s.await("an arbiter to be frozen", func() error {
		for _, a := range s.Arbiters {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.Process().PID()))
			if err == nil && strings.HasPrefix(string(text[strings.LastIndexByte(string(text), ')')+1:]), " T") {
				frozen = a
				return nil
			}
		}
		return errors.New("none of them is")
	})
	return frozen
}

// The leader is frozen past its lease with an effect about to start, and woken when another one has gone on: its own lease refuses the
// effect, which happens neither to the old primary, which is a standby again, nor to the new one.
func TestScenario37_LeaderFrozenBeforeAnEffect(t *testing.T) {
	full(t)
	for _, c := range []struct{ effect, grade string }{
		{"isolate", "strong"},
		{"catch_up", "strong"},
		{"promote", "strong"},
		// The epoch under which others go on is one that nobody is promoted under: no standby has seen it, and the status says so.
		{"configure", "weak"},
		{"route", "weak"},
	} {
		t.Run(c.effect, func(t *testing.T) {
			s := enter(t, plan{failpoints: true})
			frozen, to, op, left := s.frozenAt("before-effect-" + c.effect)
			s.must(rejoin(s.ctx, s.primary, to))
			offs := len(s.offs())
			s.wakes(frozen, "not begun: ") // by the permit: the lease has run out, or it was cancelled for that
			s.writes(200)
			s.until("steady", steady)
			if after := s.offs(); len(after) != offs {
				t.Errorf("the arbiter that woke up switched off: %v", after[offs:])
			}
			if g := s.status(); g.GetEpoch() != op.GetEpochAfter() || g.GetPrimary() != to.Name() {
				t.Errorf("status %v after %v", g, op)
			}
			s.tokens(c.grade, op.GetEpochAfter(), left, s.primary)
			s.must(errors.Join(streams(s.ctx, left, to), streams(s.ctx, s.primary, to)))
		})
	}
}

// The leader is frozen behind its last look at its lease, with the promotion in hand, and woken when others have acted: nothing of its own
// stops it any more, and the target refuses (S9). The other leader has ended the session in which it would have asked.
func TestScenario37_RefusedByTheTarget_SessionEnded(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	frozen, to, op, _ := s.frozenAt("before-statement-promote")
	log, err := os.ReadFile(filepath.Join(to.Host().LogDir(), "postgres.log"))
	s.must(err)
	ended := false
	for epoch := s.epoch + 1; epoch < op.GetEpochAfter(); epoch++ {
		ended = ended || strings.Contains(string(log), fmt.Sprintf("@arbiter epoch %d FATAL:  terminating connection", epoch))
	}
	if !ended {
		t.Errorf("before it woke %s has ended no session of an epoch before %d", to.Name(), op.GetEpochAfter())
	}
	before := s.state(to)
	s.wakes(frozen, "ask for the promotion: FATAL: terminating connection due to administrator command (SQLSTATE 57P01)")
	s.writes(200)
	s.until("steady", steady)
	if after := s.state(to); after.InRecovery || after.Timeline != before.Timeline {
		t.Errorf("%s is %+v, and was %+v", to.Name(), after, before)
	}
}

// The leader is frozen in the middle of the promotion: the server has left recovery, and its epoch row is not written. Another one goes on from there,
// with the same candidate, and ends the operation. Woken, the first one writes no row of its old epoch, and nothing is done twice.
func TestScenario37_LeaderFrozenInsideThePromotion(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	before := s.state(s.primary)
	frozen, to, op, _ := s.frozenAt("before-row-promote")
	s.onceOnly(before, to, op)
	s.newEpochs(frozen, op)
	operations, last := s.operations(), s.lastEvent()
	s.wakes(frozen, "promote "+to.Name()+": write the epoch row: ")
	s.writes(200)
	s.until("steady", steady)
	s.onceOnly(before, to, op)
	s.newEpochs(frozen, op)
	if after := s.operations(); !slices.Equal(after, operations) {
		t.Errorf("operations %q since it woke, and %q before", after, operations)
	}
	for _, e := range s.events(last) {
		if e.GetGroup() == lab.Group && e.GetOperation() != "" {
			t.Errorf("since it woke: %v", e)
		}
	}
}

// The same, frozen before it reaches its target, which is a standby again when it wakes: promoted now it would be a second writer. It has
// seen a newer epoch.
func TestScenario37_RefusedByTheTarget_NewerEpoch(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	frozen, to, _, left := s.frozenAt("before-connect-promote")
	s.moveOn(to, left)
	before := s.state(to)
	s.wakes(frozen, "the server has seen a newer epoch: its token is ")
	s.writes(200)
	s.until("steady", steady)
	if after := s.state(to); !after.InRecovery || after.Timeline != before.Timeline {
		t.Errorf("%s is %+v, and was %+v", to.Name(), after, before)
	}
}

// The leader is frozen with what HAProxy said in hand, about to give a server its address and its clients, and woken when the group has moved on to
// another one: before it tells HAProxy anything it reads its lease, which has run out. Nothing else would stop it: HAProxy knows no epochs.
func TestScenario37_LeaderFrozenBetweenTwoCommandsToTheRouter(t *testing.T) {
	full(t)
	s := enter(t, plan{failpoints: true})
	for i, m := range []*database.Server{s.first, s.second} {
		_, err := s.Proxy.Command(s.ctx, fmt.Sprintf("set server %s/%s addr 127.0.0.1 port %d", s.Proxy.Backend(), m.Name(), i+1))
		if err == nil || !strings.Contains(err.Error(), "IP changed") { // HAProxy tells what it has changed
			s.t.Fatal(err)
		}
	}
	frozen, to, _, left := s.frozenAt("before-change-route")
	s.moveOn(to, left)
	servers := s.servers()
	s.wakes(frozen, "the lease has run out")
	s.writes(200)
	s.until("steady", steady)
	if after := s.servers(); after != servers {
		t.Errorf("the router has %s, and had %s before the arbiter woke up", after, servers)
	}
	s.routedOnlyTo(left)
}

// servers are the addresses and states of the router's servers.
func (s *stage) servers() (servers string) {
	s.t.Helper()
	const name, address, state, port = 3, 4, 6, 18 // fields of a line of "show servers state": state is the one that was ordered
	text, err := s.Proxy.Command(s.ctx, "show servers state "+s.Proxy.Backend())
	s.must(err)
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > port {
			servers += fmt.Sprintf("%s at %s:%s in state %s; ", f[name], f[address], f[port], f[state])
		}
	}
	return servers
}

// moveOn has the group fail over once more, from the new primary to the one that is left, whose standby the new primary becomes.
func (s *stage) moveOn(to, left *database.Server) {
	s.t.Helper()
	s.must(setRule(s.ctx, to, left, s.primary, ""))
	s.ready()
	s.fault = lab.Now()
	_, err := s.Ctl(s.ctx, s.force("the machine must go")...)
	s.must(err)
	s.next(to, left)
	s.must(rejoin(s.ctx, to, left))
	s.must(setRule(s.ctx, left, to, s.primary, ""))
	s.ready()
}

// frozenAt crashes the primary and freezes the leader at a place of the failover, which another one brings to its end.
func (s *stage) frozenAt(place string) (frozen *lab.Arbiter, to *database.Server, op *arbiterv1.Operation, left *database.Server) {
	s.t.Helper()
	setFailpoint(s.Lab, "stop "+place)
	s.crash()
	s.reached(place)
	frozen = s.frozen()
	to, op = s.failedOver()
	left = s.promoted(to, op)
	if op.GetArbiter() == frozen.Name() {
		s.t.Fatalf("%s is frozen and ended the operation", frozen.Name())
	}
	return frozen, to, op, left
}

// wakes lets a frozen arbiter go on, and waits until what it was about to do has ended with this refusal.
func (s *stage) wakes(frozen *lab.Arbiter, refusal string) {
	s.t.Helper()
	before := len(s.log(frozen))
	s.must(frozen.Process().Signal(syscall.SIGCONT))
	s.await("its action to have been refused", func() error {
		_, ended, found := strings.Cut(s.log(frozen)[before:], "action ended: ")
		if !found || !strings.Contains(ended, "\n") {
			return fmt.Errorf("its log: %s", s.log(frozen)[before:])
		}
		ended, _, _ = strings.Cut(ended, "\n")
		if !strings.Contains(ended, refusal) || strings.Contains(ended, "result=done") {
			s.t.Fatalf("what it was about to do ended otherwise than by %q: %s", refusal, ended)
		}
		return nil
	})
}

// tokens waits until the status has this grade of the standbys' check of epochs, and asserts that it is true: where it is strong each of them
// holds a token that is not older than the epoch, and would refuse a late actor (S9).
func (s *stage) tokens(grade string, epoch uint64, standbys ...*database.Server) {
	s.t.Helper()
	s.until(grade+" in its check of epochs", func(g *arbiterv1.GroupStatus) bool { return g.GetEpochGrade() == grade })
	for _, m := range standbys {
		var token uint64
		s.must(m.Ask(s.ctx, []any{&token}, "SELECT coalesce(nullif(current_setting('arbiter.epoch', true), ''), '0')::bigint"))
		if token < epoch && grade == "strong" {
			s.t.Errorf("%s would take orders of epoch %d, and %d is current", m.Name(), token, epoch)
		}
	}
}
