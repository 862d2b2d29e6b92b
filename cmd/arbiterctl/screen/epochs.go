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
	lease := "no lease held (nothing in progress)"
	if r.Lease != nil {
		lease = "lease of " + r.Lease.Holder
		if r.Lease.Duration != nil {
			lease += ", " + briefProto(r.Lease.Duration)
		}
		if r.Lease.Epoch != r.Epoch {
			lease += fmt.Sprintf(", under epoch %d", r.Lease.Epoch)
		}
	}
	writer := "no writer"
	if r.Writer != "" {
		writer = "writer " + r.Writer
	}
	if stale := staleLine(s, r.Freshness); stale != "" {
		p.line("%s", stale)
	}
	p.line("%s", s.strong(fmt.Sprintf("epoch %d · %s · %s", r.Epoch, writer, lease)))
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
			fmt.Sprint(e.Epoch), orDash(e.Writer), orDash(e.GrantedTo), fmt.Sprint(e.Term), s.moment(e.When), orDash(e.Why), orDash(oncePerWord(e.Proof)),
		}
	}
	p.table([]string{"EPOCH", "WRITER", "GRANTED TO", "TERM", "WHEN", "WHY", "PROOF"}, rows, nil)
	if left := len(r.History) - len(shown); left > 0 {
		p.line("%s", s.dim(fmt.Sprintf("%d older; all: arbiterctl epoch history %s", left, r.Group)))
	}
	return p.String()
}

// oncePerWord drops repeated words: a device is often named by the machine that it switches.
func oncePerWord(words string) string {
	return strings.Join(slices.Compact(strings.Fields(words)), " ")
}
