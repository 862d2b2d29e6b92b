package arbiter

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What the drivers say here, and how long they take, is what they said in a failover of real machines (make demo), and a real agent before a BMC
// that hangs. All else is what the state machine and the planner make of it.

// seen is a part in which a write was seen on the new primary.
func seen(part failover.StepTime) failover.StepTime {
	part.WriteSeen = true
	return part
}

func part(name, detail string, start, length int) failover.StepTime {
	return failover.StepTime{Name: name, Detail: detail, Start: milliseconds(start), Length: milliseconds(length)}
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// failoverScript is a group whose primary was reset, up to the grant of the lease.
func failoverScript(t *testing.T) *script {
	s := ordersScript(t)
	standby := s.seen["az-c"]["pg-b"].Facts
	s.see("pg-c", well, standby, "az-a", "az-b")
	s.send(nil)
	s.wall = time.Date(2026, 11, 20, 12, 4, 31, 207_000_000, time.UTC)
	s.see("pg-a", failover.Evidence{Reason: failover.ReasonReset, Detail: "read tcp 10.0.0.1:5432: read: connection reset by peer"}, failover.Facts{}, "az-a")
	s.see("pg-a", failover.Evidence{Reason: failover.ReasonRefused, Detail: "dial tcp 10.0.0.1:5432: connect: connection refused"}, failover.Facts{}, "az-c")
	s.wait(31)
	s.send(nil)
	s.wait(2)
	s.commit(failover.AcquireLease{Group: s.group, Holder: "az-a", Term: 3, AfterEpoch: s.find().Epoch, Duration: 2 * time.Second})
	s.send(nil)
	return s
}

func (s *script) wait(ms int) { s.wall = s.wall.Add(milliseconds(ms)) }

// do carries out what is planned next, as long as somebody says what it comes to, and how long it takes to be begun.
func (s *script) do(outcomes map[failover.ActionKind]failover.Outcome) {
	s.t.Helper()
	for {
		d := failover.Plan(&s.state, s.group, s.live)
		o, known := outcomes[d.Action]
		if d.Step != failover.StepIntend || !known {
			return
		}
		s.begin(d)
		s.wall = s.wall.Add(o.Took)
		s.commit(failover.Conclude{Group: s.group, Epoch: s.find().Epoch, Operation: d.Operation, Intent: s.find().Operation.Intent.Index, Outcome: o})
		if s.find().Operation == nil {
			return
		}
	}
}

func (s *script) begin(d failover.Decision) {
	s.t.Helper()
	s.wait(5)
	s.commit(failover.Intend{Group: s.group, Epoch: s.find().Epoch, Operation: d.Operation, Action: d.Action, Member: d.Member, Rule: d.Rule, Basis: d.Basis})
	s.wait(2)
}

// operation is the newest one of the group.
func (s *script) operation() *arbiterv1.Operation {
	s.t.Helper()
	var next failover.Decision
	if s.find().Operation != nil {
		next = failover.Plan(&s.state, s.group, s.live)
	}
	all := operationsToProto(s.find(), next)
	if len(all) == 0 {
		s.t.Fatal("there was no operation")
	}
	return all[0]
}

var proven = failover.Outcome{
	Result: failover.ResultDone, Detail: "CONFIRMED_OFF by fence_ipmilan bmc-a.internal", Took: 83 * time.Millisecond,
	Proof: failover.Proof{Grade: failover.ProofConfirmedOff, By: "fence_ipmilan bmc-a.internal"},
	Steps: []failover.StepTime{
		part("haproxy-1 closed", "", 0, 6), part("pg-b refuses epochs before 5", "", 0, 69), part("pg-c refuses epochs before 5", "", 0, 67),
		part("fence_ipmilan bmc-a.internal off, read back off", "", 0, 55), part("member is silent", "dial tcp 10.0.0.1:5432: i/o timeout", 55, 26),
	},
}

const endOfLog = failover.LSN(0x5A11F28)

func (s *script) caughtUp() failover.Outcome {
	position := func(m failover.MemberName, at failover.LSN) failover.MemberPosition {
		return failover.MemberPosition{Member: m, Answered: true, SystemID: "7", Timeline: 3, Received: at, Replayed: at, Epoch: s.find().Epoch}
	}
	return failover.Outcome{
		Result: failover.ResultDone, Detail: "pg-b at 0/5A11F28, pg-c at 0/5A11E10", Took: milliseconds(101),
		Positions: []failover.MemberPosition{position("pg-b", endOfLog), position("pg-c", 0x5A11E10)},
	}
}

// doneScript is that failover when it is done, and pg-c is a standby of pg-b.
func doneScript(t *testing.T) *script {
	s := failoverScript(t)
	s.live.LeaseLeft, s.live.SinceAttempt = 2*time.Second, time.Hour
	done := failover.Outcome{Result: failover.ResultDone}
	promote, configure, route, verify := done, done, done, done
	promote.Detail, promote.Took, promote.Timeline, promote.Position = "pg-b is primary under epoch 5", milliseconds(132), 4, endOfLog
	promote.Steps = []failover.StepTime{
		part("connected", "", 0, 31), part("token raised", "epoch 5", 31, 3), part("left recovery", "asked 2 times", 34, 95), part("epoch row written", "", 129, 2),
	}
	configure.Detail, configure.Took, configure.Steps = "1 of 1 standbys point at pg-b", milliseconds(50), []failover.StepTime{part("pg-c points at pg-b", "", 0, 50)}
	route.Detail, route.Took, route.Steps = "clients are sent to pg-b", milliseconds(2), []failover.StepTime{part("haproxy-1 opened pg-b", "", 0, 2)}
	verify.Detail, verify.Took = "write through db.example:5432 seen on pg-b under epoch 5", milliseconds(174)
	verify.Steps = []failover.StepTime{part("written through the route", "try 1", 0, 45), seen(part("seen on pg-b", "", 45, 12)), part("pg-c follows pg-b", "", 0, 174)}
	s.do(map[failover.ActionKind]failover.Outcome{
		failover.ActionIsolate: proven, failover.ActionCatchUp: s.caughtUp(), failover.ActionPromote: promote, failover.ActionConfigure: configure,
		failover.ActionRoute: route, failover.ActionVerify: verify,
	})
	if s.find().Operation != nil {
		t.Fatalf("the failover is %s", s.find().Stage)
	}
	s.wait(1)
	s.commit(failover.ReleaseLease{Group: s.group, Holder: "az-a", Epoch: s.find().Epoch})
	return s
}

// runningScript is that failover while the fence is at work.
func runningScript(t *testing.T) *script {
	s := failoverScript(t)
	s.live.LeaseLeft = 2 * time.Second
	s.begin(failover.Plan(&s.state, s.group, s.live))
	s.live.Running = true
	return s
}

// unprovenScript is that failover before a BMC that hangs.
func unprovenScript(t *testing.T) *script {
	s := failoverScript(t)
	const said = "fence_ipmilan bmc-a.internal: off: time limit reached; status: time limit reached"
	unproven := failover.Outcome{
		Result: failover.ResultUnknown, Detail: "level 1: " + said, Took: 10 * time.Second, Proof: failover.Proof{Grade: failover.ProofUnknown, Detail: "level 1: " + said},
		Steps: []failover.StepTime{part("haproxy-1 closed", "", 0, 6), part("fence_ipmilan bmc-a.internal gave no proof", said, 0, 10000)},
	}
	s.live.LeaseLeft, s.live.SinceAttempt = 2*time.Second, time.Second
	s.heldAfter(unproven)
	return s
}

// ungrantedScript is that failover where the arbiters' role may not promote.
func ungrantedScript(t *testing.T) *script {
	s := failoverScript(t)
	s.live.LeaseLeft, s.live.SinceAttempt = 2*time.Second, time.Hour
	s.do(map[failover.ActionKind]failover.Outcome{failover.ActionIsolate: proven, failover.ActionCatchUp: s.caughtUp()})
	s.heldAfter(failover.Outcome{
		Result: failover.ResultFailed, Took: milliseconds(40), GrantMissing: true,
		Detail: "promote pg-b: ask for the promotion: ERROR: permission denied for function pg_promote (SQLSTATE 42501)",
	})
	for range 2 { // as far as a further try, of which there are many
		s.commit(failover.ReleaseLease{Group: s.group, Holder: "az-a", Epoch: s.find().Epoch})
		s.commit(failover.AcquireLease{Group: s.group, Holder: "az-a", Term: 3, AfterEpoch: s.find().Epoch, Duration: 2 * time.Second})
	}
	s.commit(failover.ReleaseLease{Group: s.group, Holder: "az-a", Epoch: s.find().Epoch})
	return s
}

// heldAfter begins what is planned next, and tries it until the leader holds it.
func (s *script) heldAfter(o failover.Outcome) {
	s.t.Helper()
	s.begin(failover.Plan(&s.state, s.group, s.live))
	d := failover.Decision{Step: failover.StepTry}
	for op := s.find().Operation; d.Step == failover.StepTry; {
		s.wait(int(o.Took / time.Millisecond))
		s.commit(failover.Conclude{Group: s.group, Epoch: s.find().Epoch, Operation: op.ID, Intent: op.Intent.Index, Outcome: o})
		d = failover.Plan(&s.state, s.group, s.live)
	}
	if d.Step != failover.StepHold {
		s.t.Fatalf("the leader does not hold it: %+v", d)
	}
	s.commit(failover.HoldOperation{Group: s.group, Operation: d.Operation, Reason: d.Hold, Detail: d.Detail})
}

// TestSampleEvents is TestSamples for the events of a failover, of which a line is one.
func TestSampleEvents(t *testing.T) {
	s := doneScript(t)
	var text bytes.Buffer
	for _, e := range s.events {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(eventToProto(e))
		if err = errors.Join(err, json.Compact(&text, raw)); err != nil {
			t.Fatal(err)
		}
		text.WriteByte('\n')
	}
	file := filepath.Join("..", "cmd", "arbiterctl", "sample", "testdata", "events.jsonl")
	if *rewriteSamples {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(file); err != nil || !bytes.Equal(kept, text.Bytes()) {
		t.Errorf("arbiters tell of other events (%v); look at the diff after `go test ./arbiter -run TestSample -rewrite`, and then at the screens", err)
	}
}
