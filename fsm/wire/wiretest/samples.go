// Package wiretest makes values of all that the log carries, for the tests of what writes and reads it: a sample of each, and any.
//
// Guarantees. The samples of a released version never change; their bytes are in fsm/testdata. Any means any: a field that is added
// to a type is drawn without a change here.
//
// Limits. Nothing but tests imports it.
//
// Goroutines. None; every function may be called from anywhere.
package wiretest

import (
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
)

// Sample is one body as version 1 of the log language knows it.
type Sample struct {
	Name string // the kind's, with a word behind a slash where a kind has more than one sample
	Body failover.Body
}

// Kind is the name of the body's field in log.proto.
func (s Sample) Kind() string {
	kind, _, _ := strings.Cut(s.Name, "/")
	return kind
}

// Request is what all samples ask with.
var Request = failover.Request{ID: "6f1e", Actor: "maria", Reason: "storage is replaced"}

// Samples has a body of every kind, and together they set every field of every type that bodies consist of. The bytes of each
// are in testdata/v1/entries.txt and must decode for ever: never change a sample of a released version, add a new one.
func Samples(t interface{ Fatal(args ...any) }) []Sample {
	applySpec, err := wire.NewApplySpec(Request, WrittenSpec(), EffectiveSpec(), 4)
	if err != nil {
		t.Fatal(err)
	}
	return []Sample{
		{"begin_reign", failover.BeginReign{Term: 7, Leader: "a1", Version: 1, ClusterID: "c0ffee"}},
		{"observe", failover.Observe{Batches: []failover.Batch{Batch(), {Node: "a3", Incarnation: 1, Sequence: 2, Doubt: "its loop ran late"}}}},
		{"expire_view", failover.ExpireView{Node: "a2", Incarnation: 99}},
		{"apply_spec", applySpec},
		{"delete_group", failover.DeleteGroup{Request: Request, Group: "pay"}},
		{"adopt", failover.Adopt{Request: Request, Group: "pay", Member: "db1", Attested: []failover.MemberName{"db2", "db3"}}},
		{"pause", failover.Pause{Request: Request, Group: "pay"}},
		{"resume", failover.Resume{Request: Request, Group: "pay"}},
		{"start_operation", failover.StartOperation{Request: Request, Group: "pay", Kind: failover.KindFailover, Candidate: "db2", Epoch: 4, SpecSince: 1009}},
		{"acquire_lease", failover.AcquireLease{Group: "pay", Holder: "a1", Term: 7, AfterEpoch: 41, Duration: 1500 * time.Millisecond}},
		{"renew_lease", failover.RenewLease{Group: "pay", Holder: "a1", Epoch: 42}},
		{"release_lease", failover.ReleaseLease{Group: "pay", Holder: "a1", Epoch: 42}},
		{"intend", failover.Intend{
			Group: "pay", Epoch: 42, Operation: "pay-1030", Action: failover.ActionPromote, Member: "db1", Reinstate: true,
			Basis: []failover.Index{1028, 1029, 300}, Rule: "candidate",
		}},
		{"conclude", failover.Conclude{Group: "pay", Epoch: 42, Operation: "pay-1030", Intent: 1040, Outcome: Outcome()}},
		{"hold", failover.HoldOperation{Group: "pay", Operation: "pay-1030", Reason: failover.HoldFenceUnproven, Detail: "bmc of db1 does not answer"}},
		{"release", failover.Release{Request: Request, Group: "pay", Operation: "pay-1030", AcceptLoss: true, LossBytes: 16 << 20}},
		{"abort", failover.Abort{Request: Request, Group: "pay", Operation: "pay-1030"}},
		{"reinstate", failover.Reinstate{Request: Request, Group: "pay", Operation: "pay-1030"}},
		{"attest", failover.Attest{Request: Request, Group: "pay", Operation: "pay-1030", Member: "db1"}},
		{"release/seen", failover.Release{Request: Request, Group: "pay", Operation: "pay-1030", AcceptLoss: true, LossUnknown: true, Seen: 1051, Member: "db2"}},
		{"reinstate/seen", failover.Reinstate{Request: Request, Group: "pay", Operation: "pay-1030", Seen: 1052}},
		{"attest/seen", failover.Attest{Request: Request, Group: "pay", Operation: "pay-1030", Member: "db1", Seen: 1053}},
		{"adopt/seen", failover.Adopt{Request: Request, Group: "pay", Member: "db1", Attested: []failover.MemberName{"db2", "db3"}, Seen: 1054}},
		{"observe/fence-path", failover.Observe{Batches: []failover.Batch{{
			Node: "a2", Incarnation: 99, Sequence: 4, FencePaths: []failover.FencePath{{Group: "pay", Member: "db2", AsOf: 1029, Off: true, Contradicted: true}},
		}}}},
		{"observe/accepted", failover.Observe{Batches: []failover.Batch{{
			Node: "a2", Incarnation: 99, Sequence: 5, Observations: []failover.Observation{{
				Group: "pay", Member: "db1", AsOf: 1029, Checks: []failover.CheckState{{
					Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonTimeout, AcceptedAt: 1774749597_500000000},
				}},
			}},
		}}}},
		{"restored", failover.Restored{Request: Request, EpochsAbove: 1000}},
	}
}

