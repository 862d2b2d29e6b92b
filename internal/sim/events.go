package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// event is something that happens at a moment of true time. Events of one moment happen in the order in which they were asked for.
type event struct {
	at    time.Duration
	order uint64
	run   func()
}

// eventQueue is a binary heap, the earliest first.
type eventQueue []event

func (q eventQueue) before(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}

func (q *eventQueue) push(e event) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.before(i, parent) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *eventQueue) pop() event {
	h := *q
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h.before(child, least) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// dice are one stream of chance. Each purpose has a stream of its own, so that one fault less changes as little as possible of the rest.
type dice struct{ *rand.Rand }

func newDice(seed uint64, purpose string) dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // never fails
	return dice{rand.New(rand.NewPCG(seed, h.Sum64()))}
}

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// between is a time that is evenly spread.
func (d dice) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(d.Int64N(int64(most-least)))
}

func pick[T any](d dice, list []T) T { return list[d.IntN(len(list))] }

// trace is what happened, as a hash and, if it is kept, as text.
type trace struct {
	hash  hash.Hash64
	keep  bool
	lines []string
}

// note adds a line to the trace.
func (s *sim) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintf(s.trace.hash, "%d %s\n", s.now, line)
	if s.trace.keep {
		s.trace.lines = append(s.trace.lines, fmt.Sprintf("%12.6f  %s", s.now.Seconds(), line))
	}
}

// at runs something at a moment of true time.
func (s *sim) at(t time.Duration, run func()) {
	s.order++
	s.queue.push(event{at: max(t, s.now), order: s.order, run: run})
}

func (s *sim) after(d time.Duration, run func()) { s.at(s.now+d, run) }
