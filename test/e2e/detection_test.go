package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/disk"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// The primary is frozen, and woken after the failover: it accepts no write after the new primary is open.
func TestScenario02_PrimaryFrozenThenWoken(t *testing.T) {
	s := enter(t, plan{})
	s.inject(lab.Freeze)
	to, op := s.failedOver()
	s.promoted(to, op)
	s.must(s.primary.Host().Thaw())
	s.writes(50)
	if s.primary.Running() {
		t.Error("the frozen primary was not ended by its fence")
	}
}

// The primary is frozen, and woken while the arbiters are acting, at one moment after the other.
func TestScenario02_PrimaryWokenMeanwhile(t *testing.T) {
	full(t)
	for _, after := range []time.Duration{300, 900, 1200, 1500, 1800, 2100} {
		t.Run((after * time.Millisecond).String(), func(t *testing.T) {
			s := enter(t, plan{health: "{profile: fast, checks: [{name: postgres, kind: postgres, timeout: 500ms}]}"})
			s.inject(lab.Freeze)
			time.Sleep(after * time.Millisecond) // the moment is the scenario, nothing is awaited
			s.must(s.primary.Host().Thaw())
			s.writes(100)
			s.until("steady", steady)
		})
	}
}

// The primary answers, but its configuration makes every transaction read-only: that alone fails nobody over and is named;
// a policy that counts it as down does.
func TestScenario03_PrimaryAnswersWithErrors(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.fault = lab.Now()
	s.must(s.primary.SetReadOnly(s.ctx, true))
	s.explains("read-only", "no failover", s.primary.Name())
	s.until("degraded", primaryIs("degraded"))
	s.says([]string{"status"}, "has a primary that is degraded", "read-only", "alive but failing")
	s.attention()
	s.nothingDone()
	s.apply(s.yaml(plan{policy: []string{"also_down: [read-only]"}}))
	to, op := s.failedOver()
	s.promoted(to, op)
	if !strings.Contains(fmt.Sprint(op.GetSteps()), "read-only") {
		t.Errorf("the operation does not name its evidence: %v", op.GetSteps())
	}
}

// Fewer arbiters than the quorum see the primary down: no action, and explain says how many are missing.
func TestScenario04_FewerThanQuorum(t *testing.T) {
	s := enter(t, plan{})
	s.namespaces()
	one := s.Arbiters[1]
	s.must(s.Site.Separate(s.ctx, []*hosts.Host{one.Host()}, []*hosts.Host{s.primary.Host()}))
	s.explains("1 of 3 arbiters", "2 needed", s.primary.Name(), one.Name(), "down")
	s.writes(200)
	s.explains("no failover", "1 of 3 arbiters")
	s.nothingDone()
}

// All arbiters see the primary down, but they can't reach each other: no action. When they can again, the failover comes.
func TestScenario05_NoRaftMajority(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	for i, one := range s.Arbiters {
		for _, other := range s.Arbiters[i+1:] {
			s.must(s.Site.Separate(s.ctx, []*hosts.Host{one.Host()}, []*hosts.Host{other.Host()}))
		}
	}
	s.await("the leader to notice that it is alone", func() error {
		for _, a := range s.Arbiters {
			if s.leads(a) {
				return fmt.Errorf("%s says that it leads", a.Name())
			}
		}
		return nil
	})
	seen := map[*lab.Arbiter]int{}
	for _, a := range s.Arbiters {
		seen[a] = len(s.log(a))
	}
	s.crash()
	for _, a := range s.Arbiters {
		s.await(a.Name()+" to see the crash", func() error {
			if text := s.log(a)[seen[a]:]; !strings.Contains(text, "member="+s.primary.Name()+" check=postgres from=answered") {
				return fmt.Errorf("its log: %s", text)
			}
			return nil
		})
	}
	s.quiet(2 * time.Second)
	if offs := s.offs(); len(offs) > 0 {
		t.Errorf("without a majority of arbiters somebody was fenced: %v", offs)
	}
	s.unpromoted()
	healed := time.Now()
	s.must(s.Site.Heal(s.ctx))
	to, op := s.failedOver()
	s.promoted(to, op)
	if began := op.GetBegan().AsTime(); began.Before(healed) {
		t.Errorf("the operation began at %v, and there was no majority until %v", began, healed)
	}
}