// Header is what the bytes in testdata say of themselves: when they were proposed, and by whom.
func Header() (failover.WallTime, failover.NodeID) {
	return failover.WallTimeOf(time.Date(2026, 3, 29, 1, 59, 59, 123456789, time.UTC)), "a1"
}

// Batch is a whole view of two members.
func Batch() failover.Batch {
	return failover.Batch{
		Node: "a2", Incarnation: 99, Sequence: 3, Whole: true, Version: 1,
		Observations: []failover.Observation{
			{
				Group: "pay", Member: "db1", Since: 1774749599_000000001, AsOf: 1029, Heard: true,
				Checks: []failover.CheckState{
					{Name: "postgres", Evidence: failover.Evidence{Reason: failover.ReasonAnswered, Detail: "12 ms"}},
					{Name: "tcp", Evidence: failover.Evidence{Reason: failover.ReasonRefused, Detail: "connection refused", Accepted: true}},
				},
				Facts: failover.Facts{
					Role: failover.RolePrimary, AcceptsWrites: true, SystemID: "7300000000000000001", Timeline: 4, Epoch: 41,
					Written: 0x16_B374D848, SyncRule: failover.SyncRule{Need: 1, Names: []string{"db2", "db3"}},
					Replicas: []failover.Replica{{Name: "db2", Streaming: true, Sync: true}, {Name: "db3"}},
				},
			},
			{
				Group: "pay", Member: "db2", AsOf: 1029,
				Facts: failover.Facts{
					Role: failover.RoleStandby, SystemID: "7300000000000000001", Timeline: 4, Epoch: 41,
					Received: 0x16_B374D848, Replayed: 0x16_B374D000, Streaming: true, ReceivingGrows: true, Stale: true, Old: true,
				},
			},
		},
		FencePaths: []failover.FencePath{{Group: "pay", Member: "db1", Armed: true, Detail: "fence_ipmilan answered"}},
		Answers:    []failover.Answer{{Group: "pay", Index: 1030}},
	}
}

// Outcome is that of an isolate action, with a position such as a catch-up has.
func Outcome() failover.Outcome {
	return failover.Outcome{
		Result: failover.ResultDone, Detail: "off, read back",
		Proof: failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_ipmilan", Detail: "status off"},
		Positions: []failover.MemberPosition{{
			Member: "db2", Answered: true, SystemID: "7300000000000000001", Timeline: 4, Received: 77, Replayed: 76, Epoch: 42, Detail: "live",
		}, {Member: "db3", Detail: "no answer", GrantMissing: true}},
		Timeline: 5, Position: 77, Took: 212 * time.Millisecond, GrantMissing: true,
		Steps: []failover.StepTime{
			{Name: "haproxy closed", Length: 3 * time.Millisecond},
			{Name: "bmc off, read back off", Start: 3 * time.Millisecond, Length: 209 * time.Millisecond, Detail: "2 tries", Undone: true, WriteSeen: true},
		},
	}
}
