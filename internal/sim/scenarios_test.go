package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// The scenarios of this file are those of test/e2e with the same numbers, where virtual time can show more of them: every stage, a whole
// hour, every link.

// crashed is a quiet plan whose primary dies for good at a time, and more as told.
func crashed(nodes int, at time.Duration, more ...Item) *Plan {
	p := quiet(nodes)
	p.Length = 2 * time.Minute
	p.Items = append(more, Item{Kind: "crash", At: at, Member: 0, For: time.Minute, Amount: 1})
	return p
}

// play plays a plan until its end, after prepare if that is given. Whatever must never happen is asked by the run itself.
func play(t *testing.T, p *Plan, prepare func(*sim)) *sim {
	t.Helper()
	s := newSim(p, true)
	if prepare != nil {
		prepare(s)
	}
	s.run()
	if s.failure != nil {
		t.Fatalf("%s at %s: %s", s.failure.Check, s.failure.At, s.failure.Text)
	}
	return s
}

// nothingHappened asks that a run fenced and promoted nobody.
func nothingHappened(t *testing.T, s *sim) {
	t.Helper()
	if s.counts.fences != 0 || s.counts.promotions != 0 {
		t.Errorf("%d fences, %d promotions", s.counts.fences, s.counts.promotions)
	}
	if w := s.ledger.newest.Group("g1").Writer(); w != "db1" {
		t.Errorf("the writer is %q", w)
	}
}

// failedOverOnce asks that a run ended with a new writer, after one promotion.
func failedOverOnce(t *testing.T, s *sim) {
	t.Helper()
	if w := s.ledger.newest.Group("g1").Writer(); w == "db1" || w == "" || s.counts.promotions != 1 {
		t.Errorf("the writer is %q after %d promotions", w, s.counts.promotions)
	}
}

// troubleEverywhere worsens every link.
func (s *sim) troubleEverywhere(loss int, slow time.Duration) {
	ends := s.machines()
	for _, n := range s.nodes {
		ends = append(ends, string(n.id))
	}
	for _, a := range ends {
		for _, b := range ends {
			if a != b {
				*s.net.link(a, b) = linkState{loss: loss, slow: slow}
			}
		}
	}
}

func TestScenario12_JitterAndLossForAnHour(t *testing.T) {
	p := quiet(3)
	p.Groups[0].Fast, p.Length = false, time.Hour
	s := play(t, p, func(s *sim) {
		s.at(20*time.Second, func() {
			s.troubleEverywhere(1, 500*time.Millisecond)
			s.busyFor(p.Length)
			s.disturb()
		})
	})
	nothingHappened(t, s)
	if s.now < time.Hour || s.counts.looks < 1000 {
		t.Errorf("%d looks in %s", s.counts.looks, s.now)
	}
}

func TestScenario13_ClocksAndSuspends(t *testing.T) {
	const hour = 7200 // half seconds, above and below 500
	p := quiet(3)
	for i, amount := range []int{500 + hour, 500 - hour, 500 + 2*hour} {
		p.Items = append(p.Items, Item{Kind: "wall-step", At: time.Duration(20+5*i) * time.Second, Node: i, Amount: amount})
	}
	for i, kind := range []string{"freeze", "pause", "freeze"} {
		p.Items = append(p.Items, Item{Kind: kind, At: time.Duration(50+40*i) * time.Second, Node: i, For: 30 * time.Second})
	}
	nothingHappened(t, play(t, p, nil))
}

// TestScenario14_TwoGroupsLoseTheSameMachine: both primaries are on it.
func TestScenario14_TwoGroupsLoseTheSameMachine(t *testing.T) {
	p := quiet(3)
	p.Groups, p.SharedHost = append(p.Groups, p.Groups[0]), true
	p.Items = []Item{{Kind: "host-off", At: 20 * time.Second, Amount: 1}}
	s := play(t, p, nil)
	for _, g := range s.ledger.newest.Groups {
		if w := g.Writer(); w == "db1" || w == "" || g.Operation != nil {
			t.Errorf("the writer of %s is %q, %+v", g.Name, w, g.Operation)
		}
	}
	if s.counts.promotions != 2 {
		t.Errorf("%d promotions", s.counts.promotions)
	}
}

