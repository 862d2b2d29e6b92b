package arbiter

import (
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// While an operation is under way clients may still be on their way to the new primary: that is no finding.
func TestSettledPrimary(t *testing.T) {
	writer := []failover.Member{{Name: "a", Authority: failover.AuthorityRevoked}, {Name: "b", Authority: failover.AuthorityWriter}}
	s := &failover.State{Groups: []*failover.Group{
		{Name: "moved", Members: writer},
		{Name: "moving", Members: writer, Operation: &failover.Operation{}},
		{Name: "without", Members: writer[:1]},
	}}
	for group, want := range map[failover.GroupName]failover.MemberName{"moved": "b", "moving": "", "without": "", "unknown": ""} {
		if got := settledPrimary(s, group); got != want {
			t.Errorf("%s: %q, want %q", group, got, want)
		}
	}
}
