// Package lab is the laboratory: real hosts, databases, a router, a power switch and arbiters on one machine, with
// faults on demand and honest measurements. The demo, the benches, the end-to-end tests and long chaos runs share it.
//
// The parts can be used alone: hosts (machines), power and fenceagent (the power switch), database (PostgreSQL),
// standin and builtin (a service of the laboratory's own, where there is no PostgreSQL), haproxy, forward (a router of its
// own), traffic (the client, and the truth about who accepts writes), report (what is printed and written). Package
// lab puts them together into the deployment that the documentation describes: a group of a primary and its standbys,
// three or five arbiters, clients behind HAProxy, each on a host of its own.
//
// Guarantees: Close removes everything that Open made and ends every process; what a crashed lab leaves behind, the
// next Open removes. Nothing is faked: the arbiters are the released binaries, told of the world by their files and by
// the API alone.
//
// Limits: one kernel, one disk and one clock for all hosts. Without root the hosts have no network of their own, and
// partitions are refused.
//
// Goroutines: those of its parts; Close ends them all.
package lab
