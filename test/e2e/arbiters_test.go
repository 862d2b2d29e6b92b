package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/disk"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// All arbiters are stopped: the service goes on writing, and is protected again when they are back.
func TestScenario35_AllArbitersStopped(t *testing.T) {
	s := enter(t, plan{})
	for _, a := range s.Arbiters {
		s.must(a.Stop(s.ctx))
	}
	s.writes(200)
	for _, a := range s.Arbiters {
		s.must(a.Start())
	}
	s.ready()
	s.writes(20)
	s.nothingDone()
}

// All arbiters are killed and come back from their disks: nothing is done twice, no group is missing.
func TestScenario38_RestartedFromDisk(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	before, requests := s.operations(), len(s.offs())
	for range 2 {
		for _, a := range s.Arbiters {
			s.must(a.Kill())
		}
		for _, a := range s.Arbiters {
			s.must(a.Start())
		}
		s.until("steady", steady)
		s.writes(50)
	}
	if after := s.operations(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("operations after the restart: %v, before: %v", after, before)
	}
	if offs := s.offs(); len(offs) != requests {
		t.Errorf("after the restart the power switch was told again to switch off: %v", offs[requests:])
	}
	if g := s.status(); g.GetPrimary() != to.Name() || g.GetEpoch() != op.GetEpochAfter() {
		t.Errorf("status after the restart: %v", g)
	}
}

// All arbiters come back from a snapshot and the log after it: no group is missing, nothing is done twice, and the next
// failover works. Arbiters look only every few minutes whether a snapshot is due, so this takes as long.
func TestScenario38_RestoredFromSnapshot(t *testing.T) {
	full(t)
	s := enterFor(t, 10*time.Minute, plan{own: true})
	s.crash()
	to, op := s.failedOver()
	left := s.promoted(to, op)
	before, requests := s.operations(), len(s.offs())
	s.fillLog(9000)
	for _, a := range s.Arbiters {
		s.snapshotOf(a)
	}
	for _, a := range s.Arbiters {
		s.must(a.Kill())
	}
	var restored []func()
	for _, a := range s.Arbiters {
		restored = append(restored, s.logs(a, "restored from snapshot"))
		s.must(a.Start())
	}
	for _, await := range restored {
		await()
	}
	s.until("steady", steady)
	if after := s.operations(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("operations after the restart: %v, before: %v", after, before)
	}
	if offs := s.offs(); len(offs) != requests {
		t.Errorf("after the restart the power switch was told again to switch off: %v", offs[requests:])
	}
	s.must(setRule(s.ctx, to, left, s.primary, ""))
	s.ready()
	s.fault = lab.Now()
	s.must(to.Crash(s.ctx))
	s.next(to, left)
}

// snapshotOf waits until an arbiter has made a snapshot.
func (s *stage) snapshotOf(a *lab.Arbiter) {
	s.t.Helper()
	s.await(a.Name()+" to make a snapshot", func() error {
		found, err := filepath.Glob(filepath.Join(a.DataDir(), "raft", "snapshots", "*[0-9]", "state.bin")) // one that is being made ends in .tmp
		if err != nil || len(found) == 0 {
			return fmt.Errorf("it has made none (%v)", err)
		}
		return nil
	})
}

// fillLog commits so many entries that change nothing in the end.
func (s *stage) fillLog(entries int) {
	s.t.Helper()
	var work errgroup.Group
	work.SetLimit(32)
	for i := range entries {
		work.Go(func() error {
			var err error
			if i%2 == 0 {
				_, err = s.api.Pause(s.ctx, &arbiterv1.PauseRequest{Change: change(), Group: lab.Group})
			} else {
				_, err = s.api.Resume(s.ctx, &arbiterv1.ResumeRequest{Change: change(), Group: lab.Group})
			}
			if errors.Is(err, client.ErrRejected) { // an entry too
				return nil
			}
			return err
		})
	}
	s.must(work.Wait())
	_, err := s.api.Resume(s.ctx, &arbiterv1.ResumeRequest{Change: change(), Group: lab.Group})
	if err != nil && !errors.Is(err, client.ErrRejected) {
		s.t.Fatal(err)
	}
}