// TestScenario14_TheFleetBrake: four of six primaries that die at once are replaced without a hold. Of six, some are held until fewer are down.
func TestScenario14_TheFleetBrake(t *testing.T) {
	for dead := 4; dead <= 6; dead += 2 {
		p := quiet(3)
		for len(p.Groups) < 6 {
			p.Groups = append(p.Groups, p.Groups[0])
		}
		for i := range dead {
			p.Items = append(p.Items, Item{Kind: "crash", At: 20 * time.Second, Group: i, For: time.Minute, Amount: 1})
		}
		s := begin(t, p, time.Minute)
		held := slices.ContainsFunc(s.trace.lines, func(line string) bool { return strings.Contains(line, "groups turned down at about the same time") })
		if held != (dead > 4) || s.counts.promotions != dead {
			t.Errorf("%d are dead, held %v, %d were replaced", dead, held, s.counts.promotions)
		}
	}
}

// TestScenario32_TheLeaderIsCutOffWithThePrimary, and with its fence device: without proof nobody is promoted until the zone is back.
func TestScenario32_TheLeaderIsCutOffWithThePrimary(t *testing.T) {
	p := quiet(3)
	p.Items = []Item{{Kind: "cut-zone", At: 20 * time.Second, Node: -1, For: time.Minute}}
	s := begin(t, p, 70*time.Second)
	if g := s.ledger.newest.Group("g1"); s.counts.promotions != 0 || g.Member("db1").Authority != failover.AuthorityRevoked || g.Operation == nil {
		t.Errorf("%d promotions, db1 is %s", s.counts.promotions, g.Member("db1").Authority)
	}
	s = play(t, p, nil)
	if g := s.ledger.newest.Group("g1"); g.Operation != nil || g.Writer() == "" {
		t.Errorf("it ends with the writer %q and %+v", g.Writer(), g.Operation)
	}
}

// TestScenario33_OneWayLoss: an arbiter that hears nobody, or that nobody hears, is one of three.
func TestScenario33_OneWayLoss(t *testing.T) {
	for _, kind := range []string{"cut-in", "cut-out"} {
		for node := range 3 {
			p := quiet(3)
			p.Length = 2 * time.Minute
			p.Items = []Item{{Kind: kind, At: 20 * time.Second, Node: node, For: 30 * time.Second}, {Kind: kind, At: time.Minute, Node: -1, For: 20 * time.Second}}
			t.Run(fmt.Sprintf("%s %d", kind, node), func(t *testing.T) { nothingHappened(t, play(t, p, nil)) })
		}
	}
}

// TestScenario34_Partitions: halves, rings and single arbiters for minutes, with kills, while the primary dies again and again.
func TestScenario34_Partitions(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		p := quiet(nodes)
		p.Length = 10 * time.Minute
		for at := 20 * time.Second; at < p.Length-time.Minute; at += 20 * time.Second {
			n := int(at / (20 * time.Second))
			p.Items = append(
				p.Items,
				Item{Kind: []string{"halves", "cut-pair", "cut-node", "cut-in"}[n%4], At: at, Node: n % nodes, Amount: 1 + 2*n, For: 15 * time.Second},
				Item{Kind: "kill", At: at + 7*time.Second, Node: (n + 1) % nodes, For: 3 * time.Second},
			)
			if n%3 == 0 {
				p.Items = append(p.Items, Item{Kind: "crash", At: at + 2*time.Second, Member: -1, For: 10 * time.Second})
			}
		}
		if s := play(t, p, nil); s.counts.promotions == 0 || s.counts.elections < 5 {
			t.Errorf("%d promotions, %d elections", s.counts.promotions, s.counts.elections)
		}
	}
}

// TestScenario36_TheLeaderDiesAtEveryStage, or freezes, or is cut off: whoever is next goes on from there.
func TestScenario36_TheLeaderDiesAtEveryStage(t *testing.T) {
	points := hooks()
	slices.Sort(points)
	struck := 0
	for _, point := range slices.Compact(points) {
		for _, kind := range []string{"kill", "freeze", "cut-node", "disk-stall"} {
			t.Run(point+"/"+kind, func(t *testing.T) {
				s := play(t, crashed(3, 20*time.Second, Item{Kind: kind, Hook: point, For: 30 * time.Second}), nil)
				failedOverOnce(t, s)
				struck += min(s.hookUsed[0], 1)
			})
		}
	}
	if struck < 80 {
		t.Errorf("only %d points were passed", struck)
	}
}

