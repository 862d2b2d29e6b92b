package arbiter

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

const (
	// fencePathsAtOnce bounds how many status requests run at the same time: a fence agent is a process. Devices that hang until their
	// time-out keep no others waiting: one place is for new and changed paths only, and one more for those and armed ones.
	fencePathsAtOnce  = 4
	fencePathsKnown   = fencePathsAtOnce - 1
	fencePathsUnarmed = fencePathsKnown - 1
	// fencePathFirst is the pause between two paths that are new or not known to be armed, after as many as may run at once: 20 a second.
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
// waiting for a turn: a group is never shown as not armed because of the pace. A path that was armed waits for its turn. One that was
// not waits as a small fleet's path does, and then for no more than the pace of new ones, so that its repair is noticed soon; so does
// one by which a fence was just tried and not proven, since what is known of it decides who leads (failover.Controller). It isn't asked when a
// failure is only suspected: many a device takes few sessions at a time, and the fence that may follow needs one. Nothing here ever
// makes a path unarmed but the answer of its devices.
//
// One goroutine owns the paths, and there is one per request under way.
type fencePaths struct {
	every  time.Duration // how often each path of a small fleet is asked
	clock  clock.Clock
	state  func() *failover.State
	ask    func(context.Context, failover.MemberSpec) failover.FencePath
	report func(failover.FencePath)
	specs  chan struct{}                // has room for one: specs have changed
	ended  chan fencePathAnswer         // has room for all that run
	paths  map[memberKey]*fencePathTurn // what follows belongs to run
	seen   ownview.Specs
	// asking is how many are being asked, askingKnown how many of them are neither new nor changed, and askingUnarmed how many of those
	// were not armed.
	asking, askingKnown, askingUnarmed int
	// firstFree and routineFree are when the pace lets the next path of each kind be asked.
	firstFree, routineFree time.Duration
}

// fencePathTurn is when one path is asked next.
type fencePathTurn struct {
	fresh  bool          // it is new or has changed: nothing is known of it
	armed  bool          // by its last answer, if no fence has failed since
	due    time.Duration // boot clock; 0: at once
	asking bool
	again  bool           // it changed while it was asked
	tried  failover.Index // the newest unproven fence that was heard of
}

// routine says whether a path may wait for its turn.
func (t *fencePathTurn) routine() bool { return t.armed && !t.fresh }

// fencePathAnswer is what a request for a status came to.
type fencePathAnswer struct {
	turn  *fencePathTurn
	asked fencePathTurn // as it was then
	armed bool
}

func newFencePaths(every time.Duration, c clock.Clock, state func() *failover.State,
	ask func(context.Context, failover.MemberSpec) failover.FencePath, report func(failover.FencePath),
) *fencePaths {
	return &fencePaths{
		every: every, clock: c, state: state, ask: ask, report: report, specs: make(chan struct{}, 1),
		firstFree: c.Boot() - fencePathBurst, ended: make(chan fencePathAnswer, fencePathsAtOnce), paths: map[memberKey]*fencePathTurn{}, seen: ownview.Specs{},
	}
}

// wake says that specs may have changed, or that a fence was not proven.
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
		case answer := <-p.ended:
			p.answered(answer)
		case <-timer.C:
		}
		timer.Reset(p.askDue(ctx, &requests))
	}
}

// follow notes which paths there are, and which of them are new, belong to a changed group, or are in doubt.
func (p *fencePaths) follow(s *failover.State) {
	for key := range p.paths {
		if g := s.Group(key.Group); g == nil || g.Member(key.Member) == nil {
			delete(p.paths, key)
		}
	}
	for _, g := range s.Groups {
		if !p.seen.Has(g) {
			p.begin(g)
		}
		if member, outcome, ok := unprovenFence(g); ok {
			p.doubt(memberKey{Group: g.Name, Member: member}, outcome)
		}
	}
	p.seen.Follow(s)
}

// begin has all paths of a new or changed group asked at once.
func (p *fencePaths) begin(g *failover.Group) {
	for _, m := range g.Spec.Members {
		key := memberKey{Group: g.Name, Member: m.Name}
		turn := p.paths[key]
		if turn == nil {
			turn = &fencePathTurn{}
			p.paths[key] = turn
		}
		turn.fresh, turn.due, turn.again = true, 0, turn.asking
	}
}

// doubt has a path asked at once, by which a fence was not proven; what is under way began before that, and is repeated.
func (p *fencePaths) doubt(key memberKey, outcome failover.Index) {
	if turn := p.paths[key]; turn != nil && turn.tried < outcome {
		turn.armed, turn.due, turn.tried, turn.again = false, 0, outcome, turn.asking
	}
}

