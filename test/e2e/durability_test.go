package e2e

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// prioritised gives members a priority in the group's spec.
func (s *stage) prioritised(p plan, priorities map[*database.Server]int) string {
	yaml := s.yaml(p)
	for m, priority := range priorities {
		yaml = strings.Replace(yaml, "{name: "+m.Name()+",", fmt.Sprintf("{name: %s, priority: %d,", m.Name(), priority), 1)
	}
	return yaml
}

// cut separates a member from the primary; both still see everybody else.
func (s *stage) cut(m *database.Server) {
	s.t.Helper()
	s.must(s.Site.Separate(s.ctx, []*hosts.Host{m.Host()}, []*hosts.Host{s.primary.Host()}))
}

// ahead waits until one member has more of the log than another.
func (s *stage) ahead(one, other *database.Server) {
	s.t.Helper()
	s.await(one.Name()+" to be ahead of "+other.Name(), func() error {
		a, b := s.state(one).Position, s.state(other).Position
		if a <= b+1000 {
			return fmt.Errorf("%d and %d", a, b)
		}
		return nil
	})
}

// The most advanced standby wins, whatever the priorities.
func TestScenario15_MostAdvancedWins(t *testing.T) {
	full(t)
	s := enter(t, plan{sync: "ANY 1 ($1, $2)"})
	s.namespaces()
	s.apply(s.prioritised(plan{}, map[*database.Server]int{s.first: 500}))
	s.ready()
	s.cut(s.first)
	s.writes(100)
	s.ahead(s.second, s.first)
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.chosen(to, s.second)
}

// Among standbys that are equally advanced, priority decides. A clean stop leaves them equal.
func TestScenario15_PriorityBreaksTies(t *testing.T) {
	full(t)
	s := enter(t, plan{sync: "ANY 1 ($1, $2)"})
	s.apply(s.prioritised(plan{}, map[*database.Server]int{s.second: 500}))
	s.ready()
	s.fault = lab.Now()
	s.must(s.primary.Stop(s.ctx, database.Fast))
	to, op := s.failedOver()
	s.promoted(to, op)
	s.chosen(to, s.second)
}

// Priority 0 is never promoted: then there is no candidate, and nobody is fenced.
func TestScenario15_PriorityZero(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.apply(s.prioritised(plan{}, map[*database.Server]int{s.first: 0, s.second: 0}))
	s.crash()
	s.held("no-candidate", "its priority is 0")
	s.restartUnharmed()
}

// aheadWithPriorityZero makes the first standby, which has priority 0, the one with the most: the second one is cut off while clients write.
func (s *stage) aheadWithPriorityZero(p plan) {
	s.t.Helper()
	s.namespaces()
	s.expectLost = true // what only the first one has
	s.apply(s.prioritised(p, map[*database.Server]int{s.first: 0}))
	s.ready()
	s.cut(s.second)
	s.writes(200)
	s.ahead(s.first, s.second)
	s.crash()
}

// A standby of priority 0 is further ahead than the other, and alone has what was acknowledged: it is not promoted, and since its position is known,
// nor is the other, until an operator accepts that loss. Until then nobody is fenced.
func TestScenario15_PriorityZeroIsAhead(t *testing.T) {
	full(t)
	s := enter(t, plan{sync: "ANY 1 ($1, $2)"})
	s.aheadWithPriorityZero(plan{})
	g := s.held("loss-bound", "the best candidate is "+s.second.Name(), "holds more", "accept-loss")
	if offs := s.offs(); len(offs) > 0 {
		t.Errorf("somebody was fenced: %v", offs)
	}
	s.unpromoted()
	bytes := s.state(s.first).Position - s.state(s.second).Position
	var told uint64
	_, words, _ := strings.Cut(g.GetOperation().GetHeldDetail(), "may lose ")
	if _, err := fmt.Sscanf(words, "%d bytes", &told); err != nil || told < uint64(bytes) {
		t.Errorf("%s has %d bytes less than %s, and what is held says %q (%v)", s.second.Name(), bytes, s.first.Name(), g.GetOperation().GetHeldDetail(), err)
	}
	_, err := s.Ctl(s.ctx, "release", lab.Group, "--yes", "--accept-loss", "100MB", "--reason", "orders can be entered again")
	s.must(err)
	s.withoutPriorityZero()
}

