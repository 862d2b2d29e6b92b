package arbiter

import (
	"context"
	"sync"

	"github.com/arbiter-ha/arbiter/failover"
)

// hangAtMost bounds how many looks at the same thing may be past their limit without an end before nobody looks there any more.
const hangAtMost = askAtOnce

// target is what a look is at.
type target struct {
	group       failover.GroupName
	about, name string
}

// hanging counts the looks that have not ended at their limit, as those of a driver or a program that heeds no context: each gives its place free to the
// looks at other things, and they are bounded for what they are at.
type hanging struct {
	mu    sync.Mutex
	looks map[target]int
}

// full says that so many looks at it hang that another one would only hang too.
func (h *hanging) full(at target) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.looks[at] >= hangAtMost
}

func (h *hanging) add(at target, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.looks == nil {
		h.looks = map[target]int{}
	}
	if h.looks[at] += n; h.looks[at] == 0 {
		delete(h.looks, at)
	}
}

// run runs a look, and gives its place free once it has ended or its context has.
func (h *hanging) run(ctx context.Context, at target, do func(context.Context), free func()) {
	over := make(chan struct{})
	left := make(chan struct{})
	go func() {
		defer close(left)
		select {
		case <-over:
			free()
		case <-ctx.Done():
			h.add(at, 1)
			free()
			<-over
			h.add(at, -1)
		}
	}()
	do(ctx)
	close(over)
	<-left
}
