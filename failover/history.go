package failover

import (
	"cmp"
	"slices"
	"strings"
)

// History is what is kept for people: bounded, and apart from the state that decides. Only to whom a leader offers its leadership goes by it.
type History struct {
	Epochs   []EpochRow // the newest last
	Receipts []Receipt  // the newest last
}

// How much is kept of each group.
const (
	epochsKept   = 64
	receiptsKept = 16
)

// EpochRow is one epoch of a group.
type EpochRow struct {
	Epoch  Epoch
	Writer MemberName
	Holder NodeID
	Term   Term
	Index  Index
	Wall   WallTime
	Why    string
	Proof  string
	// Operation is what it was granted for; empty for an adoption.
	Operation OperationID
	Reroute   bool `json:",omitempty"` // that is one
	// First is the oldest of the epochs that this row took the place of; 0: none.
	First Epoch `json:",omitempty"`
}

// replaces says whether a row takes the place of the one before it: grants in a row to the same holder for the same operation, of which nothing
// came, since a held operation is tried again for days: a promotion too, whose row has the proofs that it rests on from the grant on; and those of
// reroutes in a row, since a router may forget for days.
func (r EpochRow) replaces(last EpochRow) bool {
	if r.Reroute && last.Reroute {
		return inARow(last.Wall, r.Wall)
	}
	return last.Holder != "" && last.Holder == r.Holder && last.Term == r.Term && last.Operation == r.Operation && last.Writer == r.Writer &&
		(last.Proof == "" || last.Proof == r.Proof)
}

// proofsBeside are, for the row of the epoch in which a member is promoted, the proofs of the others that its operation rests on, the oldest
// first: also those that were given under an earlier epoch, as a person's word while no lease was held. An operation that began without a
// writer rests on whatever has been proven before it.
func (g *Group) proofsBeside(promoted MemberName) string {
	op := g.Operation
	proven := slices.DeleteFunc(slices.Clone(g.Members), func(m Member) bool {
		return m.Name == promoted || m.Proof.Grade == "" || op.From != "" && m.NoneSince <= op.ConfirmedAt
	})
	slices.SortStableFunc(proven, func(a, b Member) int { return cmp.Compare(a.NoneSince, b.NoneSince) })
	words := make([]string, len(proven))
	for i, m := range proven {
		words[i] = m.Proof.of(m.Name)
	}
	return strings.Join(words, ", ")
}

// ProvenAt is when the proof that a member can't write was committed; 0 if there is none, or nothing is kept any more of what brought it.
func (g *Group) ProvenAt(member MemberName) WallTime {
	m := g.Member(member)
	if m == nil || m.Proof.Grade == "" {
		return 0
	}
	operations := []*Operation{g.Operation}
	for i := range g.History.Receipts {
		operations = append(operations, &g.History.Receipts[i].Operation)
	}
	for _, op := range operations {
		if op == nil {
			continue
		}
		for _, step := range op.Steps {
			if step.Outcome == m.NoneSince && step.Member == member && step.Proof.Grade == m.Proof.Grade {
				return step.Ended
			}
		}
	}
	for _, row := range g.History.Epochs { // of a person's word at an adoption
		if row.Index == m.NoneSince {
			return row.Wall
		}
	}
	return 0
}

// OperationResult is how an operation ended.
type OperationResult string

// The results.
const (
	OperationDone      OperationResult = "done"
	OperationRecovered OperationResult = "recovered" // the primary came back before anything was done
	OperationStopped   OperationResult = "stopped"   // by what goes first, or by what took its reason away
	OperationFailed    OperationResult = "failed"    // its own tries did not succeed
	OperationCalledOff OperationResult = "aborted"   // by an operator
	// OperationReinstated is a failover that was rolled back: it measures no outage that a failover would have.
	OperationReinstated OperationResult = "reinstated"
)

// resultOnceFinished is what an operation that has a primary again came to.
func (o *Operation) resultOnceFinished() OperationResult {
	if o.Reinstating && o.Kind != KindReroute {
		return OperationReinstated
	}
	return OperationDone
}

// Receipt is the record of a finished operation.
type Receipt struct {
	Operation  Operation
	To         MemberName
	EpochAfter Epoch
	Ended      WallTime
	Result     OperationResult
	Index      Index
	Repeats    int `json:",omitempty"` // reroutes in a row before this one, whose receipts it took the place of
}

// addEpoch adds a row, or replaces the newest.
func (h *History) addEpoch(row EpochRow) {
	if n := len(h.Epochs); n > 0 && row.replaces(h.Epochs[n-1]) {
		row.First = cmp.Or(h.Epochs[n-1].First, h.Epochs[n-1].Epoch)
		h.Epochs = withRow(h.Epochs, n-1, true, row)
		return
	}
	h.Epochs = keepNewest(append(slices.Clip(h.Epochs), row), epochsKept)
}

// addReceipt adds a receipt. Reroutes in a row share one: they must not push out what happened before.
func (h *History) addReceipt(receipt Receipt) {
	if n := len(h.Receipts); n > 0 && receipt.Operation.Kind == KindReroute {
		last := h.Receipts[n-1]
		if last.Operation.Kind == KindReroute && inARow(last.Ended, receipt.Operation.Began) {
			receipt.Repeats = last.Repeats + 1
			h.Receipts = withRow(h.Receipts, n-1, true, receipt)
			return
		}
	}
	h.Receipts = keepNewest(append(slices.Clip(h.Receipts), receipt), receiptsKept)
}

// amend changes the newest row of an epoch, if it is still kept.
func (h *History) amend(epoch Epoch, change func(*EpochRow)) {
	h.Epochs = slices.Clone(h.Epochs)
	if row := h.epochRow(epoch); row != nil {
		change(row)
	}
}

// epochRow returns the newest row of an epoch, nil if it is no longer kept. Only amend changes it.
func (h *History) epochRow(epoch Epoch) *EpochRow {
	for i := len(h.Epochs) - 1; i >= 0; i-- {
		if h.Epochs[i].Epoch == epoch {
			return &h.Epochs[i]
		}
	}
	return nil
}

// holderOf is who held the lease of an epoch, empty if that is no longer kept. A row that several grants share has the newest of their epochs.
func (h *History) holderOf(epoch Epoch) NodeID {
	for _, row := range h.Epochs {
		if row.Epoch >= epoch {
			return row.Holder
		}
	}
	return ""
}

func keepNewest[T any](rows []T, most int) []T {
	if len(rows) > most {
		return slices.Clone(rows[len(rows)-most:])
	}
	return rows
}
