package wire

import (
	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// BatchToProto writes a batch of observations for the stream to the leader. The error names the field that can't be written.
func BatchToProto(b failover.Batch) (*arbiterv1.Batch, error) {
	var f faults
	batch := f.wireBatch(b)
	return batch, f.first
}

// BatchFromProto reads what BatchToProto wrote. The error names the field that has no meaning here.
func BatchFromProto(b *arbiterv1.Batch) (failover.Batch, error) {
	var f faults
	batch := f.batch(b)
	return batch, f.first
}

func (f *faults) wireBatch(b failover.Batch) *arbiterv1.Batch {
	return &arbiterv1.Batch{
		Node: string(b.Node), Incarnation: b.Incarnation, Sequence: b.Sequence, Whole: b.Whole, Doubt: text(b.Doubt),
		Observations: each(b.Observations, f.wireObservation),
		FencePaths: each(b.FencePaths, func(p failover.FencePath) *arbiterv1.FencePath {
			return &arbiterv1.FencePath{
				Group: string(p.Group), Member: string(p.Member), Armed: p.Armed, Off: p.Off, Detail: text(p.Detail), AsOf: uint64(p.AsOf),
				Contradicted: p.Contradicted,
			}
		}),
		Answers: each(b.Answers, func(a failover.Answer) *arbiterv1.Answer {
			return &arbiterv1.Answer{Group: string(a.Group), Index: uint64(a.Index)}
		}),
		Version: uint32(b.Version),
	}
}

func (f *faults) batch(b *arbiterv1.Batch) failover.Batch {
	return failover.Batch{
		Node: failover.NodeID(b.GetNode()), Incarnation: b.GetIncarnation(), Sequence: b.GetSequence(),
		Whole: b.GetWhole(), Doubt: b.GetDoubt(),
		Observations: each(b.GetObservations(), f.observation),
		FencePaths: each(b.GetFencePaths(), func(p *arbiterv1.FencePath) failover.FencePath {
			return failover.FencePath{
				Group: failover.GroupName(p.GetGroup()), Member: failover.MemberName(p.GetMember()),
				Armed: p.GetArmed(), Off: p.GetOff(), Detail: p.GetDetail(), AsOf: failover.Index(p.GetAsOf()),
				Contradicted: p.GetContradicted(),
			}
		}),
		Answers: each(b.GetAnswers(), func(a *arbiterv1.Answer) failover.Answer {
			return failover.Answer{Group: failover.GroupName(a.GetGroup()), Index: failover.Index(a.GetIndex())}
		}),
		Version: failover.EntryVersion(b.GetVersion()),
	}
}

func (f *faults) wireObservation(o failover.Observation) *arbiterv1.Observation {
	return &arbiterv1.Observation{
		Group: string(o.Group), Member: string(o.Member),
		Checks: each(o.Checks, func(c failover.CheckState) *arbiterv1.CheckState {
			return &arbiterv1.CheckState{
				Name: c.Name, Reason: string(c.Evidence.Reason), Detail: text(c.Evidence.Detail), Accepted: c.Evidence.Accepted, AcceptedAt: wireWall(c.Evidence.AcceptedAt),
			}
		}),
		Facts: f.wireFacts(o.Facts), Since: wireWall(o.Since), AsOf: uint64(o.AsOf), Heard: o.Heard,
	}
}

func (f *faults) observation(o *arbiterv1.Observation) failover.Observation {
	return failover.Observation{
		Group: failover.GroupName(o.GetGroup()), Member: failover.MemberName(o.GetMember()),
		Checks: each(o.GetChecks(), func(c *arbiterv1.CheckState) failover.CheckState {
			evidence := failover.Evidence{
				Reason: failover.Reason(c.GetReason()), Detail: c.GetDetail(), Accepted: c.GetAccepted(), AcceptedAt: f.wall("accepted_at", c.GetAcceptedAt()),
			}
			return failover.CheckState{Name: c.GetName(), Evidence: evidence}
		}),
		Facts: facts(o.GetFacts()), Since: f.wall("since", o.GetSince()), AsOf: failover.Index(o.GetAsOf()), Heard: o.GetHeard(),
	}
}

func (f *faults) wireFacts(a failover.Facts) *arbiterv1.Facts {
	return &arbiterv1.Facts{
		Role: string(a.Role), AcceptsWrites: a.AcceptsWrites, SystemId: a.SystemID, Timeline: a.Timeline,
		Epoch: uint64(a.Epoch), Written: uint64(a.Written), Received: uint64(a.Received), Replayed: uint64(a.Replayed),
		Streaming: a.Streaming, ReceivingGrows: a.ReceivingGrows,
		SyncNeed: f.count("sync_need", a.SyncRule.Need), SyncNames: names[string](a.SyncRule.Names),
		Replicas: each(a.Replicas, func(r failover.Replica) *arbiterv1.Replica {
			return &arbiterv1.Replica{Name: r.Name, Streaming: r.Streaming, Sync: r.Sync}
		}),
		Stale: a.Stale, Old: a.Old,
	}
}

func facts(a *arbiterv1.Facts) failover.Facts {
	return failover.Facts{
		Role: failover.Role(a.GetRole()), AcceptsWrites: a.GetAcceptsWrites(), SystemID: a.GetSystemId(),
		Timeline: a.GetTimeline(), Epoch: failover.Epoch(a.GetEpoch()), Written: failover.LSN(a.GetWritten()),
		Received: failover.LSN(a.GetReceived()), Replayed: failover.LSN(a.GetReplayed()),
		Streaming: a.GetStreaming(), ReceivingGrows: a.GetReceivingGrows(),
		SyncRule: failover.SyncRule{Need: int(a.GetSyncNeed()), Names: names[string](a.GetSyncNames())},
		Replicas: each(a.GetReplicas(), func(r *arbiterv1.Replica) failover.Replica {
			return failover.Replica{Name: r.GetName(), Streaming: r.GetStreaming(), Sync: r.GetSync()}
		}),
		Stale: a.GetStale(), Old: a.GetOld(),
	}
}
