package wire

import (
	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func wireOutcome(o failover.Outcome) *arbiterv1.Outcome {
	return &arbiterv1.Outcome{
		Result: string(o.Result), Detail: text(o.Detail),
		ProofGrade: string(o.Proof.Grade), ProofBy: text(o.Proof.By), ProofDetail: text(o.Proof.Detail),
		Positions: each(o.Positions, func(p failover.MemberPosition) *arbiterv1.MemberPosition {
			return &arbiterv1.MemberPosition{
				Member: string(p.Member), Answered: p.Answered, SystemId: p.SystemID, Timeline: p.Timeline,
				Received: uint64(p.Received), Replayed: uint64(p.Replayed), Epoch: uint64(p.Epoch), Detail: text(p.Detail),
				GrantMissing: p.GrantMissing,
			}
		}),
		Timeline: o.Timeline, Position: uint64(o.Position),
		Steps: each(o.Steps, func(s failover.StepTime) *arbiterv1.StepTime {
			return &arbiterv1.StepTime{
				Name: text(s.Name), Start: wireDuration(s.Start), Length: wireDuration(s.Length), Detail: text(s.Detail),
				Undone: s.Undone, WriteSeen: s.WriteSeen,
			}
		}),
		Took: wireDuration(o.Took), GrantMissing: o.GrantMissing,
	}
}

func (f *faults) outcome(o *arbiterv1.Outcome) failover.Outcome {
	return failover.Outcome{
		Result: failover.Result(o.GetResult()), Detail: o.GetDetail(),
		Proof: failover.Proof{
			Grade: failover.ProofGrade(o.GetProofGrade()), By: o.GetProofBy(), Detail: o.GetProofDetail(),
		},
		Positions: each(o.GetPositions(), func(p *arbiterv1.MemberPosition) failover.MemberPosition {
			return failover.MemberPosition{
				Member: failover.MemberName(p.GetMember()), Answered: p.GetAnswered(), SystemID: p.GetSystemId(),
				Timeline: p.GetTimeline(), Received: failover.LSN(p.GetReceived()), Replayed: failover.LSN(p.GetReplayed()),
				Epoch: failover.Epoch(p.GetEpoch()), Detail: p.GetDetail(), GrantMissing: p.GetGrantMissing(),
			}
		}),
		Timeline: o.GetTimeline(), Position: failover.LSN(o.GetPosition()),
		Steps: each(o.GetSteps(), func(s *arbiterv1.StepTime) failover.StepTime {
			return failover.StepTime{
				Name: s.GetName(), Start: f.duration("start", s.GetStart()), Length: f.duration("length", s.GetLength()),
				Detail: s.GetDetail(), Undone: s.GetUndone(), WriteSeen: s.GetWriteSeen(),
			}
		}),
		Took: f.duration("took", o.GetTook()), GrantMissing: o.GetGrantMissing(),
	}
}
