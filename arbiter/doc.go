// Package arbiter is one node: the Raft server, the loop around the Controller, the actions, the view that is sent to the leader, and
// the gRPC services.
//
// # What it guarantees
//
// A side effect begins only for an intent that is committed and applied here, under a lease of this process, after leadership was
// confirmed as S6 defines it (confirm.go), and each driver reads the lease once more right before it acts (internal/permit).
// What the log says is decided by package failover; this package has no condition on a group's state. Reads say how fresh they
// are, and a new leader answers nothing before its own BeginReign is applied (S8).
//
// # What it does not
//
// It knows drivers only by the interfaces in drivers.go and prober.go; cmd/arbiterd hands in the real ones. It does not decide who votes:
// that comes from the log.
//
// # Goroutines
//
// Node.Run starts them all in one supervised group and waits for them: the loop (owner of the Controller), the follower of leadership, the
// prober, the view sender, the watchers of specs, fence paths and of this process itself, the gRPC server, and one goroutine per proposal and per
// running action. Where to read: node.go, leader.go, runner.go, executors.go, view.go (its text is package ownview), intake.go, service*.go, authorize.go; for Raft
// raftnode.go, transport.go, confirm.go, bootstrap.go.
package arbiter