// The primary crashes and is back inside the grace time: same primary, same epoch, no new timeline.
func TestScenario06_QuickRestart(t *testing.T) {
	full(t)
	s := enter(t, plan{health: strings.Replace(patient, "{", "{minimum_unhealthy: 30s, ", 1)})
	before := s.state(s.primary)
	s.crash()
	s.until("confirmed down", func(g *arbiterv1.GroupStatus) bool { return g.GetOperation() != nil })
	s.explains("minimum unhealthy time")
	s.must(s.primary.Start(s.ctx))
	s.writes(50)
	s.until("steady", steady)
	s.sameTimeline(before)
}

// The primary is restarted in order, which takes a while, and is back inside the restart grace: same primary, same epoch, no new timeline.
func TestScenario06_RestartGrace(t *testing.T) {
	full(t)
	s := enter(t, plan{health: strings.Replace(patient, "{", "{restart_grace: 1m, ", 1)})
	before := s.state(s.primary)
	s.restarting()
	s.quiet(2 * time.Second)
	s.explains("restart grace", "are left")
	s.must(s.primary.Start(s.ctx))
	s.writes(50)
	s.until("steady", steady)
	s.sameTimeline(before)
}

// sameTimeline asserts that nothing was done, and that the primary is one as it was before.
func (s *stage) sameTimeline(before database.State) {
	s.t.Helper()
	s.nothingDone()
	if after := s.state(s.primary); after.InRecovery || after.Timeline != before.Timeline {
		s.t.Errorf("state %+v, before %+v", after, before)
	}
}

// restarting shuts the primary down in order, slowly enough for all to be told, and waits until that is what the failover waits for.
func (s *stage) restarting() {
	s.t.Helper()
	s.fault = lab.Now()
	release, err := s.primary.HoldShutdown(s.ctx)
	s.must(err)
	s.await("all to be told of the shutdown", func() error {
		for _, view := range s.views(s.primary) {
			if view.GetReason() != "shutting-down" {
				return fmt.Errorf("%s names %q", view.GetNode(), view.GetReason())
			}
		}
		return nil
	})
	s.must(release())
	s.until("confirmed down", func(g *arbiterv1.GroupStatus) bool { return g.GetOperation() != nil })
	s.explains("restart grace", s.primary.Name()+" says that it restarts")
}

// What can't be a restart is not waited for, however long the grace: a crash that nothing announced, and a machine that is lost while it
// restarts.
func TestScenario07_RestartImpossible(t *testing.T) {
	full(t)
	const grace = 90 * time.Second
	patience := plan{health: strings.Replace(patient, "{", "{restart_grace: "+grace.String()+", ", 1)}
	soon := func(s *stage) {
		to, op := s.failedOver()
		s.promoted(to, op)
		if took := op.GetEnded().AsTime().Sub(op.GetBegan().AsTime()); took > grace/2 {
			s.t.Errorf("the failover took %v, with a grace of %v", took, grace)
		}
	}
	t.Run("crash", func(t *testing.T) {
		s := enter(t, patience)
		s.crash()
		soon(s)
	})
	t.Run("machine lost", func(t *testing.T) {
		s := enter(t, patience)
		s.namespaces()
		s.restarting()
		var arbiters []*hosts.Host
		for _, a := range s.Arbiters {
			arbiters = append(arbiters, a.Host())
		}
		s.must(s.Site.Separate(s.ctx, arbiters, []*hosts.Host{s.primary.Host()}))
		soon(s)
	})
}

