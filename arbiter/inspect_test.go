package arbiter

import (
	"strings"
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

// Whoever starts a former primary as it is has a member with another history.
func TestNextOfDown(t *testing.T) {
	g := &failover.Group{Name: "orders", Members: []failover.Member{{Name: "a"}, {Name: "b", Authority: failover.AuthorityWriter}}}
	for member, want := range map[failover.MemberName]string{"a": "docs/operations.md", "b": "arbiterctl explain orders"} {
		if next := nextOfDown(g, member); !strings.Contains(next, want) {
			t.Errorf("%s: %q doesn't say %q", member, next, want)
		}
	}
}
