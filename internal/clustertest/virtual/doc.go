// Package virtual runs whole arbiters in virtual time (testing/synctest): hashicorp/raft, gRPC, the view streams and the Controller are the
// real ones, the network, the disks and the protected service exist in memory, and minutes pass in the time that the processors need.
package virtual
