package failover

// EventKind is one kind of thing that happens to a group. Those of the first list move an operation through its stages
// (see transitions.go); the others only tell.
type EventKind string

// Events that move an operation.
const (
	ViewsFailing      EventKind = "views-failing"
	ViewsRecovered    EventKind = "views-recovered"
	QuorumConfirmed   EventKind = "quorum-confirmed"
	OperatorAsked     EventKind = "operator-asked"
	RogueSeen         EventKind = "rogue-seen"
	RouteAstray       EventKind = "route-astray"
	LeaseGranted      EventKind = "lease-granted"
	IsolateIntended   EventKind = "isolate-intended"
	IsolationProven   EventKind = "isolation-proven"
	CatchUpIntended   EventKind = "catch-up-intended"
	CatchUpDone       EventKind = "catch-up-done"
	PromoteIntended   EventKind = "promote-intended"
	PromoteDone       EventKind = "promote-done"
	ConfigureIntended EventKind = "configure-intended"
	ConfigureDone     EventKind = "configure-done"
	RouteIntended     EventKind = "route-intended"
	RouteDone         EventKind = "route-done"
	ScaleIntended     EventKind = "scale-intended"
	ScaleDone         EventKind = "scale-done"
	VerifyIntended    EventKind = "verify-intended"
	VerifyDone        EventKind = "verify-done"
	OperationHeld     EventKind = "operation-held"
	OperationReleased EventKind = "operation-released"
	OperationAborted  EventKind = "operation-aborted"
	OperationEnded    EventKind = "operation-ended"
)

// Events that only tell.
const (
	Rejected         EventKind = "rejected"
	Repeated         EventKind = "repeated" // a request id seen before, or an abort of what is aborted: nothing was changed
	ReignBegan       EventKind = "reign-began"
	VotersChanged    EventKind = "voters-changed"
	ViewVoided       EventKind = "view-voided"
	ViewDoubted      EventKind = "view-doubted"
	MemberChanged    EventKind = "member-changed"  // the verdict on a member changed
	MemberRestarts   EventKind = "member-restarts" // a majority was told that it restarts
	GroupApplied     EventKind = "group-applied"
	GroupDeleted     EventKind = "group-deleted"
	GroupAdopted     EventKind = "group-adopted"
	GroupUnadopted   EventKind = "group-unadopted" // by itself: a member became another database
	GroupPaused      EventKind = "group-paused"
	GroupResumed     EventKind = "group-resumed"
	ArmedChanged     EventKind = "armed-changed"
	LeaseReleased    EventKind = "lease-released"
	LeaseRenewed     EventKind = "lease-renewed"
	AttemptEnded     EventKind = "attempt-ended"     // a try that did not succeed
	FailoverWithheld EventKind = "failover-withheld" // the policy only observes: what would have been done
	AuthorityChanged EventKind = "authority-changed"
	MemberAttested   EventKind = "member-attested"
	LossAccepted     EventKind = "loss-accepted"
	ReinstateAsked   EventKind = "reinstate-asked"
	StateRestored    EventKind = "state-restored"
)

// Event is one numbered thing that happened. Numbers are the same on every replica.
type Event struct {
	Sequence  uint64
	Index     Index
	Wall      WallTime
	Kind      EventKind
	Group     GroupName
	Operation OperationID
	Member    MemberName
	From, To  Stage
	Epoch     Epoch
	Rule      string // of a rejection: the safety rule that refused
	Text      string
	Next      string // of a rejection: what the proposer can do about it
}
