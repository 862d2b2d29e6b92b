package explore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Bounds say how far histories are followed.
type Bounds struct {
	Odd     int  // entries of one history that nobody planned
	Workers int  // at least one
	First   bool // the first violation is enough
}

// Report is what an exploration came to.
type Report struct {
	Bounds     Bounds
	States     int  // that differ
	Entries    int  // applied, refused ones among them
	Depth      int  // entries of the longest of the shortest histories
	Exhausted  bool // every history within the bounds was followed
	Violations []Violation
	Took       time.Duration
}

// Violation is a rule that did not hold, with the shortest history that led there.
type Violation struct {
	Rule, Why string
	History   []string // one line for each entry
}

// most is how many violations are looked for before the exploration ends: there may be no further one in all that is left.
func (b Bounds) most() int {
	if b.First {
		return 1
	}
	return 5
}

// found is one state that was come to.
type found struct {
	state  failover.State
	key    key
	from   origin
	depth  int
	proofs proofs // by the history that led here first: states that differ in them have different keys
}

// origin is where a state was come to from: enough to come there again.
type origin struct {
	from key
	move uint16 // in movesOf the state before; of a root, which one
	root bool
}

type explorer struct {
	bounds  Bounds
	seen    seenSet
	ender   ender
	report  Report
	mutex   sync.Mutex // guards report
	started time.Time
}

// Run follows every history within the bounds, the shortest first, and tells how far it is from time to time.
func Run(ctx context.Context, bounds Bounds, progress func(Report)) Report {
	x := &explorer{bounds: bounds, seen: newSeenSet(), ender: ender{newSeenSet()}, started: time.Now()}
	x.report.Bounds = bounds
	var starts []found
	for i, s := range roots() {
		starts = append(starts, found{state: s, key: keyOf(&s), from: origin{root: true, move: uint16(i)}})
	}
	if bounds.Odd > 0 {
		x.oneFurther()
	}
	for odd := 0; odd <= bounds.Odd; odd++ {
		starts = x.layer(ctx, starts, odd == bounds.Odd, progress)
	}
	x.report.Exhausted = ctx.Err() == nil && len(x.report.Violations) < x.bounds.most()
	x.snapshot(nil)
	return x.report
}

// layer follows everything that costs nothing to its end, from starts in the order of their depth, and returns what one odd entry leads to, in
// that order too. All states of one depth come before those of the next, so that every history is the shortest.
func (x *explorer) layer(ctx context.Context, starts []found, last bool, progress func(Report)) []found {
	var frontier, beyond []found
	pending := map[key]bool{}
	for depth := 0; len(starts)+len(frontier) > 0 && ctx.Err() == nil && !x.done(); depth++ {
		for len(starts) > 0 && starts[0].depth == depth {
			if x.seen.add(starts[0].key, starts[0].from) { // it may have been come to without that entry since
				frontier = append(frontier, starts[0])
			}
			starts[0] = found{} // it is large
			starts = starts[1:]
		}
		parts := x.expandAll(ctx, frontier, last)
		frontier = nil
		for _, part := range parts {
			frontier = append(frontier, part.inside...)
			for _, f := range part.beyond {
				if !pending[f.key] {
					pending[f.key] = true
					beyond = append(beyond, f)
				}
			}
		}
		x.snapshot(progress)
	}
	return beyond
}

// part is what one worker found.
type part struct {
	inside  []found
	beyond  []found
	entries int
}

// expandAll shares the states of a frontier among the workers.
func (x *explorer) expandAll(ctx context.Context, frontier []found, last bool) []part {
	workers := max(x.bounds.Workers, 1)
	parts := make([]part, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(frontier) && ctx.Err() == nil; i += workers {
				x.expand(&frontier[i], last, &parts[w])
				frontier[i].state = failover.State{} // it is large, and not needed any more
			}
		})
	}
	group.Wait()
	x.mutex.Lock()
	defer x.mutex.Unlock()
	for i := range parts {
		x.report.Entries += parts[i].entries
	}
	for _, f := range frontier {
		x.report.Depth = max(x.report.Depth, f.depth)
	}
	return parts
}

// expand applies everything that could be committed in a state.
func (x *explorer) expand(f *found, last bool, p *part) {
	x.judge(f.key, -1, checkState(&f.state))
	x.judge(f.key, -1, x.ender.check(f.state))
	for i, m := range movesOf(&f.state, !last) {
		x.follow(f, i, m, p)
	}
}

