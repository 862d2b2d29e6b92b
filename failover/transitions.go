package failover

import "strings"

// Stage is where a group's operation stands. A name that ends in -ing means: the intent is committed, its outcome is not.
type Stage string

// The stages.
const (
	Steady      Stage = "steady"
	Suspected   Stage = "suspected"
	Confirmed   Stage = "confirmed"
	Leased      Stage = "leased"
	Isolating   Stage = "isolating"
	Isolated    Stage = "isolated"
	CatchingUp  Stage = "catching_up"
	CaughtUp    Stage = "caught_up"
	Promoting   Stage = "promoting"
	Promoted    Stage = "promoted"
	Configuring Stage = "configuring"
	Routing     Stage = "routing"
	Scaling     Stage = "scaling"
	Verifying   Stage = "verifying"
	Held        Stage = "held"
)

// words is a stage for people.
func (s Stage) words() string { return strings.ReplaceAll(string(s), "_", " ") }

// transitions is the whole life of an operation. A pair that is not here is refused and changes nothing.
//
//   - A grant after a change of leader keeps the stage; so does every further try.
//   - Held has no row: it keeps the stage it came from (Group.HeldFrom) and answers with that stage's row, so a proof,
//     a recovered condition or an operator's release goes on from there.
//   - From Promoting on there is no return, except fencing the candidate (S7) or a rogue (S12), which goes back to Isolating.
//   - From Leased a promotion is intended only by a reroute, whose candidate is the writer.
//   - From every stage an operation ends when all is done, and when an operator adopts the group anew while it is held.
var transitions = map[Stage]map[EventKind]Stage{
	Steady: {ViewsFailing: Suspected, OperatorAsked: Confirmed, RogueSeen: Confirmed, RouteAstray: Confirmed},
	Suspected: {
		ViewsRecovered: Steady, QuorumConfirmed: Confirmed, OperatorAsked: Confirmed, RogueSeen: Confirmed,
	},
	Confirmed: {
		ViewsRecovered: Steady, LeaseGranted: Leased, OperationHeld: Held, OperationReleased: Confirmed,
		OperationAborted: Held, OperationEnded: Steady,
	},
	Leased: {
		ViewsRecovered: Steady, LeaseGranted: Leased, IsolateIntended: Isolating, CatchUpIntended: CatchingUp, PromoteIntended: Promoting,
		OperationHeld: Held, OperationReleased: Leased, OperationAborted: Held, OperationEnded: Steady,
	},
	Isolating: {
		IsolationProven: Isolated, IsolateIntended: Isolating, LeaseGranted: Isolating, PromoteIntended: Promoting,
		OperationHeld: Held, OperationReleased: Isolating, OperationAborted: Held, OperationEnded: Steady,
	},
	Isolated: {
		CatchUpIntended: CatchingUp, IsolateIntended: Isolating, LeaseGranted: Isolated, PromoteIntended: Promoting,
		OperationHeld: Held, OperationReleased: Isolated, OperationAborted: Held, OperationEnded: Steady,
	},
	CatchingUp: {
		CatchUpDone: CaughtUp, CatchUpIntended: CatchingUp, IsolateIntended: Isolating, LeaseGranted: CatchingUp,
		PromoteIntended: Promoting, OperationHeld: Held, OperationReleased: CatchingUp, OperationAborted: Held,
		OperationEnded: Steady,
	},
	CaughtUp: {
		PromoteIntended: Promoting, CatchUpIntended: CatchingUp, IsolateIntended: Isolating, LeaseGranted: CaughtUp,
		OperationHeld: Held, OperationReleased: CaughtUp, OperationAborted: Held, OperationEnded: Steady,
	},
	Promoting: {
		PromoteDone: Promoted, PromoteIntended: Promoting, IsolateIntended: Isolating, LeaseGranted: Promoting,
		OperationHeld: Held, OperationReleased: Promoting, OperationEnded: Steady,
	},
	Promoted: {
		ConfigureIntended: Configuring, RouteIntended: Routing, VerifyIntended: Verifying, IsolateIntended: Isolating,
		LeaseGranted: Promoted, OperationHeld: Held, OperationReleased: Promoted, OperationEnded: Steady,
	},
	Configuring: {
		ConfigureDone: Configuring, ConfigureIntended: Configuring, RouteIntended: Routing, VerifyIntended: Verifying,
		IsolateIntended: Isolating, LeaseGranted: Configuring, OperationHeld: Held, OperationReleased: Configuring,
		OperationEnded: Steady,
	},
	Routing: {
		RouteDone: Routing, RouteIntended: Routing, ScaleIntended: Scaling, VerifyIntended: Verifying,
		IsolateIntended: Isolating, LeaseGranted: Routing, OperationHeld: Held, OperationReleased: Routing,
		OperationEnded: Steady,
	},
	Scaling: {
		ScaleDone: Scaling, ScaleIntended: Scaling, VerifyIntended: Verifying, IsolateIntended: Isolating,
		LeaseGranted: Scaling, OperationHeld: Held, OperationReleased: Scaling, OperationEnded: Steady,
	},
	Verifying: {
		VerifyDone: Verifying, VerifyIntended: Verifying, RouteIntended: Routing, IsolateIntended: Isolating,
		LeaseGranted: Verifying, OperationHeld: Held, OperationReleased: Verifying, OperationEnded: Steady,
	},
}

// intended and done name the events of an action's intent and of its success.
var (
	intended = map[ActionKind]EventKind{
		ActionIsolate: IsolateIntended, ActionCatchUp: CatchUpIntended, ActionPromote: PromoteIntended,
		ActionConfigure: ConfigureIntended, ActionRoute: RouteIntended, ActionScale: ScaleIntended,
		ActionVerify: VerifyIntended,
	}
	done = map[ActionKind]EventKind{
		ActionIsolate: IsolationProven, ActionCatchUp: CatchUpDone, ActionPromote: PromoteDone,
		ActionConfigure: ConfigureDone, ActionRoute: RouteDone, ActionScale: ScaleDone, ActionVerify: VerifyDone,
	}
)

// EffectiveStage is the stage whose row of the table counts: while held, the one that the operation came from.
func (g *Group) EffectiveStage() Stage {
	if g.Stage == Held {
		return g.HeldFrom
	}
	return g.Stage
}

// target looks an event up in the table.
func (g *Group) target(kind EventKind) (Stage, bool) {
	to, ok := transitions[g.EffectiveStage()][kind]
	return to, ok
}

// pastPromoteIntent says whether the candidate may already have been acted on. (Operation.Candidate says whether an operation can
// no longer be aborted: a rogue may have to be isolated in between.)
func pastPromoteIntent(stage Stage) bool {
	switch stage {
	case Promoting, Promoted, Configuring, Routing, Scaling, Verifying:
		return true
	}
	return false
}

// pastIsolateIntent says whether the former primary may already have been acted on.
func pastIsolateIntent(stage Stage) bool {
	switch stage {
	case Isolating, Isolated, CatchingUp, CaughtUp:
		return true
	}
	return pastPromoteIntent(stage)
}