// livingFaults are what a living primary can have. begin returns what ends it.
var livingFaults = []struct {
	evidence, status string
	text             string // what explain shows of it
	begin            func(*stage) (end func() error)
}{
	{"too-many-connections", "degraded", "53300", func(s *stage) func() error {
		release := s.exhaust(primaryIs("degraded"))
		return func() error { release(); return nil }
	}},
	{"read-only", "degraded", "read-only", func(s *stage) func() error {
		s.must(s.primary.SetReadOnly(s.ctx, true))
		return func() error { return s.primary.SetReadOnly(s.ctx, false) }
	}},
	{"bad-credentials", "unknown", "28P01", func(s *stage) func() error {
		s.must(s.primary.ChangePassword(s.ctx, database.Arbiter, "another"))
		return func() error {
			return s.primary.ChangePassword(s.ctx, database.Arbiter, s.Template.Password(database.Arbiter))
		}
	}},
	{"crash-recovery", "degraded", "in recovery mode", func(s *stage) func() error {
		release, err := s.primary.HoldCrashRecovery(s.ctx)
		s.must(err)
		return func() error { return errors.Join(release(), s.primary.AwaitReady(s.ctx)) }
	}},
	{"starting-up", "degraded", "57P03", func(s *stage) func() error {
		s.must(s.primary.Stop(s.ctx, database.Fast))
		s.must(s.primary.StartStuck(s.ctx))
		return func() error {
			if err := s.primary.Stop(s.ctx, database.Immediate); err != nil {
				return err
			}
			return errors.Join(s.primary.Unstick(), s.primary.Start(s.ctx))
		}
	}},
}

// What a living primary can have is named, and alone never fails it over.
func TestScenario08_AliveButFailing(t *testing.T) {
	full(t)
	for _, c := range livingFaults {
		t.Run(c.evidence, func(t *testing.T) {
			// A database may be lost for a moment on its way into the state and out of it. In between nothing is waited for.
			minimum := plan{health: strings.Replace(patient, "{", "{minimum_unhealthy: 15s, ", 1)}
			s := enter(t, minimum)
			end := c.begin(s)
			s.until(c.status, primaryIs(c.status))
			s.apply(s.yaml(plan{}))
			for range 2 {
				s.explains(c.text, "no failover", "0 of 3 arbiters see "+s.primary.Name()+" down")
				s.await("all to name the evidence", func() error {
					for _, view := range s.views(s.primary) {
						if view.GetReason() != c.evidence {
							return fmt.Errorf("%s names %q", view.GetNode(), view.GetReason())
						}
					}
					return nil
				})
				s.quiet(2 * time.Second)
			}
			s.nothingDone()
			s.apply(s.yaml(minimum))
			s.must(end())
			s.until("up", primaryIs("up"))
			s.writes(20)
			s.nothingDone()
		})
	}
}

// exhaust takes every connection of the primary, and goes on with those that others give back until it is released. It returns when the
// status shows it.
func (s *stage) exhaust(enough func(*arbiterv1.GroupStatus) bool) (release func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.ctx)
	var taken []func()
	ended := make(chan error, 1)
	go func() {
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for {
			more, err := s.primary.FillConnections(ctx)
			if err != nil {
				ended <- err
				return
			}
			taken = append(taken, more)
			select {
			case <-again.C:
			case <-ctx.Done():
				ended <- nil
				return
			}
		}
	}()
	s.until("without a free connection", enough)
	return func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			s.t.Error(err)
		}
		for _, release := range taken {
			release()
		}
	}
}

// The disk under the primary's log hangs. Open sessions go on answering reads; the write probe finds out.
func TestScenario09_DiskStalls(t *testing.T) {
	full(t)
	var stalled *disk.Disk
	s := enter(t, plan{own: true, before: func(t *testing.T, l *lab.Lab) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		primary := l.Members[0]
		stalled = newDisk(t, 512<<20)
		if err := errors.Join(primary.Stop(ctx, database.Fast), primary.MoveLog(ctx, stalled.Folder()), primary.Start(ctx)); err != nil {
			t.Fatal(err)
		}
		primary.Host().OnPowerCut(func() { _ = stalled.Thaw() })
		for _, standby := range l.Members[1:] {
			if err := streams(ctx, standby, primary); err != nil {
				t.Fatal(err)
			}
		}
	}})
	session, err := s.primary.Connect(s.ctx)
	s.must(err)
	defer session.Close(context.Background())
	s.fault = lab.Now()
	s.must(stalled.Freeze())
	var one int
	s.must(session.QueryRow(s.ctx, "SELECT 1").Scan(&one))
	to, op := s.failedOver()
	s.promoted(to, op)
	if !strings.Contains(fmt.Sprint(op.GetSteps()), "write-stalled") {
		t.Errorf("the operation does not name its evidence: %v", op.GetSteps())
	}
}

