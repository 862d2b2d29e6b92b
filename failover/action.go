package failover

import (
	"fmt"
	"slices"
	"time"
)

// ActionKind is one kind of step of an operation.
type ActionKind string

// The kinds, in the order in which an operation goes through them.
const (
	ActionIsolate   ActionKind = "isolate"
	ActionCatchUp   ActionKind = "catch_up"
	ActionPromote   ActionKind = "promote"
	ActionConfigure ActionKind = "configure"
	ActionRoute     ActionKind = "route"
	ActionScale     ActionKind = "scale"
	ActionVerify    ActionKind = "verify"
)

// of names what an action of a kind does about a member, for people. A kind's own name stands in the log and in answers for programs.
func (k ActionKind) of(member MemberName) string {
	words := map[ActionKind]string{
		ActionIsolate: "the isolation of", ActionCatchUp: "the catch-up of the standbys after", ActionPromote: "the promotion of",
		ActionConfigure: "pointing the standbys at", ActionRoute: "leading the clients to", ActionScale: "the scaling of", ActionVerify: "the test write to",
	}[k]
	return words + " " + string(member)
}

// Action is the one next thing to do, as a value. It says all that an executor may need; executors keep no state.
type Action struct {
	Group     GroupName
	Operation OperationID
	Kind      ActionKind
	Member    MemberName // whom it is done to: the member to isolate, or the member that is or becomes primary
	Former    MemberName // the member that was primary before, if another one; of a catch_up always
	Epoch     Epoch      // carried to the target, which refuses an older one (S9)
	Intent    Index      // the log index of its intent
	Attempt   int        // counts from 1; a try that was cut short does not count
	Tried     bool       // this operation tried it before, and it may have been done: look first whether it is there already
	Reinstate bool       // a promotion of the former primary that may never have left primary
	EpochOnly bool       // a promotion of a primary that only takes the epoch: one that is in recovery is left as it is, and it fails
	ReadBack  bool       // look first, as after a try: it was proven once
	SystemID  string     // of the group, as adopted
	Spec      *Spec
	Down      []MemberName // whom the arbiters saw down when it began: nobody need wait for them
}

// Timeout is how long one try of the action may take.
func (a Action) Timeout() time.Duration {
	p := a.Spec.Policy
	switch a.Kind {
	case ActionIsolate:
		return p.IsolateTimeout
	case ActionCatchUp:
		return p.CatchUpTimeout
	case ActionPromote:
		return p.PromoteTimeout
	case ActionRoute:
		return p.RouteTimeout
	case ActionVerify:
		return p.VerifyTimeout
	}
	return p.ConfigureTimeout
}

// Result says how one try of an action ended.
type Result string

// The results. Unknown is what every time-out and every lost connection is: it may have been done.
const (
	ResultDone    Result = "done"
	ResultFailed  Result = "failed"
	ResultUnknown Result = "unknown"
	// ResultCutShort is a try that this arbiter ended to hand leadership on: it may have been done, and says nothing of whether it can be. Of
	// several in a row every second one counts as what it came to.
	ResultCutShort Result = "cut-short"
)

// ProofGrade grades the evidence that a member cannot write (DESIGN section 6).
type ProofGrade string

// The grades.
const (
	ProofUnknown              ProofGrade = "UNKNOWN"
	ProofConfirmedOff         ProofGrade = "CONFIRMED_OFF"
	ProofConfirmedIsolated    ProofGrade = "CONFIRMED_ISOLATED"
	ProofHeldByAgent          ProofGrade = "HELD_BY_AGENT"
	ProofDemotedCleanly       ProofGrade = "DEMOTED_CLEANLY"
	ProofSelfFencedByDeadline ProofGrade = "SELF_FENCED_BY_DEADLINE"
	ProofAttested             ProofGrade = "ATTESTED"
)

// fromDevice says whether a proof of this grade is the word of a member's fence devices.
func (g ProofGrade) fromDevice() bool { return g == ProofConfirmedOff || g == ProofConfirmedIsolated }

// DefaultProofs are the grades that end a member's authority where the policy does not say otherwise.
func DefaultProofs() []ProofGrade {
	return []ProofGrade{ProofConfirmedOff, ProofConfirmedIsolated, ProofHeldByAgent, ProofAttested}
}

// Accepts says whether a proof of this grade ends a member's authority (S3). UNKNOWN never does, whatever the policy says.
func (p Policy) Accepts(grade ProofGrade) bool {
	if grade == ProofUnknown || grade == "" {
		return false
	}
	accepted := p.AcceptProofs
	if len(accepted) == 0 {
		accepted = DefaultProofs()
	}
	return slices.Contains(accepted, grade)
}

// Proof is the graded evidence that a member cannot write.
type Proof struct {
	Grade  ProofGrade
	By     string // the device, agent or person
	Detail string
}

// of is the proof in the words of an epoch's row.
func (p Proof) of(member MemberName) string {
	return fmt.Sprintf("%s %s %s", p.Grade, p.By, member)
}

// MemberPosition is how far one standby has got, read live while nobody writes any more.
type MemberPosition struct {
	Member   MemberName
	Answered bool // it was reached, is in recovery, and no longer follows the former primary
	SystemID string
	Timeline uint32
	Received LSN
	Replayed LSN
	Epoch    Epoch  // its token after the action
	Detail   string // why it did not answer
	// GrantMissing: see Outcome.
	GrantMissing bool `json:",omitempty"`
}

// Position is how much of the primary's log the member holds.
func (m MemberPosition) Position() LSN { return max(m.Received, m.Replayed) }

// StepTime is one measured part of an action, for timelines.
type StepTime struct {
	Name   string // for example "haproxy closed", "bmc off, read back off"
	Start  time.Duration
	Length time.Duration // both since the action began
	Detail string
	// Undone says that it did not succeed, beside others of the same action; Detail says why.
	Undone bool `json:",omitempty"`
	// WriteSeen says that at its end a write through a route was seen on the new primary.
	WriteSeen bool `json:",omitempty"`
}

// Outcome is what one try of an action came to.
type Outcome struct {
	Result    Result
	Detail    string           // one line for people; the error if it failed
	Proof     Proof            // of an isolate
	Positions []MemberPosition // of a catch_up, sorted by member
	Timeline  uint32           // of a promote
	Position  LSN              // of a promote: where the new timeline began, or the position promoted at
	Steps     []StepTime
	Took      time.Duration
	// GrantMissing says that it failed for a privilege that the arbiters' role lacks. Grants are replicated: all members lack it alike, and none of
	// them can be given it in recovery.
	GrantMissing bool
}
