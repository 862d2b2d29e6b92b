package virtual

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// fault is one thing that goes wrong. It happens at the call, and returns what ends it, and what it is in words.
type fault func(s *search) (end func(), what string)

// faults are all that go wrong, each as often as it stands here.
var faults = []fault{
	cutOneWay, cutBothWays, leaderAlone, leaderAlone, leaderBlind, leaderDeaf, leaderLate, leaderLate,
	leaderLate, leaderLate, slowLink,
	killed, killed, stopped, slowDisk, slowDisk, hungDisk, handedOver, handedOver, streamCut, streamCut, streamCut,
	driversHang, driversHang, driversSlow, driversLate, driversLate, answersLost, unmounted, unmounted, nothing, routerForgets, routerForgets,
}

// dice are the chances of a search.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 2))} }

// between draws a duration.
func (d dice) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(most-least)))
}

func (s *search) anyNode() failover.NodeID { return s.nodes[s.dice.IntN(len(s.nodes))] }

// twoNodes draws two that differ.
func (s *search) twoNodes() (a, b string) {
	i, j := s.dice.IntN(len(s.nodes)), s.dice.IntN(len(s.nodes)-1)
	if j >= i {
		j++
	}
	return string(s.nodes[i]), string(s.nodes[j])
}

// mostlyLeader is the leader, as far as it is known, or anybody.
func (s *search) mostlyLeader() failover.NodeID {
	if leader := s.leader(); leader != "" && s.dice.IntN(4) > 0 {
		return leader
	}
	return s.anyNode()
}

func (s *search) others(node failover.NodeID) []string {
	var others []string
	for _, n := range s.nodes {
		if n != node {
			others = append(others, string(n))
		}
	}
	return others
}

func nothing(*search) (func(), string) { return func() {}, "nothing" }

func routerForgets(s *search) (func(), string) {
	to := []failover.MemberName{"db1", "db2", "db3"}[s.dice.IntN(3)]
	s.c.World.Forget(to)
	return func() {}, fmt.Sprintf("the router leads to %s", to)
}

func cutOneWay(s *search) (func(), string) {
	a, b := s.twoNodes()
	s.c.Net.Cut(a, b)
	return func() { s.c.Net.Mend(a, b) }, fmt.Sprintf("nothing passes from %s to %s", a, b)
}

func cutBothWays(s *search) (func(), string) {
	a, b := s.twoNodes()
	s.c.Net.Cut(a, b)
	s.c.Net.Cut(b, a)
	return func() { s.c.Net.Mend(a, b); s.c.Net.Mend(b, a) }, fmt.Sprintf("nothing passes between %s and %s", a, b)
}

// links does something to the links from a node, or to it, and returns what mends them.
func (s *search) links(node failover.NodeID, hosts []string, from, to bool, how func(from, to string)) func() {
	for _, h := range hosts {
		if from {
			how(string(node), h)
		}
		if to {
			how(h, string(node))
		}
	}
	return func() {
		for _, h := range hosts {
			s.c.Net.Mend(string(node), h)
			s.c.Net.Mend(h, string(node))
		}
	}
}

func leaderAlone(s *search) (func(), string) {
	node := s.mostlyLeader()
	way := s.dice.IntN(3)
	return s.links(node, s.others(node), way != 1, way != 2, s.c.Net.Cut), fmt.Sprintf("%s is cut off from all arbiters (%d)", node, way)
}

var protected = []string{"db1", "db2", "db3", "fence", "router"}

func leaderBlind(s *search) (func(), string) {
	node := s.mostlyLeader()
	return s.links(node, protected, true, true, s.c.Net.Cut), fmt.Sprintf("%s is cut off from all members", node)
}

func leaderDeaf(s *search) (func(), string) {
	node := s.mostlyLeader()
	hosts := append(s.others(node), protected...)
	return s.links(node, hosts, false, true, s.c.Net.Cut), fmt.Sprintf("%s hears nothing", node)
}

// leaderLate makes answers to the leader late, each by another time, and silences it: answers to what it had sent go on coming in while
// others elect another leader.
func leaderLate(s *search) (func(), string) {
	node := s.mostlyLeader()
	step := s.dice.between(answerStep/2, answerStep)
	return s.c.LateAnswers(node, step), fmt.Sprintf("%s is cut off, and hears an old answer every %v", node, step)
}

// answerStep is how far apart old answers come in at most: as long as a leader waits for one.
const answerStep = 190 * time.Millisecond

