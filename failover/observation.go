package failover

import "slices"

// Status is what is thought of a member, by one arbiter or by all of them.
type Status string

// The statuses, from good to bad. Unknown is not a grade of bad: it counts for nothing.
const (
	StatusUnknown  Status = "unknown"
	StatusUp       Status = "up"
	StatusDegraded Status = "degraded"
	StatusDown     Status = "down"
)

// EvidenceClass says what a piece of evidence may count for.
type EvidenceClass string

// The classes of DESIGN section 4.
const (
	EvidenceGood       EvidenceClass = "good"
	EvidenceDead       EvidenceClass = "dead"        // counts as down
	EvidenceFailing    EvidenceClass = "failing"     // alive but failing: degraded
	EvidenceCannotTell EvidenceClass = "cannot-tell" // unknown
)

// Reason is one kind of evidence.
type Reason string

// The reasons. ClassOf says which class each belongs to.
const (
	ReasonAnswered           Reason = "answered"
	ReasonRefused            Reason = "refused"
	ReasonReset              Reason = "reset"
	ReasonNoRoute            Reason = "no-route"
	ReasonTimeout            Reason = "timeout"
	ReasonWriteStalled       Reason = "write-stalled"
	ReasonTooManyConnections Reason = "too-many-connections"
	ReasonStartingUp         Reason = "starting-up"
	ReasonCrashRecovery      Reason = "crash-recovery"
	ReasonShuttingDown       Reason = "shutting-down"
	ReasonReadOnly           Reason = "read-only"
	ReasonDiskFull           Reason = "disk-full"
	ReasonSlow               Reason = "slow"
	ReasonWrongAnswer        Reason = "wrong-answer"
	ReasonBadCredentials     Reason = "bad-credentials"
	ReasonBadConfiguration   Reason = "bad-configuration"
	ReasonArbiterTrouble     Reason = "arbiter-trouble"
	ReasonNameNotFound       Reason = "name-not-found" // neither name servers nor a file of hosts know an address of it
	ReasonNotYetSeen         Reason = "not-yet-seen"
)

// ClassOf returns the class of a reason; a reason it does not know can't tell anything.
func ClassOf(r Reason) EvidenceClass {
	switch r {
	case ReasonAnswered:
		return EvidenceGood
	case ReasonRefused, ReasonReset, ReasonNoRoute, ReasonTimeout, ReasonWriteStalled:
		return EvidenceDead
	case ReasonTooManyConnections, ReasonStartingUp, ReasonCrashRecovery, ReasonShuttingDown, ReasonReadOnly,
		ReasonDiskFull, ReasonSlow, ReasonWrongAnswer:
		return EvidenceFailing
	}
	return EvidenceCannotTell
}

// Evidence is why a check says what it says.
type Evidence struct {
	Reason Reason
	Detail string // one line for people, without secrets; not compared when deciding whether a view changed
	// Accepted says that the member's machine accepted a connection in the newest look, though no answer came: it ran then, and the service may be only
	// frozen.
	Accepted bool `json:",omitempty"`
	// AcceptedAt is when it last did so since the check stopped getting answers, for people; 0: never. It stays for as long as no answer comes: a frozen
	// service's queue of connections is full after some time, and a machine whose power was cut accepts none either.
	AcceptedAt WallTime `json:",omitempty"`
}

// CheckState is one check's state after its thresholds.
type CheckState struct {
	Name     string
	Evidence Evidence
}

// BadLooks are bad looks in a row by one check that claim more than its state does, and are fewer than its threshold asks for. They are no part of
// a view: only the arbiter that counts them knows of them.
type BadLooks struct {
	Check  string
	Count  int
	Latest Evidence
}

// Role is what a service says it is.
type Role string

// The roles.
const (
	RoleUnknown Role = ""
	RolePrimary Role = "primary"
	RoleStandby Role = "standby"
)

// SyncRule is a primary's rule for synchronous commit: Need of Names must confirm. FIRST and ANY are read alike: which
// of the named ones confirmed is not known afterwards.
type SyncRule struct {
	Need  int
	Names []string // application names; {"*"} when the rule names nobody in particular
}

// Replica is one row of a primary's list of connected standbys.
type Replica struct {
	Name      string // application name
	Streaming bool
	Sync      bool // confirms synchronously at this moment
}

// Facts are what a service last said of itself, in one look.
type Facts struct {
	Role          Role
	AcceptsWrites bool // a write was committed in this look
	SystemID      string
	Timeline      uint32
	Epoch         Epoch // the fencing token that the service holds, 0 if none
	Written       LSN   // of a primary: end of its log
	Received      LSN   // of a standby: greatest position received and flushed
	Replayed      LSN   // of a standby
	Streaming     bool  // of a standby: it receives from its primary right now
	// ReceivingGrows says that this standby's received position grew since the primary was first seen failing by the
	// same arbiter: a witness that somebody writes.
	ReceivingGrows bool
	// Stale says that the latest look was told nothing: these are what an earlier one was told.
	Stale bool `json:",omitempty"`
	// Old says that the arbiter has been kept from asking the member for so long, while nothing said that it is dead or fails, that it may have written
	// anything since these were told, if any were.
	Old      bool      `json:",omitempty"`
	SyncRule SyncRule  // of a primary
	Replicas []Replica // of a primary, sorted by name
}

