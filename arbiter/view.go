package arbiter

import (
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// view shares what this arbiter sees among the goroutines that look, send, and judge.
type view struct {
	clock      clock.Clock
	state      func() *failover.State
	references *references
	changed    chan struct{} // has room for one

	mu     sync.Mutex
	own    *ownview.View
	looked chan struct{} // closed at the next look; nil while nobody waits for it
}

type memberKey = ownview.Key

func newView(node failover.NodeID, c clock.Clock, state func() *failover.State, refs *references) *view {
	return &view{clock: c, state: state, references: refs, own: ownview.New(node), changed: make(chan struct{}, 1)}
}

// now is what the view judges by. The caller holds the lock, so that neither time nor state goes back from one call to the next.
func (v *view) now() ownview.Moment {
	return ownview.Moment{Boot: v.clock.Boot(), State: v.state(), Points: v.references.seen()}
}

// observe takes the report of a look.
func (v *view) observe(r Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	wanted := v.own.Observe(v.now(), r)
	if v.looked != nil {
		close(v.looked)
		v.looked = nil
	}
	if wanted.Points {
		v.references.ask()
	}
	if wanted.Changes {
		v.wake()
	}
}

// answerWait is how long a member that is said to be off is given to show the opposite.
func (v *view) answerWait(group failover.GroupName, member failover.MemberName) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.AnswerWait(memberKey{Group: group, Member: member})
}

func (v *view) setPath(p failover.FencePath) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.own.SetPath(v.now(), p) {
		v.wake()
	}
}

// askAgain remembers a request to look again.
func (v *view) askAgain(a ownview.Ask) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.own.AskAgain(a, v.clock.Boot())
}

// applied says that the last batch is part of the state.
func (v *view) applied() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.own.Applied()
}

// look returns the newest observation of a member.
func (v *view) look(group failover.GroupName, member failover.MemberName) (Report, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.Look(memberKey{Group: group, Member: member})
}

// heard is when a member told this arbiter what is known of what it is and where it stands, on the boot clock.
func (v *view) heard(group failover.GroupName, member failover.MemberName) (Told, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.Heard(memberKey{Group: group, Member: member})
}

// nextLook is closed at the next look at whatever member.
func (v *view) nextLook() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.looked == nil {
		v.looked = make(chan struct{})
	}
	return v.looked
}

// pathWorked is when a fence path answered last that it works, on the boot clock.
func (v *view) pathWorked(group failover.GroupName, member failover.MemberName) (time.Duration, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.PathWorked(memberKey{Group: group, Member: member})
}

func (v *view) wake() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// whole begins a new incarnation and returns the whole view.
func (v *view) whole() failover.Batch {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.Whole(v.now(), failover.WallTimeOf(v.clock.Wall()))
}

// changes returns what the leader does not know yet, or false if it knows everything. again says when to ask again at the latest.
func (v *view) changes(incarnation uint64) (b failover.Batch, some bool, again time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.Changes(v.now(), incarnation)
}

// troubled says whether the reference points must be looked at again and again.
func (v *view) troubled() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.Troubled(v.now())
}

// watch is how this arbiter looks at itself; l is how well it kept up since it did so last.
func (v *view) watch(l Lateness) ownview.Doubt {
	v.mu.Lock()
	defer v.mu.Unlock()
	doubt := v.own.Watch(v.now(), l)
	if doubt.Changes {
		v.wake()
	}
	return doubt
}

// doubts says why this arbiter doubts its view, empty if it doesn't.
func (v *view) doubts() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.own.Doubts()
}
