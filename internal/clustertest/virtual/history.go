package virtual

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// History is what happened in a run, with virtual times: applied entries, effects, elections, faults. A run can't be repeated exactly, since
// the runtime chooses among goroutines and cases that are ready; so what happened is kept.
type History struct {
	began time.Time

	mu       sync.Mutex
	lines    []string
	breaches []string
}

// breachesKept bounds what is told of one run: the first breach is the one to look at.
const breachesKept = 5

func newHistory() *History { return &History{began: time.Now()} }

// Note adds a line.
func (h *History) Note(who, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(who, fmt.Sprintf(format, args...))
}

// add adds a line. The caller holds the lock.
func (h *History) add(who, what string) {
	h.lines = append(h.lines, fmt.Sprintf("%11.4fs %-8s %s", time.Since(h.began).Seconds(), who, what))
}

// Violate records that a rule was broken.
func (h *History) Violate(rule, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what := rule + ": " + fmt.Sprintf(format, args...)
	h.add("BREACH", what)
	if len(h.breaches) < breachesKept {
		h.breaches = append(h.breaches, fmt.Sprintf("after %.4fs: %s", time.Since(h.began).Seconds(), what))
	}
}

// Breaches are the rules that were broken, the first one first.
func (h *History) Breaches() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.breaches...)
}

// String is the whole history, a line for each thing that happened.
func (h *History) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}
