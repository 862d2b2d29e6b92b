package arbiter

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
)

const (
	// fencePathsAtOnce bounds how many status requests run at the same time: a fence agent is a process.
	fencePathsAtOnce = 4
	// fencePathFirst is the pause between two paths of a new or changed group, after as many as may run at once: 20 a second.
	fencePathFirst = 50 * time.Millisecond
	fencePathBurst = fencePathFirst * (fencePathsAtOnce - 1)
	// fencePathShare is how much longer each path of a fleet waits for its turn for every path that there is: the fleet is asked at one
	// path a second, ...
	fencePathShare = time.Second
	// fencePathLongest is ... unless one of them would wait longer than this.
	fencePathLongest = 15 * time.Minute
)

// fencePaths asks every device of every member for its status, again and again; that harms nobody, and says before it is needed whether a
// fence would work.
//
// Each request is a process, on every arbiter, so a large fleet is asked at a pace. New and changed paths come first, without
// waiting for a turn: a group is never shown as not armed because of the pace. A path that was armed waits for its turn; one that was
// not waits for no more than a small fleet's path does, so that its repair is noticed as soon. Nothing here ever makes a path
// unarmed but the answer of its devices.
//
// One goroutine owns the paths, and there is one per request under way.
type fencePaths struct {
	every  time.Duration // how often each path of a small fleet is asked
	clock  clock.Clock
	state  func() *failover.State
	ask    func(context.Context, failover.MemberSpec) failover.FencePath
	report func(failover.FencePath)
	specs  chan struct{}                // has room for one: specs have changed
	ended  chan failover.FencePath      // has room for all that run
	paths  map[memberKey]*fencePathTurn // what follows belongs to run
	seen   map[failover.GroupName]specVersion
	asking int
	// firstFree and routineFree are when the pace lets the next path of each kind be asked.
	firstFree, routineFree time.Duration
}

// fencePathTurn is when one path is asked next.
type fencePathTurn struct {
	due    time.Duration // boot clock; 0: at once, since it is new
	asking bool
	again  bool // it changed while it was asked
}

func newFencePaths(every time.Duration, c clock.Clock, state func() *failover.State,
	ask func(context.Context, failover.MemberSpec) failover.FencePath, report func(failover.FencePath),
) *fencePaths {
	return &fencePaths{
		every: every, clock: c, state: state, ask: ask, report: report, specs: make(chan struct{}, 1),
		firstFree: c.Boot() - fencePathBurst, ended: make(chan failover.FencePath, fencePathsAtOnce), paths: map[memberKey]*fencePathTurn{}, seen: map[failover.GroupName]specVersion{},
	}
}

// wake says that specs may have changed.
func (p *fencePaths) wake() {
	select {
	case p.specs <- struct{}{}:
	default:
	}
}

func (p *fencePaths) run(ctx context.Context) error {
	var requests sync.WaitGroup
	defer requests.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	p.wake()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.specs:
			p.follow(p.state())
		case path := <-p.ended:
			p.answered(path)
		case <-timer.C:
		}
		timer.Reset(p.askDue(ctx, &requests))
	}
}

// follow notes which paths there are, and which of them are new or belong to a changed group.
func (p *fencePaths) follow(s *failover.State) {
	for key := range p.paths {
		if g := s.Group(key.group); g == nil || g.Member(key.member) == nil {
			delete(p.paths, key)
		}
	}
	for _, g := range s.Groups {
		if p.seen[g.Name] == specVersionOf(g) {
			continue
		}
		for _, m := range g.Spec.Members {
			key := memberKey{g.Name, m.Name}
			turn := p.paths[key]
			if turn == nil {
				turn = &fencePathTurn{}
				p.paths[key] = turn
			}
			turn.due, turn.again = 0, turn.asking
		}
	}
	changed(p.seen, s)
}

// askDue starts what is due and within the pace. It returns how long to wait for the next one if nothing happens before.
func (p *fencePaths) askDue(ctx context.Context, requests *sync.WaitGroup) time.Duration {
	for {
		now := p.clock.Boot()
		key, turn := p.next()
		if turn == nil || p.asking >= fencePathsAtOnce {
			return time.Hour // the end of a request or a new spec wakes the loop
		}
		if wait := max(turn.due, p.free(turn)) - now; wait > 0 {
			return wait
		}
		p.spend(turn, now)
		s := p.state()
		m, ok := specOf(s, key)
		if !ok {
			delete(p.paths, key) // follow hears of it in a moment
			continue
		}
		turn.asking = true
		p.asking++
		requests.Go(func() {
			path := p.ask(ctx, m)
			path.Group, path.Member, path.AsOf = key.group, key.member, s.Applied
			if ctx.Err() == nil {
				p.report(path)
			}
			p.ended <- path
		})
	}
}

// next is the path whose turn comes next, nil if all are being asked.
func (p *fencePaths) next() (first memberKey, turn *fencePathTurn) {
	for key, t := range p.paths {
		if t.asking {
			continue
		}
		if turn == nil || cmp.Or(cmp.Compare(t.due, turn.due), compareKeys(key, first)) < 0 {
			first, turn = key, t
		}
	}
	return first, turn
}

func (p *fencePaths) free(t *fencePathTurn) time.Duration {
	if t.due == 0 {
		return p.firstFree
	}
	return p.routineFree
}

// spend moves on when the pace lets the next path be asked: new ones after a burst of as many as may run at once, the others at no more than
// twice the rate at which all are asked once in their time.
func (p *fencePaths) spend(t *fencePathTurn, now time.Duration) {
	if t.due == 0 {
		p.firstFree = max(p.firstFree, now-fencePathBurst) + fencePathFirst
		return
	}
	p.routineFree = now + fencePathInterval(p.every, len(p.paths))/time.Duration(2*len(p.paths))
}

// answered settles when a path is asked again.
func (p *fencePaths) answered(path failover.FencePath) {
	p.asking--
	turn := p.paths[memberKey{path.Group, path.Member}]
	if turn == nil {
		return
	}
	again := turn.again
	turn.asking, turn.again = false, false
	if again {
		return // it is due at once
	}
	interval, jitter := p.every, p.every/10
	if path.Armed {
		interval = fencePathInterval(p.every, len(p.paths))
		jitter = interval / 10
	}
	if turn.due == 0 {
		jitter = interval // what was asked together is not asked together again
	}
	turn.due = p.clock.Boot() + interval - rand.N(jitter+1)
}

// fencePathInterval is how often each of so many armed paths is asked.
func fencePathInterval(every time.Duration, paths int) time.Duration {
	return max(every, min(time.Duration(paths)*fencePathShare, fencePathLongest))
}

func specOf(s *failover.State, key memberKey) (failover.MemberSpec, bool) {
	g := s.Group(key.group)
	if g == nil {
		return failover.MemberSpec{}, false
	}
	return g.Spec.Member(key.member)
}
