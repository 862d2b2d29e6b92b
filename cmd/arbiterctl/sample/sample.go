// Package sample holds answers as arbiters give them, for the tests of what arbiterctl shows. Its times are fixed: they are
// told relative to [Now].
//
// The files in testdata are answers that arbiters make of a scripted log: a test of theirs writes them, and fails when arbiters would answer
// otherwise.
//
// Every function returns a new message, so that a test may change it.
package sample

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

//go:embed testdata/*.json testdata/*.jsonl
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

// Attestations are a person's words on members of two groups, one of which is gone.
func Attestations() []*arbiterv1.Attestation {
	return []*arbiterv1.Attestation{
		{
			Index: 9131, Time: ago(3 * time.Minute), Actor: "dana", Reason: "I stand beside it: it is off", Group: "billing", Member: "pg-1",
			Operation: "billing-9120", Revoked: 9124, Epoch: 10, Saw: "looked at (az-a: timeout; az-b: timeout; az-c: no-route)",
		},
		{
			Index: 402, Time: ago(90 * 24 * time.Hour), Actor: "erin", Reason: "taken out of the rack", Group: "old-db", Member: "pg-c", Epoch: 3,
			Saw: "no arbiter has reached its address: its name is not found (az-a: name-not-found; az-b: name-not-found; az-c: name-not-found)",
		},
	}
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
			Certificates: &arbiterv1.Certificates{Until: ago(-time.Duration(400+i) * 24 * time.Hour), AuthorityUntil: ago(-9 * 365 * 24 * time.Hour)},
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

// Degraded is a group whose primary answers and takes no writes.
func Degraded() *arbiterv1.GroupStatus { return answer("degraded", &arbiterv1.GroupStatus{}) }

// Recovering is a group whose primary was started again as a standby.
func Recovering() *arbiterv1.GroupStatus { return answer("recovering", &arbiterv1.GroupStatus{}) }

// PausedDown is a paused group whose primary is down.
func PausedDown() *arbiterv1.GroupStatus { return answer("paused_down", &arbiterv1.GroupStatus{}) }

// Unasked is a group to whose members no arbiter can log in any more.
func Unasked() *arbiterv1.GroupStatus { return answer("unasked", &arbiterv1.GroupStatus{}) }

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

// ExplainRunning is about a failover whose fence is at work.
func ExplainRunning() *arbiterv1.ExplainResponse {
	return answer("explain_running", &arbiterv1.ExplainResponse{})
}

// ExplainHeld is about the group that is Billing.
func ExplainHeld() *arbiterv1.ExplainResponse {
	return answer("explain_held", &arbiterv1.ExplainResponse{})
}

// ExplainRecovering is about the group that is Recovering.
func ExplainRecovering() *arbiterv1.ExplainResponse {
	r := answer("explain_recovering", &arbiterv1.ExplainResponse{})
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
	r := answer("epochs", &arbiterv1.GetEpochsResponse{})
	r.Freshness = fresh()
	return r
}

// Failover is a finished failover.
func Failover() *arbiterv1.Operation { return answer("failover", &arbiterv1.Operation{}) }

// RunningFailover is one whose fence is at work.
func RunningFailover() *arbiterv1.Operation {
	return answer("failover_running", &arbiterv1.Operation{})
}

// HeldFailover is one whose fence could not prove anything.
func HeldFailover() *arbiterv1.Operation { return answer("failover_unproven", &arbiterv1.Operation{}) }

// Unproven is the group of it.
func Unproven() *arbiterv1.GroupStatus { return answer("unproven", &arbiterv1.GroupStatus{}) }

// Ungranted is a group whose candidate can't be promoted for want of a grant.
func Ungranted() *arbiterv1.GroupStatus { return answer("ungranted", &arbiterv1.GroupStatus{}) }

// EpochsHeld are its epochs.
func EpochsHeld() *arbiterv1.GetEpochsResponse {
	return answer("epochs_held", &arbiterv1.GetEpochsResponse{})
}

// Events are those of the finished failover and of what was before it, the oldest first.
func Events() []*arbiterv1.Event {
	text, err := answers.ReadFile("testdata/events.jsonl")
	var all []*arbiterv1.Event
	for line := range bytes.Lines(text) {
		e := &arbiterv1.Event{}
		err = errors.Join(err, protojson.Unmarshal(line, e))
		all = append(all, e)
	}
	if err != nil {
		panic(err) // the file is part of the program
	}
	return all
}

// Plan is what a failover would do.
func Plan() *arbiterv1.FailoverResponse { return answer("plan", &arbiterv1.FailoverResponse{}) }

// Refused is the plan of a failover that would be refused, since a router doesn't answer.
func Refused() *arbiterv1.FailoverResponse {
	return answer("plan_refused", &arbiterv1.FailoverResponse{})
}

// Unfit is the plan of a failover that would be refused, since one that may be promoted can't be.
func Unfit() *arbiterv1.FailoverResponse { return answer("plan_unfit", &arbiterv1.FailoverResponse{}) }

// Checks are what three arbiters say that find nothing wrong.
func Checks() []*arbiterv1.ArbiterCheck {
	var all []*arbiterv1.ArbiterCheck
	for _, node := range []string{"az-a", "az-b", "az-c"} {
		all = append(all, &arbiterv1.ArbiterCheck{Node: node, Members: 3, Devices: 3, Routes: 1, Reached: 1, Epoch: 4, Took: took(420 * time.Millisecond)})
	}
	return all
}

// Check is a check of a group in which nothing was found.
func Check() *arbiterv1.CheckGroupResponse {
	r := answer("check", &arbiterv1.CheckGroupResponse{})
	r.Freshness, r.Arbiters = fresh(), Checks()
	return r
}

// DownCheck is one of the group that is PausedDown.
func DownCheck() *arbiterv1.CheckGroupResponse {
	r := answer("check_down", &arbiterv1.CheckGroupResponse{})
	r.Freshness, r.Arbiters = fresh(), Checks()
	for _, c := range r.Arbiters {
		c.Reached, c.Epoch = 0, 0
		c.Findings = []*arbiterv1.Finding{{
			Severity: arbiterv1.Severity_SEVERITY_ADVICE, About: "database", Member: "pg-a", Unreachable: true,
			What: "it is down, so it was not looked at (can't be asked: nobody listens at pg-a.internal:5432)",
			Next: "see what is done about the primary: arbiterctl explain orders-db",
		}}
	}
	return r
}

// BlockedCheck is one of a paused group in which an arbiter lacks two secrets, and all see something.
func BlockedCheck() *arbiterv1.CheckGroupResponse {
	r := answer("check_paused", &arbiterv1.CheckGroupResponse{})
	r.Freshness, r.Arbiters = fresh(), Checks()
	for _, c := range r.Arbiters {
		c.Findings = append(c.Findings, &arbiterv1.Finding{
			Severity: arbiterv1.Severity_SEVERITY_ADVICE, About: "database", Member: "pg-b",
			What: "neither wal_log_hints nor data checksums are on: after a failover it can't be rewound, only copied again",
			Next: "set wal_log_hints = on (needs a restart)",
		})
	}
	for _, member := range []string{"pg-a", "pg-b"} {
		bmc := strings.Replace(member, "pg", "bmc", 1)
		r.Arbiters[1].Findings = append(r.Arbiters[1].Findings, &arbiterv1.Finding{
			Severity: arbiterv1.Severity_SEVERITY_BLOCKS, About: "fence", Member: member,
			What: fmt.Sprintf(`fence_ipmilan %s.internal: resolve setting "password" from file /etc/arbiter/secrets/%s: no such file or directory`, bmc, bmc),
			Next: "put the secret there on this arbiter's machine, readable for the user of arbiterd",
		})
	}
	return r
}
