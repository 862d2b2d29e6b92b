// Package sample holds answers as arbiters give them, for the tests of what arbiterctl shows. Its times are fixed: they are
// told relative to [Now].
//
// The files in testdata are answers that arbiters make of a scripted log: a test of theirs writes them, and fails when arbiters would answer
// otherwise.
//
// Every function returns a new message, so that a test may change it.
package sample

import (
	"embed"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

//go:embed testdata/*.json
var answers embed.FS

// answer reads one of the answers in testdata.
func answer[M proto.Message](name string, into M) M {
	text, err := answers.ReadFile("testdata/" + name + ".json")
	if err == nil {
		err = protojson.Unmarshal(text, into)
	}
	if err != nil {
		panic(err) // the file is part of the program
	}
	return into
}

// Now is the moment at which the samples are looked at.
func Now() time.Time { return time.Date(2026, 11, 20, 12, 5, 12, 500_000_000, time.UTC) }

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(Now().Add(-d)) }

func took(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

func fresh() *arbiterv1.Freshness {
	return &arbiterv1.Freshness{Node: "az-a", AppliedIndex: 8812, Term: 3, Leader: "az-a", Linearizable: true}
}

// Restarted is how fresh the answer of an arbiter is that came back alone and has no snapshot.
func Restarted() *arbiterv1.Freshness {
	return &arbiterv1.Freshness{Node: "az-a", Term: 3, LogOnDisk: 8812}
}

// Arbiters are three arbiters that are well.
func Arbiters() []*arbiterv1.ArbiterStatus {
	var all []*arbiterv1.ArbiterStatus
	for i, node := range []string{"az-a", "az-b", "az-c"} {
		a := &arbiterv1.ArbiterStatus{
			Node: node, Zone: node, RaftAddress: node + ".internal:7400", GrpcAddress: node + ".internal:7401", Leader: i == 0,
			Voter: true, ViewCurrent: true, Readiness: arbiterv1.Readiness_READINESS_READY, Release: "v1.0.0", EntryVersion: 1,
		}
		if i > 0 {
			a.LastContact = took(time.Duration(10*i) * time.Millisecond)
		}
		all = append(all, a)
	}
	return all
}

// Orders is a group that is well, though one of its standbys is starting up.
func Orders() *arbiterv1.GroupStatus { return answer("orders", &arbiterv1.GroupStatus{}) }

// Billing is a group whose failover is held, since the only standby is too far behind.
func Billing() *arbiterv1.GroupStatus { return answer("billing", &arbiterv1.GroupStatus{}) }

// Unfollowed is a group whose standby receives from nobody.
func Unfollowed() *arbiterv1.GroupStatus { return answer("unfollowed", &arbiterv1.GroupStatus{}) }

// New is a group that was just applied.
func New() *arbiterv1.GroupStatus { return answer("new", &arbiterv1.GroupStatus{}) }

// Status is one group that is well and one that is held.
func Status() *arbiterv1.GetStatusResponse {
	return &arbiterv1.GetStatusResponse{Freshness: fresh(), ClusterId: "01JD", Arbiters: Arbiters(), Groups: []*arbiterv1.GroupStatus{Orders(), Billing()}}
}

// ListArbiters are the arbiters, one of them in doubt.
func ListArbiters() *arbiterv1.ListArbitersResponse {
	all := Arbiters()
	all[1].Doubt = "can't reach its reference points (az-a, az-c)"
	all[2].ViewCurrent = false
	return &arbiterv1.ListArbitersResponse{Freshness: fresh(), Arbiters: all, ClusterId: "01JD"}
}

// Explain says why nothing was done: one arbiter does not see the primary, and doubts itself.
func Explain() *arbiterv1.ExplainResponse {
	r := answer("explain", &arbiterv1.ExplainResponse{})
	r.Freshness = fresh()
	return r
}

// ExplainChecks is the same of a group that is watched by two checks: the second one, which isn't required, fails for pg-a on one arbiter, and for pg-b
// on all.
func ExplainChecks() *arbiterv1.ExplainResponse {
	r := Explain()
	r.Views[2].Status, r.Views[2].Detail = "degraded", "status 503 Service Unavailable"
	health := check("health", "http")
	health.Required, health.Interval, health.Failures, health.Window = false, took(time.Second), 3, took(20*time.Second)
	deny(health.Views[2], "degraded", "wrong-answer", "status 503 Service Unavailable")
	for i, v := range health.Views[3:6] {
		deny(v, "degraded", "refused", "connection refused")
		v.Counts, v.Since = true, ago(time.Duration(i)*time.Second)
	}
	health.Views = health.Views[:len(health.Views)-1] // az-c has not looked at pg-c yet
	r.Checks = append(r.Checks, health)
	return r
}

// check is a required check that finds all members good, on all arbiters.
func check(name, kind string) *arbiterv1.CheckRule {
	c := &arbiterv1.CheckRule{
		Name: name, Kind: kind, Required: true, Interval: took(200 * time.Millisecond), Timeout: took(250 * time.Millisecond), Failures: 2, Successes: 1,
	}
	for _, m := range []string{"pg-a", "pg-b", "pg-c"} {
		for _, node := range []string{"az-a", "az-b", "az-c"} {
			c.Views = append(c.Views, &arbiterv1.CheckView{Member: m, Node: node, Status: "up", Reason: "answered", Since: ago(time.Hour), Counts: true})
		}
	}
	return c
}

// deny makes a check say something bad since 12:04:31.207, in the view of an arbiter that counts unless it is az-b.
func deny(v *arbiterv1.CheckView, status, reason, detail string) {
	v.Status, v.Reason, v.Detail, v.Counts, v.Since = status, reason, detail, v.Node != "az-b", ago(41293*time.Millisecond)
}

// Epochs is the history of two epochs.
func Epochs() *arbiterv1.GetEpochsResponse {
	return &arbiterv1.GetEpochsResponse{
		Freshness: fresh(), Group: "orders-db", Epoch: 5, Writer: "pg-b",
		History: []*arbiterv1.EpochRow{
			{
				Epoch: 5, Writer: "pg-b", GrantedTo: "az-a", Term: 3, When: timestamppb.New(time.Date(2026, 11, 20, 12, 4, 31, 0, time.UTC)),
				Why: "failover: pg-a down", Proof: "CONFIRMED_OFF bmc pg-a", Index: 8815,
			},
			{
				Epoch: 4, Writer: "pg-a", GrantedTo: "az-c", Term: 2, When: timestamppb.New(time.Date(2026, 11, 8, 9, 0, 2, 0, time.UTC)),
				Why: `switchover, by dana: "kernel update"`, Proof: "clean shutdown pg-b", Index: 7001,
			},
		},
	}
}

// Failover is a finished failover.
func Failover() *arbiterv1.Operation {
	began := time.Date(2026, 11, 20, 12, 4, 31, 207_000_000, time.UTC)
	at := func(ms int) *timestamppb.Timestamp {
		return timestamppb.New(began.Add(time.Duration(ms) * time.Millisecond))
	}
	ms := func(n int) *durationpb.Duration { return took(time.Duration(n) * time.Millisecond) }
	return &arbiterv1.Operation{
		Id: "orders-db-8814", Group: "orders-db", Kind: "failover", Actor: "automatic", From: "pg-a", To: "pg-b", EpochBefore: 4,
		EpochAfter: 5, Began: at(31), Ended: at(231), WriteOutage: ms(231), Result: "done", LossGrade: "observed", Arbiter: "az-a",
		Verdict: "3 of 3 arbiters see pg-a down, 2 needed", Basis: []uint64{8812, 8813, 8814},
		Steps: []*arbiterv1.Step{
			{Name: "fault", Began: at(0), Took: ms(31), Member: "pg-a", Result: "done", Detail: "pg-a:5432 reset (az-a, az-c), refused on recheck"},
			{Name: "verdict", Began: at(31), Member: "pg-a", Result: "done", Detail: "3 of 3 arbiters", OutcomeIndex: 8814},
			{Name: "lease", Began: at(33), Epoch: 5, Result: "done", Detail: "epoch 5, az-a, 2 s", OutcomeIndex: 8815},
			{
				Name: "isolate", Began: at(34), Took: ms(83), Member: "pg-a", Epoch: 5, Attempt: 1, Result: "done", Proof: "CONFIRMED_OFF",
				IntentIndex: 8816, OutcomeIndex: 8817,
				Parts: []*arbiterv1.StepTime{
					{Name: "haproxy closed", Length: ms(3)},
					{Name: "bmc off, read back off", Length: ms(81)},
				},
			},
			{
				Name: "promote", Began: at(117), Took: ms(59), Member: "pg-b", Epoch: 5, Attempt: 1, Result: "done",
				Detail: "pg-b at 0/5A11F28 (pg-c 0/5A11E10), timeline 3 → 4", IntentIndex: 8818, OutcomeIndex: 8819,
			},
			{
				Name: "route", Began: at(176), Took: ms(3), Member: "pg-b", Epoch: 5, Attempt: 1, Result: "done", Detail: "haproxy opened pg-b",
				IntentIndex: 8820, OutcomeIndex: 8821,
			},
			{
				Name: "verify", Began: at(179), Took: ms(52), Member: "pg-b", Epoch: 5, Attempt: 1, Result: "done",
				Detail: "write through db.example:5432 seen on pg-b under epoch 5", IntentIndex: 8822, OutcomeIndex: 8823,
			},
		},
		Positions: []*arbiterv1.MemberPosition{
			{Member: "pg-c", Answered: true, Received: 0x5A11E10, Replayed: 0x5A11E10},
			{Member: "pg-b", Answered: true, Received: 0x5A11F28, Replayed: 0x5A11F00},
		},
	}
}

// HeldFailover is a failover whose fence could not prove anything.
func HeldFailover() *arbiterv1.Operation {
	op := Failover()
	op.Id, op.Ended, op.Result, op.To, op.LossGrade = "orders-db-9001", nil, "held", "", ""
	op.HeldReason, op.HeldDetail = "fence-unproven", "fence_ipmilan gave no proof that pg-a is off: time-out after 10 s"
	op.Steps, op.Positions = op.Steps[:4], nil
	isolate := op.Steps[3]
	isolate.Took, isolate.Result, isolate.Proof, isolate.Attempt = took(20*time.Second), "unknown", "", 2
	isolate.Parts, isolate.Detail = nil, "level 1: fence_ipmilan: time-out after 10 s"
	return op
}

// Events are some events, the oldest first.
func Events() []*arbiterv1.Event {
	wall := timestamppb.New(time.Date(2026, 11, 20, 12, 4, 31, 238_000_000, time.UTC))
	return []*arbiterv1.Event{
		{Wall: wall, Index: 8814, Kind: "quorum-confirmed", Group: "orders-db", Member: "pg-a", StageFrom: "steady", StageTo: "confirmed", Text: "3 of 3 arbiters see pg-a down"},
		{Wall: wall, Index: 8815, Kind: "lease-granted", Group: "orders-db", StageFrom: "confirmed", StageTo: "leased", Epoch: 5, Text: "epoch 5 to az-a"},
		{Wall: wall, Index: 8816, Kind: "rejected", Group: "orders-db", Text: "epoch 4 is over", Rule: "S4"},
		{Wall: wall, Index: 8817, Kind: "reign-began", Text: "az-a leads in term 3"},
	}
}

// Plan is what a failover would do.
func Plan() *arbiterv1.FailoverResponse { return answer("plan", &arbiterv1.FailoverResponse{}) }

// Checks are what three arbiters say that find nothing wrong.
func Checks() []*arbiterv1.ArbiterCheck {
	var all []*arbiterv1.ArbiterCheck
	for _, node := range []string{"az-a", "az-b", "az-c"} {
		all = append(all, &arbiterv1.ArbiterCheck{Node: node, Members: 3, Devices: 4, Routes: 1, Took: took(420 * time.Millisecond)})
	}
	return all
}

// Check is a check of a group in which nothing was found.
func Check() *arbiterv1.CheckGroupResponse {
	return &arbiterv1.CheckGroupResponse{
		Freshness: fresh(), Group: "orders-db", Arbiters: Checks(),
		WouldDo: Explain().WouldDo,
	}
}

// BlockedCheck is one in which an arbiter lacks a secret, and all see something.
func BlockedCheck() *arbiterv1.CheckGroupResponse {
	r := Check()
	r.Findings = []*arbiterv1.Finding{{
		Severity: arbiterv1.Severity_SEVERITY_ADVICE, About: "group", What: `paused by dana since 2026-11-20 12:04:31 UTC: kernel update`, Next: "arbiterctl resume orders-db",
	}}
	for _, c := range r.Arbiters {
		c.Findings = append(c.Findings, &arbiterv1.Finding{
			Severity: arbiterv1.Severity_SEVERITY_ADVICE, About: "database", Member: "pg-b",
			What: "neither wal_log_hints nor data checksums are on: after a failover it can't be rewound, only copied again",
			Next: "set wal_log_hints = on (needs a restart)",
		})
	}
	for _, member := range []string{"pg-a", "pg-b"} {
		r.Arbiters[1].Findings = append(r.Arbiters[1].Findings, &arbiterv1.Finding{
			Severity: arbiterv1.Severity_SEVERITY_BLOCKS, About: "fence", Member: member,
			What: `fence_ipmilan bmc: resolve setting "password" from file /etc/arbiter/secrets/bmc: no such file or directory`,
			Next: "put the secret there on this arbiter's machine, readable for the user of arbiterd",
		})
	}
	return r
}