// One arbiter loses its own network, then a second one: no failover, and the service goes on.
func TestScenario11_ArbitersLoseTheirNetwork(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	leader, others := s.followers()
	alone := s.logs(others[0], cutOff)
	s.must(others[0].Host().Unplug(s.ctx))
	s.explains("no failover", others[0].Name())
	s.await("its view to count no more", func() error {
		for _, v := range s.views(s.primary) {
			if v.GetNode() == others[0].Name() && v.GetCounts() {
				return fmt.Errorf("%v", v)
			}
		}
		return nil
	})
	s.writes(200)
	s.nothingDone()
	alone()
	alone = s.logs(leader, cutOff)
	s.must(leader.Host().Unplug(s.ctx))
	alone()
	s.await("nobody to lead", func() error {
		if s.leads(others[1]) || s.leads(leader) {
			return fmt.Errorf("somebody leads")
		}
		return nil
	})
	s.writes(200)
	s.must(s.Site.Heal(s.ctx))
	s.ready()
	s.writes(200)
	s.nothingDone()
}

// cutOff is how an arbiter says that its view doesn't count because its own network is gone.
const cutOff = "can't reach its reference points"

// Two of three arbiters, a majority, can't make new connections, and keep those that they have: all members seem dead to them, and
// the leader hears it, who could fence. But they reach no reference point either: no failover. Then it happens to the leader: it
// hands leadership on, and a real crash is failed over by another one.
func TestScenario11_ArbitersCanMakeNoConnections(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	leader, others := s.followers()
	for _, a := range others {
		s.must(s.Site.CloseOff(s.ctx, a.Host()))
	}
	s.await("both to doubt themselves", func() error {
		for _, v := range s.views(s.primary) {
			if v.GetNode() != leader.Name() && (v.GetStatus() != "down" || !strings.Contains(v.GetWhyNot(), cutOff)) {
				return fmt.Errorf("%v", v)
			}
		}
		return nil
	})
	s.explains("no failover", "0 of 3 arbiters", others[0].Name()+" also "+cutOff, others[1].Name()+" also "+cutOff)
	s.says([]string{"status"}, others[0].Name()+" in doubt", others[1].Name()+" "+cutOff)
	s.says([]string{"arbiters"}, cutOff)
	s.writes(200)
	s.unfenced()
	s.must(s.Site.Heal(s.ctx))
	s.until("steady", steady)
	s.epoch = s.ready().GetEpoch() // the primary may have been missed a moment before the rest, and a lease taken for it
	s.must(s.Site.CloseOff(s.ctx, leader.Host()))
	s.await("another arbiter to lead", func() error {
		if now, _ := s.followers(); now == leader {
			return fmt.Errorf("%s leads", now.Name())
		}
		return nil
	})
	s.writes(200)
	s.unfenced()
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	if op.GetArbiter() == leader.Name() {
		t.Errorf("%s acted, and is cut off", leader.Name())
	}
}

// logs returns a function that waits until an arbiter has written something to its log after this call.
func (s *stage) logs(a *lab.Arbiter, words string) (await func()) {
	s.t.Helper()
	before := len(s.log(a))
	return func() {
		s.t.Helper()
		s.await(a.Name()+" to log "+words, func() error {
			if text := s.log(a)[before:]; !strings.Contains(text, words) {
				return fmt.Errorf("its log: %s", text[max(0, len(text)-2000):])
			}
			return nil
		})
	}
}

// log is what an arbiter has written so far.
func (s *stage) log(a *lab.Arbiter) string {
	s.t.Helper()
	text, err := os.ReadFile(a.LogFile())
	s.must(err)
	return string(text)
}
