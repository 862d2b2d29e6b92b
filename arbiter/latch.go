package arbiter

import "sync"

// latch is a boolean that others can wait on.
type latch struct {
	mu      sync.Mutex
	on      bool
	changed chan struct{}
}

func newLatch() *latch { return &latch{changed: make(chan struct{})} }

func (l *latch) set(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on != on {
		l.on = on
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// get returns the value, and a channel that closes when it changes.
func (l *latch) get() (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on, l.changed
}
