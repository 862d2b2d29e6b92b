// Package failover is the pure domain of Arbiter: what is known of the protected groups, what may be done, and what is the
// one next thing to do. It uses the standard library only and has no clock, no goroutine, no I/O and no chance in it.
//
// # Where to read
//
//   - transitions.go: the life of an operation, as a table.
//   - authority.go: the safety rules that the state machine keeps, one function each.
//   - next.go: Next, which applies one committed entry to a State and returns the new State and numbered events.
//   - verdict.go, candidate.go: what the views together say; who may be promoted and what that would lose.
//   - plan.go: Plan, which says what is the one next thing to do for a group, and why not more.
//   - controller.go: Controller, the leader's loop as a value machine: leases, the order of confirmation and effect.
//   - devices: what is known of fence agents by their names, which specs are checked by too.
//   - testdata/*.txt: what all of this does, scenario by scenario, for readers of text; rules_*_test.go: a test for each safety rule.
//
// # What it guarantees
//
// Next is total and deterministic: every replica that applies the same entries holds the same state, byte for byte
// (State.CanonicalBytes). A stale or refused entry changes nothing but the event counter. At most one member of a group has
// authority WRITER in every state (S1), and a promotion is accepted only when every other member is proven unable to
// write (S2). Plan is total and has no memory, so a new leader decides as the old one would have.
//
// # What it does not
//
// An authority is what the log can prove. That a member without authority really cannot write rests on the grade of proof
// that the policy accepts, and on the check of epochs at the target (S9).
package failover