// follow applies one entry.
func (x *explorer) follow(f *found, i int, m move, p *part) {
	e := m.entry(&f.state)
	after, events := failover.Next(f.state, e)
	p.entries++
	if refused(events) {
		return
	}
	was, is := f.state.Group(group), after.Group(group)
	if broken := firstOf(
		func() *broken { return checkStep(&f.state, &after, e) },
		func() *broken { return f.proofs.check(was, is, e) },
	); broken != nil {
		x.judge(f.key, i, broken)
		return
	}
	if events == nil || events[0].Kind != failover.ViewVoided { // a batch after a gap: one earlier would have been right
		p.entries += x.spoil(f, i, m)
	}
	x.keep(f, i, m, found{state: slim(after), proofs: f.proofs.after(was, is, e)}, p)
}

func (x *explorer) keep(f *found, i int, m move, next found, p *part) {
	next.key, next.from, next.depth = keyOf(&next.state), origin{from: f.key, move: uint16(i)}, f.depth+1
	switch {
	case !m.odd && x.seen.add(next.key, next.from):
		p.inside = append(p.inside, next)
	case m.odd && !x.seen.has(next.key):
		p.beyond = append(p.beyond, next)
	}
}

// spoil asks that what became of an accepted entry on a wrong way is refused.
func (x *explorer) spoil(f *found, i int, good move) int {
	bad := spoiled(good)
	if b, ok := good.body.(failover.Observe); ok {
		bad = append(bad, oldPaths(good, b, f.state.Group(group))...)
	}
	for _, m := range bad {
		e := m.entry(&f.state)
		after, _ := failover.Next(f.state, e)
		was, is := f.state.Group(group), after.Group(group)
		if was != nil && (is == nil || !alike(was, is) || !sameSights(&f.state, &after)) {
			x.judge(f.key, i, breaks(ruleOf(m.body), "a stale %T counted: %+v by %s in term %d", m.body, m.body, m.proposer, m.term))
		}
	}
	return len(bad)
}

// ruleOf is the rule that a stale entry of a kind must not pass.
func ruleOf(b failover.Body) string {
	switch b.(type) {
	case failover.AcquireLease, failover.BeginReign, failover.HoldOperation, failover.ReleaseLease:
		return "S8"
	}
	return "S4"
}

func refused(events []failover.Event) bool {
	return len(events) > 0 && events[0].Kind == failover.Rejected
}

func (x *explorer) done() bool {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	return len(x.report.Violations) >= x.bounds.most()
}

// judge notes a violation; move -1 stands for the state itself.
func (x *explorer) judge(at key, move int, b *broken) {
	if b == nil || x.done() {
		return
	}
	history := x.history(at, move)
	x.mutex.Lock()
	defer x.mutex.Unlock()
	x.report.Violations = append(x.report.Violations, Violation{Rule: b.rule, Why: b.why, History: history})
}

func (x *explorer) snapshot(progress func(Report)) {
	x.mutex.Lock()
	x.report.States, x.report.Took = x.seen.len(), time.Since(x.started)
	report := x.report
	x.mutex.Unlock()
	if progress != nil {
		progress(report)
	}
}

// history says how a state was come to, and what was applied there.
func (x *explorer) history(at key, last int) []string {
	var path []int
	if last >= 0 {
		path = append(path, last)
	}
	o, ok := x.seen.origin(at)
	for ok && !o.root {
		path = append(path, int(o.move))
		at = o.from
		o, ok = x.seen.origin(at)
	}
	s := append(roots(), vantages()...)[o.move]
	lines := []string{describe(&s)}
	for i := len(path) - 1; i >= 0; i-- {
		m := movesOf(&s, true)[path[i]]
		s, _ = failover.Next(s, m.entry(&s))
		s = slim(s)
		lines = append(lines, fmt.Sprintf("%s: %T %+v -> %s", m.proposer, m.body, m.body, describe(&s)))
	}
	return lines
}

// describe is a state in one line.
func describe(s *failover.State) string {
	g := s.Group(group)
	if g == nil {
		return "deleted"
	}
	text := fmt.Sprintf("%s/%s epoch %d adopted %v", g.Stage, g.HeldFrom, g.Epoch, g.Adopted)
	for _, m := range g.Members {
		text += fmt.Sprintf(" %s=%s", m.Name, m.Authority)
	}
	return text
}