// givenBack is a plan whose failover has nobody left to promote: its candidate dies while it is promoted, and is fenced, and the other standby dies
// then. After a hold an operator gives the former writer back, beside a proof that is read back first. More may happen from that on.
func givenBack(more ...Item) *Plan {
	p := crashed(3, 20*time.Second, more...)
	p.Groups[0].SyncNeed = 2 // so that the other standby, too, could be promoted, and the candidate is given up
	p.Items = append(
		p.Items,
		Item{Kind: "crash", Hook: "after-commit-intend-promote", Member: 1, Amount: 1},
		Item{Kind: "crash", Hook: "after-effect-isolate", Count: 1, Member: 2, Amount: 1},
		Item{Kind: "op-reinstate", At: askedBack, Amount: 1},
		Item{Kind: "op-power-on", At: askedBack + 10*time.Second, Member: 0},
	)
	return p
}

// askedBack is when the operator of givenBack asks.
const askedBack = time.Minute

// TestScenario36_TheLeaderDiesAtEveryStageOfAReinstatement: as above, at every point that is passed once it was asked for.
func TestScenario36_TheLeaderDiesAtEveryStageOfAReinstatement(t *testing.T) {
	points := hooks()
	slices.Sort(points)
	struck := map[string]bool{}
	for _, point := range slices.Compact(points) {
		for _, kind := range []string{"kill", "freeze", "cut-node", "disk-stall"} {
			t.Run(point+"/"+kind, func(t *testing.T) {
				s := play(t, givenBack(Item{Kind: kind, Hook: point, For: 30 * time.Second}), func(s *sim) {
					s.hookUsed[0] = math.MinInt // not before that
					s.at(askedBack, func() { s.hookUsed[0] = 0 })
				})
				g := s.ledger.newest.Group("g1")
				receipts := g.History.Receipts
				if len(receipts) == 0 || receipts[0].Result != failover.OperationReinstated || g.Writer() == "" || g.Operation != nil {
					t.Errorf("the writer is %q, %+v, after %+v", g.Writer(), g.Operation, receipts)
				}
				if s.hookUsed[0] > 0 {
					struck[point] = true
				}
			})
		}
	}
	for _, point := range []string{
		"before-effect-isolate", "after-effect-isolate", "after-commit-intend-isolate", "before-effect-promote", "after-effect-promote",
		"before-commit-intend-promote", "after-commit-intend-promote", "after-commit-conclude", "after-effect-configure", "after-effect-route", "after-effect-verify",
	} {
		if !struck[point] {
			t.Errorf("%s was not passed", point)
		}
	}
}

// TestScenario37_FrozenPastTheLease: the effect that was about to begin is refused, or finds nothing to do.
func TestScenario37_FrozenPastTheLease(t *testing.T) {
	for _, kind := range []string{"freeze", "pause"} {
		for _, point := range []string{"before-effect-isolate", "before-effect-promote", "before-effect-route"} {
			failedOverOnce(t, play(t, crashed(3, 20*time.Second, Item{Kind: kind, Hook: point, For: 40 * time.Second}), nil))
		}
	}
}

// TestScenario38_AllArbitersRestartFromDisk in the middle of an operation, with snapshots: nothing is done twice.
func TestScenario38_AllArbitersRestartFromDisk(t *testing.T) {
	for _, point := range []string{"after-effect-isolate", "after-commit-intend-promote", "after-effect-promote", "after-commit-conclude"} {
		p := crashed(3, 20*time.Second)
		p.SnapshotEvery = 20
		for node := range 3 {
			p.Items = append(p.Items, Item{Kind: "kill", Hook: point, Node: node, For: 3 * time.Second})
		}
		s := play(t, p, nil)
		failedOverOnce(t, s)
		if s.counts.snapshots == 0 {
			t.Error("no snapshot was taken")
		}
	}
}

// TestScenario39_SlowLogDisks: one, and two of three.
func TestScenario39_SlowLogDisks(t *testing.T) {
	for slow := 1; slow <= 2; slow++ {
		p := crashed(3, 30*time.Second)
		for node := range slow {
			p.Items = append(p.Items, Item{Kind: "disk-slow", At: 15 * time.Second, Node: node, For: time.Minute})
		}
		failedOverOnce(t, play(t, p, nil))
	}
}

func TestScenario41_RollingRestart(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		p := quiet(nodes)
		for node := range nodes {
			at := time.Duration(20+30*node) * time.Second
			p.Items = append(p.Items, Item{Kind: "drain", At: at, Node: node}, Item{Kind: "kill", At: at + 2*time.Second, Node: node, For: 5 * time.Second})
		}
		nothingHappened(t, play(t, p, nil))
	}
}

