package probe

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// tcpTarget is a member at an address, watched by one check without a spec of its own.
func tcpTarget(address string) Target {
	return Target{Group: "orders", Member: failover.MemberSpec{Name: "a", Address: address}, Spec: &failover.Spec{}}
}

// noSuchName is an address whose name nobody knows (noNames), malformedName one that nobody is asked for, as it can't be a name.
const (
	noSuchName    = "no-such.internal:1"
	malformedName = "no..such:1"
)

// noNames makes a name server that knows no name the one that is asked, until the test ends.
func noNames(t *testing.T) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		packet := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			const answer, nameError = 0x80, 3 // RFC 1035, 4.1.1
			packet[2], packet[3] = packet[2]|answer, packet[3]&0xf0|nameError
			_, _ = server.WriteTo(packet[:n], from)
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = server.Close()
		<-ended
	})
}

func TestTCPEvidence(t *testing.T) {
	for _, test := range []struct {
		name    string
		arrange func(*testing.T) string
		want    failover.Reason
	}{
		{"answers", silent, failover.ReasonAnswered},
		{"refuses", func(t *testing.T) string { return freeport.Address(t) }, failover.ReasonRefused},
		{"black hole", blackHole, failover.ReasonTimeout},
		{"unknown name", func(t *testing.T) string { noNames(t); return noSuchName }, failover.ReasonNameNotFound},
		{"no name", func(*testing.T) string { return malformedName }, failover.ReasonBadConfiguration},
		{"no port", func(*testing.T) string { return "127.0.0.1" }, failover.ReasonArbiterTrouble},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := fastCheck()
			if test.want != failover.ReasonTimeout {
				c.Timeout = 20 * time.Second
			}
			look := lookAt(TCP{}, tcpTarget(test.arrange(t)), c)
			if look.Evidence.Reason != test.want {
				t.Fatalf("evidence: got %+v, want %s", look.Evidence, test.want)
			}
		})
	}
}

// A name that is not found is told by every kind of check from what can't be a name: a person may vouch for the former (S3).
func TestEveryKindTellsANameThatIsNotFound(t *testing.T) {
	noNames(t)
	http := fastCheck()
	http.HTTP = &failover.HTTPCheck{}
	for name, kind := range map[string]struct {
		checker Checker
		check   failover.Check
		target  func(address string) Target
	}{
		"tcp":      {TCP{}, fastCheck(), tcpTarget},
		"http":     {NewHTTP(new(secret.Reader)), http, tcpTarget},
		"service":  {NewService("az-a", new(secret.Reader)), serviceCheck(), func(address string) Target { return serviceTarget("a", address) }},
		"postgres": {newPostgres(t), patientCheck(), func(address string) Target { return postgresTarget("a", address, patientCheck()) }},
	} {
		t.Run(name, func(t *testing.T) {
			kind.check.Timeout = 20 * time.Second
			for address, want := range map[string]failover.Reason{noSuchName: failover.ReasonNameNotFound, malformedName: failover.ReasonBadConfiguration} {
				if look := lookAt(kind.checker, kind.target(address), kind.check); look.Evidence.Reason != want {
					t.Errorf("%s: got %+v, want %s", address, look.Evidence, want)
				}
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
