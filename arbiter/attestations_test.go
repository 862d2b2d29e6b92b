package arbiter

import (
	"fmt"
	"slices"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Every word is found, page by page, the newest first; what one adoption brought stays on one page.
func TestAttestations_PageByPage(t *testing.T) {
	state := failover.NewState()
	for _, a := range []struct {
		index  failover.Index
		group  failover.GroupName
		member failover.MemberName
	}{{3, "gone", "x"}, {5, "pay", "db1"}, {8, "pay", "db1"}, {8, "pay", "db2"}, {9, "gone", "y"}} {
		state.Attestations = append(state.Attestations, failover.Attestation{Index: a.index, Group: a.group, Member: a.member})
	}
	for _, test := range []struct {
		group string
		limit uint32
		want  []string
	}{
		{"", 0, []string{"9y 8db2 8db1 5db1 3x"}},
		{"", 1, []string{"9y", "8db2 8db1", "5db1", "3x"}},
		{"", 2, []string{"9y 8db2 8db1", "5db1 3x"}},
		{"pay", 1, []string{"8db2 8db1", "5db1"}},
		{"gone", 1, []string{"9y", "3x"}},
		{"never", 1, []string{""}},
	} {
		var got []string
		r := &arbiterv1.ListAttestationsRequest{Group: test.group, Limit: test.limit}
		for more := true; more; {
			answer, page := attestationsToProto(&state, r), ""
			for _, a := range answer.GetAttestations() {
				page += fmt.Sprintf(" %d%s", a.GetIndex(), a.GetMember())
				r.Before = a.GetIndex()
			}
			got, more = append(got, page[min(1, len(page)):]), answer.GetMore()
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q by %d: %q, want %q", test.group, test.limit, got, test.want)
		}
	}
}