// TestScenario56_PowerComesBack: who was fenced serves again by itself, is seen as a rogue, and fenced again; the new primary stays the only one.
func TestScenario56_PowerComesBack(t *testing.T) {
	s := play(t, crashed(3, 20*time.Second, Item{Kind: "power-back", At: 50 * time.Second, Member: 0}), nil)
	failedOverOnce(t, s)
	if s.counts.rogues == 0 || s.counts.fences < 2 {
		t.Errorf("%d rogues, %d fences", s.counts.rogues, s.counts.fences)
	}
}

// TestScenario42_ColdStart: everything stops at once and comes back in whatever order: the same primary goes on. Without the grace some orders
// cost a failover, so that the test shows something.
func TestScenario42_ColdStart(t *testing.T) {
	run := func(seed uint64, grace time.Duration) *sim {
		p := quiet(3)
		p.Seed, p.Length, p.Groups[0].Cold = seed, 90*time.Second, grace
		p.Items = []Item{{Kind: "blackout", At: 20 * time.Second, For: 30 * time.Second}}
		return begin(t, p, 80*time.Second)
	}
	failedOver := 0
	for seed := range uint64(20) {
		s := run(seed, time.Minute)
		nothingHappened(t, s)
		if g := s.ledger.newest.Group("g1"); g.Epoch != 1 || g.Operation != nil {
			t.Errorf("seed %d: epoch %d, %+v", seed, g.Epoch, g.Operation)
		}
		if run(seed, 0).counts.fences > 0 {
			failedOver++
		}
	}
	if failedOver == 0 {
		t.Error("no order needs the grace")
	}
}

// TestScenario60_TwoLeadersAndOneMachine: the leader freezes while it fences the machine for one group, and the next one is to fence the same machine for
// the other group, whose lease nobody holds. That it waits until the frozen one can't act any more (S15) is asked by the run itself.
func TestScenario60_TwoLeadersAndOneMachine(t *testing.T) {
	p := quiet(3)
	p.Groups, p.SharedHost, p.Length = append(p.Groups, p.Groups[0]), true, 2*time.Minute
	p.Items = []Item{
		{Kind: "crash", At: 20 * time.Second, Group: 0, For: time.Minute, Amount: 1},
		{Kind: "crash", At: 21 * time.Second, Group: 1, For: time.Minute, Amount: 1},
		{Kind: "freeze", Hook: "before-effect-isolate", For: 20 * time.Second},
	}
	s := play(t, p, nil)
	first := func(group string) string {
		i := slices.IndexFunc(s.trace.lines, func(line string) bool { return strings.Contains(line, " starts isolate db1 of "+group) })
		if i < 0 {
			return ""
		}
		return strings.Fields(s.trace.lines[i])[1]
	}
	if one, other := first("g1"), first("g2"); one == other || one == "" || other == "" {
		t.Errorf("%q fences for one group and %q for the other", one, other)
	}
	if s.counts.promotions != 2 {
		t.Errorf("%d promotions", s.counts.promotions)
	}
}

// TestScenario61_PausedOnTheWay: an isolation that an operator's pause overtakes does not count.
func TestScenario61_PausedOnTheWay(t *testing.T) {
	p := crashed(3, 20*time.Second, Item{Kind: "op-pause", Hook: "before-commit-intend-isolate", Member: 0})
	s := begin(t, p, 60*time.Second)
	if g := s.ledger.newest.Group("g1"); g.Pause == nil || s.hookUsed[0] == 0 {
		t.Fatal("it was not paused on the way")
	}
	nothingHappened(t, s)
}

// forgotten is a plan whose router forgets a failover: it sends clients to the former primary again, which is off. More may happen from that on.
func forgotten(more ...Item) *Plan {
	return crashed(3, 20*time.Second, append(more, Item{Kind: "router-forgets", At: forgets, Amount: 0})...)
}

// forgets is when the router of forgotten does.
const forgets = time.Minute

// ledToTheWriter asks that a run ended with clients at the writer, and nothing in progress.
func ledToTheWriter(t *testing.T, s *sim) {
	t.Helper()
	g := s.ledger.newest.Group("g1")
	if to := s.services[0].router.to; to == "" || to != g.Writer() || g.Operation != nil {
		t.Errorf("clients are sent to %q, the writer is %q, %+v", to, g.Writer(), g.Operation)
	}
}

