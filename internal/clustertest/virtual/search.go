package virtual

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// search is one run in which things go wrong by chance.
type search struct {
	c     *Cluster
	dice  dice
	nodes []failover.NodeID
	until time.Time // when nothing new goes wrong any more
	// down counts why an arbiter must not be started again yet.
	down    map[failover.NodeID]int
	agenda  []due // in the order of time
	beside  sync.WaitGroup
	context context.Context
}

// due is something that happens at a time.
type due struct {
	at   time.Time
	what func()
}

// Search protects the world with a cluster, lets things go wrong for a while, ends what is wrong, and looks whether a failover works. What
// goes wrong is drawn from the seed. It returns what was seen; breaches of the rules are in the history.
func Search(t *testing.T, c *Cluster, seed uint64, length time.Duration) Counts {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	s := &search{c: c, dice: newDice(seed), nodes: c.Nodes(), down: map[failover.NodeID]int{}, context: ctx}
	defer s.beside.Wait()
	defer end()
	c.Protect()
	defer c.WatchAnswers()()
	s.until = time.Now().Add(length)
	s.later(0, s.wrong)
	s.later(0, s.repair)
	for time.Now().Before(s.until) && len(c.History.Breaches()) == 0 {
		s.work()
	}
	if len(c.History.Breaches()) == 0 {
		s.recover()
	}
	return c.Counts()
}

// later puts something on the agenda.
func (s *search) later(after time.Duration, what func()) {
	at := time.Now().Add(after)
	i := slices.IndexFunc(s.agenda, func(d due) bool { return d.at.After(at) })
	if i < 0 {
		i = len(s.agenda)
	}
	s.agenda = slices.Insert(s.agenda, i, due{at, what})
}

// pace is how often the agenda is looked at, and who has ended is started again.
const pace = 20 * time.Millisecond

// work does what is due.
func (s *search) work() {
	time.Sleep(pace)
	for len(s.agenda) > 0 && !s.agenda[0].at.After(time.Now()) {
		next := s.agenda[0]
		s.agenda = s.agenda[1:]
		next.what()
	}
	for _, node := range s.nodes {
		if s.down[node] == 0 && s.c.present(node) == nil {
			s.c.Start(node)
		}
	}
}

// aside does something that takes its time.
func (s *search) aside(what func(context.Context)) {
	s.beside.Go(func() {
		ctx, end := context.WithTimeout(s.context, 10*time.Second)
		defer end()
		what(ctx)
	})
}

// leader is who leads in the newest state.
func (s *search) leader() failover.NodeID {
	s.c.truth.mu.Lock()
	defer s.c.truth.mu.Unlock()
	return s.c.truth.newest.Reign.Leader
}

// wrong lets something go wrong, half of the time while an operation is about to run, and comes again.
func (s *search) wrong() {
	next := s.dice.between(200*time.Millisecond, 4*time.Second)
	s.later(next, s.wrong)
	wait := time.Duration(0)
	if s.dice.IntN(2) == 0 {
		s.crash()
		wait = s.dice.between(0, 600*time.Millisecond)
	}
	if s.dice.IntN(3) == 0 { // a member dies while something else is wrong already
		s.later(s.dice.between(0, 1500*time.Millisecond), s.crash)
	}
	s.later(wait, func() {
		end, what := faults[s.dice.IntN(len(faults))](s)
		s.c.History.Note("fault", "%s", what)
		s.later(s.dice.between(300*time.Millisecond, 9*time.Second), func() {
			s.c.History.Note("fault", "no more: %s", what)
			end()
		})
	})
}

// crash ends the process of the primary. Now and then it is started again as what it was.
func (s *search) crash() {
	writer := s.c.World.Writer()
	if writer == "" || s.c.World.Standbys() == 0 { // nobody could take over, and nobody must
		return
	}
	s.c.World.Crash(writer)
	if s.dice.IntN(3) == 0 {
		s.later(s.dice.between(50*time.Millisecond, 8*time.Second), func() { s.c.World.Restart(writer) })
	}
}

// repair is what operators do all the time.
func (s *search) repair() {
	s.later(s.dice.between(2*time.Second, 6*time.Second), s.repair)
	s.c.World.RepairStandbys()
	if candidate := s.c.truth.stuckPromotion(); candidate != "" {
		s.c.World.Restart(candidate)
	}
	s.aside(s.c.release)
}

// release lets a held operation go on, with whatever loss that means.
func (c *Cluster) release(ctx context.Context) {
	g := c.Status(ctx)
	leader := c.leads(ctx)
	if g.GetStage() != string(failover.Held) || leader == "" {
		return
	}
	release := &arbiterv1.ReleaseRequest{Change: c.Change("search"), Group: Group, Operation: g.GetOperation().GetId(), Seen: g.GetOperation().GetTurn()}
	for _, m := range g.GetMembers() { // whatever it is held for: somebody else may be there to be promoted, at a loss
		release.Change, release.AcceptLoss, release.AcceptUnknownLoss, release.Member = c.Change("search"), true, true, m.GetMember()
		if _, err := c.apis[leader].Release(ctx, release); err == nil {
			c.History.Note("operator", "accepts the loss by the promotion of %s", m.GetMember())
			return
		}
	}
	release.Change, release.AcceptLoss, release.AcceptUnknownLoss, release.Member = c.Change("search"), false, false, ""
	_, err := c.apis[leader].Release(ctx, release)
	c.History.Note("operator", "releases: %v", err)
}