// LateAnswers lets an arbiter hear an old answer of others at each step, for a while, and nothing new until the returned function is called.
func (c *Cluster) LateAnswers(node failover.NodeID, step time.Duration) (mend func()) {
	var others, addresses []string
	for _, p := range c.peers {
		if p.Node != node {
			others, addresses = append(others, string(p.Node)), append(addresses, p.Raft)
		}
	}
	end := c.Net.Spread(string(node), step, addresses...)
	each := func(how func(from, to string)) {
		for _, other := range others {
			how(string(node), other)
		}
	}
	// First everything that it has to ask gets under way, what it tells at rest too.
	timer := time.AfterFunc(c.timing.Idle+2*c.timing.Commit, func() { each(c.Net.Cut) })
	mend = func() { timer.Stop(); end(); each(c.Net.Mend) }
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangs = append(c.hangs, mend)
	return mend
}

func slowLink(s *search) (func(), string) {
	a, b := s.twoNodes()
	delay := s.dice.between(5*time.Millisecond, 250*time.Millisecond)
	s.c.Net.Delay(a, b, delay, delay)
	return func() { s.c.Net.Mend(a, b) }, fmt.Sprintf("from %s to %s it takes %v", a, b, delay)
}

func killed(s *search) (func(), string) {
	node, machine := s.mostlyLeader(), s.dice.IntN(2) == 0
	s.down[node]++
	s.c.Kill(node, machine)
	return func() { s.down[node]-- }, fmt.Sprintf("%s is down", node)
}

func stopped(s *search) (func(), string) {
	node := s.mostlyLeader()
	s.down[node]++
	s.aside(func(context.Context) { s.c.Stop(node) })
	return func() { s.down[node]-- }, fmt.Sprintf("%s is stopped", node)
}

func slowDisk(s *search) (func(), string) {
	node, by := s.mostlyLeader(), s.dice.between(2*time.Millisecond, 150*time.Millisecond)
	s.c.SlowDisk(node, by)
	return func() { s.c.SlowDisk(node, 0) }, fmt.Sprintf("writes of %s take %v", node, by)
}

// hungDisk keeps an arbiter that has ended for it from being started again: it would hang while it reads its log.
func hungDisk(s *search) (func(), string) {
	node := s.mostlyLeader()
	goOn := s.c.HangDisk(node)
	s.down[node]++
	return func() { s.down[node]--; goOn() }, fmt.Sprintf("the disk of %s hangs", node)
}

func handedOver(s *search) (func(), string) {
	s.aside(func(ctx context.Context) {
		if leader := s.c.leads(ctx); leader != "" {
			_, err := s.c.apis[leader].TransferLeadership(ctx, &arbiterv1.TransferLeadershipRequest{Change: s.c.Change("search")})
			s.c.History.Note("fault", "handing over from %s: %v", leader, err)
		}
	})
	return func() {}, "leadership is handed over"
}

// streamCut stalls the connections from an arbiter to the leader, and resets them when something was sent. That comes after what it
// sends anew.
func streamCut(s *search) (func(), string) {
	leader := s.leader()
	if leader == "" {
		return func() {}, "nothing"
	}
	others := s.others(leader)
	from, late := others[s.dice.IntN(len(others))], s.dice.between(100*time.Millisecond, 900*time.Millisecond)
	s.c.Net.Stall(from, string(leader), late)
	if s.dice.IntN(2) == 0 {
		s.crash()
	}
	s.later(s.dice.between(50*time.Millisecond, 400*time.Millisecond), func() { s.c.Net.Reset(from, string(leader)) })
	return func() {}, fmt.Sprintf("connections from %s to %s stall by %v and break", from, leader, late)
}

func (s *search) moody(mood Mood) (func(), string) {
	node := s.mostlyLeader()
	s.c.SetMood(node, mood)
	return func() { s.c.SetMood(node, Mood{}) }, fmt.Sprintf("drivers of %s: %+v", node, mood)
}

func driversHang(s *search) (func(), string) {
	return s.moody(Mood{Hang: s.dice.between(100*time.Millisecond, 8*time.Second)})
}

func driversSlow(s *search) (func(), string) {
	return s.moody(Mood{Slow: s.dice.between(100*time.Millisecond, 4*time.Second)})
}

func driversLate(s *search) (func(), string) {
	return s.moody(Mood{Late: s.dice.between(100*time.Millisecond, 8*time.Second)})
}

func answersLost(s *search) (func(), string) {
	return s.moody(Mood{Lost: true, Slow: s.dice.between(time.Millisecond, 500*time.Millisecond)})
}

// unmounted starts an arbiter without its disk.
func unmounted(s *search) (func(), string) {
	node := s.anyNode()
	if s.down[node] > 0 {
		return func() {}, "nothing"
	}
	s.down[node]++
	s.c.Kill(node, false)
	s.c.StartUnmounted(node)
	return func() { s.c.Kill(node, false); s.down[node]-- }, fmt.Sprintf("%s is started without its disk", node)
}