// TestReroute_ARouterThatForgetsIsToldAgain, once, within the bound, though nobody calls for help.
func TestReroute_ARouterThatForgetsIsToldAgain(t *testing.T) {
	s := begin(t, forgotten(), forgets)
	if to := s.services[0].router.to; to != "db1" || s.counts.reroutes > 0 {
		t.Fatalf("clients are sent to %q, after %d reroutes", to, s.counts.reroutes)
	}
	epoch := s.ledger.newest.Group("g1").Epoch
	s.playUntil(forgets + routesBound)
	failedOverOnce(t, s)
	ledToTheWriter(t, s)
	if g := s.ledger.newest.Group("g1"); s.counts.reroutes != 1 || g.Epoch != epoch+1 {
		t.Errorf("%d reroutes, epoch %d after %d", s.counts.reroutes, g.Epoch, epoch)
	}
}

// TestReroute_TheLeaderIsStruckAtEveryPoint of a reroute, or the primary dies there: whoever is next brings the routes back, to whoever writes then.
func TestReroute_TheLeaderIsStruckAtEveryPoint(t *testing.T) {
	points := slices.Clone(rerouteHooks)
	slices.Sort(points)
	for _, point := range slices.Compact(points) {
		for _, kind := range []string{"kill", "freeze", "pause", "cut-node", "disk-stall", "op-failover", "op-pause"} {
			t.Run(point+"/"+kind, func(t *testing.T) {
				s := play(t, forgotten(Item{Kind: kind, Hook: point, Node: -1, Member: -1, For: 30 * time.Second}), func(s *sim) {
					s.hookUsed[0] = math.MinInt // not before the router has forgotten
					s.at(forgets, func() { s.hookUsed[0] = 0 })
				})
				if s.hookUsed[0] == 0 {
					t.Error("the point was not passed")
				}
				ledToTheWriter(t, s)
			})
		}
	}
}

// TestReroute_WhatEndsItOnTheWayIsNotTheRouter: two in a row end with the reign of their leader, which says nothing of the router, and the third
// begins with the next look.
func TestReroute_WhatEndsItOnTheWayIsNotTheRouter(t *testing.T) {
	strikes := func(times int) Item {
		return Item{Kind: "kill", Hook: "before-effect-promote", Count: times, Node: -1, Member: -1, For: 5 * time.Second}
	}
	s := begin(t, forgotten(strikes(0), strikes(1)), 10*time.Second)
	s.hookUsed[0], s.hookUsed[1] = math.MinInt, math.MinInt // not before the router has forgotten
	s.playUntil(forgets)
	s.hookUsed[0], s.hookUsed[1] = 0, 0
	s.playUntil(forgets + 50*time.Second)
	ledToTheWriter(t, s)
	if s.counts.reroutes != 3 || s.services[0].router.row != 1 {
		t.Errorf("%d reroutes, of which %d came to their end", s.counts.reroutes, s.services[0].router.row)
	}
}

// TestReroute_ARouterThatFindsThePrimaryDeadBeginsNone: it was restarted, has been told right, and no command mends what its own check finds.
func TestReroute_ARouterThatFindsThePrimaryDeadBeginsNone(t *testing.T) {
	p := quiet(3)
	p.Items = []Item{{Kind: "router-blind", At: 20 * time.Second, Member: -1, For: time.Minute}}
	s := play(t, p, nil)
	nothingHappened(t, s)
	if s.counts.reroutes != 0 || s.counts.routeLooks == 0 {
		t.Errorf("%d reroutes after %d looks", s.counts.reroutes, s.counts.routeLooks)
	}
}

// TestReroute_ToARouterThatFindsThePrimaryDead is tried once: it is told again where to lead clients, no proof of that comes, and then it is left alone.
func TestReroute_ToARouterThatFindsThePrimaryDead(t *testing.T) {
	s := begin(t, forgotten(Item{Kind: "router-blind", At: forgets - time.Second, Member: -1, For: 50 * time.Second}), forgets+45*time.Second)
	g := s.ledger.newest.Group("g1")
	ledToTheWriter(t, s)
	if last := g.History.Receipts[len(g.History.Receipts)-1]; s.counts.reroutes != 1 || last.Operation.Kind != failover.KindReroute || last.Result == failover.OperationDone {
		t.Errorf("%d reroutes, the last operation was %s: %s", s.counts.reroutes, last.Operation.Kind, last.Result)
	}
}

