// Package clustertest runs three whole arbiters in one process, on loopback with certificates, against databases, fences and routes
// that exist only in memory. It holds nothing but tests: of what an arbiter is beyond its parts, which are tested where they are.
//
// # What it guarantees
//
// Raft, TLS, gRPC, the log on disk and the Controller are the real ones; only the drivers are fakes. The fake world keeps the promises
// that real drivers make: it refuses an older epoch, and asks for the permit before each effect.
//
// # What it does not
//
// An arbiter that is killed here ends without handing anything over, but in the same process: what a real SIGKILL or SIGSTOP leaves
// behind is tested end to end, with the released binaries.
//
// # Goroutines
//
// One for each arbiter that runs, and one for each prober; each test ends those that it started.
package clustertest
