package screen

import (
	"strconv"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Attestations lists people's words on members, the newest first, with what the arbiters saw then.
func Attestations(s Style, r *arbiterv1.ListAttestationsResponse) string {
	p := s.page()
	if stale := staleLine(s, r.Freshness); stale != "" {
		p.line("%s", stale)
		p.labelled("", "next:", restartedAdvice(r.Freshness))
	}
	if len(r.Attestations) == 0 {
		if r.Freshness.GetLogOnDisk() == 0 {
			p.line("Nobody has vouched for a member.")
		}
		return p.String()
	}
	newest := r.Attestations[0]
	p.line("%s", s.strong("Last: "+newest.Actor+" vouched that "+newest.Member+" of "+newest.Group+" could not write."))
	rows := make([][]string, len(r.Attestations))
	for i, a := range r.Attestations {
		rows[i] = []string{s.moment(a.Time), a.Group, a.Member, a.Actor, strconv.FormatUint(a.Epoch, 10), attestedFor(a), orDash(a.Reason), a.Saw, strconv.FormatUint(a.Index, 10)}
	}
	p.table([]string{"WHEN", "GROUP", "MEMBER", "WHO", "EPOCH", "FOR", "REASON", "WHAT THE ARBITERS SAW", "LOG"}, rows, nil)
	if r.More {
		p.line("There are older ones: --before %d", r.Attestations[len(r.Attestations)-1].Index)
	}
	return p.String()
}

// attestedFor is the operation that a word was given for.
func attestedFor(a *arbiterv1.Attestation) string {
	if a.Operation == "" {
		return "adoption"
	}
	return a.Operation
}