// Position is how much of the primary's log a standby holds: the greater of received and replayed, since after a restart the
// received one is missing or too low.
func (f Facts) Position() LSN { return max(f.Received, f.Replayed) }

// Observation is what one arbiter saw of one member.
type Observation struct {
	Group  GroupName
	Member MemberName
	Checks []CheckState // sorted by name
	Facts  Facts
	// Since is when this arbiter first saw the member as it is now, for people.
	Since WallTime
	// AsOf is the log index that the arbiter had applied when the look began (S12).
	AsOf Index
	// Heard says that this arbiter has seen the member alive, at its present address, since its own process began.
	Heard bool `json:",omitempty"`
}

// FencePath is what one arbiter knows of the way to a member's fence.
type FencePath struct {
	Group  GroupName
	Member MemberName
	Armed  bool   // some level of devices answered its status request lately
	Off    bool   // all devices of such a level say that the machine is off
	Detail string // which device, or why not
	AsOf   Index  // applied when the device was asked
	// Contradicted says that the member was reached, and found well, by a look that began after its devices had said that it is off.
	Contradicted bool
}

// SameWay says whether two answers about a fence path are the same for the purpose of reporting changes.
func (p FencePath) SameWay(other FencePath) bool {
	return p.Armed == other.Armed && p.Off == other.Off && p.Contradicted == other.Contradicted
}

// SameView says whether two observations of a member are the same for the purpose of reporting changes: positions,
// details and times move all the time and are not compared.
func SameView(a, b Observation) bool {
	return a.Heard == b.Heard && SameSight(a, b) && slices.EqualFunc(a.Checks, b.Checks, func(x, y CheckState) bool {
		return x.Evidence.Accepted == y.Evidence.Accepted
	})
}

// SameSight says whether a member is as it was, so that the time goes on since which it is so. A machine that accepts a connection to a silent service in
// one look, and none in the next, is reported, and is no other sight.
func SameSight(a, b Observation) bool {
	return sameFacts(a.Facts, b.Facts) && slices.EqualFunc(a.Checks, b.Checks, func(x, y CheckState) bool {
		return x.Name == y.Name && x.Evidence.Reason == y.Evidence.Reason
	})
}

func sameFacts(a, b Facts) bool {
	return a.Role == b.Role && a.AcceptsWrites == b.AcceptsWrites && a.SystemID == b.SystemID &&
		a.Timeline == b.Timeline && a.Epoch == b.Epoch && a.Streaming == b.Streaming && a.ReceivingGrows == b.ReceivingGrows && a.Stale == b.Stale && a.Old == b.Old &&
		a.SyncRule.Need == b.SyncRule.Need && slices.Equal(a.SyncRule.Names, b.SyncRule.Names) &&
		slices.Equal(a.Replicas, b.Replicas)
}

// StatusOf is the member's status by one observation: down if a required check is dead or has evidence that the policy adds
// to it, else unknown if a required check cannot tell, else degraded if any check is not good, else up.
func (s *Spec) StatusOf(o Observation) (Status, Evidence) {
	status, why := StatusUp, Evidence{Reason: ReasonAnswered}
	for _, c := range o.Checks {
		next := s.CheckStatus(c)
		if severity(next) > severity(status) {
			status, why = next, c.Evidence
		}
	}
	if len(o.Checks) == 0 {
		return StatusUnknown, Evidence{Reason: ReasonNotYetSeen}
	}
	return status, why
}

// CheckStatus is the member's status by one check alone. What is bad by a check that the spec doesn't have any more accuses nobody: it was perhaps
// not required, and the member is watched in another way now.
func (s *Spec) CheckStatus(c CheckState) Status {
	class := ClassOf(c.Evidence.Reason)
	switch {
	case class == EvidenceGood:
		return StatusUp
	case !s.has(c.Name):
		return StatusUnknown
	case !s.requires(c.Name):
		return StatusDegraded
	case class == EvidenceDead, slices.Contains(s.Policy.AlsoDown, c.Evidence.Reason):
		return StatusDown
	case class == EvidenceFailing:
		return StatusDegraded
	}
	return StatusUnknown
}

func (s *Spec) has(check string) bool {
	return slices.ContainsFunc(s.Health.Checks, func(c Check) bool { return c.Name == check })
}

func (s *Spec) requires(check string) bool {
	return slices.ContainsFunc(s.Health.Checks, func(c Check) bool { return c.Name == check && c.Required })
}

// severity orders statuses for the worst of several checks; "down" is definite, so it wins over "unknown".
func severity(s Status) int {
	switch s {
	case StatusDown:
		return 3
	case StatusUnknown:
		return 2
	case StatusDegraded:
		return 1
	}
	return 0
}
