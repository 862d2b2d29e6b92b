// Package client talks to the arbiters, for programs and for arbiterctl.
//
// A [Client] knows the addresses of all arbiters and offers every call of the API as a method. It finds the arbiter that
// leads, by the answers of those that don't, and stays with it until it no longer leads.
//
// Guarantees about repeating a call:
//   - A read is tried again, at the same or another arbiter, until its time is over.
//   - A change gets a request id, unless the caller chose one, and keeps it through every try; the arbiters do a change
//     at most once per id. So a change is repeated when the answer proves that it wasn't accepted, and also when the
//     answer was lost.
//   - A call that has no such protection (handing over leadership, any call that this version doesn't know) is repeated
//     only when an arbiter said that it doesn't lead, and so did nothing.
//   - When time runs out while nobody knows whether a change was accepted, the error is an [*UnknownOutcomeError], which
//     has the request id. Calling again with that id is safe, with a new one it is not.
//
// Reads are linearizable unless the request or an option says otherwise; [StaleFallback] takes a labelled, possibly old
// answer from any arbiter when nobody leads.
//
// A request about an operation (Abort, Release, Reinstate, Attest) names it, and but for Abort where it stood when the caller looked: Operation.Id
// and Operation.Turn of a GetStatus. An Adopt that vouches for members names the AppliedIndex of that answer. Arbiters refuse one that doesn't,
// and one that comes when something else has begun: look again, and decide again.
//
// Errors are of this package, never of gRPC: [RejectedError], [ErrNoLeader] and the others below.
//
// Goroutines: gRPC's own and a few short ones, which end with [Client.Close]. All methods may be called at any time.
package client
