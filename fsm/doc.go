// Package fsm stands between the Raft log and the pure domain: it turns bytes into entries, hands them to failover.Next, and keeps
// the state that comes back. It decides nothing.
//
// Guarantees. Replicas that apply the same entries hold the same canonical bytes at every index, whatever mixture of snapshots and
// restarts they went through. An entry that this build can't understand completely stops the arbiter before it changes anything; it
// is never skipped in silence (the proposer may mark an entry as ignorable, then skipping is reported). What Encode returns, Decode
// accepts. Applying, replaying and restoring have no effect outside the state (S13): the hooks are told what happened, and event
// numbers are the same on every replica and in every replay.
//
// Limits. There is no clock, no chance and no I/O here except reading and writing a snapshot through Raft's own streams.
//
// Goroutines. The package starts none. Raft calls Apply, StoreConfiguration, Snapshot and Restore from one goroutine (at start
// Restore comes from the goroutine that creates the Raft node, before the other exists); Persist runs beside them on a state that
// nobody changes. State may be called from anywhere.
package fsm
