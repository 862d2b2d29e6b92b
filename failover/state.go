package failover

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// State is everything that the arbiters agree on. It is a value: Next never changes what it is given. Slices and groups
// that a State refers to are immutable once they are part of one; to change a group, Next copies it.
type State struct {
	Version   EntryVersion
	ClusterID string
	Applied   Index
	Voters    []NodeID // sorted
	Reign     Reign
	Views     []View   // one per arbiter that ever sent one, sorted by node
	Groups    []*Group // sorted by name
	Retired   []RetiredEpoch
	Requests  []AnsweredRequest // the newest last, bounded
	EventSeq  uint64
	Brake     Brake
	Fleet     Fleet
	// Attestations are all that were ever taken, the newest last. Nothing is decided by them.
	Attestations []Attestation `json:",omitempty"`
}

// Reign is the time of one leader.
type Reign struct {
	Term   Term
	Leader NodeID
	Index  Index // of its BeginReign
}

// View is what is known of one arbiter's stream of observations. The observations themselves are kept with their group.
type View struct {
	Node        NodeID
	Incarnation uint64
	Sequence    uint64
	// Generation grows whenever the view is voided; observations of an older generation don't count.
	Generation uint64
	Current    bool // the view was sent whole since it was voided
	Doubt      string
	Version    EntryVersion
}

// RetiredEpoch keeps the epoch of a deleted group. No lease of it is outstanding (S15).
type RetiredEpoch struct {
	Group GroupName
	Epoch Epoch
	Lease *Lease
}

// NewState is the state of an empty log. It is in the first language, whatever this build understands: the log itself says when another one
// begins (BeginReign), at the same entry for every arbiter.
func NewState() State { return State{Version: 1, Brake: DefaultBrake()} }

// Group is all that is known of one protected service.
type Group struct {
	Name        GroupName
	Spec        *Spec
	SpecVersion uint64
	SpecSince   Index // the entry that brought the spec: it tells a spec from every other one, also of a deleted group of this name
	SpecSource  []byte
	Adopted     bool
	EverAdopted bool
	SystemID    string    // of the writer when the group was adopted
	Stranger    *Stranger `json:",omitempty"` // why it is no longer adopted; nil: the spec changed, or it is
	Members     []Member  // sorted by name
	Epoch       Epoch
	Lease       *Lease // nil: none outstanding
	Stage       Stage
	HeldFrom    Stage // while Stage is Held
	Hold        Hold
	Operation   *Operation // nil: none
	Pause       *Paused
	Looks       []Look      // sorted by node, then member
	Paths       []PathLook  // sorted by node, then member
	Answers     []AnswerRow // sorted by node
	// LastPrimary is what was last known of the writer: the base of every loss bound.
	LastPrimary PrimaryFacts
	// LastFailover is when the last automatic failover ended, for the cool-down.
	LastFailover WallTime
	// Reroutes are the newest ones in a row.
	Reroutes Reroutes `json:",omitzero"`
	// DownSince is when its primary turned down, for the fleet brake; 0: it is not.
	DownSince WallTime
	// History is for people; no entry is judged by it.
	History History
}

// Member is the replicated state of one member.
type Member struct {
	Name      MemberName
	Authority Authority
	// NoneSince is the entry that made it NONE: only looks not older than that can unmask it as a rogue (S12).
	NoneSince Index
	// RevokedSince is the entry that made it REVOKED: a person's word is about one revocation, not about a later one (S4), and only
	// looks not older than that can bear it out (S3).
	RevokedSince Index
	// WriterSince is the entry that ended its promotion: what was seen before that was seen of a standby.
	WriterSince Index `json:",omitempty"`
	Proof       Proof // what NONE rests on
	Rogue       bool  // seen accepting writes without authority
	// FenceContradicted is who reached it after its fence devices had said that it is off; empty: nobody. What those devices say proves nothing,
	// also not that they are right, until the spec names another fence or address, or the group is adopted anew (S3).
	FenceContradicted NodeID `json:",omitempty"`
	// ReadBack says that it is REVOKED only because its proof has become old. Its machine is off already, as far as anybody knows: so it
	// is looked at first, and fenced again only if that doesn't prove it.
	ReadBack bool
	// Promoting says that a promotion of it was intended, and that neither its success nor a proof against it is known: it may
	// become a primary at any time, whatever it looks like (S7).
	Promoting bool
	// Since is the entry that gave it its present address and fence, or had a fence believed again that was seen to be wrong: whatever was seen before
	// that was seen of another machine (S0).
	Since   Index
	Verdict Status
	// Told is the verdict that was told last, while this one is unknown only because views that are void have not been sent anew; else empty.
	Told Status `json:",omitempty"`
	// RestartSince is the entry since which a majority has known that it restarts, until it serves again; 0: it doesn't.
	RestartSince Index `json:",omitempty"`
}

// NotBefore is the entry as of which an observation of this member must have begun at least, to count for what is asked of the
// member now. Looks are sent when they differ from the one before, and once more when only the older one does not count any more.
func (m *Member) NotBefore(o Observation) Index {
	switch {
	case m.Authority == AuthorityRevoked:
		return max(m.Since, m.RevokedSince)
	case m.Authority == AuthorityWriter:
		return max(m.Since, m.WriterSince)
	case m.Authority == AuthorityNone && o.Facts.AcceptsWrites:
		return max(m.Since, m.NoneSince)
	}
	return m.Since
}

// Paused is who paused a group.
type Paused struct {
	Actor  string
	Reason string
	Since  WallTime
}

