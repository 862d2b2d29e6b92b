package postgres

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// Only a name that nobody knows is one that is not found: a name server that is silent or in trouble knows nothing of it, and what can't be a
// name is a fault of the spec.
func TestClassifyNames(t *testing.T) {
	for _, test := range []struct {
		err  net.DNSError
		want failover.Reason
	}{
		{net.DNSError{Name: "pg-a.internal", IsNotFound: true}, failover.ReasonNameNotFound},
		{net.DNSError{Name: "pg-a.", IsNotFound: true}, failover.ReasonNameNotFound},
		{net.DNSError{Name: "10-0-0-1", IsNotFound: true}, failover.ReasonNameNotFound},
		{net.DNSError{Name: "pg-a", IsNotFound: true, IsTemporary: true}, failover.ReasonArbiterTrouble},
		{net.DNSError{Name: "pg-a", IsTimeout: true, IsTemporary: true}, failover.ReasonArbiterTrouble},
		{net.DNSError{Name: "pg-a", IsTemporary: true}, failover.ReasonArbiterTrouble},
		{net.DNSError{Name: "pg-a"}, failover.ReasonArbiterTrouble},
		{net.DNSError{Name: "pg..a", IsNotFound: true}, failover.ReasonBadConfiguration},
		{net.DNSError{Name: "pg a", IsNotFound: true}, failover.ReasonBadConfiguration},
		{net.DNSError{Name: "pg-.a", IsNotFound: true}, failover.ReasonBadConfiguration},
		{net.DNSError{Name: "10.0.0.999", IsNotFound: true}, failover.ReasonBadConfiguration},
		{net.DNSError{Name: strings.Repeat("pg-a.", 51), IsNotFound: true}, failover.ReasonBadConfiguration},
	} {
		err := fmt.Errorf("connect: %w", &net.OpError{Op: "dial", Net: "tcp", Err: &test.err})
		if got := Classify(err).Reason; got != test.want {
			t.Errorf("%+v is classified as %s, want %s", test.err, got, test.want)
		}
	}
}
