package arbiter

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// hangAtMost bounds how many looks at the same thing may be past their limit without an end before nobody looks there any more.
const hangAtMost = askAtOnce

// target is what a look is at. By another spec it is something else, at another address or with another limit.
type target struct {
	group       failover.GroupName
	spec        specMark
	about, name string
}

// specMark tells a spec from others, whether it was applied or only looked at.
type specMark [sha256.Size]byte

func markOf(s *failover.Spec) specMark {
	text, err := json.Marshal(s)
	if err != nil {
		return specMark{} // as if it were one with all others: bounded all the same
	}
	return sha256.Sum256(text)
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

// run runs a look, and gives its place free once it has ended or its limit is over, which is the deadline of its context. One that is called off before,
// since nobody waits for it any more, has its place as long: it hangs only if it hasn't ended by then either.
func (h *hanging) run(ctx context.Context, at target, do func(context.Context), free func()) {
	deadline, _ := ctx.Deadline()
	limit := time.NewTimer(time.Until(deadline))
	defer limit.Stop()
	over := make(chan struct{})
	left := make(chan struct{})
	go func() {
		defer close(left)
		select {
		case <-over:
			free()
		case <-limit.C:
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
