package failover

import (
	"cmp"
	"fmt"
	"slices"
)

// OperationKind is one kind of operation.
type OperationKind string

// The kinds that exist.
const (
	KindFailover OperationKind = "failover"
	KindRefence  OperationKind = "refence"
	KindReroute  OperationKind = "reroute"
)

// Operation is one operation in progress.
type Operation struct {
	ID        OperationID
	Kind      OperationKind
	Automatic bool
	Actor     string // who asked; empty if automatic
	Reason    string
	RequestID string
	Wanted    MemberName // the candidate that the operator named, if any
	From      MemberName // the writer when it began, or the rogue of a refence
	Candidate MemberName // set by the promote intent
	// ConfirmedAt is the entry that confirmed it. Arbiters that count towards the isolate must have looked again since.
	ConfirmedAt Index
	Began       WallTime
	EpochBefore Epoch
	Intent      *OpenIntent // nil: nothing is open
	Attempts    int         // tries of the present action that did not succeed
	Positions   []MemberPosition
	Loss        LossBound     // of the candidate, fixed when it was promoted
	LossTaken   *AcceptedLoss // waits for the promotion that it was accepted for
	LossUsed    *AcceptedLoss // without which the candidate would not have been promoted
	// ProofsBefore is the newest entry at which the operation was held or went on from there. Time passed in between: proofs
	// committed before that entry are read back again before anybody is promoted.
	ProofsBefore Index
	LastHold     Hold // empty: there was none since it began, or was released
	// GoAhead says that an operator released it, and GoAheadFor from which holds: what asks for a human before it does something
	// else has not been answered.
	GoAhead      bool
	GoAheadFor   []HoldReason
	ReleasedBy   string `json:",omitempty"` // who did that last; kept when it is taken back
	Reinstating  bool
	ReinstatedAt Epoch // epoch when the reinstatement was asked for: it needs a newer one
	Aborted      bool
	Withheld     bool // what it would do has been told, and is not done: the policy only observes
	// Configured, Routed and Verified are the actions after the promotion that are done.
	Configured, Routed, Verified bool
	Verdict                      string  // what was thought when it was confirmed
	Basis                        []Index // of that verdict; what each later decision rests on is with its step
	Arbiter                      NodeID  // who held the lease last
	Steps                        []Step
}

// OpenIntent is an intent without its final outcome.
type OpenIntent struct {
	Index     Index
	Epoch     Epoch
	Action    ActionKind
	Member    MemberName
	Reinstate bool
	Wall      WallTime
	Rule      string  `json:",omitempty"` // by which it was decided
	Basis     []Index `json:",omitempty"` // log indexes of observations that it rests on; see basisKept
}

// AcceptedLoss is an operator's word that the promotion of one member may lose so many bytes. The next intent to promote uses it up,
// whomever it is about: what is lost after that is another loss.
type AcceptedLoss struct {
	Member  MemberName
	Bytes   uint64
	Unknown bool // also if nobody can say how many
	Actor   string
	Reason  string
}

// Step is one line of an operation's timeline.
type Step struct {
	Name    string
	Began   WallTime
	Ended   WallTime
	Member  MemberName
	Epoch   Epoch
	Attempt int
	Intent  Index
	Outcome Index
	Result  Result
	Detail  string
	Proof   Proof
	Parts   []StepTime
	Rule    string  `json:",omitempty"` // of an action: by which its intent was decided
	Basis   []Index `json:",omitempty"` // of an action: log indexes of observations that its intent rests on; see basisKept
	// GrantMissing: see Outcome.
	GrantMissing bool `json:",omitempty"`
}

// basisKept bounds what is kept of the basis of one decision: the newest indexes. A verdict rests on one of each arbiter at most.
const basisKept = 8

// stepsKept bounds a timeline: an operation held for days retries many times.
const stepsKept = 64

// clone copies an operation so that its own fields can be changed. What it refers to is shared: who changes that makes a new one.
func (o *Operation) clone() *Operation {
	c := *o
	return &c
}

// inQuestion is the member that the arbiters are asked to look at again: whoever is being promoted, else the writer to be replaced, else,
// in a group that was adopted without one, who shall be it.
func (o *Operation) inQuestion() MemberName { return cmp.Or(o.Candidate, o.From, o.Wanted) }

// release remembers an operator's word on one reason to hold.
func (o *Operation) release(reason HoldReason) {
	o.GoAhead = true
	if !slices.Contains(o.GoAheadFor, reason) {
		o.GoAheadFor = append(slices.Clip(o.GoAheadFor), reason)
	}
}

// released says whether an operator let it go on from a hold for this reason.
func (o *Operation) released(reason HoldReason) bool {
	return o.GoAhead && slices.Contains(o.GoAheadFor, reason)
}

// forgetReleases is for what an operator's word does not reach.
func (o *Operation) forgetReleases() { o.GoAhead, o.GoAheadFor = false, nil }