// The same where the policy allows that loss: the other one is promoted, though it has less.
func TestScenario15_PriorityZeroIsAheadAndMayBeLost(t *testing.T) {
	full(t)
	p := plan{sync: "none", policy: []string{"max_loss: 100MB"}}
	s := enter(t, p)
	s.aheadWithPriorityZero(p)
	s.withoutPriorityZero()
}

// withoutPriorityZero asserts that a failover ends on the second standby, and that the first one, whose priority is 0, has stayed a standby.
func (s *stage) withoutPriorityZero() {
	s.t.Helper()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.chosen(to, s.second)
	for _, step := range op.GetSteps() {
		if step.GetName() == "promote" && step.GetMember() != s.second.Name() {
			s.t.Errorf("it was tried to promote another one: %v", step)
		}
	}
	if !s.state(s.first).InRecovery {
		s.t.Errorf("%s has priority 0, and was promoted", s.first.Name())
	}
}

// restartUnharmed starts the old primary again, which nobody may have touched.
func (s *stage) restartUnharmed() {
	s.t.Helper()
	if offs := s.offs(); len(offs) > 0 {
		s.t.Errorf("somebody was fenced: %v", offs)
	}
	s.unpromoted()
	s.must(s.primary.Start(s.ctx))
	s.until("steady", steady)
	s.nothingDone()
}

// The candidate is further behind than the policy allows: held; an operator accepts the loss once, and it goes on.
func TestScenario16_BeyondTheLossBound(t *testing.T) {
	full(t)
	s := enter(t, plan{sync: "none", policy: []string{"max_loss: 100kB"}})
	s.namespaces()
	s.expectLost = true
	s.cut(s.first)
	s.cut(s.second)
	s.must(s.primary.Exec(s.ctx, "INSERT INTO orders (writer, number) SELECT 'bulk', n FROM generate_series(1, 20000) n"))
	s.writes(50)
	// What the primary has written is known to the arbiters from their looks, which come every 200 ms.
	s.until("behind", func(g *arbiterv1.GroupStatus) bool { return g.GetLagBytes() > 100_000 })
	s.crash()
	s.sameLoss(s.held("loss-bound", "the policy allows 100 kB", "accept-loss"))
	s.says([]string{"show", lab.Group}, "next:", "--accept-loss")
	s.unpromoted()
	last := s.lastEvent()
	_, err := s.Ctl(s.ctx, "release", lab.Group, "--yes", "--accept-loss", "1kB", "--reason", "too little")
	s.must(err)
	s.await("it to be held anew", func() error {
		var kinds []string
		for _, e := range s.events(last) {
			kinds = append(kinds, e.GetKind())
		}
		if released := slices.Index(kinds, "operation-released"); released < 0 || !slices.Contains(kinds[released:], "operation-held") {
			return fmt.Errorf("events since: %q", kinds)
		}
		return nil
	})
	s.held("loss-bound", "accept-loss")
	s.unpromoted()
	_, err = s.Ctl(s.ctx, "release", lab.Group, "--yes", "--accept-loss", "100MB", "--reason", "orders can be entered again")
	s.must(err)
	to, op := s.failedOver()
	if to == s.primary || op.GetResult() != "done" || !op.GetAcceptedLoss() {
		t.Errorf("first write on %s, operation %v", to.Name(), op)
	}
}

// sameLoss asserts that the status of a group that is held for what would be lost names at least as much as the hold does.
func (s *stage) sameLoss(g *arbiterv1.GroupStatus) {
	s.t.Helper()
	var held, told uint64
	_, words, _ := strings.Cut(g.GetOperation().GetHeldDetail(), "may lose ")
	_, err := fmt.Sscanf(words, "%d bytes", &held)
	s.must(err)
	_, err = fmt.Sscanf(g.GetWouldLose(), "about %d bytes", &told)
	if err != nil || held <= 100_000 || told < held || g.GetLagBytes() == 0 {
		s.t.Errorf("held for %d bytes; the status says that it would lose %q, and is %d bytes behind (%v)", held, g.GetWouldLose(), g.GetLagBytes(), err)
	}
}