// operations are the ids and results of all operations of the group.
func (s *stage) operations() []string {
	s.t.Helper()
	answer, err := s.api.ListOperations(s.ctx, &arbiterv1.ListOperationsRequest{Group: lab.Group})
	s.must(err)
	var list []string
	for _, op := range answer.GetOperations() {
		list = append(list, fmt.Sprintf("%s %s %s to %s, %d steps", op.GetId(), op.GetResult(), op.GetFrom(), op.GetTo(), len(op.GetSteps())))
	}
	return list
}

// Everything stops at once and starts again, in any order: same primary, no failover. A primary that comes back after arbiters and standbys is one
// that nobody has heard yet, and not a lost one.
func TestScenario42_ColdStart(t *testing.T) {
	full(t)
	arbiters := func(s *stage) {
		for _, a := range s.Arbiters {
			s.must(a.Host().PowerOn(s.ctx))
			s.must(a.Start())
		}
		_, err := s.Leader(s.ctx)
		s.must(err)
	}
	start := func(s *stage, servers ...*database.Server) {
		for _, m := range servers {
			s.must(m.Host().PowerOn(s.ctx))
			s.must(m.Start(s.ctx))
		}
	}
	standbys := func(s *stage) { start(s, s.second, s.first) }
	primary := func(s *stage) { start(s, s.primary) }
	router := func(s *stage) { s.must(s.Proxy.Launch(s.ctx)) }
	late := func(s *stage) {
		s.until("confirmed down", func(g *arbiterv1.GroupStatus) bool { return g.GetOperation() != nil && g.GetCandidate() != "" })
		s.quiet(3 * time.Second)
		s.explains("cold start grace", "are left")
	}
	ctl := func(verb string) func(*stage) {
		return func(s *stage) { _, err := s.Ctl(s.ctx, verb, lab.Group, "--reason", "all is stopped"); s.must(err) }
	}
	seen := func(s *stage) { s.until("up", primaryIs("up")) }
	nothing := func(*stage) {}
	for _, c := range []struct {
		name   string
		before func(*stage)
		steps  []func(*stage)
	}{
		{"arbiters last", nothing, []func(*stage){router, standbys, primary, arbiters}},
		{"arbiters first, then the primary", nothing, []func(*stage){arbiters, primary, standbys, router}},
		{"arbiters first, then the standbys, the router and the primary", nothing, []func(*stage){arbiters, standbys, late, router, primary}},
		{"the router, arbiters, standbys, the primary", nothing, []func(*stage){router, arbiters, standbys, late, primary}},
		{"standbys, arbiters, the primary, the router", nothing, []func(*stage){standbys, arbiters, late, primary, router}},
		{"arbiters first, then the standbys of a paused group", ctl("pause"), []func(*stage){arbiters, standbys, router, primary, seen, ctl("resume")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := enter(t, plan{own: true, health: patient}) // a router that is started again leads to the first primary
			c.before(s)
			for _, a := range s.Arbiters {
				s.must(a.Host().PowerOff(s.ctx))
			}
			s.must(s.Proxy.Stop(s.ctx))
			for _, m := range s.Members {
				s.must(m.Host().PowerOff(s.ctx))
			}
			for _, step := range c.steps {
				step(s)
			}
			s.writes(50)
			s.ready()
			s.nothingDone()
		})
	}
}

