// Package traffic is what a laboratory measures with: a client that writes without pause, and the ground truth of who
// accepts writes.
//
// A Writer commits numbered rows through the address that clients use and notes each attempt. It is honest about
// outages: the clock stops at the acknowledgement of a write by another member than the failed one, not when a
// connection is made or a query is answered.
//
// A Truth asks every member directly, through a door that no network fault can cut, whether it accepts a write at this
// moment; it asks the databases, never the arbiters. A commit counts that needs the member's own disk only: a member
// that would accept a write and wait for a standby counts as accepting.
//
// All times are durations on the boot-time clock of this machine (internal/clock), with microseconds, taken before the
// first byte of a request is sent and after the last byte of its answer is read.
//
// Limits: the truth is as fine as its interval. A member that accepts writes for less than that can be missed, unless
// one of the Writer's own writes meets it.
//
// Goroutines: one per Writer and one per member of a Truth, ended by Stop.
package traffic
