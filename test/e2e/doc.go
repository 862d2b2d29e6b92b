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
// `go test -short` runs a small part of it. With -fence every fence is bad until an operation is held for it (spoilt_test.go). These are about fences
// themselves, and keep what they say here; those of the other members are bad all the same:
//
//   - TestScenario22_AllDevicesOfALevel: the primary's, which is good beside a second supply that is gone.
//   - TestScenario23_DeviceHangs: the primary's, which has to work when the device before it has used up its time.
//   - TestScenario23_DeviceIsTriedAgain: the primary's, which has its turn when the device before it has failed twice.
//   - TestScenario24_DeviceLies: the primary's, which lies until it is found out.
//   - TestScenario24_OrphanBehindADeviceThatLies: the primary's, likewise.
//   - TestScenario24_NextLevelIsHonest: the primary's, which is honest behind a device that lies.
//   - TestScenario25_NoFencePath: the primary's, which is gone for good.
//   - TestScenario28_NotArmed: that of the first standby, which is gone and comes back.
//   - TestScenario36_LeaderKilledAtEveryStage: the primary's, in the two of its places that only a slow fence and one that is gone lead to.
//   - TestScenario58_OrphanBackends: the primary's, which is gone until the orphan was seen to commit, and then as -fence says.
//   - TestPlanned_RefusedForWhatWouldLeaveItHalfWay: the primary's, which decides whether a failover is refused.
//   - TestCheck_SaysWhetherAFailoverWouldWork: those of all members, of which it asserts that all is well.
//   - TestFaultsWithBadFences: those of all members; it has every fault with every bad fence, and says nothing new with -fence.
//   - TestChaos: those of all members, which its schedule makes bad and good again.
//   - TestBuiltinService_PrimaryCrash: those of all members; it is scenario 1 on machines without PostgreSQL, which has bad fences.
//   - TestDemo_KeptRunning: those of all members; it is the demo as users get it.
//   - TestScenario36_EveryPlaceIsKilledAt: there are none; it reads sources.
package e2e
