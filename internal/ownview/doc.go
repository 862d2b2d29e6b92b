// Package ownview is how one arbiter keeps what it sees: its view. It takes the report of every look, tells which of them are news to the
// leader, numbers and batches what is sent, answers requests to look again, and says when the arbiter should doubt itself. Package arbiter
// runs it between its prober and its stream to the leader, internal/sim in a world of its own; both run this same text.
//
// # Guarantees
//
//   - Batches of one incarnation are numbered without a gap, from a whole view on, and an incarnation is newer than every one that the leader
//     knows. Between whole views only changes are sent: a system in which nothing changes sends nothing.
//   - What is too old for what is asked of a member now is sent again although it is the same: since the member became NONE (S12), was
//     revoked (S3), or became another machine (S0).
//   - An answer to a request to look again rests on looks that ended after the request came, and by no older spec of the group than the one that
//     the leader judged by when it asked. It is given again after a stream that may have lost it.
//   - Nothing is kept of members that the committed specs no longer have.
//   - A batch that says "down" never goes without the doubt that it calls for: while it isn't known whether this arbiter reaches anything,
//     changes are kept back.
//
// # Limits
//
// It is pure: the standard library and the core's values, no clock, no goroutine, no lock, no I/O. Time, state and what reference points
// said are given in with every call (Moment), and what is to be done comes back as a value. A View is not safe for use by several goroutines:
// whoever shares one guards it, and reads the Moment under that guard, since time and state must not go back between two calls.
package ownview
