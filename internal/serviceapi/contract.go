package serviceapi

import (
	"fmt"
	"strconv"

	"github.com/arbiter-ha/arbiter/failover"
)

// Prefix begins the path of everything in the contract.
const Prefix = "/arbiter/v1/"

// Verb is the last part of a path of the contract.
type Verb string

// What can be asked (GET), and what changes something (POST). The answer to all of them is a State, but for VerbProof.
const (
	VerbState  Verb = "state"  // GET: what the service is; changes nothing
	VerbProbe  Verb = "probe"  // POST {arbiter}: commit a small write on the service's own disk
	VerbToken  Verb = "token"  // POST {epoch}: raise the token
	VerbStop   Verb = "stop"   // POST {epoch, system_id}: raise the token and follow nobody
	VerbFollow Verb = "follow" // POST {epoch, system_id, primary, as}: raise the token and follow primary
	// VerbPromote is POST {epoch, system_id}: leave recovery, if the token is this epoch.
	VerbPromote Verb = "promote"
	// VerbRow is POST {epoch, member, operation}: commit the epoch row on the primary's own disk.
	VerbRow Verb = "row"
	// VerbProof is POST {epoch, member, route, proof}: commit a proof under the epoch row; GET ?route=: read it back.
	VerbProof Verb = "proof"
	// VerbEndSessions is POST {epoch}: end the connections of clients.
	VerbEndSessions Verb = "end-sessions"
)

// Role is what a service is: primary, or standby, which is to say in recovery.
type Role = failover.Role

// The roles.
const (
	RolePrimary = failover.RolePrimary
	RoleStandby = failover.RoleStandby
)

// Order is the body of every POST. Each verb says which fields it takes.
type Order struct {
	Epoch     uint64 `json:"epoch,omitempty"`
	SystemID  string `json:"system_id,omitempty"` // the service refuses if it is another system; empty: any
	Member    string `json:"member,omitempty"`
	Operation string `json:"operation,omitempty"`
	Arbiter   string `json:"arbiter,omitempty"` // whose probe it is
	Primary   *Peer  `json:"primary,omitempty"` // whom to follow
	As        string `json:"as,omitempty"`      // the name under which a standby turns up at its primary
	Route     string `json:"route,omitempty"`
	Proof     string `json:"proof,omitempty"`
}

// Peer is another member.
type Peer struct {
	Name    string `json:"name"`
	Address string `json:"address"` // host:port
}

// State is what a service says of itself. Positions are bytes of one log, or anything else that grows with it.
type State struct {
	Role     Role   `json:"role"`
	SystemID string `json:"system_id"`
	Timeline uint32 `json:"timeline"` // grows with every promotion
	Epoch    uint64 `json:"epoch"`    // the token: the highest epoch seen, on disk
	// AcceptsWrites says that a write was committed to answer this: only VerbProbe can say so.
	AcceptsWrites bool      `json:"accepts_writes,omitempty"`
	Written       uint64    `json:"written,omitempty"`   // of a primary: the end of its log
	Received      uint64    `json:"received,omitempty"`  // of a standby: received and on disk
	Replayed      uint64    `json:"replayed,omitempty"`  // of a standby: applied
	Following     string    `json:"following,omitempty"` // of a standby: the address of whom it follows, empty for nobody
	Streaming     bool      `json:"streaming,omitempty"` // of a standby: it receives right now
	Settled       bool      `json:"settled,omitempty"`   // of a standby: it receives nothing any more, and all is applied
	Trouble       string    `json:"trouble,omitempty"`   // of a standby: why it doesn't stream, for people
	Sync          *SyncRule `json:"sync,omitempty"`      // of a primary
	Standbys      []Standby `json:"standbys,omitempty"`  // of a primary: who is connected
	Row           *Row      `json:"row,omitempty"`       // the epoch row, which is replicated
	Ended         int       `json:"ended,omitempty"`     // by VerbEndSessions: how many connections
}

// longestSystemID and mostNeeded are far above what any service has.
const (
	longestSystemID = 256 // bytes
	mostNeeded      = 1000
)

// fault says what no service can be, empty if there is nothing of that kind.
func (s State) fault() string {
	switch {
	case s.Role != RolePrimary && s.Role != RoleStandby:
		return fmt.Sprintf("its role is %q, want primary or standby", s.Role)
	case len(s.SystemID) > longestSystemID:
		return fmt.Sprintf("its system_id has %d bytes, the limit is %d", len(s.SystemID), longestSystemID)
	case s.Sync != nil && (s.Sync.Need < 0 || s.Sync.Need > mostNeeded):
		return fmt.Sprintf("its sync needs %d, want 0 to %d", s.Sync.Need, mostNeeded)
	}
	return ""
}

// SyncRule says that Need of Names must have a write on disk before it is acknowledged.
type SyncRule struct {
	Need  int      `json:"need"`
	Names []string `json:"names"`
}

// Standby is one standby that is connected to a primary.
type Standby struct {
	Name      string `json:"name"`
	Streaming bool   `json:"streaming"`
	Sync      bool   `json:"sync"` // acknowledgements wait for it
}

// Row is the epoch row: who became primary under which epoch, and where that began.
type Row struct {
	Epoch     uint64 `json:"epoch"`
	Member    string `json:"member"`
	Operation string `json:"operation"`
	Position  uint64 `json:"position"` // where the timeline began
}

// Proof is what VerbProof reads back.
type Proof struct {
	Proof string `json:"proof"`
	Epoch uint64 `json:"epoch"`
}

// Code says why a service refused.
type Code string

// The codes. With each of the first group the service has done nothing; those of the second say what state it is in. Any other
// evidence of one that is alive but failing is a code too, called as in a group spec.
const (
	CodeNewerEpoch  Code = "newer-epoch"  // the token is newer than the order's epoch
	CodeOlderToken  Code = "token-older"  // the token has to be raised before
	CodeWrongSystem Code = "wrong-system" // another system than the order's
	CodeNotStandby  Code = "not-standby"  // the verb is for standbys
	CodeNotPrimary  Code = "not-primary"  // the verb is for primaries
	CodeOtherRow    Code = "other-row"    // the epoch row is of another member or epoch
	CodeBadOrder    Code = "bad-order"    // a field is missing or wrong

	CodeDiskFull = Code(failover.ReasonDiskFull)
	// CodeWriteUnderWay answers a probe while an earlier one of the same arbiter has not ended; AgeMS is its age.
	CodeWriteUnderWay Code = "write-under-way"
)

// Refusal is the body of every answer that isn't 200.
type Refusal struct {
	Code   Code   `json:"error"`
	Detail string `json:"detail,omitempty"`
	Epoch  uint64 `json:"epoch,omitempty"`  // the service's token, with CodeNewerEpoch and CodeOlderToken
	AgeMS  int64  `json:"age_ms,omitempty"` // with CodeWriteUnderWay

	Status int `json:"-"` // of HTTP
}

func (r *Refusal) Error() string {
	text := "the service answers " + strconv.Itoa(r.Status)
	if r.Code != "" {
		text += " " + string(r.Code)
	}
	if r.Epoch != 0 {
		text += fmt.Sprintf(" (its token is %d)", r.Epoch)
	}
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return text
}
