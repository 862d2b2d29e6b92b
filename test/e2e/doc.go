// Package e2e is the catalogue of scenarios that must hold, on real arbiters, real PostgreSQL servers, a real HAProxy and
// a power switch that really takes the power away. A scenario that is a promise to operators has a number; its test is
// TestScenarioNN_Name, so that `make e2e RUN=Scenario02_` runs it.
//
// Every scenario asserts on the ground truth, which asks the databases and never the arbiters, that no two members
// accepted writes at the same time (S1), and that no acknowledged write is missing from the member that is primary at
// the end, unless the scenario is about losing some. It logs the outage that a client saw, and fails if that is longer than
// anything that is not a hang takes (ask_test.go). A scenario that ends with an operation held asserts that nothing unsafe
// was done and that `arbiterctl explain` names what is missing.
//
// Scenarios share a deployment (stage_test.go): each begins on one that is whole, and leaves it in any state; the next
// one repairs it or opens another. No test depends on the speed of the machine: all wait for conditions, with limits
// that only a hang reaches.
//
// `go test -short` runs a small part of it. With -fence every fence is bad until an operation is held for it
// (spoilt_test.go); scenarios about the fence itself keep their own.
package e2e