// recoveryLimit is how long a group may take, once nothing is wrong any more, to be well. It covers a time limit and its repetitions. A group
// that takes longer is late, and is waited for until lateLimit, so that the failover that is due is seen there too.
const (
	recoveryLimit = 90 * time.Second
	lateLimit     = 15 * time.Minute
)

// recover ends all that is wrong, and looks whether the group gets well, whether a failover that is due then ends, and whether clients are brought
// back when the router forgets it.
func (s *search) recover() {
	s.c.History.Note("fault", "no more faults")
	s.agenda = nil
	for _, d := range s.c.Nodes() {
		s.down[d] = 0
		if r := s.c.present(d); r != nil && r.kept != nil {
			s.c.Kill(d, false)
		}
	}
	s.c.Calm()
	s.later(0, s.repair)
	if !s.well("the group is well", s.c.Well) {
		return
	}
	was := s.c.World.Writer()
	s.c.World.Crash(was)
	if !s.well("a failover that was due has ended", s.c.Served) {
		return
	}
	if s.c.World.Writer() == was {
		s.c.History.Violate("failover", "%s is the primary again, although it was never started", was)
	}
	s.bringBack(was)
}

// bringBack lets the router send clients to the former primary again, and looks whether they are brought back, under an epoch that grew for it and
// that the primary took.
func (s *search) bringBack(former failover.MemberName) {
	writer := s.c.World.Writer()
	before := s.c.World.Token(writer)
	s.c.World.Forget(former)
	if !s.well("clients are brought back to the primary", s.c.Served) {
		return
	}
	if now := s.c.World.Writer(); now != writer || s.c.World.Token(writer) <= before {
		s.c.History.Violate("reroute", "clients were brought back to %s, which holds epoch %d; before, %s was the primary under epoch %d",
			now, s.c.World.Token(now), writer, before)
	}
}

// well waits until a condition of the group holds, and records it if that takes too long, or for ever. It ends as soon as a rule is broken.
func (s *search) well(what string, holds func(context.Context) bool) bool {
	began, late := time.Now(), false
	for broken := len(s.c.History.Breaches()); len(s.c.History.Breaches()) == broken; {
		s.work()
		ctx, done := context.WithTimeout(s.context, askLimit)
		held := holds(ctx)
		done()
		took := time.Since(began)
		switch {
		case held && late:
			s.c.History.Note("late", "%s after %v", what, took)
			return true
		case held:
			return true
		case took >= lateLimit:
			s.c.History.Violate("stuck", "not within %v after everything was mended: %s; %s", lateLimit, what, s.c.standing())
		case took >= recoveryLimit && !late:
			late = true
			broken++
			s.c.History.Violate("liveness", "not within %v after everything was mended: %s; %s", recoveryLimit, what, s.c.standing())
		}
	}
	return false
}

// standing says where the group stands.
func (c *Cluster) standing() string {
	ctx, done := context.WithTimeout(context.Background(), askLimit)
	defer done()
	g := c.Status(ctx)
	return fmt.Sprintf("stage %q, primary %q is %q, candidate %q, armed %v, notes %q; %q accepts writes, clients are sent to %q",
		g.GetStage(), g.GetPrimary(), g.GetPrimaryStatus(), g.GetCandidate(), g.GetArmed(), g.GetNotes(), c.World.Writer(), c.World.Front())
}

// readPace is how often every arbiter is asked.
const readPace = 23 * time.Millisecond

// WatchAnswers asks every arbiter again and again, until the returned function is called, and looks whether what it answers as the leader is
// true. No question waits for the answer to the one before: one that is held up must not keep others from being asked later.
func (c *Cluster) WatchAnswers() (stop func()) {
	ctx, end := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil {
			for _, node := range c.Nodes() {
				asking.Go(func() { c.read(ctx, node) })
			}
			time.Sleep(readPace)
		}
	})
	return func() { end(); asking.Wait() }
}

func (c *Cluster) read(ctx context.Context, node failover.NodeID) {
	least := c.truth.furthest()
	limited, done := context.WithTimeout(ctx, askLimit)
	defer done()
	answer, err := c.apis[node].GetStatus(limited, &arbiterv1.GetStatusRequest{})
	if f := answer.GetFreshness(); err == nil {
		c.truth.checkAnswer(node, failover.Term(f.GetTerm()), failover.Index(f.GetAppliedIndex()), least)
	}
}

// Counts are what was seen so far.
func (c *Cluster) Counts() Counts {
	c.truth.mu.Lock()
	defer c.truth.mu.Unlock()
	return c.truth.counts
}

// SlowDisk makes every write of an arbiter take so long.
func (c *Cluster) SlowDisk(node failover.NodeID, by time.Duration) {
	if r := c.present(node); r != nil {
		r.disk.Slow(by)
	}
}

// HangDisk lets every write of an arbiter hang until the returned function is called.
func (c *Cluster) HangDisk(node failover.NodeID) (goOn func()) {
	r := c.present(node)
	if r == nil {
		return func() {}
	}
	goOn = r.disk.Hang()
	c.mu.Lock()
	c.hangs = append(c.hangs, goOn)
	c.mu.Unlock()
	return goOn
}

// SetMood says how the drivers of an arbiter behave from now on.
func (c *Cluster) SetMood(node failover.NodeID, mood Mood) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moods[node] = mood
}
