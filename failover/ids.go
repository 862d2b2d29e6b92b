package failover

import (
	"fmt"
	"time"
)

// Names of things. They are distinct types so that neighbouring parameters can't be swapped unseen.
type (
	// NodeID names one arbiter: the id of its Raft server.
	NodeID string
	// GroupName names one protected service.
	GroupName string
	// MemberName names one machine (instance) of a group; unique within the group.
	MemberName string
	// OperationID names one operation: the group's name and the log index that began it.
	OperationID string
)

// Index is a position in the Raft log.
type Index uint64

// Term is the reign of one Raft leader.
type Term uint64

// Epoch is a group's fencing token: it grows with every lease granted on that group and never falls (S5).
type Epoch uint64

// WallTime is nanoseconds since 1970 UTC by some arbiter's wall clock, zero if not known. It is kept for people and for
// cool-downs; no safety rule compares it (S10).
type WallTime int64

// WallTimeOf converts a time; the zero time becomes zero.
func WallTimeOf(t time.Time) WallTime {
	if t.IsZero() {
		return 0
	}
	return WallTime(t.UnixNano())
}

// Time converts back, in UTC.
func (w WallTime) Time() time.Time {
	if w == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(w)).UTC()
}

// LSN is a position in a service's write-ahead log, in bytes; zero if not known.
type LSN uint64

// String prints the position as PostgreSQL does (two hexadecimal halves).
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint64(l)&0xffffffff) }