// addStep appends to the timeline. When it is full, the oldest retry (everything after the first lines, which say how it
// began) makes room.
func (o *Operation) addStep(step Step) {
	const beginning = 8
	if len(o.Steps) >= stepsKept {
		o.Steps = slices.Delete(slices.Clone(o.Steps), beginning, beginning+1)
	}
	o.Steps = append(slices.Clip(o.Steps), step)
}

// lastTry is the newest finished try of an action, if there was one.
func (o *Operation) lastTry() (Step, bool) {
	for i := len(o.Steps) - 1; i >= 0; i-- {
		if o.Steps[i].Intent != 0 {
			return o.Steps[i], true
		}
	}
	return Step{}, false
}

// staleProof is a member beside the one to be promoted whose proof, got by this operation, is old or void, so that it is read back again first,
// empty if there is none. Of whoever is promoted it does not matter: it answers as a standby, and to fence it would take away whom to promote.
func (g *Group) staleProof(beside MemberName) MemberName {
	for i := range g.Members {
		if m := &g.Members[i]; m.Name != beside && g.isStale(m) {
			return m.Name
		}
	}
	return ""
}

// isStale says whether a member's proof is from before the operation was held, or void. A person's word can't be read back.
func (g *Group) isStale(m *Member) bool {
	fenced := m.Authority == AuthorityNone && m.Proof.Grade != "" && m.Proof.Grade != ProofAttested
	return fenced && m.NoneSince > g.Operation.ConfirmedAt && m.NoneSince < g.Operation.ProofsBefore || g.isVoid(m)
}

// isVoid says whether a member's proof, got by this operation, is the word of devices that were seen to be wrong about it (S3). That of an
// earlier one has been acted on: operations past a fence end with a promotion, with the former writer, or by an adoption.
func (g *Group) isVoid(m *Member) bool {
	return m.FenceContradicted != "" && m.Authority == AuthorityNone && m.Proof.Grade.fromDevice() && m.NoneSince > g.Operation.ConfirmedAt
}

// tried says whether the timeline has a try of an action on a member that may have been done, whatever became of its intent.
func (o *Operation) tried(action ActionKind, member MemberName) bool {
	return slices.ContainsFunc(o.Steps, func(s Step) bool {
		return s.Intent != 0 && s.Name == string(action) && s.Member == member && s.Result != ResultDone
	})
}

// Lease is the right of one arbiter to act on one group, under one epoch. Its time runs on the clocks of those who read
// it (see controller.go); in the state it has only its length.
type Lease struct {
	Holder    NodeID
	Term      Term
	Epoch     Epoch
	Duration  int64 // nanoseconds
	GrantedAt Index
	RenewedAt Index // of the newest renewal, or the grant
}

// HoldReason is why an operation is held. Each has a runbook in docs/operations.
type HoldReason string

// The reasons.
const (
	HoldNoCandidate   HoldReason = "no-candidate"
	HoldLossBound     HoldReason = "loss-bound"
	HoldFenceUnproven HoldReason = "fence-unproven"
	HoldCooldown      HoldReason = "cool-down"
	HoldFleetBrake    HoldReason = "fleet-brake"
	HoldRogue         HoldReason = "rogue"
	HoldCatchUp       HoldReason = "catch-up"
	HoldPromote       HoldReason = "promote"
	HoldRoute         HoldReason = "route"
	HoldVerify        HoldReason = "verify"
	HoldAborted       HoldReason = "aborted"
	HoldReinstate     HoldReason = "reinstate"
	HoldRefenceByHand HoldReason = "refence-by-hand"
)

// Hold is what a held operation is held for.
type Hold struct {
	Reason HoldReason
	Detail string
	About  string `json:",omitempty"` // what it is about, without the words for people
	Index  Index
	// First is the first of the holds for the very same thing that had nothing but own tries between them, and Since when that was. What an
	// operator says about one of them counts for all: a try every few seconds must not make it stale.
	First Index
	Since WallTime
}

// LossGrade says how good a loss bound is.
type LossGrade string

// The grades, from good to bad.
const (
	LossObserved LossGrade = "observed" // by the last known rule of synchronous commit
	LossEstimate LossGrade = "estimate"
	LossUnknown  LossGrade = "unknown"
)

// LossBound is how many acknowledged bytes of log a promotion may lose.
type LossBound struct {
	Grade LossGrade
	Bytes uint64
	Why   string
}

// String is the bound in words: how much, how good, and why.
func (l LossBound) String() string {
	if l.Grade == LossUnknown {
		return fmt.Sprintf("an unknown amount (%s)", l.Why)
	}
	return fmt.Sprintf("%s (%s: %s)", InBytes(l.Bytes), l.Grade, l.Why)
}

// InBytes is an amount of data in words, exact, so that it may be typed back.
func InBytes(n uint64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
