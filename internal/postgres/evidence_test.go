package postgres

import (
	"fmt"
	"net"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// Only a name server's definite word is a name that is not found: one that is silent or in trouble knows nothing of the name.
func TestClassifyNames(t *testing.T) {
	for _, test := range []struct {
		err  net.DNSError
		want failover.Reason
	}{
		{net.DNSError{Err: "no such host", IsNotFound: true}, failover.ReasonNameNotFound},
		{net.DNSError{Err: "no such host", IsNotFound: true, IsTemporary: true}, failover.ReasonArbiterTrouble},
		{net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true}, failover.ReasonArbiterTrouble},
		{net.DNSError{Err: "server misbehaving", IsTemporary: true}, failover.ReasonArbiterTrouble},
		{net.DNSError{Err: "server misbehaving"}, failover.ReasonArbiterTrouble},
	} {
		err := fmt.Errorf("connect: %w", &net.OpError{Op: "dial", Net: "tcp", Err: &test.err})
		if got := Classify(err).Reason; got != test.want {
			t.Errorf("%+v is classified as %s, want %s", test.err, got, test.want)
		}
	}
}