// The policy says no loss: only the synchronous standby is promoted, whatever the priorities; without it, nobody is.
func TestScenario17_OnlyTheSynchronousStandby(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.namespaces()
	s.apply(s.prioritised(plan{}, map[*database.Server]int{s.second: 500}))
	s.ready()
	s.cut(s.second) // otherwise it may have everything too
	s.writes(100)
	s.ahead(s.first, s.second)
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.chosen(to, s.first)
	if op.GetLossGrade() != "observed" {
		t.Errorf("operation %v", op)
	}
}

// The synchronous standby is gone and the policy says no loss: nobody is promoted, nobody is fenced.
func TestScenario17_SynchronousStandbyGone(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	s.must(s.first.Stop(s.ctx, database.Fast))
	s.until("without a candidate", func(g *arbiterv1.GroupStatus) bool { return g.GetCandidate() == "" })
	s.crash()
	s.held("loss-bound", "0 of 1 synchronous standbys answer")
	s.restartUnharmed()
	s.must(s.first.Start(s.ctx))
	s.writes(20)
}

// A standby that can't be pointed at the new primary makes the failover no longer; it is named until it follows.
func TestConfigure_StandbyLeftBehind(t *testing.T) {
	full(t)
	s := enter(t, plan{})
	var before string
	s.must(s.second.Ask(s.ctx, []any{&before}, "SELECT current_setting('primary_conninfo')"))
	s.must(s.second.Exec(s.ctx, "ALTER SYSTEM SET primary_conninfo = ''"))
	s.must(s.second.Exec(s.ctx, "SELECT pg_reload_conf()"))
	s.says([]string{"status"}, s.second.Name()+" is not ready: it does not follow "+s.primary.Name(), "a standby that does not follow")
	s.attention()
	s.crash()
	to, op := s.failedOver()
	s.promoted(to, op)
	s.says([]string{"show", lab.Group}, "not done: "+s.second.Name()+" points at "+to.Name(), "primary_conninfo", "arbiterctl status "+lab.Group)
	s.explains("make " + s.second.Name() + " follow " + to.Name())
	host, port, err := net.SplitHostPort(to.Address())
	s.must(err)
	pointed := regexp.MustCompile(`host=\S+`).ReplaceAllString(regexp.MustCompile(`port=\S+`).ReplaceAllString(before, "port="+port), "host="+host)
	s.must(s.second.Exec(s.ctx, "ALTER SYSTEM SET primary_conninfo = '"+strings.ReplaceAll(pointed, "'", "''")+"'"))
	s.must(s.second.Exec(s.ctx, "SELECT pg_reload_conf()"))
	s.until("followed by "+s.second.Name(), func(g *arbiterv1.GroupStatus) bool {
		return !slices.ContainsFunc(g.GetMembers(), func(m *arbiterv1.MemberStatus) bool { return m.GetNotFollowing() != "" })
	})
}

// Any one of two standbys confirms a commit: to prove that nothing is lost both must answer, else held.
func TestScenario18_QuorumCommit(t *testing.T) {
	full(t)
	s := enter(t, plan{sync: "ANY 1 ($1, $2)"})
	s.must(s.second.Stop(s.ctx, database.Fast))
	s.until("without a candidate", func(g *arbiterv1.GroupStatus) bool { return g.GetCandidate() == "" })
	s.writes(50)
	s.crash()
	s.held("loss-bound", "1 of 2 synchronous standbys answer, 2 needed")
	if offs := s.offs(); len(offs) > 0 {
		t.Errorf("somebody was fenced: %v", offs)
	}
	s.unpromoted()
	s.must(s.second.Start(s.ctx))
	to, op := s.failedOver()
	s.promoted(to, op)
	s.chosen(to, s.first)
}

// No standby can be promoted: the failed primary is not fenced.
func TestScenario20_NoCandidateNoFence(t *testing.T) {
	full(t)
	s := enter(t, plan{sync: "none", policy: []string{"max_loss: 100MB"}})
	s.must(s.first.Stop(s.ctx, database.Fast))
	s.must(s.second.Stop(s.ctx, database.Fast))
	s.until("without a candidate", func(g *arbiterv1.GroupStatus) bool { return g.GetCandidate() == "" })
	s.crash()
	s.held("no-candidate", s.first.Name(), s.second.Name(), "does not answer as a standby")
	s.restartUnharmed()
	s.writes(20)
}
