package screen

import (
	"fmt"
	"slices"
	"strings"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Epochs draws the lease and the newest epochs of a group; most limits how many, 0 is all.
func Epochs(s Style, r *arbiterv1.GetEpochsResponse, most int) string {
	p := s.page()
	writer := "no writer"
	if r.Writer != "" {
		writer = "writer " + r.Writer
	}
	if r.BeingPromoted != "" {
		writer += ", being promoted"
	}
	if stale := staleLine(s, r.Freshness); stale != "" {
		p.line("%s", stale)
	}
	p.line("%s", s.strong(fmt.Sprintf("epoch %d · %s · %s", r.Epoch, writer, leaseText(r))))
	shown := r.History
	if most > 0 && len(shown) > most {
		shown = shown[:most]
	}
	if len(shown) == 0 {
		return p.String()
	}
	rows := make([][]string, len(shown))
	for i, e := range shown {
		rows[i] = []string{
			epochsOf(e), orDash(e.Writer), orDash(e.GrantedTo), fmt.Sprint(e.Term), s.moment(e.When), orDash(e.Why), orDash(oncePerWord(e.Proof)),
		}
	}
	p.table([]string{"EPOCH", "WRITER", "GRANTED TO", "TERM", "WHEN", "WHY", "PROOF"}, rows, nil)
	if left := len(r.History) - len(shown); left > 0 {
		p.line("%s", s.dim(fmt.Sprintf("%d older; all: arbiterctl epoch history %s", left, r.Group)))
	}
	return p.String()
}

// epochsOf is the epoch of a row, or all that it stands for: each further try of what is held takes one.
func epochsOf(row *arbiterv1.EpochRow) string {
	if row.First == 0 {
		return fmt.Sprint(row.Epoch)
	}
	return fmt.Sprintf("%d-%d", row.First, row.Epoch)
}

// leaseText says who holds the lease. Without one nothing is done under this epoch any more: what is in progress goes on under the next.
func leaseText(r *arbiterv1.GetEpochsResponse) string {
	switch {
	case r.Lease == nil && r.Operation == "":
		return "no lease held (nothing in progress)"
	case r.Lease == nil && r.HeldReason == "aborted":
		return fmt.Sprintf("no lease held (%s is aborted, and waits for an operator)", r.Operation)
	case r.Lease == nil && r.HeldReason != "":
		return fmt.Sprintf("no lease held (%s is held for %s, and goes on under the next epoch)", r.Operation, r.HeldReason)
	case r.Lease == nil:
		return fmt.Sprintf("no lease held (%s is %s, and goes on under the next epoch)", r.Operation, spaced(r.Stage))
	}
	lease := "lease of " + r.Lease.Holder
	if r.Lease.Duration != nil {
		lease += ", " + briefProto(r.Lease.Duration)
	}
	if r.Lease.Epoch != r.Epoch {
		lease += fmt.Sprintf(", under epoch %d", r.Lease.Epoch)
	}
	return lease
}

// oncePerWord drops repeated words: a device is often named by the machine that it switches.
func oncePerWord(words string) string {
	return strings.Join(slices.Compact(strings.Fields(words)), " ")
}
