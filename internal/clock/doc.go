// Package clock tells the time that safety may rest on: durations on the boot-time clock of one process (S10).
//
// The boot-time clock counts from an arbitrary point, never steps, and goes on while the machine is suspended. Neither of
// Go's own clocks does that: the wall clock steps, and the monotonic one, on which every timer runs, stands still during a
// suspend, so a timer of ten seconds can ring an hour late. Deadlines are therefore polled: after a suspend, a waiter
// learns within PollInterval that its deadline has passed (S6).
//
// Guarantees: Boot never decreases. WaitUntil returns nil only once Boot has reached the deadline. A context of
// WithDeadline is cancelled, with ErrDeadline as its cause, at most about PollInterval after the deadline.
//
// Limits: no clock of a guest counts while its hypervisor holds the whole machine. Boot values of two processes must
// never be compared. On systems other than Linux, System is Go's monotonic clock and may stand still during a suspend;
// arbiters and agents run on Linux only, the operator's tool needs no more than this.
//
// Goroutines: one per context of WithDeadline, which its cancel function waits for.
package clock
