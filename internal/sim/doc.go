// Package sim runs whole arbiters in a world that goes wrong, and asks at every instant whether what must never happen did. It is a
// discrete-event simulator without a goroutine in a run: one seed fixes every detail, so that a failing run can be played again, made smaller,
// and read line by line.
//
// # What is real
//
// The core, unchanged: failover.Controller with its lease arithmetic and its order of confirmation and effect, failover.Next, Plan, Explain and
// SelfDoubt, for three or five arbiters with clocks of their own; and ownview.View, which is what each of them sees, sends and doubts. Some entries go through the codec of package fsm, some states through their
// bytes, and every replica that comes from a snapshot or a restart has to get the same bytes as the others.
//
// # What is modelled
//
//   - Raft (raft*.go, disk.go): terms, votes, pre-vote, logs, commitment, snapshots, hand-over, a main loop that waits for its disk while
//     heartbeats go on. It gives what hashicorp/raft gives and no more: a deposed leader that doesn't know it yet, proposals that are lost, late,
//     or committed though their proposer was told that leadership was lost, a new leader with an old state. Confirmation of leadership is
//     modelled exactly: a majority answered, in this term, what was sent after the question (S6).
//   - The shell (node.go, view.go, stream.go, intake.go, actions.go, routes.go): what package arbiter does between the core and the outside, in
//     the same order. It is a second text of the same logic, since the first is bound to goroutines and gRPC; a fault in arbiter's own text is
//     found by its tests, not here. What of the shell is bound to neither is package ownview, and real.
//   - Looks (prober.go), with thresholds and witnesses. A look that would see what the one before saw is not made, but reported when it counts
//     that it would have been.
//   - The world (member.go, replication.go, fence.go, network.go, clock.go): servers with histories of writes, synchronous replication,
//     tokens on disk, orphan backends, power that fails and comes back; clients; fence devices that are slow, hang, fail or lie; a router, which forgets, and finds dead who is alive; links that
//     are cut one way or both, lose, delay and double; clocks that drift, stop with a hypervisor, and go on through a freeze.
//   - Operators: one who does the wrong thing at the wrong time, by an old view (operator.go), and restarts primaries as standbys (recovery.go), and, when nothing goes wrong any more, a
//     sensible one who gives the commands that Explain names (sensible.go).
//
// # What is checked
//
// checks.go has the list: no two writers, no acknowledged write lost against the policy, no proof of what isn't so, no effect without an
// open committed intent, a lease, and a confirmation after the intent; the same again before it tells what came of an action; no two actors; no effect twice; epochs only grow; an isolation rests on looks since the
// confirmation; an answer knows what anybody was told before; an arbiter that has reached a member after devices called it off tells that; replicas hold equal bytes;
// no rule refuses what an arbiter saw; nobody takes a writer that is in recovery for one that serves; no unknown loss is taken unasked; and after all faults every group serves again within
// a bounded time, if need be by the commands that a held operation names, and clients are sent to its writer soon after, by nobody's command. A group that no command helps within 150 s is made anew by hand: they are
// counted, and a search in which that is more than one in twenty seeds fails.
//
// Left out, by name (member.excuse): what a machine does whose power came back by itself or by an operator's hand after a fence, a member that
// somebody falsely vouched for, one that a device lied about before any arbiter had shown that its devices do, while the one that fenced it could not see it, another database under the
// same name, and a late effect at a target that checks no epochs.
//
// # What is not modelled
//
// Loops that run late by less than a freeze, name service, certificates, the bytes of gRPC and of Raft, logs of other versions, agents and write
// leases (not built yet), a database's own partial failures beyond those above, and byzantine arbiters.
package sim
