package probe

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Look is what one try of one check saw.
type Look struct {
	Evidence failover.Evidence
	// Facts are what the member said of itself; a look that was not told its role leaves them empty.
	Facts failover.Facts
	// Partial says that the look could not examine all that it should, through no fault of the member: it counts for
	// nothing, neither good nor bad.
	Partial bool
	// Held says that the look went over a connection that was open before it: that others can be made it does not say.
	Held bool

	// The scheduler fills in the rest.

	Began, Ended time.Duration  // on the boot-time clock
	AsOf         failover.Index // applied when the look began
	SpecSince    failover.Index // of the target then
}

// Target is one member to look at.
type Target struct {
	Group     failover.GroupName
	Member    failover.MemberSpec
	Spec      *failover.Spec
	SpecSince failover.Index // the entry that brought the spec
}

// Address is where a check finds the member: its address, with the check's own port if it has one.
func (t Target) Address(c failover.Check) string {
	if c.Port == 0 {
		return t.Member.Address
	}
	host, _, err := net.SplitHostPort(t.Member.Address)
	if err != nil {
		host = t.Member.Address
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}

// Checker is one kind of check. Look returns when ctx ends at the latest; the context's deadline is the check's time-out.
// It may be called from several goroutines at once, also for the same target.
type Checker interface {
	Look(ctx context.Context, t Target, c failover.Check) Look
}

// Holder is a Checker that can hold a connection open. Hold returns when the connection is lost, with the reason, or when
// ctx ends; held is false if there was no connection to lose. Only looks are evidence: a lost connection is a reason to look,
// and a server's word in it that it shuts down counts only together with a look that is turned away.
type Holder interface {
	Hold(ctx context.Context, t Target, c failover.Check) (held bool, lost error)
}

// Closer is a Checker that leaves work behind its looks. Close ends that work and waits for it; Scheduler.Run calls it last.
type Closer interface {
	Close()
}

// Report is the state of one member after one look.
type Report struct {
	Observation failover.Observation
	Address     string         // of the member, where the looks were made
	SpecSince   failover.Index // of the spec that they were made by; the oldest of them
	// Began and Ended bound the looks that the observation rests on: of each required check (of each, if none is
	// required), the look that counted last began at or after Began and ended at or after Ended. So an observation whose
	// Ended is later than a request to look again answers that request.
	Began, Ended time.Duration
	// Towards are the looks that count towards a threshold which they have not reached.
	Towards []failover.BadLooks
	// Check and Look are the look that ended, before thresholds.
	Check string
	Look  Look
	// ToldBegan and ToldEnded are of the look in which the member told the facts that the observation has; 0 if it has none.
	ToldBegan, ToldEnded time.Duration
}
