package arbiter

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func timeToProto(w failover.WallTime) *timestamppb.Timestamp {
	if w == 0 {
		return nil
	}
	return timestamppb.New(w.Time())
}

func guardsToProto(guards []failover.Guard) []*arbiterv1.Guard {
	list := make([]*arbiterv1.Guard, len(guards))
	for i, g := range guards {
		list[i] = &arbiterv1.Guard{Name: g.Name, Ok: g.OK, Detail: g.Detail}
	}
	return list
}

func leaseToProto(g *failover.Group) *arbiterv1.Lease {
	if g.Lease == nil {
		return nil
	}
	return &arbiterv1.Lease{
		Holder: string(g.Lease.Holder), Epoch: uint64(g.Lease.Epoch), Duration: durationpb.New(time.Duration(g.Lease.Duration)),
		GrantedAtIndex: uint64(g.Lease.GrantedAt),
	}
}

func epochToProto(row failover.EpochRow) *arbiterv1.EpochRow {
	return &arbiterv1.EpochRow{
		Epoch: uint64(row.Epoch), Writer: string(row.Writer), GrantedTo: string(row.Holder), Term: uint64(row.Term),
		When: timeToProto(row.Wall), Why: row.Why, Proof: row.Proof, Index: uint64(row.Index), First: uint64(row.First),
	}
}

func eventToProto(e failover.Event) *arbiterv1.Event {
	return &arbiterv1.Event{
		Sequence: e.Sequence, Index: uint64(e.Index), Wall: timeToProto(e.Wall), Kind: string(e.Kind), Group: string(e.Group),
		Operation: string(e.Operation), Member: string(e.Member), StageFrom: string(e.From), StageTo: string(e.To), Epoch: uint64(e.Epoch),
		Text: e.Text, Rule: e.Rule,
	}
}

// operationsToProto lists a group's operations, the one in progress first, then the newest.
func operationsToProto(g *failover.Group, next failover.Decision) []*arbiterv1.Operation {
	var list []*arbiterv1.Operation
	if g.Operation != nil {
		list = append(list, runningToProto(g, next))
	}
	for _, r := range slices.Backward(g.History.Receipts) {
		op := operationToProto(g.Name, &r.Operation)
		op.Repeats = uint32(r.Repeats)
		op.EpochAfter, op.Ended, op.Result = uint64(r.EpochAfter), timeToProto(r.Ended), string(r.Result)
		if r.Operation.Kind != failover.KindRefence { // beside which somebody else may be the primary, and no thanks to it
			op.To = string(r.To)
		}
		if outage, proven := failover.WriteOutage(&r.Operation); proven && r.Result == failover.OperationDone {
			op.WriteOutage = durationpb.New(outage)
		}
		list = append(list, op)
	}
	return list
}

func runningToProto(g *failover.Group, next failover.Decision) *arbiterv1.Operation {
	op := operationToProto(g.Name, g.Operation)
	op.To, op.EpochAfter, op.Result, op.Now = string(g.Operation.Candidate), uint64(g.Epoch), "running", next.Detail
	op.Turn = uint64(g.Turn())
	op.MayWrite, op.MayWriteMember = failover.MayWrite(g), string(failover.MayBeWriting(g))
	if g.Stage == failover.Held {
		op.HeldSince = timeToProto(g.Hold.Since)
		op.Result, op.HeldReason, op.HeldDetail = "held", string(g.Hold.Reason), g.HeldFor()
	}
	return op
}

func operationToProto(group failover.GroupName, o *failover.Operation) *arbiterv1.Operation {
	op := &arbiterv1.Operation{
		Id: string(o.ID), Group: string(group), Kind: string(o.Kind), Actor: o.Actor, Reason: o.Reason, From: string(o.From),
		EpochBefore: uint64(o.EpochBefore), Began: timeToProto(o.Began), LossGrade: string(o.Loss.Grade), LossBytes: lossBytes(o.Loss),
		AcceptedLoss: o.LossTaken != nil || o.LossUsed != nil, Verdict: o.Verdict, Arbiter: string(o.Arbiter), ReleasedBy: o.ReleasedBy,
	}
	if o.Automatic {
		op.Actor = "automatic"
	}
	op.Basis = indexesToProto(o.Basis)
	for _, s := range o.Steps {
		op.Steps = append(op.Steps, stepToProto(s))
	}
	for _, p := range o.Positions {
		op.Positions = append(op.Positions, &arbiterv1.MemberPosition{
			Member: string(p.Member), Answered: p.Answered, SystemId: p.SystemID,
			Timeline: p.Timeline, Received: uint64(p.Received), Replayed: uint64(p.Replayed), Epoch: uint64(p.Epoch), Detail: p.Detail, GrantMissing: p.GrantMissing,
		})
	}
	return op
}

// lossBytes is how much a bound says that is lost; nil where nobody knows, or nobody was judged.
func lossBytes(bound failover.LossBound) *uint64 {
	if bound.Grade == "" || bound.Grade == failover.LossUnknown {
		return nil
	}
	return &bound.Bytes
}

func indexesToProto(indexes []failover.Index) (list []uint64) {
	for _, i := range indexes {
		list = append(list, uint64(i))
	}
	return list
}

func stepToProto(s failover.Step) *arbiterv1.Step {
	step := &arbiterv1.Step{
		Name: s.Name, Began: timeToProto(s.Began), Took: durationpb.New(time.Duration(s.Ended - s.Began)), Member: string(s.Member),
		Epoch: uint64(s.Epoch), Attempt: uint32(s.Attempt), Result: string(s.Result), Detail: s.Detail, IntentIndex: uint64(s.Intent), OutcomeIndex: uint64(s.Outcome),
		Rule: s.Rule, Basis: indexesToProto(s.Basis),
	}
	if s.Proof.Grade != "" {
		step.Proof = strings.TrimSpace(string(s.Proof.Grade) + " " + s.Proof.By)
	}
	for _, p := range s.Parts {
		step.Parts = append(step.Parts, &arbiterv1.StepTime{Name: p.Name, Start: durationpb.New(p.Start), Length: durationpb.New(p.Length), Detail: p.Detail, Undone: p.Undone, WriteSeen: p.WriteSeen})
	}
	return step
}
