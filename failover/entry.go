package failover

import "time"

// EntryVersion numbers the language of the log: which entries there are, and what Next makes of them. Every arbiter commits the newest one
// that it understands; a leader proposes only what all voters understand, and begins its reign in it. A rule that changes what Next makes of
// an entry asks for State.Version, which every replica has from the log, never for CurrentVersion.
type EntryVersion uint32

// CurrentVersion is the newest language that this code understands.
const CurrentVersion EntryVersion = 1

// Entry is one committed entry of the log, as the state machine sees it.
type Entry struct {
	Index    Index
	Term     Term
	Wall     WallTime // the proposer's wall clock, for people and cool-downs
	Proposer NodeID
	Body     Body
}

// Body is what an entry says: one of the types below.
type Body interface{ body() }

// Request is who asked for a change, and why. A repeated ID changes nothing (see AnsweredRequest).
type Request struct {
	ID     string
	Actor  string
	Reason string
}

// by names who asked for something, and why where that was said.
func (r Request) by() string {
	if r.Reason == "" {
		return r.Actor
	}
	return r.Actor + ": " + r.Reason
}

// BeginReign is the first entry of a new leader; it voids all views (S8).
type BeginReign struct {
	Term      Term
	Leader    NodeID
	Version   EntryVersion
	ClusterID string // only of the first reign
}

// SetVoters follows Raft's own configuration entries: who votes comes from the log, never from a local reading of Raft.
type SetVoters struct {
	Voters []NodeID // sorted
}

// Observe carries what arbiters saw since their previous batch.
type Observe struct {
	Batches []Batch
}

// Batch is what one arbiter saw. Apply takes only the next sequence number of the same incarnation.
type Batch struct {
	Node         NodeID
	Incarnation  uint64
	Sequence     uint64
	Whole        bool   // the whole view, not changes
	Doubt        string // why the arbiter doubts its own view; empty if it does not
	Observations []Observation
	FencePaths   []FencePath
	Answers      []Answer
	Version      EntryVersion
}

// Answer says that the looks in its batch ended after the request to look again that named Index.
type Answer struct {
	Group GroupName
	Index Index
}

// ExpireView voids the view of an arbiter whose stream is silent.
type ExpireView struct {
	Node        NodeID
	Incarnation uint64
}

// ApplySpec creates or changes a group.
type ApplySpec struct {
	Request  Request
	Group    GroupName
	Spec     *Spec
	Written  []byte // the part of Source that was written, without the defaults
	Source   []byte // the schema's own bytes, as written and with defaults, kept for reading back; not interpreted here
	Expected uint64 // spec version that it replaces; 0 for a new group, or whatever version there is
}

// DeleteGroup forgets a group; its epoch is kept (S5).
type DeleteGroup struct {
	Request Request
	Group   GroupName
}

// Adopt records who the writer is (S0).
type Adopt struct {
	Request  Request
	Group    GroupName
	Member   MemberName
	Attested []MemberName
	Seen     Index // needed with Attested: up to which entry the operator saw the group (S4)
}

// Pause stops automation for a group; Resume starts it again.
type (
	Pause struct {
		Request Request
		Group   GroupName
	}
	Resume struct {
		Request Request
		Group   GroupName
	}
)

// StartOperation begins an operation that an operator asked for.
type StartOperation struct {
	Request   Request
	Group     GroupName
	Kind      OperationKind
	Candidate MemberName
	Epoch     Epoch // under which the operator saw the group; 0 doesn't say
	SpecSince Index // of a reroute: the entry that brought the spec by which the routes were looked at
}

// AcquireLease asks for the next epoch. AfterEpoch names the epoch whose lease was waited out or released; Apply refuses
// the grant if another one is current (S8).
type AcquireLease struct {
	Group      GroupName
	Holder     NodeID
	Term       Term
	AfterEpoch Epoch
	Duration   time.Duration
}

// RenewLease keeps a lease and its epoch.
type RenewLease struct {
	Group  GroupName
	Holder NodeID
	Epoch  Epoch
}

// ReleaseLease ends a lease: its holder gives it back, or the leader of the present reign has waited it out.
type ReleaseLease struct {
	Group  GroupName
	Holder NodeID
	Epoch  Epoch
}

// Intend says what will be done. Only after it is applied may it be done (S6).
type Intend struct {
	Group     GroupName
	Epoch     Epoch
	Operation OperationID
	Action    ActionKind
	Member    MemberName
	Reinstate bool
	Basis     []Index // log indexes of the observations that the decision rests on
	Rule      string  // the rule of the planner that asked for it
}

// Conclude says what happened to one intent.
type Conclude struct {
	Group     GroupName
	Epoch     Epoch
	Operation OperationID
	Intent    Index
	Outcome   Outcome
}

// HoldOperation stops an operation and names what is missing.
type HoldOperation struct {
	Group     GroupName
	Operation OperationID
	Reason    HoldReason
	Detail    string
}

// Release lets a held operation go on, possibly accepting once what the best candidate's promotion may lose.
type Release struct {
	Request     Request
	Group       GroupName
	Operation   OperationID
	Seen        Index // Group.Turn as the operator saw it, or any later index up to which the log was seen. What is newer is not what was meant (S4)
	AcceptLoss  bool
	LossBytes   uint64
	LossUnknown bool       // accepts a loss of which nobody knows how large it is: an amount doesn't
	Member      MemberName // whose promotion loses it; needed where nobody knows how much
}

// Abort ends an operation before the point of no return. It is about the operation alone: to stop is right whatever it is held for.
type Abort struct {
	Request   Request
	Group     GroupName
	Operation OperationID
}

// Reinstate gives the group back to its former writer.
type Reinstate struct {
	Request   Request
	Group     GroupName
	Operation OperationID
	Seen      Index // as in Release
}

// Attest is a named person's word that a member cannot write.
type Attest struct {
	Request   Request
	Group     GroupName
	Operation OperationID
	Seen      Index // as in Release
	Member    MemberName
}

// Restored follows an operator's restore from backup (S5).
type Restored struct {
	Request     Request
	EpochsAbove Epoch
}

func (BeginReign) body()     {}
func (SetVoters) body()      {}
func (Observe) body()        {}
func (ExpireView) body()     {}
func (ApplySpec) body()      {}
func (DeleteGroup) body()    {}
func (Adopt) body()          {}
func (Pause) body()          {}
func (Resume) body()         {}
func (StartOperation) body() {}
func (AcquireLease) body()   {}
func (RenewLease) body()     {}
func (ReleaseLease) body()   {}
func (Intend) body()         {}
func (Conclude) body()       {}
func (HoldOperation) body()  {}
func (Release) body()        {}
func (Abort) body()          {}
func (Reinstate) body()      {}
func (Attest) body()         {}
func (Restored) body()       {}
