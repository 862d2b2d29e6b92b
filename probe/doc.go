// Package probe looks at every member of every group, again and again, and says what it saw: it produces Observations and
// judges nothing (DESIGN section 4).
//
// A check is one periodic kind of look; each kind is one file (tcp.go, http.go, postgres.go, service.go). The Scheduler starts the
// looks, counts their results against each check's thresholds (judge.go), keeps what a member last said of itself, and
// reports after every look.
//
// Guarantees:
//   - A look begins at each interval even while earlier ones hang, so a target that hangs delays nobody, not even its own
//     next look. Of one check at most ceil(timeout/interval)+1 looks are under way; that also bounds the goroutines.
//   - A claim that a member is down or degraded rests on the check's number of bad looks in a row, and claims no more than
//     the mildest of them; it is withdrawn by the first look that doesn't support it.
//   - Facts are never older than they say: AsOf is the log index applied when the oldest look that an Observation rests on
//     began (S12). AcceptsWrites, Streaming and ReceivingGrows come from the latest look alone; what a silent member said
//     earlier (role, positions, synchronous standbys) is kept, since it bounds what a failover can lose.
//   - A time-out counts only if this process was awake to wait for it: a look during which the scheduler's own loop was
//     late is evidence of the arbiter's trouble and of nothing else.
//   - The write of a postgres check is never outstanding twice on one member, as far as the member says (of a service check: that is
//     the service's part of the contract). AcceptsWrites means that one was committed.
//   - No detail of an evidence holds a secret, and what a member says takes at most some kilobytes of an Observation.
//   - A look whose time goes by while this arbiter reads passwords or certificates, as their file system hangs, is told as this arbiter's own
//     trouble; so is one that never comes back, for whatever reason, once no other look can be begun beside it.
//
// What a refused or reset look leads to: the next one after 10 ms, until the check's number of failures is reached. What the
// first bad look at a primary leads to: a look at each standby that streams at once, and another 25 ms later, so that a
// standby whose position grows contradicts the claim before anybody acts on it.
//
// Limits: a connection is held to each member, so that a crash is known at once; a frozen process or a black hole is
// found by time-outs only. A look proves what the member did for this arbiter, not for its clients.
//
// Goroutines: one loop, which owns all state and calls Options.Report; one per look under way; one per held connection,
// parked in a read; one per write whose look has given up on it.
package probe
