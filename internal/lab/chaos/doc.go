// Package chaos breaks a whole deployment at random for minutes, and checks afterwards what nothing may break.
//
// A schedule of faults is drawn from a seed before anything starts (Draw): the same seed gives the same schedule. What a
// fault hits is a role (the primary, the leading arbiter), looked up when its time comes, so the course of a run is not
// repeated to the millisecond. Several faults are under way at once, and each is healed after a while.
//
// A repair crew does what a sensible operator does meanwhile: it starts again what died, brings fenced members back as
// standbys (pg_rewind, or a full copy), and answers what an operation is held for. It follows the documentation: it never
// starts a member that has no authority as a primary, and vouches only for a machine that it sees switched off and keeps
// so. That is an assumption of every check below: power switches here hang and fail, but don't lie.
//
// Two workloads run through the routed address: unique appends of several clients, and a register that clients read,
// write, and compare and set. Every operation is noted with its times and its outcome. At the end, when all faults are
// healed, the checks are:
//
//   - appends (CheckAppends): every acknowledged one is there, once, from who acknowledged it, executed while its client
//     waited for it, and committed in the order in which its client made them;
//   - the register (CheckRegister): what was acknowledged is linearizable, by porcupine;
//   - writers (CheckWriters): from the databases' own logs, when each member became able to accept writes, and from its
//     accepted writes, until when it surely was: no write of one member lies in such a time of another;
//   - the group is whole again within a bounded time.
//
// Goroutines: one per client and per member that is watched, one for the schedule, one per fault under way, the crew's,
// and one per repair. Run waits for all of them.
package chaos