// The disk of an arbiter is wiped while the others run: it forms no cluster of its own and does not vote under its old id.
func TestScenario57_WipedArbiter(t *testing.T) {
	full(t)
	s := enter(t, plan{own: true})
	leader, others := s.followers()
	wiped, other := others[0], others[1]
	s.must(wiped.Kill())
	s.must(os.RemoveAll(wiped.DataDir()))
	s.refusesToStart(wiped)
	s.writes(50)
	s.ready()
	// With one of the two others gone its vote would make a majority.
	s.must(other.Kill())
	s.refusesToStart(wiped)
	s.await("nobody to lead", func() error {
		if s.leads(leader) {
			return fmt.Errorf("%s leads", leader.Name())
		}
		return nil
	})
	s.writes(50)
	if s.leads(leader) {
		t.Errorf("%s leads with the vote of a wiped arbiter", leader.Name())
	}
	s.must(other.Start())
	s.until("steady", steady)
	s.nothingDone()
}

// refusesToStart starts a wiped arbiter and waits until it has ended itself and said why.
func (s *stage) refusesToStart(wiped *lab.Arbiter) {
	s.t.Helper()
	before := len(s.log(wiped))
	s.must(wiped.Start())
	s.await(wiped.Name()+" to end itself", func() error {
		if wiped.Process().Running() {
			return fmt.Errorf("it runs; its log: %s", s.log(wiped)[before:])
		}
		return nil
	})
	if text := s.log(wiped)[before:]; wiped.Process().Err() == nil || !strings.Contains(text, "must not vote again") {
		s.t.Errorf("it ended with %v and said: %s", wiped.Process().Err(), text)
	}
}

// The disk under the leader's log hangs: it ends itself within its bound, and another one leads and fails over.
func TestScenario62_LeadersDiskHangs(t *testing.T) {
	full(t)
	disks := map[string]*disk.Disk{}
	s := enter(t, plan{own: true, before: func(t *testing.T, l *lab.Lab) {
		for _, a := range l.Arbiters {
			d := newDisk(t, 64<<20)
			disks[a.Name()] = d
			if err := os.Symlink(d.Folder(), a.DataDir()); err != nil {
				t.Fatal(err)
			}
		}
	}})
	leader, _ := s.followers()
	stalled, before := disks[leader.Name()], len(s.log(leader))
	leader.Host().OnPowerCut(func() { _ = stalled.Thaw() })
	s.must(stalled.Freeze())
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	if op.GetArbiter() == leader.Name() {
		t.Errorf("%s acted with a disk that hangs", leader.Name())
	}
	s.endedInTime(leader, before)
	s.must(stalled.Thaw())
	s.await(leader.Name()+" to have ended", func() error {
		if leader.Process().Running() {
			return fmt.Errorf("it runs")
		}
		return nil
	})
	s.must(leader.Start())
	s.until("steady", steady)
	s.writes(20)
}

// endedInTime waits until an arbiter whose disk hangs has said, behind this length of its log, that it ends itself, and asserts that it was
// within its bound from the fault on, and that nobody is answered any more. The process itself can't go before its disk does.
func (s *stage) endedInTime(a *lab.Arbiter, before int) {
	s.t.Helper()
	// An entry may take 5 s. There is one once the crash is seen, and a busy machine is late with all of it.
	const bound, slack = 5 * time.Second, 10 * time.Second
	line := ""
	s.await(a.Name()+" to say that it ends itself", func() error {
		for l := range strings.Lines(s.log(a)[before:]) {
			if strings.Contains(l, "ending this arbiter") && strings.Contains(l, "an own entry was not applied") {
				line = l
				return nil
			}
		}
		return errors.New("its log does not say so")
	})
	at, _, _ := strings.Cut(line, " ")
	said, err := time.Parse("2006-01-02T15:04:05.000Z0700", at)
	s.must(err)
	if took := said.Sub(s.fault.Wall); took > bound+slack {
		s.t.Errorf("it ended itself %v after the fault, and an entry may take %v", took, bound)
	}
	s.await(a.Name()+" to answer nobody", func() error {
		if s.leads(a) {
			return errors.New("it says that it leads")
		}
		return nil
	})
}