// Look is one observation in a view, with where it came from.
type Look struct {
	Node        NodeID
	Generation  uint64
	Index       Index // of the entry that brought it
	Observation Observation
	// RestartSince is the entry since which this arbiter has known that the member restarts; 0: it doesn't.
	RestartSince Index `json:",omitempty"`
}

// PathLook is what one arbiter said of a fence path.
type PathLook struct {
	Node       NodeID
	Generation uint64
	Path       FencePath
}

// AnswerRow is the newest request to look again that an arbiter answered for this group.
type AnswerRow struct {
	Node       NodeID
	Generation uint64
	Asked      Index
	Index      Index // of the entry that brought the answer
}

// Group returns a group by name, nil if there is none. It must not be changed.
func (s *State) Group(name GroupName) *Group {
	i, ok := s.groupAt(name)
	if !ok {
		return nil
	}
	return s.Groups[i]
}

func (s *State) groupAt(name GroupName) (int, bool) {
	return slices.BinarySearchFunc(s.Groups, name, func(g *Group, n GroupName) int { return compare(g.Name, n) })
}

// View returns what is known of an arbiter's view.
func (s *State) View(node NodeID) (View, bool) {
	for i := range s.Views {
		if s.Views[i].Node == node {
			return s.Views[i], true
		}
	}
	return View{}, false
}

// viewThatCounts returns the view of an arbiter if it is current and not doubted.
func (s *State) viewThatCounts(node NodeID) (View, bool) {
	view, ok := s.View(node)
	return view, ok && view.Current && view.Doubt == ""
}

// Majority is how many voters are more than half of all.
func (s *State) Majority() int { return len(s.Voters)/2 + 1 }

// VotersUnderstand is the newest entry version that every voter is known to understand.
func (s *State) VotersUnderstand() EntryVersion {
	version := CurrentVersion
	for _, node := range s.Voters {
		v, ok := s.View(node)
		if !ok {
			return min(version, 1)
		}
		version = min(version, v.Version)
	}
	return max(version, 1)
}

// clone copies the state so that its views and groups can be replaced one by one. Its other lists are shared: who changes one makes a new one.
func (s State) clone() State {
	s.Views = slices.Clone(s.Views)
	s.Groups = slices.Clone(s.Groups)
	return s
}

// clone copies a group so that its own fields and those of its members and its operation can be changed. Everything else that it refers to
// is shared: who changes it makes a new one.
func (g *Group) clone() *Group {
	c := *g
	c.Members = slices.Clone(g.Members)
	if g.Operation != nil {
		c.Operation = g.Operation.clone()
	}
	return &c
}

// withRow is a new list with a row at a place: instead of the one that is there, or before it.
func withRow[T any](rows []T, at int, there bool, row T) []T {
	after := at
	if there {
		after++
	}
	return slices.Concat(rows[:at], []T{row}, rows[after:])
}

// Member returns the replicated state of a member, nil if there is none.
func (g *Group) Member(name MemberName) *Member {
	for i := range g.Members {
		if g.Members[i].Name == name {
			return &g.Members[i]
		}
	}
	return nil
}

// Turn is the newest entry at which the operation turned to what an operator may be asked about: it was held, something was intended,
// or a member was revoked or proven to have stopped. Requests name the one that the operator saw.
func (g *Group) Turn() Index {
	turn := g.stands()
	if op := g.Operation; op != nil && op.Intent != nil {
		turn = max(turn, op.Intent.Index)
	}
	return turn
}

// stands is the newest entry at which the group turned to what it is held for, or to who may write in it.
func (g *Group) stands() Index {
	if g.Stage == Held {
		return max(g.changed(), g.Hold.First)
	}
	return g.changed()
}

// sinceOf is as stands, and counts that members became what they are: another machine, or one whose fence is believed again.
func (g *Group) sinceOf(members []MemberName) Index {
	since := g.stands()
	for _, name := range members {
		if m := g.Member(name); m != nil {
			since = max(since, m.Since)
		}
	}
	return since
}

// changed is the newest entry that took away a right to write, or proved that it has ended.
func (g *Group) changed() Index {
	var newest Index
	for _, m := range g.Members {
		newest = max(newest, m.NoneSince, m.RevokedSince)
	}
	return newest
}

// Writer returns the member whose authority is WRITER, empty if there is none.
func (g *Group) Writer() MemberName {
	for _, m := range g.Members {
		if m.Authority == AuthorityWriter {
			return m.Name
		}
	}
	return ""
}

// Primary is the writer, for people: empty also while its promotion is not proven.
func (g *Group) Primary() MemberName {
	if g.BeingPromoted() != "" {
		return ""
	}
	return g.Writer()
}

// BeingPromoted is the writer whose promotion is intended and not proven: it may be the primary by now, or never become it (S7).
func (g *Group) BeingPromoted() MemberName {
	if m := g.Member(g.Writer()); m != nil && m.Promoting {
		return m.Name
	}
	return ""
}

// CanonicalBytes encodes the state: equal states give equal bytes on every replica.
func (s State) CanonicalBytes() ([]byte, error) {
	// encoding/json writes struct fields in order and there is no map in a State.
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return data, nil
}

// StateFromBytes decodes what CanonicalBytes wrote.
func StateFromBytes(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("decode state: %w", err)
	}
	return s, nil
}

func compare[T ~string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// LeaseDuration is how long a lease on the group lasts.
func (g *Group) LeaseDuration() time.Duration { return g.Spec.Policy.LeaseDuration }
