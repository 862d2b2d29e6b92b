package failover

import "time"

// ProposalID names one proposal or confirmation of this process.
type ProposalID uint64

// Input is one thing that happened, at a time of the boot-time clock.
type Input struct {
	Now  time.Duration
	Wall WallTime
	What any // one of the types below
}

// What can happen.
type (
	// Tick is time passing.
	Tick struct{}
	// Elected says that this arbiter leads in a term.
	Elected struct{ Term Term }
	// Deposed says that this arbiter no longer leads.
	Deposed struct{}
	// Applied says that the state machine has moved.
	Applied struct{ State *State }
	// ProposalEnded says that a proposal was applied, refused, or that its fate is unknown. The state that it led to must have
	// been given before, as Applied.
	ProposalEnded struct {
		ID      ProposalID
		Unknown bool
		Refused bool
	}
	// ConfirmEnded answers Confirm.
	ConfirmEnded struct {
		ID ProposalID
		OK bool
	}
	// ActionEnded says that a started action has ended, and nothing of it runs any more.
	ActionEnded struct {
		Group   GroupName
		Intent  Index
		Outcome Outcome
	}
	// ViewSilent says that an arbiter's stream is silent.
	ViewSilent struct {
		Node        NodeID
		Incarnation uint64
	}
	// Drain asks to hand leadership on: to To if it is set, else to any arbiter.
	Drain struct {
		Why string
		To  NodeID
	}
	// HandOverFailed says that leadership was not handed over, though HandOver asked for it.
	HandOverFailed struct{ ID ProposalID }
	// Doubt says that this arbiter doubts its own view. If it leads, it hands leadership on to one that doesn't; if there is none it
	// goes on, for nobody else would do better.
	Doubt struct{ Why string }
)

// Output is one thing to do, one of the types below.
type Output any

// What a Controller asks for.
type (
	// Propose asks for an entry to be committed. Its fate comes back as ProposalEnded.
	Propose struct {
		ID   ProposalID
		Body Body
	}
	// Confirm asks whether this arbiter still led at some time after now (S6).
	Confirm struct{ ID ProposalID }
	// Start asks for an action. It ends at Deadline at the latest, and each of its effects asks first whether LeaseUntil has passed.
	Start struct {
		Action     Action
		Deadline   time.Duration
		LeaseUntil time.Duration
	}
	// Extend moves LeaseUntil of a running action.
	Extend struct {
		Group      GroupName
		Intent     Index
		LeaseUntil time.Duration
	}
	// Cancel ends a running action. ActionEnded comes when it has ended.
	Cancel struct {
		Group  GroupName
		Intent Index
		Why    string
	}
	// AskAgain asks all arbiters for looks that end after this request; the one at Member is what it is about.
	AskAgain struct {
		Group  GroupName
		Member MemberName
		Index  Index
	}
	// WakeAt asks for a Tick at a time.
	WakeAt struct{ At time.Duration }
	// HandOver asks for Raft leadership to be given to another arbiter: to To if it is set, else to any. Deposed is what says
	// that it happened, HandOverFailed that it did not.
	HandOver struct {
		ID  ProposalID
		Why string
		To  NodeID
	}
	// Halt asks for this process to end.
	Halt struct{ Why string }
	// Decided tells what was decided, for logs.
	Decided struct{ Decision Decision }
)