// TestReroute_AMistakenArbiterIsRefused: the leader believes that clients are sent elsewhere than to a writer that serves, and nobody else sees it
// accept writes. Once all do, a reroute may do no harm.
func TestReroute_AMistakenArbiterIsRefused(t *testing.T) {
	p := quiet(3)
	p.Items = []Item{
		{Kind: "full", At: 18 * time.Second, Member: 0, For: 20 * time.Second},
		{Kind: "misread", At: 20 * time.Second, Node: -1, For: 20 * time.Second},
	}
	s := begin(t, p, 37*time.Second)
	if s.counts.reroutes != 0 || s.counts.unseenReroutes < 10 || s.counts.starts != 0 {
		t.Errorf("%d reroutes, %d refused, %d actions", s.counts.reroutes, s.counts.unseenReroutes, s.counts.starts)
	}
	s.playUntil(45 * time.Second)
	if s.failure != nil || s.counts.reroutes == 0 {
		t.Errorf("%v, %d reroutes", s.failure, s.counts.reroutes)
	}
	ledToTheWriter(t, s)
}

// A device that calls the primary off, which all arbiters reach, proves nothing of it later, when nobody does, and is not asked to switch anything off:
// a failover waits, and ends by itself when the primary is reached again.
func TestS3_ADeviceThatWasSeenToBeWrongIsNotAsked(t *testing.T) {
	p := quiet(3)
	p.Length = 3 * time.Minute
	p.Items = []Item{
		{Kind: "device-lying", At: 20 * time.Second, Member: 0, For: 20 * time.Second, Amount: 0}, // three times as long
		{Kind: "cut-member", At: 40 * time.Second, Member: 0, For: 12 * time.Second, Amount: 1},
	}
	s := play(t, p, nil)
	g := s.ledger.newest.Groups[0]
	last := g.History.Receipts
	if s.counts.contradicted == 0 || s.counts.starts != 0 || g.Writer() != "db1" || len(last) != 1 {
		t.Errorf("%d devices were contradicted, %d actions begun; the writer is %q after %d operations", s.counts.contradicted, s.counts.starts, g.Writer(), len(last))
	}
}

// TestScenario63_ANewLeaderAnswersNothingBeforeItsReign: from its election until its own BeginReign is applied there it is no leader to whoever asks, also
// while it applies what the leader before it had committed.
func TestScenario63_ANewLeaderAnswersNothingBeforeItsReign(t *testing.T) {
	s := begin(t, quiet(3), 20*time.Second)
	asked := 0
	for range 5 {
		old := s.leaderNode()
		last := old.raft.last() + 1 // the others have it, and don't know that it is committed
		old.commit(failover.Pause{Request: s.request("test"), Group: "g1"}, func(*entry, error) {})
		for slices.ContainsFunc(s.nodes[:3], func(n *node) bool { return n.raft.last() < last }) {
			e := s.queue.pop()
			s.now = e.at
			e.run()
		}
		old.kill("killed")
		for until := s.now + 3*time.Second; s.queue[0].at <= until; {
			e := s.queue.pop()
			s.now = e.at
			e.run()
			if n := s.leaderNode(); n != nil && n.state.Reign.Term < n.raft.term {
				reads := s.counts.reads
				if s.read(n); n.leading || s.counts.reads != reads {
					t.Fatalf("%s leads in term %d, and answers by the state of term %d", n.id, n.raft.term, n.state.Reign.Term)
				}
				asked++
			}
		}
		for _, n := range s.nodes[:3] {
			n.start()
		}
		s.playUntil(s.now + 3*time.Second)
	}
	if s.failure != nil || asked < 5 {
		t.Errorf("asked %d times, %v", asked, s.failure)
	}
}

// TestScenario64_AnOutcomeIsDeliveredTwice: what the fences came to is told again while their members are given back, and after it. Each counts once.
func TestScenario64_AnOutcomeIsDeliveredTwice(t *testing.T) {
	var more []Item
	for i := range 40 {
		more = append(more, Item{Kind: "outcome-again", At: askedBack + time.Duration(i)*500*time.Millisecond, Node: -1, Amount: i})
	}
	plain, again := play(t, givenBack(), nil), play(t, givenBack(more...), nil)
	g := again.ledger.newest.Group("g1")
	if receipts := g.History.Receipts; len(receipts) == 0 || receipts[0].Result != failover.OperationReinstated || g.Writer() == "" || g.Operation != nil {
		t.Errorf("the writer is %q, %+v, after %+v", g.Writer(), g.Operation, receipts)
	}
	if n := again.counts.refused - plain.counts.refused; n < 30 {
		t.Errorf("only %d of 40 were refused", n)
	}
}
