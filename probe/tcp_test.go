package probe

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// tcpTarget is a member at an address, watched by one check without a spec of its own.
func tcpTarget(address string) Target {
	return Target{Group: "orders", Member: failover.MemberSpec{Name: "a", Address: address}, Spec: &failover.Spec{}}
}

// noSuchName is an address whose name nobody has: resolvers know without asking anybody that it is none.
const noSuchName = "no..such:1"

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestTCPEvidence(t *testing.T) {
	for _, test := range []struct {
		name    string
		arrange func(*testing.T) string
		want    failover.Reason
	}{
		{"answers", silent, failover.ReasonAnswered},
		{"refuses", freeAddress, failover.ReasonRefused},
		{"black hole", blackHole, failover.ReasonTimeout},
		{"unknown name", func(*testing.T) string { return noSuchName }, failover.ReasonNameNotFound},
		{"no port", func(*testing.T) string { return "127.0.0.1" }, failover.ReasonArbiterTrouble},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := fastCheck()
			c.Timeout = 500 * ms
			look := lookAt(TCP{}, tcpTarget(test.arrange(t)), c)
			if look.Evidence.Reason != test.want {
				t.Fatalf("evidence: got %+v, want %s", look.Evidence, test.want)
			}
		})
	}
}

// A name that is not found is told from a name server in trouble by every kind of check: a person may vouch for the former (S3).
func TestEveryKindTellsANameThatIsNotFound(t *testing.T) {
	http := fastCheck()
	http.HTTP = &failover.HTTPCheck{}
	for name, kind := range map[string]struct {
		checker Checker
		check   failover.Check
		target  Target
	}{
		"tcp":      {TCP{}, fastCheck(), tcpTarget(noSuchName)},
		"http":     {HTTP{}, http, tcpTarget(noSuchName)},
		"service":  {NewService("az-a", nil), serviceCheck(), serviceTarget("a", noSuchName)},
		"postgres": {newPostgres(t), patientCheck(), postgresTarget("a", noSuchName, patientCheck())},
	} {
		t.Run(name, func(t *testing.T) {
			kind.check.Timeout = 5 * time.Second
			if look := lookAt(kind.checker, kind.target, kind.check); look.Evidence.Reason != failover.ReasonNameNotFound {
				t.Fatalf("evidence: got %+v, want %s", look.Evidence, failover.ReasonNameNotFound)
			}
		})
	}
}

func TestTCPOwnPort(t *testing.T) {
	target := tcpTarget("[::1]:5432")
	if got := target.Address(failover.Check{Port: 8008}); got != "[::1]:8008" {
		t.Fatalf("address: got %s, want [::1]:8008", got)
	}
	if got := target.Address(failover.Check{}); got != "[::1]:5432" {
		t.Fatalf("address: got %s, want [::1]:5432", got)
	}
}

func TestTCPHoldEndsWithTheConnection(t *testing.T) {
	accepted := make(chan *net.TCPConn, 2)
	address := listen(t, func(conn *net.TCPConn) { accepted <- conn })
	c := fastCheck()
	type end struct {
		held bool
		lost error
	}
	ended := make(chan end, 1)
	hold := func(ctx context.Context) {
		held, lost := TCP{}.Hold(ctx, tcpTarget(address), c)
		ended <- end{held, lost}
	}

	go hold(t.Context())
	conn := <-accepted
	if _, err := conn.Write([]byte("a banner is not the end")); err != nil {
		t.Fatalf("write: %v", err)
	}
	select {
	case e := <-ended:
		t.Fatalf("hold ended by itself: %+v", e)
	case <-time.After(50 * ms):
	}
	_ = conn.SetLinger(0)
	_ = conn.Close()
	if e := <-ended; !e.held || e.lost == nil {
		t.Fatalf("end of a connection that was reset: got %+v", e)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go hold(ctx)
	conn = <-accepted
	t.Cleanup(func() { _ = conn.Close() })
	cancel()
	if e := <-ended; e.lost == nil {
		t.Fatalf("end of a connection that was given up: got %+v", e)
	}
}