// unprovenFence is the last try of an operation, if it was a fence that gave no proof: of whom, and the index of its outcome.
func unprovenFence(g *failover.Group) (failover.MemberName, failover.Index, bool) {
	if g.Operation == nil {
		return "", 0, false
	}
	for _, step := range slices.Backward(g.Operation.Steps) {
		if step.Intent != 0 {
			return step.Member, step.Outcome, step.Name == string(failover.ActionIsolate) && step.Result != failover.ResultDone
		}
	}
	return "", 0, false
}

// anyUnprovenFence says whether follow has to look.
func anyUnprovenFence(s *failover.State) bool {
	return slices.ContainsFunc(s.Groups, func(g *failover.Group) bool {
		_, _, ok := unprovenFence(g)
		return ok
	})
}

// askDue starts what is due and within the pace. It returns how long to wait for the next one if nothing happens before.
func (p *fencePaths) askDue(ctx context.Context, requests *sync.WaitGroup) time.Duration {
	for {
		now := p.clock.Boot()
		key, turn := p.next()
		if turn == nil {
			return time.Hour // the end of a request or a new spec wakes the loop
		}
		if wait := p.start(turn) - now; wait > 0 {
			return wait
		}
		p.spend(turn, now)
		s := p.state()
		m, ok := specOf(s, key)
		if !ok {
			delete(p.paths, key) // follow hears of it in a moment
			continue
		}
		answer := fencePathAnswer{turn: turn, asked: *turn}
		turn.asking = true
		p.count(answer.asked, 1)
		requests.Go(func() {
			path := p.ask(ctx, m)
			path.Group, path.Member, path.AsOf = key.Group, key.Member, s.Applied
			if ctx.Err() == nil {
				p.report(path)
			}
			answer.armed = path.Armed && !path.Off // that it is on again, or is another machine's device, is to be noticed soon
			p.ended <- answer
		})
	}
}

// count counts a request that begins or has ended.
func (p *fencePaths) count(asked fencePathTurn, n int) {
	p.asking += n
	if !asked.fresh {
		p.askingKnown += n
		if !asked.armed {
			p.askingUnarmed += n
		}
	}
}

// hasPlace says whether one more may be asked.
func (p *fencePaths) hasPlace(t *fencePathTurn) bool {
	switch {
	case p.asking >= fencePathsAtOnce:
		return false
	case t.fresh:
		return true
	case p.askingKnown >= fencePathsKnown:
		return false
	}
	return t.armed || p.askingUnarmed < fencePathsUnarmed
}

// next is the path that may be asked next, nil if there is none or no place for any.
func (p *fencePaths) next() (first memberKey, turn *fencePathTurn) {
	for key, t := range p.paths {
		if t.asking || !p.hasPlace(t) {
			continue
		}
		if turn == nil || p.before(t, turn, key.Compare(first)) {
			first, turn = key, t
		}
	}
	return first, turn
}

// before says whether a path is asked before another one. New ones go first whenever the pace lets either.
func (p *fencePaths) before(t, other *fencePathTurn, names int) bool {
	if t.fresh != other.fresh {
		return t.fresh
	}
	return cmp.Or(cmp.Compare(p.start(t), p.start(other)), cmp.Compare(t.due, other.due), names) < 0
}

// start is when a path may be asked: when it is due and the pace of its kind lets it.
func (p *fencePaths) start(t *fencePathTurn) time.Duration {
	if t.routine() {
		return max(t.due, p.routineFree)
	}
	return max(t.due, p.firstFree)
}

// spend moves on when the pace lets the next path be asked: new and unarmed ones after a burst of as many as may run at once, the others at
// no more than twice the rate at which all are asked once in their time.
func (p *fencePaths) spend(t *fencePathTurn, now time.Duration) {
	if t.routine() {
		p.routineFree = now + fencePathInterval(p.every, len(p.paths))/time.Duration(2*len(p.paths))
		return
	}
	p.firstFree = max(p.firstFree, now-fencePathBurst) + fencePathFirst
}

// answered settles when a path is asked again.
func (p *fencePaths) answered(a fencePathAnswer) {
	p.count(a.asked, -1)
	turn := a.turn
	again := turn.again
	turn.asking, turn.again = false, false
	if again {
		return // it is due at once
	}
	turn.armed, turn.fresh = a.armed, false
	interval, jitter := p.every, p.every/10
	if turn.armed {
		interval = fencePathInterval(p.every, len(p.paths))
		jitter = interval / 10
	}
	if a.asked.fresh {
		jitter = interval // what was asked together is not asked together again
	}
	turn.due = p.clock.Boot() + interval - rand.N(jitter+1)
}

// fencePathInterval is how often each of so many armed paths is asked.
func fencePathInterval(every time.Duration, paths int) time.Duration {
	return max(every, min(time.Duration(paths)*fencePathShare, fencePathLongest))
}

func specOf(s *failover.State, key memberKey) (failover.MemberSpec, bool) {
	g := s.Group(key.Group)
	if g == nil {
		return failover.MemberSpec{}, false
	}
	return g.Spec.Member(key.Member)
}
