package wire

import (
	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Write puts a body into an entry, as its kind, and the wall-clock time of its proposal. The error names the field that the wire
// can't carry.
func Write(entry *arbiterv1.Entry, body failover.Body, wall failover.WallTime) error {
	var f faults
	entry.Wall = wireWall(wall)
	f.setKind(entry, body)
	return f.first
}

// Read is the inverse of Write; data are the bytes that the entry came from. An unknown kind gives no body. The error names the
// field that has no meaning here.
func Read(entry *arbiterv1.Entry, data []byte) (failover.Body, failover.WallTime, error) {
	var f faults
	wall, body := f.wall("wall", entry.GetWall()), f.body(entry, data)
	if f.first != nil {
		return nil, 0, f.first
	}
	return body, wall, nil
}

// setKind is one table: a line or two per kind, in the order of failover/entry.go. failover.SetVoters has no kind here: it
// follows Raft's own configuration entries.
func (f *faults) setKind(entry *arbiterv1.Entry, body failover.Body) {
	switch b := body.(type) {
	case failover.BeginReign:
		entry.Kind = &arbiterv1.Entry_BeginReign{BeginReign: &arbiterv1.BeginReign{
			Term: uint64(b.Term), Leader: string(b.Leader), Version: uint32(b.Version), ClusterId: b.ClusterID,
		}}
	case failover.Observe:
		entry.Kind = &arbiterv1.Entry_Observe{Observe: &arbiterv1.Observe{Batches: each(b.Batches, f.wireBatch)}}
	case failover.ExpireView:
		entry.Kind = &arbiterv1.Entry_ExpireView{ExpireView: &arbiterv1.ExpireView{
			Node: string(b.Node), Incarnation: b.Incarnation,
		}}
	case failover.ApplySpec:
		entry.Kind = &arbiterv1.Entry_ApplySpec{ApplySpec: f.wireApplySpec(b)}
	case failover.AcquireLease:
		entry.Kind = &arbiterv1.Entry_AcquireLease{AcquireLease: &arbiterv1.AcquireLease{
			Group: string(b.Group), Holder: string(b.Holder), Term: uint64(b.Term), AfterEpoch: uint64(b.AfterEpoch),
			Duration: wireDuration(b.Duration),
		}}
	case failover.RenewLease:
		entry.Kind = &arbiterv1.Entry_RenewLease{RenewLease: &arbiterv1.RenewLease{
			Group: string(b.Group), Holder: string(b.Holder), Epoch: uint64(b.Epoch),
		}}
	case failover.ReleaseLease:
		entry.Kind = &arbiterv1.Entry_ReleaseLease{ReleaseLease: &arbiterv1.ReleaseLease{
			Group: string(b.Group), Holder: string(b.Holder), Epoch: uint64(b.Epoch),
		}}
	case failover.Intend:
		entry.Kind = &arbiterv1.Entry_Intend{Intend: &arbiterv1.Intend{
			Group: string(b.Group), Epoch: uint64(b.Epoch), Operation: string(b.Operation), Action: string(b.Action),
			Member: string(b.Member), Reinstate: b.Reinstate, Rule: b.Rule,
			Basis: each(b.Basis, func(i failover.Index) uint64 { return uint64(i) }),
		}}
	case failover.Conclude:
		entry.Kind = &arbiterv1.Entry_Conclude{Conclude: &arbiterv1.Conclude{
			Group: string(b.Group), Epoch: uint64(b.Epoch), Operation: string(b.Operation), Intent: uint64(b.Intent),
			Outcome: wireOutcome(b.Outcome),
		}}
	case failover.HoldOperation:
		entry.Kind = &arbiterv1.Entry_Hold{Hold: &arbiterv1.Hold{
			Group: string(b.Group), Operation: string(b.Operation), Reason: string(b.Reason), Detail: text(b.Detail),
		}}
	default:
		f.setRequestKind(entry, body)
	}
}

// setRequestKind continues the table with what operators ask for.
func (f *faults) setRequestKind(entry *arbiterv1.Entry, body failover.Body) {
	switch b := body.(type) {
	case failover.DeleteGroup:
		entry.Kind = &arbiterv1.Entry_DeleteGroup{DeleteGroup: &arbiterv1.DeleteGroup{
			Request: wireRequest(b.Request), Group: string(b.Group),
		}}
	case failover.Adopt:
		entry.Kind = &arbiterv1.Entry_Adopt{Adopt: &arbiterv1.Adopt{
			Request: wireRequest(b.Request), Group: string(b.Group), Member: string(b.Member),
			Attested: names[string](b.Attested), Seen: uint64(b.Seen),
		}}
	case failover.Pause:
		entry.Kind = &arbiterv1.Entry_Pause{Pause: &arbiterv1.Pause{
			Request: wireRequest(b.Request), Group: string(b.Group),
		}}
	case failover.Resume:
		entry.Kind = &arbiterv1.Entry_Resume{Resume: &arbiterv1.Resume{
			Request: wireRequest(b.Request), Group: string(b.Group),
		}}
	case failover.StartOperation:
		entry.Kind = &arbiterv1.Entry_StartOperation{StartOperation: &arbiterv1.StartOperation{
			Request: wireRequest(b.Request), Group: string(b.Group), Kind: string(b.Kind), Candidate: string(b.Candidate),
			Epoch: uint64(b.Epoch), SpecSince: uint64(b.SpecSince),
		}}
	case failover.Release:
		entry.Kind = &arbiterv1.Entry_Release{Release: &arbiterv1.Release{
			Request: wireRequest(b.Request), Group: string(b.Group), Operation: string(b.Operation),
			AcceptLoss: b.AcceptLoss, AcceptLossBytes: b.LossBytes, AcceptUnknownLoss: b.LossUnknown, Seen: uint64(b.Seen),
			Member: string(b.Member),
		}}
	case failover.Abort:
		entry.Kind = &arbiterv1.Entry_Abort{Abort: &arbiterv1.Abort{
			Request: wireRequest(b.Request), Group: string(b.Group), Operation: string(b.Operation),
		}}
	case failover.Reinstate:
		entry.Kind = &arbiterv1.Entry_Reinstate{Reinstate: &arbiterv1.Reinstate{
			Request: wireRequest(b.Request), Group: string(b.Group), Operation: string(b.Operation), Seen: uint64(b.Seen),
		}}
	case failover.Attest:
		entry.Kind = &arbiterv1.Entry_Attest{Attest: &arbiterv1.Attest{
			Request: wireRequest(b.Request), Group: string(b.Group), Operation: string(b.Operation), Member: string(b.Member), Seen: uint64(b.Seen),
		}}
	case failover.Restored:
		entry.Kind = &arbiterv1.Entry_Restored{Restored: &arbiterv1.Restored{
			Request: wireRequest(b.Request), EpochsAbove: uint64(b.EpochsAbove),
		}}
	default:
		f.add("kind", "%T is not proposed as an entry", body)
	}
}

// body is the same table the other way.
func (f *faults) body(entry *arbiterv1.Entry, data []byte) failover.Body {
	switch k := entry.GetKind().(type) {
	case *arbiterv1.Entry_BeginReign:
		b := k.BeginReign
		return failover.BeginReign{
			Term: failover.Term(b.GetTerm()), Leader: failover.NodeID(b.GetLeader()),
			Version: failover.EntryVersion(b.GetVersion()), ClusterID: b.GetClusterId(),
		}
	case *arbiterv1.Entry_Observe:
		return failover.Observe{Batches: each(k.Observe.GetBatches(), f.batch)}
	case *arbiterv1.Entry_ExpireView:
		b := k.ExpireView
		return failover.ExpireView{Node: failover.NodeID(b.GetNode()), Incarnation: b.GetIncarnation()}
	case *arbiterv1.Entry_ApplySpec:
		return f.applySpec(k.ApplySpec, data)
	case *arbiterv1.Entry_AcquireLease:
		b := k.AcquireLease
		return failover.AcquireLease{
			Group: failover.GroupName(b.GetGroup()), Holder: failover.NodeID(b.GetHolder()),
			Term: failover.Term(b.GetTerm()), AfterEpoch: failover.Epoch(b.GetAfterEpoch()),
			Duration: f.duration("duration", b.GetDuration()),
		}
	case *arbiterv1.Entry_RenewLease:
		b := k.RenewLease
		return failover.RenewLease{
			Group: failover.GroupName(b.GetGroup()), Holder: failover.NodeID(b.GetHolder()), Epoch: failover.Epoch(b.GetEpoch()),
		}
	case *arbiterv1.Entry_ReleaseLease:
		b := k.ReleaseLease
		return failover.ReleaseLease{
			Group: failover.GroupName(b.GetGroup()), Holder: failover.NodeID(b.GetHolder()), Epoch: failover.Epoch(b.GetEpoch()),
		}
	case *arbiterv1.Entry_Intend:
		b := k.Intend
		return failover.Intend{
			Group: failover.GroupName(b.GetGroup()), Epoch: failover.Epoch(b.GetEpoch()),
			Operation: failover.OperationID(b.GetOperation()), Action: failover.ActionKind(b.GetAction()),
			Member: failover.MemberName(b.GetMember()), Reinstate: b.GetReinstate(), Rule: b.GetRule(),
			Basis: each(b.GetBasis(), func(i uint64) failover.Index { return failover.Index(i) }),
		}
	case *arbiterv1.Entry_Conclude:
		b := k.Conclude
		return failover.Conclude{
			Group: failover.GroupName(b.GetGroup()), Epoch: failover.Epoch(b.GetEpoch()),
			Operation: failover.OperationID(b.GetOperation()), Intent: failover.Index(b.GetIntent()),
			Outcome: f.outcome(b.GetOutcome()),
		}
	case *arbiterv1.Entry_Hold:
		b := k.Hold
		return failover.HoldOperation{
			Group: failover.GroupName(b.GetGroup()), Operation: failover.OperationID(b.GetOperation()),
			Reason: failover.HoldReason(b.GetReason()), Detail: b.GetDetail(),
		}
	}
	return requestBody(entry)
}

// requestBody continues the table with what operators ask for.
func requestBody(entry *arbiterv1.Entry) failover.Body {
	switch k := entry.GetKind().(type) {
	case *arbiterv1.Entry_DeleteGroup:
		b := k.DeleteGroup
		return failover.DeleteGroup{Request: request(b), Group: group(b)}
	case *arbiterv1.Entry_Adopt:
		b := k.Adopt
		return failover.Adopt{
			Request: request(b), Group: group(b), Member: failover.MemberName(b.GetMember()),
			Attested: names[failover.MemberName](b.GetAttested()), Seen: failover.Index(b.GetSeen()),
		}
	case *arbiterv1.Entry_Pause:
		b := k.Pause
		return failover.Pause{Request: request(b), Group: group(b)}
	case *arbiterv1.Entry_Resume:
		b := k.Resume
		return failover.Resume{Request: request(b), Group: group(b)}
	case *arbiterv1.Entry_StartOperation:
		b := k.StartOperation
		return failover.StartOperation{
			Request: request(b), Group: group(b), Kind: failover.OperationKind(b.GetKind()),
			Candidate: failover.MemberName(b.GetCandidate()), Epoch: failover.Epoch(b.GetEpoch()), SpecSince: failover.Index(b.GetSpecSince()),
		}
	case *arbiterv1.Entry_Release:
		b := k.Release
		return failover.Release{
			Request: request(b), Group: group(b), Operation: failover.OperationID(b.GetOperation()),
			AcceptLoss: b.GetAcceptLoss(), LossBytes: b.GetAcceptLossBytes(), LossUnknown: b.GetAcceptUnknownLoss(),
			Seen: failover.Index(b.GetSeen()), Member: failover.MemberName(b.GetMember()),
		}
	case *arbiterv1.Entry_Abort:
		b := k.Abort
		return failover.Abort{Request: request(b), Group: group(b), Operation: failover.OperationID(b.GetOperation())}
	case *arbiterv1.Entry_Reinstate:
		b := k.Reinstate
		return failover.Reinstate{
			Request: request(b), Group: group(b), Operation: failover.OperationID(b.GetOperation()), Seen: failover.Index(b.GetSeen()),
		}
	case *arbiterv1.Entry_Attest:
		b := k.Attest
		return failover.Attest{
			Request: request(b), Group: group(b), Operation: failover.OperationID(b.GetOperation()),
			Member: failover.MemberName(b.GetMember()), Seen: failover.Index(b.GetSeen()),
		}
	case *arbiterv1.Entry_Restored:
		b := k.Restored
		return failover.Restored{Request: request(b), EpochsAbove: failover.Epoch(b.GetEpochsAbove())}
	}
	return nil
}

func wireRequest(r failover.Request) *arbiterv1.Request {
	return &arbiterv1.Request{Id: r.ID, Actor: text(r.Actor), Reason: text(r.Reason)}
}

func request(message interface{ GetRequest() *arbiterv1.Request }) failover.Request {
	r := message.GetRequest()
	return failover.Request{ID: r.GetId(), Actor: r.GetActor(), Reason: r.GetReason()}
}

func group(message interface{ GetGroup() string }) failover.GroupName {
	return failover.GroupName(message.GetGroup())
}
